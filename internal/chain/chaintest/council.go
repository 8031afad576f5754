package chaintest

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"signalbox.dev/signalbox/committee"
	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/receipt"
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
	Adjust  func(*Member, *chain.Config) // what a member runs with; nil: as it is
}

// Convene founds a chain whose genesis names count nodes, and starts none.
func Convene(t testing.TB, suite envelope.Suite, terms committee.Terms, count int) *Council {
	t.Helper()
	f := *New(t, suite) // its genesis is changed, not that of others
	f.Genesis.Certificates = append([][]byte(nil), f.Genesis.Certificates...)
	f.Genesis.Contract.Identities = append([]contract.Identity(nil), f.Genesis.Contract.Identities...)
	f.Genesis.Contract.Committee, f.Genesis.MemberSignatures = terms, true
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
	if m.council.Adjust != nil {
		m.council.Adjust(m, &cfg)
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

// Signers are the keys that the member signs the log with, for tests that forge.
func (m *Member) Signers(t testing.TB) []note.Signer {
	t.Helper()
	vote, err := comet.VoteKey(filepath.Join(m.dir, "node"))
	must(t, err)
	name := receipt.MemberName(Chain, m.ID)
	ed, err := receipt.Ed25519Signer(name, vote)
	must(t, err)
	return []note.Signer{ed, receipt.SuiteSigner(name, m.key, rand.Reader)}
}

// VKeys are those that a policy names the member by.
func (m *Member) VKeys(t testing.TB) []string {
	t.Helper()
	keys, err := receipt.MemberKeys(Chain, m.ID, m.key.Public(), m.Keys.Validator)
	must(t, err)
	return keys
}

// Policy asks for need of the members beside the log, each with both keys.
func (c *Council) Policy(t testing.TB, need int) receipt.Policy {
	t.Helper()
	text := "log " + strings.ReplaceAll(strings.TrimSpace(c.Fixture.Published), "\n", "\nlog ") + "\n"
	group := fmt.Sprintf("group committee %d", need)
	for _, m := range c.Members {
		keys := m.VKeys(t)
		text += fmt.Sprintf("member %[1]s-vote %[2]s\nmember %[1]s-identity %[3]s\ngroup %[1]s all %[1]s-vote %[1]s-identity\n", m.ID, keys[0], keys[1])
		group += " " + m.ID
	}
	p, err := receipt.ParsePolicy(text + group + "\nquorum committee\n")
	must(t, err)
	return p
}

// Rekey gives the node another key than the chain knows it by.
func (m *Member) Rekey(t testing.TB) {
	t.Helper()
	m.key = m.council.Fixture.Key(t, envelope.Signing)
}
