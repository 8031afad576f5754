package fusion

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/flow"
)

// stepOf makes a submission of a step.
func stepOf(t testing.TB, platform string, step flow.Step, n uint64) flow.Submission {
	t.Helper()
	h := header(platform, rx, number(n))
	h.Step = step
	if step != flow.Register {
		h.Flow = flow.SumHash([]byte("flow"))
	}
	data, err := flow.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	return flow.Submission{Header: data, Sealed: make([]byte, 10), Signature: make([]byte, 64)}
}

// What is paused waits, survives a restart so, and goes on when it is resumed;
// everything else goes on meanwhile.
func TestPause(t *testing.T) {
	for name, c := range map[string]struct {
		pause Scope
		waits map[uint64]bool // of the submissions below
	}{
		"a platform":           {Scope{Platform: north}, map[uint64]bool{0: true, 1: true}},
		"a platform's step":    {Scope{Platform: north, Step: flow.Register}, map[uint64]bool{0: true}},
		"everybody's step":     {Scope{Step: flow.Register}, map[uint64]bool{0: true, 2: true}},
		"everything of anyone": {Scope{}, map[uint64]bool{0: true, 1: true, 2: true, 3: true}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			n := start(t, NodeConfig{Dir: dir})
			if err := n.Pause(t.Context(), c.pause); err != nil {
				t.Fatal(err)
			}
			n.stop(t)
			n = start(t, NodeConfig{Dir: dir})
			d := directory(t, n)
			from, _ := takeSubmissions(t, d)
			for i, s := range []flow.Submission{
				stepOf(t, north, flow.Register, 0), stepOf(t, north, flow.Settle, 1),
				stepOf(t, south, flow.Register, 2), stepOf(t, south, flow.Settle, 3),
			} {
				if err := d.Platform([]string{north, north, south, south}[i]).Submit(t.Context(), s); err != nil {
					t.Fatal(err)
				}
			}
			want, got := map[flow.ID]bool{}, map[flow.ID]bool{}
			for i := range uint64(4) {
				if !c.waits[i] {
					want[number(i)] = true
				}
			}
			for range want {
				got[idOf(t, next(t, from).Submission)] = true
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("given out although paused (-want +got)\n%s", diff)
			}
			idleBut(t, n.Node, len(c.waits))
			if err := n.Resume(t.Context(), c.pause); err != nil {
				t.Fatal(err)
			}
			for range c.waits {
				next(t, from)
			}
			idle(t, n.Node)
		})
	}
}

// idleBut waits until exactly count messages wait.
func idleBut(t testing.TB, n *Node, count int) {
	t.Helper()
	for end := time.Now().Add(waitLong); ; time.Sleep(5 * time.Millisecond) {
		var left uint64
		for _, b := range health(t, n).Backlog {
			left += b.Submissions + b.Anchors
		}
		if left == uint64(count) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d messages wait, want %d", left, count)
		}
	}
}

// A paused platform's anchors wait; a paused step's go on.
func TestPauseOfAnchors(t *testing.T) {
	n := start(t, NodeConfig{})
	d := directory(t, n)
	got := make(chan AnchorDelivery, 10)
	background(t, func(ctx context.Context) error {
		return d.Authority().Anchors(ctx, 10, func(_ context.Context, batch []AnchorDelivery) []error {
			for _, one := range batch {
				got <- one
			}
			return nil
		})
	})
	err := errors.Join(n.Pause(t.Context(), Scope{Platform: north}), n.Pause(t.Context(), Scope{Platform: south, Step: flow.Settle}),
		d.Platform(north).Anchor(t.Context(), rx, []flow.Anchor{{BusinessTx: "1"}}),
		d.Platform(south).Anchor(t.Context(), rx, []flow.Anchor{{BusinessTx: "2"}}))
	if err != nil {
		t.Fatal(err)
	}
	if one := next(t, got); one.Platform != south {
		t.Errorf("anchors of %s, which is paused", one.Platform)
	}
	if err := n.Resume(t.Context(), Scope{Platform: north}); err != nil {
		t.Fatal(err)
	}
	if one := next(t, got); one.Platform != north {
		t.Errorf("anchors of %s", one.Platform)
	}
}

// A drained platform hears at once that nothing new is taken, now and after a
// restart; what waits is worked off and its anchors are taken.
func TestDrain(t *testing.T) {
	for name, scope := range map[string]string{"a platform": north, "every platform": ""} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			n := start(t, NodeConfig{Dir: dir})
			d := directory(t, n)
			fill(t, d, north, 0, 3)
			if err := n.Drain(t.Context(), scope); err != nil {
				t.Fatal(err)
			}
			extra := submissionOf(t, north, rx, 10, 100)
			refused := func() {
				t.Helper()
				err := d.Platform(north).Submit(t.Context(), extra)
				var r *Refused
				if !errors.Is(err, ErrDraining) || !errors.As(err, &r) || r.RetryAfter <= 0 {
					t.Errorf("submitting while draining: %v", err)
				}
			}
			refused()
			n.stop(t)
			n = start(t, NodeConfig{Dir: dir})
			d = directory(t, n)
			refused()
			err := d.Platform(south).Submit(t.Context(), submissionOf(t, south, rx, 20, 100))
			if want := scope == ""; errors.Is(err, ErrDraining) != want {
				t.Errorf("the other platform's submission: %v", err)
			}
			if err := d.Platform(north).Anchor(t.Context(), rx, []flow.Anchor{{BusinessTx: "1"}}); err != nil {
				t.Errorf("anchoring while draining: %v", err)
			}
			from, _ := takeSubmissions(t, d)
			for range 3 {
				next(t, from)
			}
			if err := n.Resume(t.Context(), Scope{Platform: scope}); err != nil {
				t.Fatal(err)
			}
			if err := d.Platform(north).Submit(t.Context(), extra); err != nil {
				t.Errorf("submitting after the drain: %v", err)
			}
		})
	}
}

func TestOrdersThatDoNotFit(t *testing.T) {
	n := start(t, NodeConfig{})
	if err := n.Pause(t.Context(), Scope{}); err != nil {
		t.Fatal(err)
	}
	before := health(t, n.Node).Orders
	for name, do := range map[string]func(context.Context) error{
		"unknown platform": func(ctx context.Context) error { return n.Pause(ctx, Scope{Platform: "stranger"}) },
		"unknown step":     func(ctx context.Context) error { return n.Pause(ctx, Scope{Step: "steal"}) },
		"unknown drain":    func(ctx context.Context) error { return n.Drain(ctx, "stranger") },
		"never paused":     func(ctx context.Context) error { return n.Resume(ctx, Scope{Platform: north}) },
	} {
		if err := do(t.Context()); !errors.Is(err, ErrNoPower) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if diff := cmp.Diff(before, health(t, n.Node).Orders); diff != "" {
		t.Errorf("orders changed (-before +after)\n%s", diff)
	}
}

// A node that can't read what it was ordered does not run as if nothing was.
func TestUnreadableOrdersStopTheNode(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(powersFile(dir), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := NewNode(NodeConfig{Name: "node", Dir: dir, Routes: []Route{{north, rx}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Run(t.Context()); err == nil {
		t.Error("the node runs")
	}
}

// Backlog and age by platform and direction.
func TestHealthShowsWhatWaits(t *testing.T) {
	n := start(t, NodeConfig{})
	d := directory(t, n)
	before := time.Now()
	fill(t, d, north, 0, 2)
	if err := d.Authority().Publish(t.Context(), decisionOf(south, rx, 1)); err != nil {
		t.Fatal(err)
	}
	type figures struct {
		Messages uint64
		Aged     bool
	}
	got := map[string]figures{}
	for _, w := range health(t, n.Node).Waiting {
		aged := !w.Oldest.Before(before.Add(-time.Second)) && !w.Oldest.After(time.Now())
		got[w.Platform+" "+w.Direction] = figures{w.Messages, aged}
		if (w.Messages == 0) != (w.Bytes == 0) {
			t.Errorf("%+v", w)
		}
	}
	want := map[string]figures{
		north + " submissions": {2, true}, north + " anchors": {}, north + " decisions": {}, north + " quarantine": {},
		south + " submissions": {}, south + " anchors": {}, south + " decisions": {1, true}, south + " quarantine": {},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("waiting (-want +got)\n%s", diff)
	}
}
