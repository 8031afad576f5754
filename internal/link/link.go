// Package link authenticates the links between parties: TLS 1.3 and nothing
// older, both ends with a transport certificate of the authority's CA (R7.1).
// It says who is at the other end; whether that one may be there is for the
// caller's admit to say.
//
// crypto/tls can't check certificates of an SM2 CA, so it is told to check none
// and envelope.CheckTransport does (ADR 0019). Host names decide nothing: a peer
// is its id and role, wherever it listens.
//
// Package link dials nothing and listens nowhere. internal/fusion does.
package link

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
)

// Roles that a transport certificate names. They are those of identities on the
// supervision chain, but for the authority's own, which is not on it.
const (
	RoleAuthority = "authority"
	RoleNode      = "node"
	RolePlatform  = "platform"
)

// ErrPeer is what an error wraps when the other end of a link is not one that
// the authority's CA vouches for at this time.
var ErrPeer = errors.New("the peer is not one that the authority's CA vouches for")

// Peer is who is at the other end of a link.
type Peer struct {
	ID          string
	Role        string
	Certificate flow.Hash // names the transport certificate, see envelope.TransportCertificate
	NotBefore   time.Time // when the certificate began, and ends
	NotAfter    time.Time
}

// Identity is a party's own end of its links.
type Identity struct {
	CA          []byte           // the authority's CA, DER
	Certificate []byte           // the party's own transport certificate, DER
	Key         crypto.Signer    // of Certificate
	Clock       func() time.Time // nil: the system's
}

// Validate says what is wrong with i: besides what is missing, a certificate
// that is not of the CA, not valid now, or not of the key.
func (i Identity) Validate() error {
	if i.Key == nil {
		return errors.New("key: the transport certificate's private key is missing")
	}
	own, err := envelope.CheckTransport(i.CA, i.Certificate, i.now())
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	if k, ok := i.Key.Public().(*ecdsa.PublicKey); !ok || !own.Key.Equal(k) {
		return fmt.Errorf("key: it is not that of the certificate of %s", own.ID)
	}
	return nil
}

// Own is who the identity says that it is, as its peers see it.
func (i Identity) Own() (Peer, error) { return i.check(i.Certificate) }

func (i Identity) now() time.Time {
	if i.Clock == nil {
		return time.Now()
	}
	return i.Clock()
}

// Server configures the listening end. admit is asked for every peer whose
// certificate holds, at the end of each handshake; its error ends the link. It
// may be called concurrently; nil admits all of them.
func (i Identity) Server(admit func(Peer) error) *tls.Config {
	c := i.config(admit)
	c.ClientAuth = tls.RequireAnyClientCert
	return c
}

// Client configures the dialling end; admit as for Server.
func (i Identity) Client(admit func(Peer) error) *tls.Config {
	c := i.config(admit)
	c.InsecureSkipVerify = true // VerifyConnection verifies
	return c
}

func (i Identity) config(admit func(Peer) error) *tls.Config {
	own := tls.Certificate{Certificate: [][]byte{i.Certificate}, PrivateKey: i.Key}
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		MaxVersion: tls.VersionTLS13,
		// Every link is a full handshake, so that each is checked as it is now.
		SessionTicketsDisabled: true,
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &own, nil },
		GetClientCertificate:   func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil },
		VerifyConnection: func(state tls.ConnectionState) error {
			p, err := i.PeerOf(state)
			if err != nil {
				return err
			}
			if admit == nil {
				return nil
			}
			return admit(p)
		},
	}
}

// PeerOf says who is at the other end of an established connection, checking the
// certificate as it is now. Every error wraps ErrPeer.
func (i Identity) PeerOf(state tls.ConnectionState) (Peer, error) {
	if state.Version != tls.VersionTLS13 {
		return Peer{}, fmt.Errorf("%w: the link is not TLS 1.3", ErrPeer)
	}
	if len(state.PeerCertificates) != 1 {
		return Peer{}, fmt.Errorf("%w: it shows %d certificates, want one", ErrPeer, len(state.PeerCertificates))
	}
	return i.check(state.PeerCertificates[0].Raw)
}

func (i Identity) check(der []byte) (Peer, error) {
	c, err := envelope.CheckTransport(i.CA, der, i.now())
	if err != nil {
		return Peer{}, fmt.Errorf("%w: %w", ErrPeer, err)
	}
	return Peer{ID: c.ID, Role: c.Role, Certificate: c.Hash, NotBefore: c.NotBefore, NotAfter: c.NotAfter}, nil
}
