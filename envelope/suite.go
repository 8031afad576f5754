package envelope

import (
	"crypto"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"fmt"
	"hash"
	"io"

	"signalbox.dev/signalbox/flow"
)

// Names of the suites (R8.3).
const (
	gmName   = "gm"
	intlName = "intl"
)

// ByName gives the suite that a header or a configuration names.
func ByName(name string) (Suite, error) {
	sc, err := schemeByName(name)
	if err != nil {
		return nil, err
	}
	return suite{sc}, nil
}

// GM is the suite of national algorithms: SM2, SM3, SM4-GCM.
func GM() Suite { return suite{gm{}} }

// Intl is the international suite: RSA-3072, SHA-256, AES-256-GCM.
func Intl() Suite { return suite{intl{}} }

func schemeByName(name string) (scheme, error) {
	switch name {
	case gmName:
		return gm{}, nil
	case intlName:
		return intl{}, nil
	default:
		return nil, fmt.Errorf("suite %.16q: want %q or %q", name, gmName, intlName)
	}
}

// scheme is what differs between the suites. What they share, and every check
// of a key's suite and use, is in suite.
type scheme interface {
	name() string
	newHash() hash.Hash

	generate(random io.Reader) (heldKey, error)
	parse(spki []byte) (crypto.PublicKey, error)
	marshal(key crypto.PublicKey) ([]byte, error)

	sign(random io.Reader, key crypto.Signer, msg []byte) ([]byte, error)
	verify(key crypto.PublicKey, msg, signature []byte) bool

	algorithms() algorithms
	aead(key []byte) (cipher.AEAD, error)
	wrap(random io.Reader, to crypto.PublicKey, key []byte) ([]byte, error)
	unwrap(key crypto.Decrypter, wrapped []byte) ([]byte, error)
}

// suite implements Suite over a scheme.
type suite struct{ scheme }

func (s suite) Name() string { return s.name() }

func (s suite) Sum(parts ...[]byte) flow.Hash { return sum(s.newHash(), parts) }

func (s suite) MAC(key []byte, parts ...[]byte) flow.Hash {
	return sum(hmac.New(s.newHash, key), parts)
}

func sum(h hash.Hash, parts [][]byte) flow.Hash {
	for _, p := range parts {
		h.Write(p)
	}
	var out flow.Hash
	h.Sum(out[:0])
	return out
}

func (s suite) GenerateKey(random io.Reader, use Use) (PrivateKey, error) {
	if use != Signing && use != Sealing {
		return PrivateKey{}, fmt.Errorf("%w: use %q, want %q or %q", ErrKey, string(use), Signing, Sealing)
	}
	key, err := s.generate(source(random))
	if err != nil {
		return PrivateKey{}, fmt.Errorf("generating a %s key of suite %s: %w", use, s.name(), err)
	}
	return newPrivateKey(s.name(), use, key)
}

func (s suite) Sign(random io.Reader, key PrivateKey, msg []byte) ([]byte, error) {
	if err := s.fits(key.public, Signing); err != nil {
		return nil, err
	}
	if len(msg) == 0 {
		return nil, fmt.Errorf("signing with %s: nothing to sign", key.public)
	}
	signature, err := s.sign(source(random), key.private().signer, msg)
	if err != nil {
		return nil, fmt.Errorf("signing with %s: %w", key.public, err)
	}
	return signature, nil
}

func (s suite) Verify(key PublicKey, msg, signature []byte) error {
	if err := s.fits(key, Signing); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if len(msg) == 0 || !s.verify(key.key, msg, signature) {
		return ErrSignature
	}
	return nil
}

// fits says whether the key is of this suite and for this use; else ErrKey.
func (s suite) fits(key PublicKey, use Use) error {
	if key.suite != s.name() || key.use != use {
		return fmt.Errorf("%w: want a %s key of suite %s, have %s", ErrKey, use, s.name(), key)
	}
	return nil
}

// source takes the system's randomness where none is passed in.
func source(random io.Reader) io.Reader {
	if random == nil {
		return rand.Reader
	}
	return random
}
