package receipt

import (
	"bufio"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"signalbox.dev/signalbox/envelope"
)

// Signature types of signed notes. Ed25519 is the standard's 0x01. SM2 and RSA have
// no number there: they use 0xff, the standard's escape, followed by a name.
const (
	typeEd25519 = 0x01
	typeEscape  = 0xff
	sm2Name     = "sm2-sm3\n"
	rsaName     = "rsa-pss-sha256\n"
)

// Keys are the authority's published log keys: what a verifier trusts. Since keys
// are handed over to others, there may be several generations of them, each for
// its own sizes of the log (handover.go). A Keys can't be changed and may be used
// concurrently.
type Keys struct {
	generations []generation // without gaps, the oldest first
	handovers   []handover   // the one at i leads from the generation at i to the next
}

// generation is the keys that sign the log together.
type generation struct {
	lines     []string // vkeys
	verifiers []note.Verifier
	kinds     map[string]string // slot -> kind
}

// handoverWord begins a line of a key file that holds a hand-over statement.
const handoverWord = "handover "

// ParseKeys reads a key file: verifier keys of one generation, a vkey line of a
// signed note each (name+hash+key), and the statements by which earlier keys were
// handed over to them or by which they were handed over themselves, a line
// "handover <base64>" each, in any order. Empty lines and lines that begin with #
// are passed over.
func ParseKeys(text string) (Keys, error) {
	var lines []string
	var statements [][]byte
	sc := bufio.NewScanner(strings.NewReader(text))
	sc.Buffer(nil, maxKeyLine)
	n := 1
	for ; sc.Scan(); n++ {
		line := strings.TrimSpace(sc.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if b64, ok := strings.CutPrefix(line, handoverWord); ok {
			raw, err := base64.StdEncoding.Strict().DecodeString(b64)
			if err != nil {
				return Keys{}, fmt.Errorf("reading the authority's keys, line %d: a hand-over that is not base64", n)
			}
			statements = append(statements, raw)
			continue
		}
		if _, err := newGeneration(append(lines, line)); err != nil {
			return Keys{}, fmt.Errorf("reading the authority's keys, line %d: %w", n, err)
		}
		lines = append(lines, line)
	}
	if err := sc.Err(); err != nil {
		return Keys{}, fmt.Errorf("reading the authority's keys, line %d: %w", n, err)
	}
	if len(lines) == 0 {
		return Keys{}, errors.New("reading the authority's keys: no key in it")
	}
	g, err := newGeneration(lines)
	if err != nil {
		return Keys{}, fmt.Errorf("reading the authority's keys: %w", err)
	}
	keys, err := Keys{generations: []generation{g}}.Follow(statements...)
	if err != nil {
		return Keys{}, fmt.Errorf("reading the authority's keys: %w", err)
	}
	return keys, nil
}

// maxKeyLine bounds a line of a key file, in bytes.
const maxKeyLine = 64 << 10

// newGeneration reads keys that sign together: all of one name.
func newGeneration(lines []string) (generation, error) {
	g := generation{lines: slices.Clone(lines), kinds: map[string]string{}}
	for _, line := range lines {
		v, kind, err := parseKey(line)
		if err != nil {
			return generation{}, err
		}
		if len(g.verifiers) > 0 && g.verifiers[0].Name() != v.Name() {
			return generation{}, fmt.Errorf("key of %s among keys of %s", v.Name(), g.verifiers[0].Name())
		}
		g.verifiers = append(g.verifiers, v)
		g.kinds[slot(v.Name(), v.KeyHash())] = kind
	}
	return g, nil
}

// Origin is the log that the keys sign for: the supervision chain's id. All
// keys are named by it.
func (k Keys) Origin() string {
	if len(k.generations) == 0 {
		return ""
	}
	return k.generations[0].verifiers[0].Name()
}

// String is the text of a key file that ParseKeys reads back: the newest keys and
// every hand-over that is known.
func (k Keys) String() string {
	var b strings.Builder
	for _, line := range k.Current() {
		b.WriteString(line + "\n")
	}
	for _, h := range k.handovers {
		b.WriteString(handoverWord + base64.StdEncoding.EncodeToString(h.signed) + "\n")
	}
	return b.String()
}

// Current are the vkey lines of the newest generation that is known.
func (k Keys) Current() []string {
	if len(k.generations) == 0 {
		return nil
	}
	return slices.Clone(k.generations[len(k.generations)-1].lines)
}

func slot(name string, hash uint32) string { return fmt.Sprintf("%s+%08x", name, hash) }

// parseKey reads one vkey line and says which kind of key it is.
func parseKey(line string) (note.Verifier, string, error) {
	name, rest, _ := strings.Cut(line, "+")
	hashText, keyText, ok := strings.Cut(rest, "+")
	if !ok {
		return nil, "", errors.New("want name+hash+key")
	}
	raw, err := base64.StdEncoding.DecodeString(keyText)
	if err != nil || len(raw) == 0 {
		return nil, "", errors.New("key is not base64")
	}
	if raw[0] == typeEd25519 {
		v, err := note.NewVerifier(line)
		return v, "ed25519", err
	}
	for _, a := range suiteKeys() {
		spki, ok := strings.CutPrefix(string(raw[1:]), a.name)
		if raw[0] != typeEscape || !ok {
			continue
		}
		pub, err := envelope.ParsePublicKey(a.suite.Name(), envelope.Signing, []byte(spki))
		if err != nil {
			return nil, "", err
		}
		v := suiteVerifier{name: name, hash: a.hash(name, pub.SPKI()), key: pub, suite: a.suite}
		if fmt.Sprintf("%08x", v.hash) != hashText {
			return nil, "", errors.New("key hash does not fit name and key")
		}
		return v, a.kind, nil
	}
	return nil, "", errors.New("key is neither Ed25519 nor SM2 nor RSA")
}

// publicPart gives the public key of a vkey line that was read, without name and kind.
func publicPart(vkey string) (string, error) {
	parts := strings.SplitN(vkey, "+", 3)
	raw, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(raw) == 0 {
		return "", errors.New("key is not base64")
	}
	for _, a := range suiteKeys() {
		if spki, ok := strings.CutPrefix(string(raw[1:]), a.name); ok && raw[0] == typeEscape {
			return spki, nil
		}
	}
	return string(raw[1:]), nil
}

// NewLogKey draws an Ed25519 log key. secret is the signed note's skey text and
// is to be kept as a private key; vkey is to be published.
func NewLogKey(random io.Reader, origin string) (secret, vkey string, err error) {
	secret, vkey, err = note.GenerateKey(random, origin)
	if err != nil {
		return "", "", fmt.Errorf("drawing a log key: %w", err)
	}
	return secret, vkey, nil
}

// SuiteKey is the vkey line of a suite's signing key under a name: SM2 in gm, RSA
// in intl.
func SuiteKey(name string, pub envelope.PublicKey) string {
	a := suiteKeyOf(pub)
	raw := append([]byte{typeEscape}, a.name...)
	raw = append(raw, pub.SPKI()...)
	return fmt.Sprintf("%s+%08x+%s", name, a.hash(name, pub.SPKI()), base64.StdEncoding.EncodeToString(raw))
}

// Ed25519Key is the vkey line of an Ed25519 key under a name. A key of another
// length is an error.
func Ed25519Key(name string, key ed25519.PublicKey) (string, error) {
	vkey, err := note.NewEd25519VerifierKey(name, key)
	if err != nil {
		return "", fmt.Errorf("naming an Ed25519 key: %w", err)
	}
	return vkey, nil
}

// SuiteSigner signs checkpoints with a suite's key (R8.1), as an additional line.
func SuiteSigner(name string, key envelope.PrivateKey, random io.Reader) note.Signer {
	a := suiteKeyOf(key.Public())
	return suiteSigner{name: name, hash: a.hash(name, key.Public().SPKI()), key: key, suite: a.suite, random: random}
}

// Ed25519Signer signs checkpoints with an Ed25519 key that is used for other
// messages too. Who gives it has seen to it that none of them can be taken for a
// checkpoint (docs/adr/0034).
func Ed25519Signer(name string, key ed25519.PrivateKey) (note.Signer, error) {
	pub, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("naming an Ed25519 key: it is none")
	}
	vkey, err := Ed25519Key(name, pub)
	if err != nil {
		return nil, err
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("naming an Ed25519 key: %w", err)
	}
	return ed25519Signer{name: name, hash: v.KeyHash(), key: key}, nil
}

type ed25519Signer struct {
	name string
	hash uint32
	key  ed25519.PrivateKey
}

func (s ed25519Signer) Name() string                    { return s.name }
func (s ed25519Signer) KeyHash() uint32                 { return s.hash }
func (s ed25519Signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

// suiteKey is how a suite's signing keys stand in signed notes.
type suiteKey struct {
	name  string // after the escape
	kind  string
	suite envelope.Suite
}

func suiteKeys() []suiteKey {
	return []suiteKey{{sm2Name, "sm2", envelope.GM()}, {rsaName, "rsa", envelope.Intl()}}
}

func suiteKeyOf(pub envelope.PublicKey) suiteKey {
	for _, a := range suiteKeys() {
		if a.suite.Name() == pub.Suite() {
			return a
		}
	}
	return suiteKeys()[0]
}

// hash is the signed note's key id: SHA-256(name || LF || type || key), first four bytes.
func (a suiteKey) hash(name string, spki []byte) uint32 {
	h := sha256.New()
	io.WriteString(h, name+"\n")
	h.Write([]byte{typeEscape})
	io.WriteString(h, a.name)
	h.Write(spki)
	return binary.BigEndian.Uint32(h.Sum(nil))
}

type suiteSigner struct {
	name   string
	hash   uint32
	key    envelope.PrivateKey
	suite  envelope.Suite
	random io.Reader
}

func (s suiteSigner) Name() string    { return s.name }
func (s suiteSigner) KeyHash() uint32 { return s.hash }
func (s suiteSigner) Sign(msg []byte) ([]byte, error) {
	return s.suite.Sign(s.random, s.key, msg)
}

type suiteVerifier struct {
	name  string
	hash  uint32
	key   envelope.PublicKey
	suite envelope.Suite
}

func (v suiteVerifier) Name() string    { return v.name }
func (v suiteVerifier) KeyHash() uint32 { return v.hash }
func (v suiteVerifier) Verify(msg, sig []byte) bool {
	return v.suite.Verify(v.key, msg, sig) == nil
}
