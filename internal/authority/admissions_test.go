package authority_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"testing"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/authority"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/chain/chaintest"
	"signalbox.dev/signalbox/internal/fusion"
	"signalbox.dev/signalbox/internal/link"
	"signalbox.dev/signalbox/profile"
)

const nodeName = "node-1"

// Nodes: a line enforces no admissions.
func (l *line) Nodes() []string { return []string{nodeName} }

func (l *line) Admit(context.Context, string, flow.SignedAdmissions) error { return nil }

// linkedWorld is an authority linked to a fusion node that listens.
type linkedWorld struct {
	world
	node *fusion.Node
	dir  string
	stop func() // the node
	end  func() // the authority and its link
}

func identityOf(t *testing.T, f *chaintest.Fixture, role, id string, from time.Time) link.Identity {
	t.Helper()
	key, err := envelope.NewTransportKey(nil)
	must(t, err)
	der, err := f.CA.IssueTransport(rand.Reader, envelope.Subject{ID: id, Role: role}, key.Public(), nil, from, f.Begun.AddDate(1, 0, 0))
	must(t, err)
	return link.Identity{CA: f.CA.Certificate(), Certificate: der, Key: key.Signer()}
}

var routes = []fusion.Route{{Platform: chaintest.Platform, Business: "prescription"}}

// run starts something until stop or the test's end.
func run(t *testing.T, what string, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	ended := false
	stop = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("running %s: %v", what, err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func (w *linkedWorld) startNode(t *testing.T, identity link.Identity, listen string) {
	t.Helper()
	var err error
	w.node, err = fusion.NewNode(fusion.NodeConfig{
		Name: nodeName, Dir: w.dir, Routes: routes, Listen: listen, Identity: identity,
		Trust: fusion.Trust{Chain: chaintest.Chain, Authority: w.Signing.Public()},
	})
	must(t, err)
	w.stop = run(t, "the node", w.node.Run)
	<-w.node.Ready()
}

// startLinked puts the authority's node of the chain, a fusion node and the link
// between them together.
func startLinked(t *testing.T) (*linkedWorld, link.Identity) {
	t.Helper()
	f := chaintest.New(t, envelope.GM())
	w := &linkedWorld{world: world{Fixture: f}, dir: t.TempDir()}
	w.chain, _ = f.Open(t, t.TempDir())
	nodeIdentity := identityOf(t, f, link.RoleNode, nodeName, f.Begun)
	w.startNode(t, nodeIdentity, "127.0.0.1:0")
	remote, err := fusion.NewRemote(fusion.RemoteConfig{
		Name: nodeName, Addr: w.node.Addr(), Routes: routes, Side: "authority",
		Identity: identityOf(t, f, link.RoleAuthority, "authority", f.Begun),
		Admit:    func(p link.Peer) error { return authority.CheckNode(w.chain, p, time.Now()) },
	})
	must(t, err)
	directory, err := fusion.NewDirectory(remote)
	must(t, err)
	w.auth, err = authority.New(authority.Config{
		Suite: f.Suite, Signing: f.Signing, Sealing: []envelope.PrivateKey{f.Sealing}, PseudonymKey: make([]byte, authority.PseudonymKeySize),
		CA: f.CA.Certificate(), Profiles: []profile.Profile{notes{}}, Register: &register{},
		Random: rand.Reader, Clock: time.Now, Logger: slog.New(slog.DiscardHandler),
	}, w.chain, directory.Authority())
	must(t, err)
	stopLink := run(t, "the link", remote.Run)
	stopAuthority := run(t, "the authority", w.auth.Run)
	w.end = func() {
		stopAuthority()
		stopLink()
	}
	// An officer admits the node (R7.1): until then the authority does not link to it.
	if remote.Connected() == nil {
		t.Error("the authority links to a node that nobody admitted")
	}
	cert, err := envelope.CheckCertificate(f.CA.Certificate(), f.Certificate(t, nodeName, contract.RoleNode, f.Key(t, envelope.Signing)), time.Now())
	must(t, err)
	w.give(t, contract.IdentityAdmit, chain.IdentityOf(cert))
	waitFor(t, func() bool { return remote.Connected() == nil })
	return w, nodeIdentity
}

func (w *linkedWorld) platform(t *testing.T, identity link.Identity) *fusion.Remote {
	t.Helper()
	r, err := fusion.NewRemote(fusion.RemoteConfig{Name: nodeName, Addr: w.node.Addr(), Routes: routes, Side: chaintest.Platform, Identity: identity})
	must(t, err)
	run(t, "the platform's link", r.Run)
	return r
}

func waitFor(t *testing.T, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come about")
		}
	}
}

// never says that something stays untrue while a link would have been dialled
// several times.
func never(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for range 100 {
		if holds() {
			t.Fatal(what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// R7.1: an officer's order closes a platform's open link, which does not come
// back until another order restores it.
func TestSuspensionReachesOpenLinks(t *testing.T) {
	w, _ := startLinked(t)
	p := w.platform(t, identityOf(t, w.Fixture, link.RolePlatform, chaintest.Platform, w.Begun))
	connected := func() bool { return p.Connected() == nil }
	waitFor(t, connected)
	for range 2 {
		w.give(t, contract.IdentityStatus, contract.StatusChange{ID: chaintest.Platform, Status: contract.Suspended})
		ordered := time.Now()
		waitFor(t, func() bool { return !connected() })
		t.Logf("the link was closed %v after the order", time.Since(ordered).Round(time.Millisecond))
		never(t, "a suspended platform's link is back", connected)
		w.give(t, contract.IdentityStatus, contract.StatusChange{ID: chaintest.Platform, Status: contract.Active})
		waitFor(t, connected)
	}
	w.give(t, contract.IdentityStatus, contract.StatusChange{ID: chaintest.Platform, Status: contract.Revoked})
	waitFor(t, func() bool { return !connected() })
	never(t, "a revoked platform's link is back", connected)
}

// R7.1: a node that starts while the authority is away goes by the last list.
func TestNodeRemembersWhileTheAuthorityIsAway(t *testing.T) {
	w, nodeIdentity := startLinked(t)
	p := w.platform(t, identityOf(t, w.Fixture, link.RolePlatform, chaintest.Platform, w.Begun))
	connected := func() bool { return p.Connected() == nil }
	waitFor(t, connected)
	w.end()
	addr := w.node.Addr()
	w.stop()
	waitFor(t, func() bool { return !connected() })
	w.startNode(t, nodeIdentity, addr)
	waitFor(t, connected)
}

// R7.1: so it does with a list that keeps the platform out.
func TestNodeRemembersWhomTheAuthorityKeptOut(t *testing.T) {
	w, nodeIdentity := startLinked(t)
	p := w.platform(t, identityOf(t, w.Fixture, link.RolePlatform, chaintest.Platform, w.Begun))
	connected := func() bool { return p.Connected() == nil }
	waitFor(t, connected)
	w.give(t, contract.IdentityStatus, contract.StatusChange{ID: chaintest.Platform, Status: contract.Suspended})
	waitFor(t, func() bool { return !connected() })
	w.end()
	addr := w.node.Addr()
	w.stop()
	w.startNode(t, nodeIdentity, addr)
	never(t, "a suspended platform's link is back after the node's restart", connected)
}

// R7.1: the authority's link to a node ends when the node is suspended.
func TestCheckNode(t *testing.T) {
	f := chaintest.New(t, envelope.GM())
	w := world{Fixture: f}
	w.chain, _ = f.Open(t, t.TempDir())
	var err error
	w.auth, err = authority.New(authority.Config{
		Suite: f.Suite, Signing: f.Signing, Sealing: []envelope.PrivateKey{f.Sealing}, PseudonymKey: make([]byte, authority.PseudonymKeySize),
		CA: f.CA.Certificate(), Profiles: []profile.Profile{notes{}}, Register: &register{},
		Random: rand.Reader, Clock: time.Now, Logger: slog.New(slog.DiscardHandler),
	}, w.chain, newLine())
	must(t, err)
	peer := link.Peer{ID: nodeName, Role: link.RoleNode, NotBefore: f.Begun}
	if err := authority.CheckNode(w.chain, peer, time.Now()); err == nil {
		t.Error("an unknown node may be linked to")
	}
	cert, err := envelope.CheckCertificate(f.CA.Certificate(), f.Certificate(t, nodeName, contract.RoleNode, f.Key(t, envelope.Signing)), time.Now())
	must(t, err)
	w.give(t, contract.IdentityAdmit, chain.IdentityOf(cert))
	must(t, authority.CheckNode(w.chain, peer, time.Now()))
	old := peer
	old.NotBefore = cert.NotBefore.Add(-time.Second)
	another := peer
	another.ID = chaintest.Platform
	w.give(t, contract.IdentityStatus, contract.StatusChange{ID: nodeName, Status: contract.Suspended})
	err1 := authority.CheckNode(w.chain, peer, time.Now())
	w.give(t, contract.IdentityStatus, contract.StatusChange{ID: nodeName, Status: contract.Active})
	err2 := authority.CheckNode(w.chain, old, time.Now())
	err3 := authority.CheckNode(w.chain, another, time.Now())
	for what, err := range map[string]error{"suspended": err1, "older certificate": err2, "a platform": err3} {
		if err == nil {
			t.Errorf("%s: may be linked to", what)
		}
	}
	must(t, authority.CheckNode(w.chain, peer, time.Now()))
}
