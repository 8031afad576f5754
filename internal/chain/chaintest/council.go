package chaintest

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"sync"
	"testing"

	"signalbox.dev/signalbox/committee"
	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/comet"
)

// Member is one node of a chain of several on loopback.
type Member struct {
	ID    string
	Chain *chain.Chain // nil while it is stopped
	Keys  comet.Keys
	Seat  contract.NodeSeat

	council *Council
	dir     string
	addr    string
	key     envelope.PrivateKey
	stop    func()
}

// Council is the nodes of a chain. The first holds the authority's log keys.
type Council struct {
	Fixture *Fixture
	Members []*Member
}

// Convene founds a chain whose genesis names count nodes, and starts none.
func Convene(t testing.TB, suite envelope.Suite, terms committee.Terms, count int) *Council {
	t.Helper()
	f := *New(t, suite) // its genesis is changed, not that of others
	f.Genesis.Certificates = append([][]byte(nil), f.Genesis.Certificates...)
	f.Genesis.Contract.Identities = append([]contract.Identity(nil), f.Genesis.Contract.Identities...)
	f.Genesis.Contract.Committee = terms
	c := &Council{Fixture: &f}
	for i := range count {
		m := c.newMember(t, fmt.Sprintf("node-%d", i+1))
		f.admit(t, m.ID, contract.RoleNode, m.key)
		f.Genesis.Contract.Nodes = append(f.Genesis.Contract.Nodes, m.Seat)
	}
	return c
}

// newMember makes a node's folder and keys, on an address that no connection goes
// out from.
func (c *Council) newMember(t testing.TB, id string) *Member {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+mathrand.N(254), mathrand.N(256), 1+mathrand.N(254)))
	if err != nil {
		t.Skipf("this machine has one loopback address: %v", err)
	}
	m := &Member{ID: id, council: c, dir: t.TempDir(), addr: l.Addr().String(), key: c.Fixture.Key(t, envelope.Signing)}
	must(t, l.Close())
	m.Keys, err = chain.MakeKeys(m.dir)
	must(t, err)
	m.Seat = contract.NodeSeat{ID: id, Vote: m.Keys.Validator, Network: m.Keys.ID, Weight: 1}
	c.Members = append(c.Members, m)
	return m
}

// Start runs a node until the test ends or Stop is called.
func (m *Member) Start(t testing.TB) {
	t.Helper()
	f := m.council.Fixture
	n := &chain.Network{ID: m.ID, Key: m.key, Random: rand.Reader, Listen: m.addr}
	for _, o := range m.council.Members {
		if o != m {
			n.Peers = append(n.Peers, comet.Peer{ID: o.Keys.ID, Addr: o.addr})
		}
	}
	cfg := chain.Config{Dir: m.dir, Genesis: f.Genesis, Begun: f.Begun, Network: n}
	if m == m.council.Members[0] {
		cfg.Signers, cfg.Ring = f.Signers, f.Ring
	}
	c, err := chain.Open(cfg)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	select {
	case <-c.Ready():
	case err := <-done:
		t.Fatalf("running %s: %v", m.ID, err)
	}
	m.Chain = c
	m.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("running %s: %v", m.ID, err)
		}
		m.Chain = nil
	})
	t.Cleanup(m.stop)
}

// Stop stops a node.
func (m *Member) Stop() { m.stop() }

// Dir is the node's folder.
func (m *Member) Dir() string { return m.dir }

// Join makes a node that genesis does not name: known to the others as a peer,
// admitted by nobody yet.
func (c *Council) Join(t testing.TB, id string) (m *Member, identity contract.Identity) {
	t.Helper()
	m = c.newMember(t, id)
	der := c.Fixture.Certificate(t, id, contract.RoleNode, m.key)
	cert, err := envelope.CheckCertificate(c.Fixture.CA.Certificate(), der, c.Fixture.Begun)
	must(t, err)
	return m, chain.IdentityOf(cert)
}
