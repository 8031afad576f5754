package envelope

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"

	"signalbox.dev/signalbox/flow"
)

// ErrRequest is what the errors of ParseRequest wrap.
var ErrRequest = errors.New("certificate request is not valid")

// Request asks the authority for a party's certificates (R7.1). Its private keys
// stay where they were made (R7.3): the request proves that the applicant has
// those of Signing and of Transport.
type Request struct {
	Subject   Subject
	Signing   PublicKey
	Sealing   []byte           // SubjectPublicKeyInfo of the suite; nil for a party that is sealed nothing
	Transport *ecdsa.PublicKey // nil for people, who open no link
	Hosts     []string         // see CA.IssueTransport
	// Hash names all of the above, whoever wrote the file again on its way: what
	// applicant and authority compare before the authority signs.
	Hash flow.Hash
}

// RequestKeys are an applicant's keys. Sealing and Transport may be zero values.
type RequestKeys struct {
	Signing   PrivateKey
	Sealing   PublicKey
	Transport TransportKey
}

const (
	pemRequest   = "CERTIFICATE REQUEST"
	pemPublicKey = "PUBLIC KEY"
	maxRequest   = 16 << 10 // bytes
)

// NewRequest makes a request file: PEM blocks of a PKCS #10 request (RFC 2986)
// for the signing key, one for the transport key when there is one, and the
// sealing key's SubjectPublicKeyInfo when there is one. The subject of each
// PKCS #10 request carries the Request's hash as its serial number, so that its
// signature covers the whole file and no part of it serves in another.
func NewRequest(random io.Reader, to Subject, hosts []string, keys RequestKeys) ([]byte, error) {
	suiteName := keys.Signing.public.suite
	sc, err := schemeByName(suiteName)
	if err != nil {
		return nil, fmt.Errorf("making a certificate request: %w: no signing key", ErrKey)
	}
	if err := (suite{sc}).fits(keys.Signing.public, Signing); err != nil {
		return nil, fmt.Errorf("making a certificate request: %w", err)
	}
	r := Request{Subject: to, Signing: keys.Signing.public, Transport: keys.Transport.public, Hosts: namesFirst(hosts)}
	if keys.Sealing.suite != "" {
		if err := (suite{sc}).fits(keys.Sealing, Sealing); err != nil {
			return nil, fmt.Errorf("making a certificate request: %w", err)
		}
		r.Sealing = keys.Sealing.SPKI()
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("making a certificate request: %w", err)
	}
	hash, err := r.sum()
	if err != nil {
		return nil, fmt.Errorf("making a certificate request: %w", err)
	}
	file, err := signRequest(source(random), requestName(to, hash), nil, keys.Signing.private().signer)
	if err != nil {
		return nil, fmt.Errorf("making a certificate request: %w", err)
	}
	if r.Transport != nil {
		more, err := signRequest(source(random), requestName(to, hash), hosts, keys.Transport.Signer())
		if err != nil {
			return nil, fmt.Errorf("making a certificate request: %w", err)
		}
		file = append(file, more...)
	}
	if r.Sealing != nil {
		file = append(file, pem.EncodeToMemory(&pem.Block{Type: pemPublicKey, Bytes: r.Sealing})...)
	}
	return file, nil
}

// namesFirst is the order in which a certificate gives its hosts.
func namesFirst(hosts []string) []string {
	var names, addresses []string
	for _, h := range hosts {
		if _, err := netip.ParseAddr(h); err == nil {
			addresses = append(addresses, h)
		} else {
			names = append(names, h)
		}
	}
	return append(names, addresses...)
}

// check says what is wrong with what a request asks for.
func (r Request) check() error {
	if err := r.Subject.check(); err != nil {
		return err
	}
	if r.Transport == nil && len(r.Hosts) != 0 {
		return errors.New("hosts: they are for a party with a transport key")
	}
	return CheckHosts(r.Hosts)
}

// sum is the hash over everything that is asked for.
func (r Request) sum() (flow.Hash, error) {
	var link []byte
	if r.Transport != nil {
		var err error
		if link, err = smx509.MarshalPKIXPublicKey(r.Transport); err != nil {
			return flow.Hash{}, err
		}
	}
	return flow.SumHash(flow.Frame("signalbox/request/v1\n",
		[]byte(r.Subject.ID), []byte(r.Subject.Role), r.Signing.spki, r.Sealing, link, []byte(strings.Join(r.Hosts, "\n")))), nil
}

func requestName(s Subject, hash flow.Hash) pkix.Name {
	n := subjectName(s)
	n.SerialNumber = hash.String()
	return n
}

// requestAlgorithm is how a key signs its request.
func requestAlgorithm(key crypto.PublicKey) smx509.SignatureAlgorithm {
	if _, ok := key.(*rsa.PublicKey); ok {
		return smx509.SHA256WithRSAPSS
	}
	if k, ok := key.(*ecdsa.PublicKey); ok && sm2.IsSM2PublicKey(k) {
		return smx509.SM2WithSM3
	}
	return smx509.ECDSAWithSHA256
}

func signRequest(random io.Reader, name pkix.Name, hosts []string, signer crypto.Signer) ([]byte, error) {
	names := smx509.Certificate{}
	if err := addHosts(&names, hosts); err != nil {
		return nil, err
	}
	der, err := smx509.CreateCertificateRequest(random, &smx509.CertificateRequest{
		Subject: name, DNSNames: names.DNSNames, IPAddresses: names.IPAddresses,
		SignatureAlgorithm: requestAlgorithm(signer.Public()),
	}, signer)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemRequest, Bytes: der}), nil
}

// ParseRequest reads what NewRequest wrote, strictly, and checks that whoever
// made it has the private keys. Whether the applicant is who it says is for the
// authority to find out. Every error wraps ErrRequest.
func ParseRequest(data []byte) (Request, error) {
	r, err := parseRequest(data)
	if err != nil {
		return Request{}, fmt.Errorf("reading a certificate request: %w: %w", ErrRequest, err)
	}
	return r, nil
}

func parseRequest(data []byte) (Request, error) {
	if len(data) > maxRequest {
		return Request{}, fmt.Errorf("%d bytes are over the limit of %d", len(data), maxRequest)
	}
	der, rest, err := readBlock(data, pemRequest)
	if err != nil {
		return Request{}, err
	}
	own, err := readRequest(der)
	if err != nil {
		return Request{}, fmt.Errorf("its first part: %w", err)
	}
	r := Request{Subject: own.subject, Hash: own.hash}
	if r.Signing, err = requestedSigningKey(own); err != nil {
		return Request{}, err
	}
	if bytes.HasPrefix(rest, []byte("-----BEGIN "+pemRequest)) {
		if der, rest, err = readBlock(rest, pemRequest); err != nil {
			return Request{}, err
		}
		if err := r.takeTransport(der); err != nil {
			return Request{}, fmt.Errorf("its transport key's part: %w", err)
		}
	}
	if len(rest) != 0 {
		if r.Sealing, rest, err = readBlock(rest, pemPublicKey); err != nil {
			return Request{}, err
		}
		if _, err := ParsePublicKey(r.Signing.suite, Sealing, r.Sealing); err != nil {
			return Request{}, err
		}
	}
	if len(rest) != 0 {
		return Request{}, errors.New("there is data after its last part")
	}
	if err := r.check(); err != nil {
		return Request{}, err
	}
	hash, err := r.sum()
	if err != nil {
		return Request{}, err
	}
	if hash != r.Hash {
		return Request{}, errors.New("its parts were not signed as one")
	}
	return r, nil
}

// requested is one PKCS #10 request whose signature holds.
type requested struct {
	subject Subject
	hash    flow.Hash
	spki    []byte
	key     crypto.PublicKey
	hosts   []string
}

func readRequest(der []byte) (requested, error) {
	c, err := smx509.ParseCertificateRequest(der)
	if err != nil {
		return requested{}, errors.New("not a PKCS #10 request in DER")
	}
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() != rsaBits { // before any time is spent on its signature
			return requested{}, errNotRSA
		}
	case *ecdsa.PublicKey:
		if !sm2.IsSM2PublicKey(k) && k.Curve != elliptic.P256() {
			return requested{}, fmt.Errorf("%w: neither SM2 nor P-256", ErrKey)
		}
	default:
		return requested{}, fmt.Errorf("%w: neither SM2, RSA nor P-256", ErrKey)
	}
	if c.Version != 0 || c.SignatureAlgorithm != requestAlgorithm(c.PublicKey) || c.CheckSignature() != nil {
		return requested{}, errors.New("it does not prove that the applicant has the private key")
	}
	hash, err := flow.ParseHash(c.Subject.SerialNumber)
	if err != nil || len(c.Subject.Names) != 3 || len(c.Subject.OrganizationalUnit) != 1 {
		return requested{}, errors.New("its subject is not one common name, organizational unit and serial number")
	}
	out := requested{
		subject: Subject{ID: c.Subject.CommonName, Role: c.Subject.OrganizationalUnit[0]},
		hash:    hash, spki: c.RawSubjectPublicKeyInfo, key: c.PublicKey,
	}
	out.hosts, err = readHosts(&smx509.Certificate{
		DNSNames: c.DNSNames, IPAddresses: c.IPAddresses, EmailAddresses: c.EmailAddresses, URIs: c.URIs,
	})
	if err != nil {
		return requested{}, err
	}
	return out, nil
}

// requestedSigningKey takes a signing key of either suite.
func requestedSigningKey(own requested) (PublicKey, error) {
	if len(own.hosts) != 0 {
		return PublicKey{}, errors.New("its signing key's part names hosts")
	}
	suiteName := intlName
	if k, ok := own.key.(*ecdsa.PublicKey); ok && sm2.IsSM2PublicKey(k) {
		suiteName = gmName
	}
	return ParsePublicKey(suiteName, Signing, own.spki)
}

func (r *Request) takeTransport(der []byte) error {
	part, err := readRequest(der)
	if err != nil {
		return err
	}
	if part.subject != r.Subject || part.hash != r.Hash {
		return errors.New("it is another request's")
	}
	r.Hosts = part.hosts
	r.Transport, err = transportPublic(part.key)
	return err
}
