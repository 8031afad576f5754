package envelope

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"

	"signalbox.dev/signalbox/flow"
)

// PublicKey is the public half of a key pair: it knows its suite and its use,
// so that a signing key is never sealed to. It is immutable and may be copied;
// the zero value is no key and fits no use.
type PublicKey struct {
	suite string
	use   Use
	id    flow.KeyID
	spki  []byte
	key   crypto.PublicKey // *ecdsa.PublicKey on SM2's curve, or *rsa.PublicKey
}

// ParsePublicKey reads a DER SubjectPublicKeyInfo strictly: it must be the one
// canonical encoding of a key of the suite (gm: an SM2 point, uncompressed;
// intl: RSA of 3072 bits, exponent 65537). Everything else is ErrKey.
func ParsePublicKey(suite string, use Use, spki []byte) (PublicKey, error) {
	sc, err := schemeByName(suite)
	if err != nil {
		return PublicKey{}, err
	}
	key, err := sc.parse(spki)
	if err != nil {
		return PublicKey{}, fmt.Errorf("parsing public key of suite %s: %w: %w", suite, ErrKey, err)
	}
	return newPublicKey(sc, use, key)
}

func newPublicKey(sc scheme, use Use, key crypto.PublicKey) (PublicKey, error) {
	if use != Signing && use != Sealing {
		return PublicKey{}, fmt.Errorf("%w: use %q, want %q or %q", ErrKey, string(use), Signing, Sealing)
	}
	spki, err := sc.marshal(key)
	if err != nil {
		return PublicKey{}, fmt.Errorf("encoding public key of suite %s: %w: %w", sc.name(), ErrKey, err)
	}
	return PublicKey{suite: sc.name(), use: use, id: keyID(spki), spki: spki, key: key}, nil
}

// keyID hashes the whole SubjectPublicKeyInfo, algorithm included (RFC 7093,
// method 4), and keeps 20 bytes.
func keyID(spki []byte) flow.KeyID {
	sum := sha256.Sum256(spki)
	return flow.KeyID(sum[:len(flow.KeyID{})])
}

// ID is the key's name in CMS recipient infos, headers and certificates: the
// leftmost 20 bytes of SHA-256 over SPKI, in both suites.
func (k PublicKey) ID() flow.KeyID { return k.id }

// SPKI is the DER SubjectPublicKeyInfo; the caller owns the returned bytes.
func (k PublicKey) SPKI() []byte { return slices.Clone(k.spki) }

// Suite is "gm" or "intl", and empty for the zero value.
func (k PublicKey) Suite() string { return k.suite }

// Use says what the key pair is for.
func (k PublicKey) Use() Use { return k.use }

// Equal says whether both are the same key of the same suite for the same use.
func (k PublicKey) Equal(other PublicKey) bool {
	return k.suite == other.suite && k.use == other.use && bytes.Equal(k.spki, other.spki)
}

// String names the key: suite, use and id.
func (k PublicKey) String() string {
	if k.suite == "" {
		return "no key"
	}
	return k.suite + " " + string(k.use) + " key " + k.id.String()
}

// PrivateKey is a key pair whose private half this package uses but need not
// hold: it reaches it through crypto.Signer or crypto.Decrypter, so the key can
// live in a hardware module. It never prints more than its public name (R7.3).
type PrivateKey struct {
	public  PublicKey
	private func() private // nil in the zero value
}

// private is kept inside a function for a reason: when a PrivateKey is an
// unexported field of something that is printed, package fmt can't call its
// methods and walks its fields instead, through pointers too. Of a function it
// prints the address.
type private struct {
	signer    crypto.Signer    // set for Signing alone, and for a CA
	decrypter crypto.Decrypter // set for Sealing alone
}

func hide(p private) func() private { return func() private { return p } }

// NewSigningKey wraps a signer, such as one of a PKCS#11 module. In suite gm it
// is given the message itself and sm2.DefaultSM2SignerOpts, in suite intl a
// SHA-256 digest and rsa.PSSOptions. A public key that is none of the suite's
// is ErrKey.
func NewSigningKey(suite string, signer crypto.Signer) (PrivateKey, error) {
	if signer == nil {
		return PrivateKey{}, fmt.Errorf("%w: no signer", ErrKey)
	}
	public, err := publicOf(suite, Signing, signer.Public())
	if err != nil {
		return PrivateKey{}, err
	}
	return PrivateKey{public: public, private: hide(private{signer: signer})}, nil
}

// NewSealingKey wraps a decrypter, such as one of a PKCS#11 module. In suite gm
// it is given SM2 ciphertext and sm2.ASN1DecrypterOpts, in suite intl RSA
// ciphertext and rsa.OAEPOptions, and nil as its source of randomness. A public
// key that is none of the suite's is ErrKey.
func NewSealingKey(suite string, decrypter crypto.Decrypter) (PrivateKey, error) {
	if decrypter == nil {
		return PrivateKey{}, fmt.Errorf("%w: no decrypter", ErrKey)
	}
	public, err := publicOf(suite, Sealing, decrypter.Public())
	if err != nil {
		return PrivateKey{}, err
	}
	return PrivateKey{public: public, private: hide(private{decrypter: decrypter})}, nil
}

func publicOf(suite string, use Use, key crypto.PublicKey) (PublicKey, error) {
	sc, err := schemeByName(suite)
	if err != nil {
		return PublicKey{}, err
	}
	return newPublicKey(sc, use, key)
}

// newPrivateKey wraps a key that is held in memory for either use.
func newPrivateKey(suite string, use Use, key heldKey) (PrivateKey, error) {
	if use == Signing {
		return NewSigningKey(suite, key)
	}
	if use == Sealing {
		return NewSealingKey(suite, key)
	}
	return PrivateKey{}, fmt.Errorf("%w: use %q, want %q or %q", ErrKey, string(use), Signing, Sealing)
}

// heldKey is what *sm2.PrivateKey and *rsa.PrivateKey are.
type heldKey interface {
	crypto.Signer
	Decrypt(random io.Reader, msg []byte, opts crypto.DecrypterOpts) ([]byte, error)
}

// Public is the public half.
func (k PrivateKey) Public() PublicKey { return k.public }

// String names the key by its public half.
func (k PrivateKey) String() string { return "private " + k.public.String() }

// GoString is String, so that %#v shows nothing more.
func (k PrivateKey) GoString() string { return k.String() }

// Format prints String whatever the verb: without it, verbs such as %d would
// walk the fields.
func (k PrivateKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// MarshalText gives String, which is what structured logs then show. There is
// no way back.
func (k PrivateKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
