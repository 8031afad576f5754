package envelope

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"

	"signalbox.dev/signalbox/flow"
)

// CA is the authority's certificate authority (R7.1): it signs the certificates
// of everyone who may submit. Its key is SM2 in suite gm and ECDSA P-256 in
// suite intl, and signs certificates and revocation lists only. The zero value
// issues nothing.
type CA struct {
	sc          scheme
	certificate *smx509.Certificate
	private     func() private // nil in the zero value
}

// Subject is whom a certificate names.
type Subject struct {
	ID   string // the identity on the supervision chain; common name; see flow.CheckName
	Role string // such as "platform"; organizational unit; see flow.CheckName
}

const (
	serialSize = 16 // bytes
	maxCAName  = 64 // characters, RFC 5280 ub-common-name
)

// NewCA makes a CA with a fresh key and a certificate signed by itself, valid
// from notBefore to notAfter in whole seconds.
func NewCA(random io.Reader, suite, name string, notBefore, notAfter time.Time) (CA, error) {
	sc, err := schemeByName(suite)
	if err != nil {
		return CA{}, fmt.Errorf("making a CA: %w", err)
	}
	if n := utf8.RuneCountInString(name); n == 0 || n > maxCAName || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return CA{}, fmt.Errorf("making a CA: its name has %d characters, want 1 to %d, none of them control characters", n, maxCAName)
	}
	random = source(random)
	signer, err := generateCAKey(random, sc)
	if err != nil {
		return CA{}, fmt.Errorf("making a CA: %w", err)
	}
	own, err := draft(random, signer.Public(), notBefore, notAfter)
	if err != nil {
		return CA{}, fmt.Errorf("making a CA: %w", err)
	}
	own.Subject = pkix.Name{CommonName: name}
	own.IsCA = true
	own.MaxPathLenZero = true
	own.KeyUsage = smx509.KeyUsageCertSign | smx509.KeyUsageCRLSign
	der, err := smx509.CreateCertificate(random, own, own, signer.Public(), signer)
	if err != nil {
		return CA{}, fmt.Errorf("making a CA: %w", err)
	}
	return OpenCA(der, signer)
}

func generateCAKey(random io.Reader, sc scheme) (crypto.Signer, error) {
	if sc.name() == gmName {
		return sm2.GenerateKey(random)
	}
	return ecdsa.GenerateKey(elliptic.P256(), random)
}

// OpenCA joins a CA's certificate with its key, which may live in a hardware
// module. A key that is not the certificate's is ErrKey.
func OpenCA(der []byte, signer crypto.Signer) (CA, error) {
	certificate, sc, err := parseCA(der)
	if err != nil {
		return CA{}, fmt.Errorf("opening a CA: %w", err)
	}
	if signer == nil {
		return CA{}, fmt.Errorf("opening a CA: %w: no signer", ErrKey)
	}
	spki, err := smx509.MarshalPKIXPublicKey(signer.Public())
	if err != nil || !bytes.Equal(spki, certificate.RawSubjectPublicKeyInfo) {
		return CA{}, fmt.Errorf("opening a CA: %w: it is not the certificate's", ErrKey)
	}
	return CA{sc: sc, certificate: certificate, private: hide(private{signer: signer})}, nil
}

// Issue certifies the subject's signing key of the CA's suite, from notBefore
// to notAfter in whole seconds and within the CA's own validity, and gives the
// certificate's DER. Key usage is digitalSignature, the subject key identifier
// is the key's ID, the serial number has 127 random bits.
func (c CA) Issue(random io.Reader, to Subject, key PublicKey, notBefore, notAfter time.Time) ([]byte, error) {
	if c.private == nil {
		return nil, fmt.Errorf("issuing a certificate: %w: this CA has no key", ErrKey)
	}
	if err := (suite{c.sc}).fits(key, Signing); err != nil {
		return nil, fmt.Errorf("issuing a certificate: %w", err)
	}
	random = source(random)
	leaf, err := c.draftLeaf(random, to, key.key, notBefore, notAfter)
	if err != nil {
		return nil, fmt.Errorf("issuing a certificate: %w", err)
	}
	der, err := smx509.CreateCertificate(random, leaf, c.certificate, key.key, c.private().signer)
	if err != nil {
		return nil, fmt.Errorf("issuing a certificate: %w", err)
	}
	return der, nil
}

// draftLeaf holds what the certificates of subjects have in common.
func (c CA) draftLeaf(random io.Reader, to Subject, key crypto.PublicKey, notBefore, notAfter time.Time) (*smx509.Certificate, error) {
	if c.private == nil {
		return nil, fmt.Errorf("%w: this CA has no key", ErrKey)
	}
	if err := to.check(); err != nil {
		return nil, err
	}
	leaf, err := draft(random, key, notBefore, notAfter)
	if err != nil {
		return nil, err
	}
	if leaf.NotBefore.Before(c.certificate.NotBefore) || leaf.NotAfter.After(c.certificate.NotAfter) {
		return nil, fmt.Errorf("it would be valid outside the CA's own validity, %s", validity(c.certificate))
	}
	leaf.Subject = subjectName(to)
	leaf.KeyUsage = smx509.KeyUsageDigitalSignature
	return leaf, nil
}

func (s Subject) check() error {
	if err := flow.CheckName("id", s.ID); err != nil {
		return err
	}
	return flow.CheckName("role", s.Role)
}

// draft holds what every certificate of ours has.
func draft(random io.Reader, key crypto.PublicKey, notBefore, notAfter time.Time) (*smx509.Certificate, error) {
	if !notBefore.Before(notAfter) {
		return nil, fmt.Errorf("validity ends at %s, before it starts", notAfter.UTC().Format(time.RFC3339))
	}
	spki, err := smx509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	id := keyID(spki)
	serial := make([]byte, serialSize)
	if err := draw(random, serial); err != nil {
		return nil, err
	}
	// Positive, never zero, always of the same length (RFC 5280 §4.1.2.2).
	serial[0] = serial[0]&0x3f | 0x40
	return &smx509.Certificate{
		SerialNumber:          new(big.Int).SetBytes(serial),
		NotBefore:             notBefore.UTC().Truncate(time.Second),
		NotAfter:              notAfter.UTC().Truncate(time.Second),
		BasicConstraintsValid: true,
		SubjectKeyId:          id[:],
	}, nil
}

// EncodeCA writes the CA as PEM: its key as EncodeKey would, then its
// certificate. A key that lives elsewhere is ErrKey.
func EncodeCA(random io.Reader, c CA, passphrase []byte) ([]byte, error) {
	if c.private == nil {
		return nil, fmt.Errorf("encoding a CA: %w: this CA has no key", ErrKey)
	}
	info, err := encodeKeyInfo(certifying, c.private().signer)
	if err != nil {
		return nil, fmt.Errorf("encoding a CA: %w", err)
	}
	defer clear(info)
	key, err := lock(random, c.sc, passphrase, info)
	if err != nil {
		return nil, fmt.Errorf("encoding a CA: %w", err)
	}
	return append(key, pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: c.certificate.Raw})...), nil
}

// DecodeCA reads what EncodeCA wrote. Errors are those of DecodeKey; a key that
// is no CA's is ErrKey.
func DecodeCA(data, passphrase []byte) (CA, error) {
	der, rest, err := readBlock(data, pemKey)
	if err != nil {
		return CA{}, fmt.Errorf("decoding a CA: %w", err)
	}
	certificate, rest, err := readBlock(rest, pemCertificate)
	if err != nil {
		return CA{}, fmt.Errorf("decoding a CA: %w", err)
	}
	if len(rest) != 0 {
		return CA{}, fmt.Errorf("decoding a CA: %w: data after the certificate", ErrKeyFile)
	}
	_, info, err := unlock(der, passphrase)
	if err != nil {
		return CA{}, fmt.Errorf("decoding a CA: %w", err)
	}
	defer clear(info)
	use, key, err := decodeKeyInfo(info)
	if err != nil {
		return CA{}, fmt.Errorf("decoding a CA: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if use != certifying || !ok {
		return CA{}, fmt.Errorf("decoding a CA: %w: it holds a %s key", ErrKey, use)
	}
	return OpenCA(certificate, signer)
}

// Certificate is the CA's own certificate in DER; the caller owns the bytes.
func (c CA) Certificate() []byte {
	if c.certificate == nil {
		return nil
	}
	return slices.Clone(c.certificate.Raw)
}

// Suite is "gm" or "intl", and empty for the zero value.
func (c CA) Suite() string {
	if c.sc == nil {
		return ""
	}
	return c.sc.name()
}

// String names the CA by suite and key id, never more.
func (c CA) String() string {
	if c.certificate == nil {
		return "no CA"
	}
	return c.Suite() + " CA " + keyID(c.certificate.RawSubjectPublicKeyInfo).String()
}

// GoString is String, so that %#v shows nothing more.
func (c CA) GoString() string { return c.String() }

// Format prints String whatever the verb.
func (c CA) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// MarshalText gives String, which is what structured logs then show. There is
// no way back.
func (c CA) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
