package link

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"signalbox.dev/signalbox/envelope"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// network is a CA with identities of its making.
type network struct {
	suite string
	ca    envelope.CA
}

func newNetwork(t testing.TB, suite string) network {
	t.Helper()
	ca, err := envelope.NewCA(nil, suite, "authority", now.AddDate(-1, 0, 0), now.AddDate(9, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	return network{suite, ca}
}

func (n network) identity(t testing.TB, id, role string) Identity {
	t.Helper()
	return n.identityUntil(t, id, role, now.AddDate(1, 0, 0))
}

func (n network) identityUntil(t testing.TB, id, role string, to time.Time) Identity {
	t.Helper()
	key, err := envelope.NewTransportKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := n.ca.IssueTransport(nil, envelope.Subject{ID: id, Role: role}, key.Public(), nil, now.AddDate(0, -1, 0), to)
	if err != nil {
		t.Fatal(err)
	}
	return Identity{CA: n.ca.Certificate(), Certificate: der, Key: key.Signer(), Clock: func() time.Time { return now }}
}

// signing is the certificate and key of a signature in a link's place.
func (n network) signing(t testing.TB, id, role string) Identity {
	t.Helper()
	suite, err := envelope.ByName(n.suite)
	if err != nil {
		t.Fatal(err)
	}
	key, err := suite.GenerateKey(nil, envelope.Signing)
	if err != nil {
		t.Fatal(err)
	}
	der, err := n.ca.Issue(nil, envelope.Subject{ID: id, Role: role}, key.Public(), now.AddDate(0, -1, 0), now.AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	transport, err := envelope.NewTransportKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return Identity{CA: n.ca.Certificate(), Certificate: der, Key: transport.Signer(), Clock: func() time.Time { return now }}
}

// handshake connects the two and sends a byte each way: in TLS 1.3 a client
// learns that it was refused only when it reads.
func handshake(t testing.TB, server, client *tls.Config) (atServer, atClient tls.ConnectionState, serverErr, clientErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	exchange := func(c *tls.Conn, state *tls.ConnectionState) error {
		c.SetDeadline(time.Now().Add(10 * time.Second))
		if err := c.Handshake(); err != nil {
			return err
		}
		*state = c.ConnectionState()
		if _, err := c.Write([]byte{1}); err != nil {
			return err
		}
		_, err := io.ReadFull(c, make([]byte, 1))
		return err
	}
	go func() {
		c, err := l.Accept()
		if err == nil {
			defer c.Close()
			err = exchange(tls.Server(c, server), &atServer)
		}
		done <- err
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	clientErr = exchange(tls.Client(c, client), &atClient)
	c.Close()
	serverErr = <-done
	return atServer, atClient, serverErr, clientErr
}

func forSuites(t *testing.T, f func(*testing.T, network)) {
	for _, suite := range []string{"gm", "intl"} {
		t.Run(suite, func(t *testing.T) { f(t, newNetwork(t, suite)) })
	}
}

// R7.1: both ends learn who the other is.
func TestLink(t *testing.T) {
	forSuites(t, func(t *testing.T, n network) {
		node, platform := n.identity(t, "node-1", RoleNode), n.identity(t, "platform-1", RolePlatform)
		var admitted []Peer
		admit := func(p Peer) error { admitted = append(admitted, p); return nil }
		atServer, atClient, err1, err2 := handshake(t, node.Server(admit), platform.Client(nil))
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if atServer.Version != tls.VersionTLS13 || atClient.DidResume {
			t.Errorf("version %x, resumed %v", atServer.Version, atClient.DidResume)
		}
		peer, err := node.PeerOf(atServer)
		if err != nil || peer.ID != "platform-1" || peer.Role != RolePlatform || !peer.NotAfter.Equal(now.AddDate(1, 0, 0)) {
			t.Errorf("at the node: %+v, %v", peer, err)
		}
		if len(admitted) != 1 || admitted[0] != peer {
			t.Errorf("admit was asked for %+v", admitted)
		}
		own, err := platform.Own()
		if err != nil || own != peer {
			t.Errorf("the platform's own certificate says %+v, %v", own, err)
		}
		if peer, err = platform.PeerOf(atClient); err != nil || peer.ID != "node-1" || peer.Role != RoleNode {
			t.Errorf("at the platform: %+v, %v", peer, err)
		}
	})
}

// R7.1: whoever the CA does not vouch for, or the caller does not admit, gets no link.
func TestLinkRefuses(t *testing.T) {
	refused := errors.New("not this one")
	role := func(want string) func(Peer) error {
		return func(p Peer) error {
			if p.Role != want {
				return refused
			}
			return nil
		}
	}
	forSuites(t, func(t *testing.T, n network) {
		node, platform := n.identity(t, "node-1", RoleNode), n.identity(t, "platform-1", RolePlatform)
		twin := newNetwork(t, n.suite)
		stolen := platform
		stolen.Key = node.Key
		none := platform.Client(nil)
		none.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tls.Certificate{}, nil }
		old := platform.Client(nil)
		old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		two := platform.Client(nil)
		two.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &tls.Certificate{Certificate: [][]byte{platform.Certificate, n.ca.Certificate()}, PrivateKey: platform.Key}, nil
		}
		clients := map[string]*tls.Config{
			"another CA":            twin.identity(t, "platform-1", RolePlatform).Client(nil),
			"expired":               n.identityUntil(t, "platform-1", RolePlatform, now.Add(-time.Second)).Client(nil),
			"another role":          n.identity(t, "platform-1", RoleNode).Client(nil),
			"a signing certificate": n.signing(t, "platform-1", RolePlatform).Client(nil),
			"another's key":         stolen.Client(nil),
			"no certificate":        none,
			"TLS 1.2":               old,
			"a chain":               two,
		}
		for name, c := range clients {
			c.VerifyConnection = nil // the client takes whatever server it gets
			if _, _, err, _ := handshake(t, node.Server(role(RolePlatform)), c); err == nil {
				t.Errorf("client with %s: admitted", name)
			}
		}
		oldServer := node.Server(nil)
		oldServer.MinVersion, oldServer.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		servers := map[string]*tls.Config{
			"another CA":            twin.identity(t, "node-1", RoleNode).Server(nil),
			"expired":               n.identityUntil(t, "node-1", RoleNode, now.Add(-time.Second)).Server(nil),
			"another role":          n.identity(t, "node-1", RolePlatform).Server(nil),
			"a signing certificate": n.signing(t, "node-1", RoleNode).Server(nil),
			"TLS 1.2":               oldServer,
		}
		for name, s := range servers {
			s.VerifyConnection = nil
			if _, _, _, err := handshake(t, s, platform.Client(role(RoleNode))); err == nil {
				t.Errorf("server with %s: taken", name)
			}
		}
		if _, _, err, _ := handshake(t, node.Server(func(Peer) error { return refused }), platform.Client(nil)); !errors.Is(err, refused) {
			t.Errorf("the server does not say why: %v", err)
		}
		if _, err := node.PeerOf(tls.ConnectionState{Version: tls.VersionTLS13}); !errors.Is(err, ErrPeer) {
			t.Errorf("a connection without certificate has a peer: %v", err)
		}
	})
}

func TestIdentityIsChecked(t *testing.T) {
	n := newNetwork(t, "gm")
	good := n.identity(t, "p", RolePlatform)
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	other := n.identity(t, "p", RolePlatform)
	for name, spoil := range map[string]func(*Identity){
		"no key":                func(i *Identity) { i.Key = nil },
		"another key":           func(i *Identity) { i.Key = other.Key },
		"no certificate":        func(i *Identity) { i.Certificate = nil },
		"a signing certificate": func(i *Identity) { i.Certificate = n.signing(t, "p", RolePlatform).Certificate },
		"another CA":            func(i *Identity) { i.CA = newNetwork(t, "gm").ca.Certificate() },
		"a later time":          func(i *Identity) { i.Clock = func() time.Time { return now.AddDate(2, 0, 0) } },
		"no time":               func(i *Identity) { i.Clock = nil; i.Certificate = nil },
	} {
		i := good
		spoil(&i)
		if err := i.Validate(); err == nil || strings.Contains(err.Error(), "%!") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// BenchmarkHandshake is what a new link costs both ends together.
func BenchmarkHandshake(b *testing.B) {
	for _, suite := range []string{"gm", "intl"} {
		b.Run(suite, func(b *testing.B) {
			n := newNetwork(b, suite)
			server := n.identity(b, "node-1", RoleNode).Server(nil)
			client := n.identity(b, "platform-1", RolePlatform).Client(nil)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err1, err2 := handshake(b, server, client); err1 != nil || err2 != nil {
					b.Fatal(err1, err2)
				}
			}
		})
	}
}
