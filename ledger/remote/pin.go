package remote

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"

	"signalbox.dev/signalbox/flow"
)

// ErrPeer says that the other side has another key than the one pinned.
var ErrPeer = errors.New("the other side has a key that is not pinned here")

// Pin names a P-256 public key: SHA-256 of its DER SubjectPublicKeyInfo. People
// compare it as text when they set a link up; flow.ParseHash reads that.
func Pin(key *ecdsa.PublicKey) (flow.Hash, error) {
	if key == nil || key.Curve != elliptic.P256() {
		return flow.Hash{}, errors.New("pinning a key: want one on P-256")
	}
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return flow.Hash{}, fmt.Errorf("pinning a key: %w", err)
	}
	return flow.SumHash(spki), nil
}

// certificate wraps the key so that TLS can carry it. What it says besides the
// key is never looked at.
func certificate(key crypto.Signer) (tls.Certificate, error) {
	if key == nil {
		return tls.Certificate{}, errors.New("key: missing")
	}
	public, ok := key.Public().(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		return tls.Certificate{}, fmt.Errorf("key: %T, want one on P-256", key.Public())
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "signalbox ledger link"},
		NotBefore:    time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280 4.1.2.5: no good expiry
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a certificate for the link: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// pinned is TLS in which check alone decides who the other side is. Crypto/tls
// has by then verified that the other side holds the key.
func pinned(own tls.Certificate, check func(pin flow.Hash) error) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{own},
		ClientAuth:   tls.RequireAnyClientCert,
		NextProtos:   []string{"h2", "http/1.1"},
		// No chain and no name is verified: the pin is. Every handshake is a full
		// one, so that no ticket outlives a pin.
		InsecureSkipVerify:     true,
		SessionTicketsDisabled: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			pin, err := pinOf(state)
			if err != nil {
				return err
			}
			return check(pin)
		},
	}
}

func pinOf(state tls.ConnectionState) (flow.Hash, error) {
	if len(state.PeerCertificates) == 0 {
		return flow.Hash{}, fmt.Errorf("%w: it showed none", ErrPeer)
	}
	// The bytes as received: the same key in another encoding is another pin.
	c := state.PeerCertificates[0]
	if key, ok := c.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		return flow.Hash{}, fmt.Errorf("%w: it is not on P-256", ErrPeer)
	}
	return flow.SumHash(c.RawSubjectPublicKeyInfo), nil
}

func same(a, b flow.Hash) bool { return subtle.ConstantTimeCompare(a[:], b[:]) == 1 }
