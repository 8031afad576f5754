package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"

	"signalbox.dev/signalbox/flow"
)

// Permission is what a caller may do.
type Permission string

// The permissions.
const (
	Submit Permission = "submit" // post records, and be told what became of them
	Read   Permission = "read"   // read flows, receipts and events
)

// Access says who may call (R7.1). Callers are programs, such as a hospital's
// system, and show a bearer token (RFC 6750). It holds no token, only what tokens
// hash to. Immutable.
type Access struct{ callers []caller }

type caller struct {
	name string
	hash [sha256.Size]byte
	may  []Permission
}

const (
	tokenSize   = 32 // random bytes of a token: nothing to be guessed, so a plain hash serves
	tokenPrefix = "sbx_"
	hashPrefix  = "sha256:"
)

// NewToken draws a caller's token and the line of an access file that lets it in.
// The token is shown to its owner once and kept nowhere.
func NewToken(random io.Reader, name string, may ...Permission) (token, line string, err error) {
	secret := make([]byte, tokenSize)
	if _, err := io.ReadFull(random, secret); err != nil {
		return "", "", fmt.Errorf("drawing a token: %w", err)
	}
	token = tokenPrefix + base64.RawURLEncoding.EncodeToString(secret)
	sum := sha256.Sum256([]byte(token))
	words := make([]string, len(may))
	for i, p := range may {
		words[i] = string(p)
	}
	line = name + " " + strings.Join(words, ",") + " " + hashPrefix + hex.EncodeToString(sum[:])
	_, err = readCaller(line)
	return token, line, err
}

// ParseAccess reads an access file: a caller a line, as NewToken writes it. Empty
// lines and lines that begin with # are passed over. A file that lets nobody in is
// an error: leaving it out says that more plainly.
func ParseAccess(text string) (*Access, error) {
	a := &Access{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		c, err := readCaller(line)
		if err != nil {
			return nil, fmt.Errorf("access file: line %d: %w", i+1, err)
		}
		if slices.ContainsFunc(a.callers, func(o caller) bool { return o.name == c.name || o.hash == c.hash }) {
			return nil, fmt.Errorf("access file: line %d: %s, or its token, stands there twice", i+1, c.name)
		}
		a.callers = append(a.callers, c)
	}
	if len(a.callers) == 0 {
		return nil, errors.New("access file: it lets nobody in")
	}
	return a, nil
}

func readCaller(line string) (caller, error) {
	fields := strings.Fields(line)
	if len(fields) != 3 {
		return caller{}, fmt.Errorf("%d words, want three: name, permissions, %s and the token's hash", len(fields), hashPrefix)
	}
	c := caller{name: fields[0]}
	if err := flow.CheckName("name", c.name); err != nil {
		return caller{}, err
	}
	for _, word := range strings.Split(fields[1], ",") {
		p := Permission(word)
		if p != Submit && p != Read || slices.Contains(c.may, p) {
			return caller{}, fmt.Errorf("permissions of %s: want %s, %s or both with a comma between", c.name, Submit, Read)
		}
		c.may = append(c.may, p)
	}
	digest, ok := strings.CutPrefix(fields[2], hashPrefix)
	sum, err := hex.DecodeString(digest)
	if !ok || err != nil || len(sum) != sha256.Size {
		return caller{}, fmt.Errorf("token of %s: want %s and 64 hexadecimal digits", c.name, hashPrefix)
	}
	copy(c.hash[:], sum)
	return c, nil
}

// ReadAccess reads an access file; an empty name is nobody's.
func ReadAccess(file string) (*Access, error) {
	if file == "" {
		return nil, nil
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("reading the access file: %w", err)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("reading the access file: others can write %s: chmod 600 it", file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the access file: %w", err)
	}
	return ParseAccess(string(text))
}

// who finds the caller of a token. Every caller's hash is compared, each in
// constant time.
func (a *Access) who(token string) (caller, bool) {
	sum := sha256.Sum256([]byte(token))
	found := -1
	for i := range a.callers {
		if subtle.ConstantTimeCompare(sum[:], a.callers[i].hash[:]) == 1 {
			found = i
		}
	}
	if found < 0 {
		return caller{}, false
	}
	return a.callers[found], true
}

// open are the routes that need no token: they tell nothing of anyone.
var open = []string{"GET /healthz", "GET /readyz", "GET /api/v1/openapi.json", "GET /api/v1/openapi.yaml", "GET /api/v1/authority/keys"}

// needs is the permission that a route asks for; empty for an open one. What
// changes something needs Submit, everything else Read: a route that is new here
// is closed.
func needs(pattern string) Permission {
	switch {
	case slices.Contains(open, pattern):
		return ""
	case strings.HasPrefix(pattern, "GET "):
		return Read
	default:
		return Submit
	}
}

// admit says why the caller may not use the route; nil when it may. It names the
// caller for the log.
func (s *Server) admit(r *http.Request, pattern string) (name string, _ *fault) {
	need := needs(pattern)
	if s.cfg.Access == nil || need == "" {
		return "", nil
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	c, ok := caller{}, false
	if strings.EqualFold(scheme, "Bearer") {
		c, ok = s.cfg.Access.who(strings.TrimSpace(token))
	}
	switch {
	case !ok:
		return "", &fault{kind: unauthenticated, header: http.Header{"Www-Authenticate": {`Bearer realm="signalbox"`}}}
	case !slices.Contains(c.may, need):
		return c.name, &fault{kind: notPermitted}
	}
	return c.name, nil
}
