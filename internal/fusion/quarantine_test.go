package fusion

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"signalbox.dev/signalbox/flow"
)

// A stored message that can't be read goes to the quarantine, and those behind
// it arrive.
func TestUnreadableMessagesHoldUpNobody(t *testing.T) {
	n := start(t, NodeConfig{})
	d := directory(t, n)
	mislabelled, err := flow.Marshal(submissionOf(t, south, rx, 9, 10))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := flow.Marshal(decisionOf(south, rx, 9))
	if err != nil {
		t.Fatal(err)
	}
	r := Route{north, rx}
	poison := map[address][][]byte{
		{submissions, r, flow.Register}: {nil, []byte("noise"), {0x83, 0x40, 0x40, 0x40}, mislabelled},
		{kind: decisions, Route: r}:     {nil, []byte("noise"), foreign},
		{kind: anchors, Route: r}:       {nil, []byte("noise")},
	}
	var want uint64
	for at, list := range poison {
		for _, data := range list {
			m := &nats.Msg{Subject: at.kept(), Data: data}
			if _, err := n.authority.js.PublishMsg(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			want++
		}
	}
	err = errors.Join(d.Platform(north).Submit(t.Context(), submissionOf(t, north, rx, 1, 10)),
		d.Authority().Publish(t.Context(), decisionOf(north, rx, 1)),
		d.Platform(north).Anchor(t.Context(), rx, []flow.Anchor{{BusinessTx: "0x1"}}))
	if err != nil {
		t.Fatal(err)
	}
	fromSubmissions, _ := takeSubmissions(t, d)
	fromDecisions, _ := takeDecisions(t, d, north)
	fromAnchors := make(chan AnchorDelivery, 10)
	background(t, func(ctx context.Context) error {
		return d.Authority().Anchors(ctx, 10, func(_ context.Context, batch []AnchorDelivery) []error {
			fromAnchors <- batch[0]
			return nil
		})
	})
	if got := idOf(t, next(t, fromSubmissions).Submission); got != number(1) {
		t.Errorf("submission %s", got)
	}
	if got := next(t, fromDecisions).ID; got != number(1) {
		t.Errorf("decision %s", got)
	}
	if got := next(t, fromAnchors); len(got.Anchors) != 1 {
		t.Errorf("%d anchors", len(got.Anchors))
	}
	idle(t, n.Node)
	if got := health(t, n.Node).SetAside; got != want {
		t.Errorf("%d messages counted as set aside, want %d", got, want)
	}
	list, err := n.Quarantine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if uint64(len(list)) != want {
		t.Errorf("%d messages in quarantine, want %d", len(list), want)
	}
	for _, q := range list {
		if q.Platform != north || q.Business != rx || q.Failures != 1 || !strings.HasPrefix(q.Reason, "can't be read") || q.Since.IsZero() {
			t.Errorf("in quarantine: %+v", q)
		}
	}
}

// poisoned is an authority for which one submission always fails.
func poisoned(t *testing.T, d *Directory, bad flow.ID) (<-chan flow.ID, func()) {
	done := make(chan flow.ID, 1024)
	return done, background(t, func(ctx context.Context) error {
		return d.Authority().Submissions(ctx, 10, func(_ context.Context, batch []Delivery) []error {
			errs := make([]error, len(batch))
			for i, one := range batch {
				if id := idOf(t, one.Submission); id == bad {
					errs[i] = errors.New("it fails\nalways")
				} else {
					done <- id
				}
			}
			return errs
		})
	})
}

// awaitQuarantine feeds others through until something is in quarantine.
func awaitQuarantine(t *testing.T, n *running, d *Directory, first uint64) Quarantined {
	t.Helper()
	for i := range uint64(10_000) {
		fill(t, d, north, first+i, 1)
		list, err := n.Quarantine(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(list) > 0 {
			return list[0]
		}
	}
	t.Fatal("the poison does not get into quarantine")
	panic("not reached")
}

// A poison submission in front of good ones: they go through, it ends in
// quarantine, and an operator releases or discards it. Pushed again by its
// platform, it is taken like any other.
func TestPoisonEndsInQuarantine(t *testing.T) {
	const tries = 3
	n := start(t, NodeConfig{Tries: tries})
	d := directory(t, n)
	fill(t, d, north, 0, 20) // number 0 is the poison
	done, _ := poisoned(t, d, number(0))
	for range 19 {
		next(t, done)
	}
	got := awaitQuarantine(t, n, d, 1000)
	if got.Direction != submissions || got.Platform != north || got.Step != string(flow.Register) || got.Failures != tries ||
		!strings.Contains(got.Reason, "it fails always") || got.Size == 0 {
		t.Errorf("in quarantine: %+v", got)
	}
	idle(t, n.Node)

	// Released, it fails again and comes back as another.
	if err := n.Release(t.Context(), got.ID); err != nil {
		t.Fatal(err)
	}
	again := awaitQuarantine(t, n, d, 50_000)
	if again.ID == got.ID {
		t.Error("what was released is still in quarantine")
	}
	if err := n.Discard(t.Context(), again.ID); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{got.ID, again.ID, north + "/0", north + "/999999", "stranger/1", "nonsense", ""} {
		if err := n.Release(t.Context(), id); !errors.Is(err, ErrNotQuarantined) {
			t.Errorf("releasing %q: %v", id, err)
		}
		if err := n.Discard(t.Context(), id); !errors.Is(err, ErrNotQuarantined) {
			t.Errorf("discarding %q: %v", id, err)
		}
	}
	idle(t, n.Node)
	if list, err := n.Quarantine(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("quarantine: %v, %v", list, err)
	}
}

// What is in quarantine survives a restart, and its release reaches an
// authority that has learnt to read it.
func TestQuarantineSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	n := start(t, NodeConfig{Dir: dir, Tries: 1})
	d := directory(t, n)
	fill(t, d, north, 0, 1)
	_, stop := poisoned(t, d, number(0))
	got := awaitQuarantine(t, n, d, 1000)
	idle(t, n.Node)
	stop()
	n.stop(t)

	n = start(t, NodeConfig{Dir: dir})
	d = directory(t, n)
	if err := n.Release(t.Context(), got.ID); err != nil {
		t.Fatal(err)
	}
	from, _ := takeSubmissions(t, d)
	if id := idOf(t, next(t, from).Submission); id != number(0) {
		t.Errorf("got %s", id)
	}
}
