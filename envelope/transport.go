package envelope

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"time"

	"github.com/emmansun/gmsm/smx509"

	"signalbox.dev/signalbox/flow"
)

// TransportKey is the key pair of a party's links: ECDSA on P-256 in both
// suites, because crypto/tls knows no SM2 (ADR 0019). It authenticates TLS 1.3
// and nothing else: nothing that a party says is signed with it. Like a
// PrivateKey it never prints more than its public name (R7.3); the zero value is
// no key.
type TransportKey struct {
	public *ecdsa.PublicKey
	signer func() crypto.Signer // nil in the zero value
}

// NewTransportKey draws a key pair.
func NewTransportKey(random io.Reader) (TransportKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), source(random))
	if err != nil {
		return TransportKey{}, fmt.Errorf("generating a transport key: %w", err)
	}
	return OpenTransportKey(key)
}

// OpenTransportKey wraps a signer, such as one of a PKCS#11 module. A public key
// that is not ECDSA on P-256 is ErrKey.
func OpenTransportKey(signer crypto.Signer) (TransportKey, error) {
	if signer == nil {
		return TransportKey{}, fmt.Errorf("%w: no signer", ErrKey)
	}
	public, err := transportPublic(signer.Public())
	if err != nil {
		return TransportKey{}, err
	}
	return TransportKey{public: public, signer: func() crypto.Signer { return signer }}, nil
}

func transportPublic(key crypto.PublicKey) (*ecdsa.PublicKey, error) {
	k, ok := key.(*ecdsa.PublicKey)
	if !ok || k == nil || k.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: a transport key is ECDSA on P-256", ErrKey)
	}
	if _, err := k.ECDH(); err != nil { // whether the point is on the curve
		return nil, fmt.Errorf("%w: a transport key is ECDSA on P-256", ErrKey)
	}
	return k, nil
}

// Public is the public half, and nil for the zero value.
func (k TransportKey) Public() *ecdsa.PublicKey { return k.public }

// Signer is what TLS signs with, and nil for the zero value.
func (k TransportKey) Signer() crypto.Signer {
	if k.signer == nil {
		return nil
	}
	return k.signer()
}

// String names the key by its public half.
func (k TransportKey) String() string {
	if k.public == nil {
		return "no key"
	}
	spki, err := smx509.MarshalPKIXPublicKey(k.public)
	if err != nil {
		return "no key"
	}
	return "private transport key " + keyID(spki).String()
}

// GoString is String, so that %#v shows nothing more.
func (k TransportKey) GoString() string { return k.String() }

// Format prints String whatever the verb.
func (k TransportKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// MarshalText gives String, which is what structured logs then show. There is
// no way back.
func (k TransportKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// EncodeTransportKey writes the key as EncodeKey writes others, under
// AES-256-GCM. A key that lives elsewhere is ErrKey.
func EncodeTransportKey(random io.Reader, key TransportKey, passphrase []byte) ([]byte, error) {
	info, err := encodeKeyInfo(transport, key.Signer())
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", key, err)
	}
	defer clear(info)
	return lock(random, intl{}, passphrase, info)
}

// DecodeTransportKey reads what EncodeTransportKey wrote. Errors are those of
// DecodeKey; a key for another use is ErrKey.
func DecodeTransportKey(data, passphrase []byte) (TransportKey, error) {
	_, use, key, err := decodeKeyFile(data, passphrase)
	if err != nil {
		return TransportKey{}, fmt.Errorf("decoding key file: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if use != transport || !ok {
		return TransportKey{}, fmt.Errorf("decoding key file: %w: it holds a %s key, want a transport key", ErrKey, use)
	}
	return OpenTransportKey(signer)
}

// TransportCertificate is what a checked certificate of a transport key says.
type TransportCertificate struct {
	ID        string // of the party, fit for flow.CheckName
	Role      string // of the party, fit for flow.CheckName
	Key       *ecdsa.PublicKey
	Hosts     []string  // names and addresses where the party listens; none for one that only dials
	NotBefore time.Time // both inclusive, in UTC
	NotAfter  time.Time
	Hash      flow.Hash // SHA-256 of the TBSCertificate, as in Certificate
}

// maxHosts bounds the names and addresses of a certificate.
const maxHosts = 16

// IssueTransport certifies a party's transport key for both ends of a link, with
// the names or addresses of the hosts where it listens, from notBefore to
// notAfter in whole seconds and within the CA's own validity; see Issue.
func (c CA) IssueTransport(random io.Reader, to Subject, key *ecdsa.PublicKey, hosts []string, notBefore, notAfter time.Time) ([]byte, error) {
	public, err := transportPublic(key)
	if err != nil {
		return nil, fmt.Errorf("issuing a transport certificate: %w", err)
	}
	leaf, err := c.draftLeaf(source(random), to, public, notBefore, notAfter)
	if err != nil {
		return nil, fmt.Errorf("issuing a transport certificate: %w", err)
	}
	if err := addHosts(leaf, hosts); err != nil {
		return nil, fmt.Errorf("issuing a transport certificate: %w", err)
	}
	leaf.ExtKeyUsage = transportUsage()
	der, err := smx509.CreateCertificate(source(random), leaf, c.certificate, public, c.private().signer)
	if err != nil {
		return nil, fmt.Errorf("issuing a transport certificate: %w", err)
	}
	return der, nil
}

func transportUsage() []smx509.ExtKeyUsage {
	return []smx509.ExtKeyUsage{smx509.ExtKeyUsageServerAuth, smx509.ExtKeyUsageClientAuth}
}

// addHosts makes subject alternative names of hosts.
func addHosts(leaf *smx509.Certificate, hosts []string) error {
	if err := CheckHosts(hosts); err != nil {
		return err
	}
	for _, h := range hosts {
		if addr, err := netip.ParseAddr(h); err == nil {
			leaf.IPAddresses = append(leaf.IPAddresses, addr.AsSlice())
		} else {
			leaf.DNSNames = append(leaf.DNSNames, h)
		}
	}
	return nil
}

var hostPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)

// CheckHosts says whether each of hosts, 16 at most, is a DNS name without
// wildcard or an IP address without zone.
func CheckHosts(hosts []string) error {
	if len(hosts) > maxHosts {
		return fmt.Errorf("hosts: %d of them, want at most %d", len(hosts), maxHosts)
	}
	for i, h := range hosts {
		addr, err := netip.ParseAddr(h)
		if err == nil && (addr.Zone() != "" || addr.Is4In6() || addr.String() != h) || err != nil && (len(h) > 253 || !hostPattern.MatchString(h)) {
			return fmt.Errorf("hosts: number %d is neither a DNS name nor an IP address", i+1)
		}
	}
	return nil
}

// CheckTransport says what leafDER certifies, if it is a certificate as
// IssueTransport makes them: signed by that CA itself, both valid at the given
// time. A certificate of a signing key is refused, as CheckCertificate refuses
// one of a transport key. Revocation is not its matter. Every error wraps
// ErrCertificate.
func CheckTransport(caDER, leafDER []byte, at time.Time) (TransportCertificate, error) {
	ca, sc, leaf, err := readPair(caDER, leafDER, at)
	if err != nil {
		return TransportCertificate{}, err
	}
	c, err := checkTransportLeaf(ca, sc, leaf)
	if err != nil {
		return TransportCertificate{}, fmt.Errorf("checking a transport certificate: %w", err)
	}
	if err := checkValidity(leaf, at); err != nil {
		return TransportCertificate{}, fmt.Errorf("checking a transport certificate: %w", err)
	}
	return c, nil
}

func checkTransportLeaf(ca *smx509.Certificate, sc scheme, leaf *smx509.Certificate) (TransportCertificate, error) {
	subject, err := checkIssued(ca, sc, leaf)
	if err != nil {
		return TransportCertificate{}, err
	}
	if !slices.Equal(leaf.ExtKeyUsage, transportUsage()) || len(leaf.UnknownExtKeyUsage) != 0 {
		return TransportCertificate{}, fmt.Errorf("%w: it is not for links", ErrCertificate)
	}
	key, err := transportPublic(leaf.PublicKey)
	if err != nil {
		return TransportCertificate{}, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	if id := keyID(leaf.RawSubjectPublicKeyInfo); !bytes.Equal(leaf.SubjectKeyId, id[:]) {
		return TransportCertificate{}, fmt.Errorf("%w: its subject key identifier is not its key's", ErrCertificate)
	}
	hosts, err := readHosts(leaf)
	if err != nil {
		return TransportCertificate{}, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	return TransportCertificate{
		ID: subject.ID, Role: subject.Role, Key: key, Hosts: hosts,
		NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
		Hash: flow.SumHash(leaf.RawTBSCertificate),
	}, nil
}

// readHosts is the inverse of addHosts, names first.
func readHosts(leaf *smx509.Certificate) ([]string, error) {
	if len(leaf.EmailAddresses) != 0 || len(leaf.URIs) != 0 {
		return nil, errors.New("its alternative names are more than hosts")
	}
	hosts := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		addr, ok := netip.AddrFromSlice(ip)
		if !ok {
			return nil, errors.New("one of its addresses is none")
		}
		hosts = append(hosts, addr.String())
	}
	return hosts, CheckHosts(hosts)
}

// subjectName is how a Subject stands in a certificate.
func subjectName(s Subject) pkix.Name {
	return pkix.Name{CommonName: s.ID, OrganizationalUnit: []string{s.Role}}
}
