package fusion

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/link"
)

// parties is a CA with what it certified, and the authority's signing key.
type parties struct {
	suite   envelope.Suite
	ca      envelope.CA
	signing envelope.PrivateKey
	begun   time.Time
}

func newParties(t testing.TB, suite envelope.Suite) parties {
	t.Helper()
	now := time.Now().Truncate(time.Second)
	ca, err1 := envelope.NewCA(nil, suite.Name(), "authority", now.Add(-time.Hour), now.Add(24*time.Hour))
	signing, err2 := suite.GenerateKey(nil, envelope.Signing)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return parties{suite, ca, signing, now.Add(-time.Minute)}
}

// identity certifies a fresh transport key, from begun on.
func (p parties) identity(t testing.TB, role, id string) link.Identity {
	t.Helper()
	return p.identityFrom(t, role, id, p.begun)
}

func (p parties) identityFrom(t testing.TB, role, id string, from time.Time) link.Identity {
	t.Helper()
	key, err := envelope.NewTransportKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := p.ca.IssueTransport(nil, envelope.Subject{ID: id, Role: role}, key.Public(), nil, from, p.begun.Add(12*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return link.Identity{CA: p.ca.Certificate(), Certificate: der, Key: key.Signer()}
}

// list signs a list on which the ids are active platforms.
func (p parties) list(t testing.TB, sequence uint64, active ...string) flow.SignedAdmissions {
	t.Helper()
	a := flow.Admissions{Version: 1, Chain: "chain", Sequence: sequence, Issued: p.begun.Unix()}
	for _, id := range active {
		a.Entries = append(a.Entries, flow.Admission{ID: id, Role: link.RolePlatform, Status: flow.AdmissionActive, NotBefore: p.begun.Unix()})
	}
	slices.SortFunc(a.Entries, func(a, b flow.Admission) int { return strings.Compare(a.ID, b.ID) })
	return p.sign(t, a)
}

func (p parties) sign(t testing.TB, a flow.Admissions) flow.SignedAdmissions {
	t.Helper()
	data, err1 := flow.Marshal(a)
	s := flow.SignedAdmissions{List: data}
	var err2 error
	s.Signature, err2 = p.suite.Sign(nil, p.signing, s.SigningInput())
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return s
}

// node starts a node that listens; fields of cfg that are not set get values for tests.
func (p parties) node(t testing.TB, cfg NodeConfig) *running {
	t.Helper()
	if cfg.Name == "" {
		cfg.Name = "node"
	}
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	}
	if cfg.Identity.Key == nil {
		cfg.Identity = p.identity(t, link.RoleNode, cfg.Name)
	}
	cfg.Trust = Trust{Chain: "chain", Authority: p.signing.Public()}
	return start(t, cfg)
}

// remote starts a party's link to n, and waits for it unless it won't come.
func (p parties) remote(t testing.TB, n *running, role, id string) *Remote {
	t.Helper()
	r := p.dial(t, RemoteConfig{Name: n.name, Addr: n.Addr(), Routes: n.routes, Identity: p.identity(t, role, id), Side: id})
	reached(t, r)
	return r
}

func (p parties) dial(t testing.TB, cfg RemoteConfig) *Remote {
	t.Helper()
	r, err := NewRemote(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := next(t, done); err != nil {
			t.Error(err)
		}
	})
	next(t, r.ready)
	return r
}

func reached(t testing.TB, r *Remote) {
	t.Helper()
	eventually(t, func() bool { return r.Connected() == nil })
}

func eventually(t testing.TB, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(waitLong); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come about")
		}
	}
}

func sidesOf(t testing.TB, endpoints ...Endpoint) *Directory {
	t.Helper()
	d, err := NewDirectory(endpoints...)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// settled is an authority's link to n, whose list admits both platforms.
func (p parties) settled(t testing.TB, n *running) (authority *Directory) {
	t.Helper()
	authority = sidesOf(t, p.remote(t, n, link.RoleAuthority, "authority"))
	if err := authority.Authority().Admit(t.Context(), n.name, p.list(t, 1, north, south)); err != nil {
		t.Fatal(err)
	}
	return authority
}

// R1.3, R7.1, R7.2: submissions, anchors and decisions over links, in both suites.
func TestRemoteRoundTrip(t *testing.T) {
	for _, suite := range []envelope.Suite{envelope.GM(), envelope.Intl()} {
		t.Run(suite.Name(), func(t *testing.T) {
			p := newParties(t, suite)
			n := p.node(t, NodeConfig{})
			authority := p.settled(t, n)
			platform := sidesOf(t, p.remote(t, n, link.RolePlatform, north))
			background(t, func(ctx context.Context) error { return grantAll(ctx, authority.Authority()) })
			decided, _ := takeDecisions(t, platform, north)
			const count = 50
			for i := range uint64(count) {
				if err := platform.Platform(north).Submit(t.Context(), submissionOf(t, north, rx, i, 1000)); err != nil {
					t.Fatal(err)
				}
			}
			got := map[flow.ID]bool{}
			for range count {
				got[next(t, decided).ID] = true
			}
			if len(got) != count {
				t.Errorf("%d decisions, want %d", len(got), count)
			}
			if err := platform.Platform(north).Anchor(t.Context(), rx, []flow.Anchor{{BusinessTx: "1"}}); err != nil {
				t.Fatal(err)
			}
			anchored := make(chan AnchorDelivery, 1)
			background(t, func(ctx context.Context) error {
				return authority.Authority().Anchors(ctx, 1, func(_ context.Context, batch []AnchorDelivery) []error {
					anchored <- batch[0]
					return nil
				})
			})
			if a := next(t, anchored); a.Platform != north || len(a.Anchors) != 1 {
				t.Errorf("anchors %+v", a)
			}
			idle(t, n.Node)
		})
	}
}

// What the node refuses reaches a party elsewhere as in process, and what fails
// at a party comes again or is set aside.
func TestRemoteErrors(t *testing.T) {
	p := newParties(t, envelope.GM())
	n := p.node(t, NodeConfig{MaxWaiting: 3, Routes: []Route{{north, rx}, {south, rx}}})
	authority := p.settled(t, n)
	platform := sidesOf(t, p.remote(t, n, link.RolePlatform, north))
	side := platform.Platform(north)
	var err error
	for i := range uint64(4) {
		err = side.Submit(t.Context(), submissionOf(t, north, rx, i, 10))
	}
	if !errors.Is(err, ErrBusy) {
		t.Errorf("a fourth submission: %v, want ErrBusy", err)
	}
	if err := platform.Platform(south).Submit(t.Context(), submissionOf(t, south, rx, 1, 10)); !errors.Is(err, ErrNoSide) {
		t.Errorf("submitting as another: %v, want ErrNoSide", err)
	}
	if err := platform.Authority().Publish(t.Context(), decisionOf(north, rx, 1)); !errors.Is(err, ErrNoSide) {
		t.Errorf("publishing as a platform: %v, want ErrNoSide", err)
	}
	if err := platform.Authority().Submissions(t.Context(), 1, nil); !errors.Is(err, ErrNoSide) {
		t.Errorf("reading as the authority: %v, want ErrNoSide", err)
	}
	if err := authority.Platform(north).Submit(t.Context(), submissionOf(t, north, rx, 1, 10)); !errors.Is(err, ErrNoSide) {
		t.Errorf("submitting as the authority: %v, want ErrNoSide", err)
	}
	// One that fails comes again.
	tried := make(chan int, 16)
	background(t, func(ctx context.Context) error {
		times := 0
		return authority.Authority().Submissions(ctx, 1, func(context.Context, []Delivery) []error {
			times++
			tried <- times
			if times == 1 {
				return []error{errors.New("not now")}
			}
			return nil
		})
	})
	for range 4 {
		next(t, tried)
	}
	idle(t, n.Node)
	// One that nobody can read is set aside at the node.
	if _, err := n.authority.js.Publish(t.Context(), address{kind: decisions, Route: Route{north, rx}}.subject(), []byte("no decision")); err != nil {
		t.Fatal(err)
	}
	takeDecisions(t, platform, north)
	eventually(t, func() bool {
		set, err := n.Quarantine(t.Context())
		return err == nil && len(set) == 1 && set[0].Direction == decisions
	})
}

// The link comes back by itself, readers go on, and calls meanwhile say at once
// that the node is away.
func TestRemoteOutlivesTheNode(t *testing.T) {
	p := newParties(t, envelope.GM())
	dir, identity := t.TempDir(), p.identity(t, link.RoleNode, "node")
	first := p.node(t, NodeConfig{Dir: dir, Identity: identity})
	addr := first.Addr()
	authority := p.settled(t, first)
	link1 := p.remote(t, first, link.RolePlatform, north)
	platform := sidesOf(t, link1)
	delivered, _ := takeSubmissions(t, authority)
	if err := platform.Platform(north).Submit(t.Context(), submissionOf(t, north, rx, 1, 10)); err != nil {
		t.Fatal(err)
	}
	next(t, delivered)
	idle(t, first.Node)
	first.stop(t)
	eventually(t, func() bool { return link1.Connected() != nil })
	if err := platform.Platform(north).Submit(t.Context(), submissionOf(t, north, rx, 2, 10)); !errors.Is(err, ErrUnreachable) {
		t.Errorf("while the node is away: %v, want ErrUnreachable", err)
	}
	if err := authority.Authority().Publish(t.Context(), decisionOf(north, rx, 2)); !errors.Is(err, ErrUnreachable) {
		t.Errorf("publishing while the node is away: %v, want ErrUnreachable", err)
	}
	p.node(t, NodeConfig{Dir: dir, Identity: identity, Listen: addr})
	reached(t, link1)
	if err := platform.Platform(north).Submit(t.Context(), submissionOf(t, north, rx, 3, 10)); err != nil {
		t.Fatal(err)
	}
	if got := idOf(t, next(t, delivered).Submission); got != number(3) {
		t.Errorf("delivered %s", got)
	}
}

// A link may be made, and read from, before its node runs.
func TestRemoteWaitsForItsNode(t *testing.T) {
	p := newParties(t, envelope.GM())
	probe := p.node(t, NodeConfig{Name: "probe"})
	addr := probe.Addr()
	probe.stop(t)
	r := p.dial(t, RemoteConfig{Name: "node", Addr: addr, Routes: []Route{{north, rx}}, Identity: p.identity(t, link.RoleAuthority, "authority"), Side: "authority"})
	authority := sidesOf(t, r)
	delivered, _ := takeSubmissions(t, authority)
	n := p.node(t, NodeConfig{Listen: addr, Routes: []Route{{north, rx}}})
	if err := directory(t, n).Platform(north).Submit(t.Context(), submissionOf(t, north, rx, 1, 10)); err != nil {
		t.Fatal(err)
	}
	next(t, delivered)
}

func TestLinkConfigurationIsChecked(t *testing.T) {
	p := newParties(t, envelope.GM())
	node := NodeConfig{
		Name: "node", Dir: "d", Routes: []Route{{north, rx}}, Listen: "127.0.0.1:0",
		Identity: p.identity(t, link.RoleNode, "node"), Trust: Trust{"chain", p.signing.Public()},
	}
	if err := node.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*NodeConfig){
		"no port":          func(c *NodeConfig) { c.Listen = "127.0.0.1" },
		"a large port":     func(c *NodeConfig) { c.Listen = "127.0.0.1:70000" },
		"no identity":      func(c *NodeConfig) { c.Identity = link.Identity{} },
		"another's name":   func(c *NodeConfig) { c.Identity = p.identity(t, link.RoleNode, "other") },
		"a platform's":     func(c *NodeConfig) { c.Identity = p.identity(t, link.RolePlatform, "node") },
		"no chain":         func(c *NodeConfig) { c.Trust.Chain = "" },
		"no authority key": func(c *NodeConfig) { c.Trust.Authority = envelope.PublicKey{} },
	} {
		c := node
		spoil(&c)
		if err := c.Validate(); err == nil {
			t.Errorf("node with %s: taken", name)
		}
	}
	remote := RemoteConfig{Name: "node", Addr: "127.0.0.1:4222", Routes: []Route{{north, rx}}, Identity: p.identity(t, link.RolePlatform, north), Side: north}
	if err := remote.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*RemoteConfig){
		"no name":             func(c *RemoteConfig) { c.Name = "" },
		"no port":             func(c *RemoteConfig) { c.Addr = "127.0.0.1" },
		"no routes":           func(c *RemoteConfig) { c.Routes = nil },
		"no identity":         func(c *RemoteConfig) { c.Identity = link.Identity{} },
		"another's side":      func(c *RemoteConfig) { c.Side = south },
		"the authority's":     func(c *RemoteConfig) { c.Side = "authority" },
		"a node's identity":   func(c *RemoteConfig) { c.Identity = p.identity(t, link.RoleNode, north) },
		"a negative number":   func(c *RemoteConfig) { c.Tries = -1 },
		"a negative duration": func(c *RemoteConfig) { c.Redeliver = -1 },
	} {
		c := remote
		spoil(&c)
		if err := c.Validate(); err == nil {
			t.Errorf("link with %s: taken", name)
		}
	}
}
