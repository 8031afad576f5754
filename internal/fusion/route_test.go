package fusion

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/flow"
)

// R1.3: names may hold dots, which NATS reads as the borders of tokens.
func TestSubjectsKeepNamesApart(t *testing.T) {
	routes := []Route{
		{"a", "b"},
		{"a.b", "c"},
		{"c", "a.b"},
		{"b.c", "a"},
		{"a", "b.c"},
		{"A", "b"},
		{"a-b", "c"},
		{"a_b", "c"},
		{"a..b", "c"},
		{"1.2.3", "x"},
		{"p.", "x"},
	}
	seen := map[string]Route{}
	for _, r := range routes {
		for _, name := range []string{r.Platform, r.Business} {
			if err := flow.CheckName("name", name); err != nil {
				t.Fatal(err)
			}
		}
		at := address{submissions, r, flow.ReviewResult}
		s := at.subject()
		if other, twice := seen[s]; twice {
			t.Errorf("%v and %v share subject %s", other, r, s)
		}
		seen[s] = r
		for _, s := range []string{s, at.kept(), at.quarantined()} {
			if back, err := addressOf(s); err != nil || back != at {
				t.Errorf("%v comes back from %s as %v, %v", at, s, back, err)
			}
		}
	}
	if err := flow.CheckName("name", "a"+dotInToken+"b"); err == nil {
		t.Errorf("a name may hold %q: two names could share a token", dotInToken)
	}
	for _, s := range []string{"", "sub", "sub.a", "sub.a.b", "sub.a.b.c.d", "anc.a.b.c", "dec.a", "dec.a.b.c", "kept", "kept.kept.anc.a.b", "qua.sub.a.b", "x.a.b"} {
		if a, err := addressOf(s); err == nil {
			t.Errorf("subject %q gives %v", s, a)
		}
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	good := NodeConfig{Name: "node", Dir: "dir", Routes: []Route{{north, rx}}}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	cases := map[string]func(*NodeConfig){
		"no name":           func(c *NodeConfig) { c.Name = "" },
		"name with a slash": func(c *NodeConfig) { c.Name = "a/b" },
		"no folder":         func(c *NodeConfig) { c.Dir = "" },
		"no routes":         func(c *NodeConfig) { c.Routes = nil },
		"route twice":       func(c *NodeConfig) { c.Routes = []Route{{north, rx}, {north, rx}} },
		"wildcard platform": func(c *NodeConfig) { c.Routes = []Route{{"*", rx}} },
		"wildcard business": func(c *NodeConfig) { c.Routes = []Route{{north, ">"}} },
		"negative limit":    func(c *NodeConfig) { c.MaxWaiting = -1 },
		"little room":       func(c *NodeConfig) { c.MaxBytes = 1000 },
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			c := good
			spoil(&c)
			if _, err := NewNode(c); err == nil {
				t.Error("the configuration is taken")
			}
		})
	}
}

// R1.3: there is one corresponding node for a platform and kind of business.
func TestDirectoryRefusesAmbiguity(t *testing.T) {
	node := func(name, dir string, routes ...Route) *Node {
		n, err := NewNode(NodeConfig{Name: name, Dir: dir, Routes: routes})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	one := node("one", "d1", Route{north, rx})
	if _, err := NewDirectory(one, node("two", "d2", Route{north, lab}, Route{south, rx})); err != nil {
		t.Error(err)
	}
	for name, nodes := range map[string][]Endpoint{
		"none":            nil,
		"route of both":   {one, node("two", "d2", Route{north, rx})},
		"name of both":    {one, node("one", "d2", Route{south, rx})},
		"folder of both":  {one, node("two", "./d1/", Route{south, rx})},
		"same node twice": {one, one},
	} {
		if _, err := NewDirectory(nodes...); err == nil {
			t.Errorf("%s: the directory is made", name)
		}
	}
}

// R1.3: a submission goes to the node that serves its platform and kind of
// business, and the authority gets it from there.
func TestSubmissionGoesToTheCorrespondingNode(t *testing.T) {
	one := start(t, NodeConfig{Name: "one", Routes: []Route{{north, rx}}})
	two := start(t, NodeConfig{Name: "two", Routes: []Route{{north, lab}, {south, rx}}})
	d := directory(t, one, two)
	sent := []struct {
		platform, business string
		node               *running
	}{{north, rx, one}, {north, lab, two}, {south, rx, two}}
	want := map[flow.ID]Route{}
	for i, s := range sent {
		if err := d.Platform(s.platform).Submit(t.Context(), submissionOf(t, s.platform, s.business, uint64(i), 100)); err != nil {
			t.Fatal(err)
		}
		want[number(uint64(i))] = Route{s.platform, s.business}
		for _, n := range []*running{one, two} {
			for _, b := range health(t, n.Node).Backlog {
				if b.Platform == s.platform && b.Business == s.business && (b.Submissions != 1 || n != s.node) {
					t.Errorf("%s of %s: node %s has %d", s.business, s.platform, n.cfg.Name, b.Submissions)
				}
			}
		}
	}
	from, _ := takeSubmissions(t, d)
	got := map[flow.ID]Route{}
	for range sent {
		s := next(t, from)
		got[idOf(t, s.Submission)] = Route{s.Platform, s.Business}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the authority got (-want +got)\n%s", diff)
	}
	idle(t, one.Node)
	idle(t, two.Node)
}

// R1.3, R7.1: what has no node, is not the platform's own or can't be read is
// refused before it reaches a stream.
func TestSubmitRefuses(t *testing.T) {
	n := start(t, NodeConfig{Routes: []Route{{north, rx}, {south, rx}}})
	d := directory(t, n)
	torn := submissionOf(t, north, rx, 3, 10)
	torn.Header = torn.Header[:len(torn.Header)-1]
	invalid := submissionOf(t, north, rx, 4, 10)
	h := header(north, rx, number(4))
	h.Recipients = nil
	invalid.Header, _ = flow.Marshal(h)
	cases := []struct {
		name, platform string
		s              flow.Submission
		want           error
	}{
		{"kind of business without a node", north, submissionOf(t, north, lab, 1, 10), ErrNoRoute},
		{"platform without a node", "stranger", submissionOf(t, "stranger", rx, 1, 10), ErrNoRoute},
		{"header names another platform", north, submissionOf(t, south, rx, 2, 10), ErrNotYours},
		{"torn header", north, torn, ErrMalformed},
		{"invalid header", north, invalid, ErrMalformed},
		{"no header", north, flow.Submission{}, ErrMalformed},
		{"too large", north, submissionOf(t, north, rx, 5, flow.MaxMessage), ErrMalformed},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if err := d.Platform(c.platform).Submit(t.Context(), c.s); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	idle(t, n.Node)
	if err := d.Platform("stranger").Decisions(t.Context(), nil); !errors.Is(err, ErrNoRoute) {
		t.Errorf("decisions of a platform without a node: %v", err)
	}
	if err := d.Platform(north).Anchor(t.Context(), lab, make([]flow.Anchor, 1)); !errors.Is(err, ErrNoRoute) {
		t.Errorf("anchors of a kind of business without a node: %v", err)
	}
}

// The largest submission that the other side would read goes through, whole.
func TestLargestSubmission(t *testing.T) {
	d := directory(t, start(t, NodeConfig{}))
	s := submissionOf(t, north, rx, 1, 0)
	room := flow.MaxMessage - len(s.Header) - len(s.Signature) - 16
	s.Sealed = bytes.Repeat([]byte{7}, room)
	if err := d.Platform(north).Submit(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	from, _ := takeSubmissions(t, d)
	if got := next(t, from); !bytes.Equal(got.Submission.Sealed, s.Sealed) {
		t.Error("the sealed bytes changed on the way")
	}
}

func TestNodeFolderIsClosedToOthers(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	start(t, NodeConfig{Dir: dir})
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v", info.Mode())
	}
}

// R3, R7.2: each platform gets its own decisions, of every node, and never another's.
func TestDecisionsReachTheirPlatformAlone(t *testing.T) {
	one := start(t, NodeConfig{Name: "one", Routes: []Route{{north, rx}, {south, rx}}})
	two := start(t, NodeConfig{Name: "two", Routes: []Route{{north, lab}, {south, lab}}})
	d := directory(t, one, two)
	fromNorth, _ := takeDecisions(t, d, north)
	fromSouth, _ := takeDecisions(t, d, south)
	const each = 50
	var all []flow.Decision
	want := map[string]map[flow.ID]bool{north: {}, south: {}}
	for i := range uint64(4 * each) {
		platform, business := []string{north, south}[i%2], []string{rx, lab}[i/2%2]
		all = append(all, decisionOf(platform, business, i))
		want[platform][number(i)] = true
	}
	if err := d.Authority().Publish(t.Context(), all...); err != nil {
		t.Fatal(err)
	}
	got := map[string]map[flow.ID]bool{north: {}, south: {}}
	for range 2 * each {
		for platform, from := range map[string]<-chan flow.Decision{north: fromNorth, south: fromSouth} {
			one := next(t, from)
			if one.Platform != platform {
				t.Errorf("%s got a decision of %s", platform, one.Platform)
			}
			got[platform][one.ID] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("decisions (-want +got)\n%s", diff)
	}
	idle(t, one.Node)
	idle(t, two.Node)
	if len(fromNorth)+len(fromSouth) > 0 {
		t.Error("more decisions came than were published")
	}
}

// A decision that no node can carry does not keep the others back.
func TestPublishWithoutRoute(t *testing.T) {
	d := directory(t, start(t, NodeConfig{}))
	large := decisionOf(north, rx, 2)
	large.Receipt = make([]byte, flow.MaxMessage)
	for name, c := range map[string]struct {
		bad  flow.Decision
		want error
	}{
		"no node":   {decisionOf("stranger", rx, 1), ErrNoRoute},
		"too large": {large, ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			from, stop := takeDecisions(t, d, north)
			defer stop()
			good := decisionOf(north, rx, 10+uint64(len(name)))
			if err := d.Authority().Publish(t.Context(), c.bad, good); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if diff := cmp.Diff(good.ID, next(t, from).ID); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCallsWaitForTheNode(t *testing.T) {
	n, err := NewNode(NodeConfig{Name: "node", Dir: t.TempDir(), Routes: []Route{{north, rx}}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDirectory(n)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error, 1)
	go func() { waiting <- d.Platform(north).Submit(ctx, submissionOf(t, north, rx, 1, 10)) }()
	cancel()
	if err := next(t, waiting); !errors.Is(err, context.Canceled) {
		t.Errorf("a call at a node that never ran: %v", err)
	}

	ctx, cancel = context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { waiting <- d.Platform(north).Submit(t.Context(), submissionOf(t, north, rx, 1, 10)) }()
	go func() { done <- n.Run(ctx) }()
	if err := next(t, waiting); err != nil {
		t.Errorf("a call before the node ran: %v", err)
	}
	if h := health(t, n); !h.Running || h.Backlog[0].Submissions != 1 {
		t.Errorf("health of the running node: %+v", h)
	}
	cancel()
	if err := next(t, done); err != nil {
		t.Error(err)
	}
	if err := d.Platform(north).Submit(t.Context(), submissionOf(t, north, rx, 2, 10)); !errors.Is(err, ErrStopped) {
		t.Errorf("a call after the node stopped: %v", err)
	}
	if err := d.Authority().Publish(t.Context(), decisionOf(north, rx, 2)); !errors.Is(err, ErrStopped) {
		t.Errorf("publishing after the node stopped: %v", err)
	}
	if h := health(t, n); h.Running {
		t.Errorf("health of the stopped node: %+v", h)
	}
	if err := n.Run(t.Context()); err == nil {
		t.Error("a node runs twice")
	}
}
