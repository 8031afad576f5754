package envelope

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"time"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"signalbox.dev/signalbox/flow"
)

// ErrCertificate is what the errors of CheckCertificate wrap.
var ErrCertificate = errors.New("certificate is not valid")

// Certificate is what a checked certificate says.
type Certificate struct {
	ID        string    // of the subject, fit for flow.CheckName
	Role      string    // of the subject, fit for flow.CheckName
	Key       PublicKey // for Signing
	NotBefore time.Time // both inclusive, in UTC
	NotAfter  time.Time
	// Hash is SHA-256 of the TBSCertificate, the part that the CA signed, and so
	// names the certificate for good: an ECDSA signature can be rewritten by
	// anyone, which would change a hash of the whole.
	Hash flow.Hash
}

// maxCertificate is the largest certificate read, in bytes.
const maxCertificate = 8 << 10

// CheckCertificate says what leafDER certifies, if it is a certificate as Issue
// makes them (R7.1): signed by that CA itself, both valid at the given time, for
// a signing key of the CA's suite. Revocation is not its matter. Every error
// wraps ErrCertificate.
func CheckCertificate(caDER, leafDER []byte, at time.Time) (Certificate, error) {
	ca, sc, leaf, err := readPair(caDER, leafDER, at)
	if err != nil {
		return Certificate{}, err
	}
	c, err := checkLeaf(ca, sc, leaf)
	if err != nil {
		return Certificate{}, fmt.Errorf("checking a certificate: %w", err)
	}
	if err := checkValidity(leaf, at); err != nil {
		return Certificate{}, fmt.Errorf("checking a certificate: %w", err)
	}
	return c, nil
}

// readPair reads a CA's certificate, which must be valid, and one that it may
// have issued.
func readPair(caDER, leafDER []byte, at time.Time) (*smx509.Certificate, scheme, *smx509.Certificate, error) {
	ca, sc, err := parseCA(caDER)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("checking the CA's certificate: %w", err)
	}
	if err := checkValidity(ca, at); err != nil {
		return nil, nil, nil, fmt.Errorf("checking the CA's certificate: %w", err)
	}
	leaf, err := parseCertificate(leafDER)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("checking a certificate: %w", err)
	}
	return ca, sc, leaf, nil
}

// parseCA reads a CA's certificate. It is trusted as given, so its signature by
// itself is not looked at.
func parseCA(der []byte) (*smx509.Certificate, scheme, error) {
	ca, err := parseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	if !ca.BasicConstraintsValid || !ca.IsCA || ca.KeyUsage&smx509.KeyUsageCertSign == 0 {
		return nil, nil, fmt.Errorf("%w: it is not a CA's", ErrCertificate)
	}
	key, ok := ca.PublicKey.(*ecdsa.PublicKey)
	switch {
	case ok && sm2.IsSM2PublicKey(key):
		return ca, gm{}, nil
	case ok && key.Curve == elliptic.P256():
		return ca, intl{}, nil
	default:
		return nil, nil, fmt.Errorf("%w: a CA's key is SM2 or ECDSA P-256", ErrCertificate)
	}
}

// parseCertificate reads DER strictly; the library leaves what follows on the
// signature unread.
func parseCertificate(der []byte) (*smx509.Certificate, error) {
	input := cryptobyte.String(der)
	var body, signature cryptobyte.String
	if len(der) > maxCertificate ||
		!input.ReadASN1(&body, asn1.SEQUENCE) || !input.Empty() ||
		!body.SkipASN1(asn1.SEQUENCE) || !body.SkipASN1(asn1.SEQUENCE) ||
		!body.ReadASN1(&signature, asn1.BIT_STRING) || !body.Empty() {
		return nil, fmt.Errorf("%w: not a certificate in DER", ErrCertificate)
	}
	c, err := smx509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: it does not parse", ErrCertificate)
	}
	if c.Version != 3 || len(c.UnhandledCriticalExtensions) != 0 {
		return nil, fmt.Errorf("%w: want version 3 and no unknown critical extension", ErrCertificate)
	}
	return c, nil
}

func checkLeaf(ca *smx509.Certificate, sc scheme, leaf *smx509.Certificate) (Certificate, error) {
	subject, err := checkIssued(ca, sc, leaf)
	if err != nil {
		return Certificate{}, err
	}
	if len(leaf.ExtKeyUsage) != 0 || len(leaf.UnknownExtKeyUsage) != 0 {
		return Certificate{}, fmt.Errorf("%w: it is for more than the subject's signatures", ErrCertificate)
	}
	key, err := ParsePublicKey(sc.name(), Signing, leaf.RawSubjectPublicKeyInfo)
	if err != nil {
		return Certificate{}, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	if id := key.ID(); !bytes.Equal(leaf.SubjectKeyId, id[:]) {
		return Certificate{}, fmt.Errorf("%w: its subject key identifier is not its key's", ErrCertificate)
	}
	return Certificate{
		ID: subject.ID, Role: subject.Role, Key: key,
		NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
		Hash: flow.SumHash(leaf.RawTBSCertificate),
	}, nil
}

// checkIssued says whether the CA signed leaf, for digital signatures alone, and
// to whom.
func checkIssued(ca *smx509.Certificate, sc scheme, leaf *smx509.Certificate) (Subject, error) {
	want := smx509.SM2WithSM3
	if sc.name() == intlName {
		want = smx509.ECDSAWithSHA256
	}
	if leaf.SignatureAlgorithm != want || !bytes.Equal(leaf.RawIssuer, ca.RawSubject) ||
		!bytes.Equal(leaf.AuthorityKeyId, ca.SubjectKeyId) || leaf.CheckSignatureFrom(ca) != nil {
		return Subject{}, fmt.Errorf("%w: it is not signed by this CA", ErrCertificate)
	}
	if !leaf.BasicConstraintsValid || leaf.IsCA || leaf.KeyUsage != smx509.KeyUsageDigitalSignature {
		return Subject{}, fmt.Errorf("%w: it is not for signatures alone", ErrCertificate)
	}
	subject, err := readSubject(leaf.Subject)
	if err != nil {
		return Subject{}, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	return subject, nil
}

// readSubject takes a name of exactly one common name and one unit.
func readSubject(name pkix.Name) (Subject, error) {
	if len(name.Names) != 2 || len(name.OrganizationalUnit) != 1 {
		return Subject{}, errors.New("its subject is not one common name and one organizational unit")
	}
	s := Subject{ID: name.CommonName, Role: name.OrganizationalUnit[0]}
	if err := flow.CheckName("common name", s.ID); err != nil {
		return Subject{}, err
	}
	return s, flow.CheckName("organizational unit", s.Role)
}

func checkValidity(c *smx509.Certificate, at time.Time) error {
	if at.Before(c.NotBefore) || at.After(c.NotAfter) {
		return fmt.Errorf("%w at %s: it is valid %s", ErrCertificate, at.UTC().Format(time.RFC3339), validity(c))
	}
	return nil
}

func validity(c *smx509.Certificate) string {
	return "from " + c.NotBefore.UTC().Format(time.RFC3339) + " to " + c.NotAfter.UTC().Format(time.RFC3339)
}
