package receipt

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"signalbox.dev/signalbox/envelope"
)

// Signature types of signed notes. Ed25519 is the standard's 0x01. SM2 has no
// number there: it uses 0xff, the standard's escape, followed by a name.
const (
	typeEd25519 = 0x01
	typeEscape  = 0xff
	sm2Name     = "sm2-sm3\n"
)

// Keys are the authority's published log keys: what a verifier trusts.
type Keys struct {
	verifiers []note.Verifier
	kinds     map[string]string // name+keyhash -> kind
}

// ParseKeys reads verifier keys, a vkey line of a signed note each
// (name+hash+key). Empty lines and lines that begin with # are passed over.
func ParseKeys(text string) (Keys, error) {
	keys := Keys{kinds: map[string]string{}}
	for sc, n := bufio.NewScanner(strings.NewReader(text)), 1; sc.Scan(); n++ {
		line := strings.TrimSpace(sc.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		v, kind, err := parseKey(line)
		if err != nil {
			return Keys{}, fmt.Errorf("reading the authority's keys, line %d: %w", n, err)
		}
		if o := keys.Origin(); o != "" && o != v.Name() {
			return Keys{}, fmt.Errorf("reading the authority's keys, line %d: key of %s among keys of %s", n, v.Name(), o)
		}
		keys.verifiers = append(keys.verifiers, v)
		keys.kinds[slot(v.Name(), v.KeyHash())] = kind
	}
	if len(keys.verifiers) == 0 {
		return Keys{}, errors.New("reading the authority's keys: no key in it")
	}
	return keys, nil
}

// Origin is the log that the keys sign for: the supervision chain's id. All
// keys are named by it.
func (k Keys) Origin() string {
	if len(k.verifiers) == 0 {
		return ""
	}
	return k.verifiers[0].Name()
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
	if raw[0] != typeEscape || !strings.HasPrefix(string(raw[1:]), sm2Name) {
		return nil, "", errors.New("key is neither Ed25519 nor SM2")
	}
	pub, err := envelope.ParsePublicKey("gm", envelope.Signing, raw[1+len(sm2Name):])
	if err != nil {
		return nil, "", err
	}
	v := sm2Verifier{name: name, hash: sm2KeyHash(name, pub.SPKI()), key: pub, suite: envelope.GM()}
	if fmt.Sprintf("%08x", v.hash) != hashText {
		return nil, "", errors.New("key hash does not fit name and key")
	}
	return v, "sm2", nil
}

// publicPart gives the public key of a vkey line that was read, without name and kind.
func publicPart(vkey string) (string, error) {
	parts := strings.SplitN(vkey, "+", 3)
	raw, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(raw) == 0 {
		return "", errors.New("key is not base64")
	}
	if raw[0] == typeEscape {
		return strings.TrimPrefix(string(raw[1:]), sm2Name), nil
	}
	return string(raw[1:]), nil
}

// sm2KeyHash is the signed note's key id: SHA-256(name || LF || type || key), first four bytes.
func sm2KeyHash(name string, spki []byte) uint32 {
	h := sha256.New()
	io.WriteString(h, name+"\n")
	h.Write([]byte{typeEscape})
	io.WriteString(h, sm2Name)
	h.Write(spki)
	return binary.BigEndian.Uint32(h.Sum(nil))
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

// SM2Key is the vkey line of an SM2 log key under the origin's name.
func SM2Key(origin string, pub envelope.PublicKey) string {
	raw := append([]byte{typeEscape}, sm2Name...)
	raw = append(raw, pub.SPKI()...)
	return fmt.Sprintf("%s+%08x+%s", origin, sm2KeyHash(origin, pub.SPKI()), base64.StdEncoding.EncodeToString(raw))
}

// SM2Signer signs checkpoints with SM2 (R8.1), as an additional line.
func SM2Signer(origin string, key envelope.PrivateKey, random io.Reader) note.Signer {
	return sm2Signer{name: origin, hash: sm2KeyHash(origin, key.Public().SPKI()), key: key, random: random}
}

type sm2Signer struct {
	name   string
	hash   uint32
	key    envelope.PrivateKey
	random io.Reader
}

func (s sm2Signer) Name() string    { return s.name }
func (s sm2Signer) KeyHash() uint32 { return s.hash }
func (s sm2Signer) Sign(msg []byte) ([]byte, error) {
	return envelope.GM().Sign(s.random, s.key, msg)
}

type sm2Verifier struct {
	name  string
	hash  uint32
	key   envelope.PublicKey
	suite envelope.Suite
}

func (v sm2Verifier) Name() string    { return v.name }
func (v sm2Verifier) KeyHash() uint32 { return v.hash }
func (v sm2Verifier) Verify(msg, sig []byte) bool {
	return v.suite.Verify(v.key, msg, sig) == nil
}
