package fusion

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/flow"
)

// R1.3 to R1.5: a submission one way, its decision the other, an anchor after.
func TestRoundTrip(t *testing.T) {
	n := start(t, NodeConfig{})
	d := directory(t, n)
	sent := submissionOf(t, north, rx, 1, 1500)
	background(t, func(ctx context.Context) error {
		return d.Authority().Submissions(ctx, 10, func(ctx context.Context, batch []Delivery) []error {
			for _, one := range batch {
				if diff := cmp.Diff(Delivery{north, rx, sent}, one, unexported); diff != "" {
					t.Errorf("the authority got (-want +got)\n%s", diff)
				}
				if err := d.Authority().Publish(ctx, decisionOf(one.Platform, one.Business, 1)); err != nil {
					return []error{err}
				}
			}
			return nil
		})
	})
	from, _ := takeDecisions(t, d, north)
	if err := d.Platform(north).Submit(t.Context(), sent); err != nil {
		t.Fatal(err)
	}
	got := next(t, from)
	if diff := cmp.Diff(decisionOf(north, rx, 1), got, unexported); diff != "" {
		t.Errorf("the platform got (-want +got)\n%s", diff)
	}

	anchored := make(chan AnchorDelivery, 10)
	background(t, func(ctx context.Context) error {
		return d.Authority().Anchors(ctx, 10, func(_ context.Context, batch []AnchorDelivery) []error {
			for _, one := range batch {
				anchored <- one
			}
			return nil
		})
	})
	list := make([]flow.Anchor, MaxAnchors+1)
	for i := range list {
		list[i] = flow.Anchor{Tx: got.Tx, BusinessTx: fmt.Sprint("0x", i)}
	}
	if err := d.Platform(north).Anchor(t.Context(), rx, list); err != nil {
		t.Fatal(err)
	}
	var back []flow.Anchor
	for len(back) < len(list) {
		one := next(t, anchored)
		if one.Platform != north || one.Business != rx || len(one.Anchors) > MaxAnchors {
			t.Errorf("%d anchors of %s, %s", len(one.Anchors), one.Platform, one.Business)
		}
		back = append(back, one.Anchors...)
	}
	if diff := cmp.Diff(list, back, unexported); diff != "" {
		t.Errorf("the authority got anchors (-want +got)\n%s", diff)
	}
	idle(t, n.Node)
}

// Messages carry a blank field that only says how they are encoded.
var unexported = cmp.FilterPath(func(p cmp.Path) bool {
	f, ok := p.Last().(cmp.StructField)
	return ok && f.Name() == "_"
}, cmp.Ignore())

// A message that is sent again within DuplicateWindow is stored once, also when
// the first was done with in between.
func TestResendingIsStoredOnce(t *testing.T) {
	n := start(t, NodeConfig{})
	d := directory(t, n)
	s, list := submissionOf(t, north, rx, 1, 100), []flow.Anchor{{BusinessTx: "0x1"}}
	held := decisionOf(north, rx, 1)
	granted := held
	granted.Tx = flow.SumHash([]byte("the officer's decision"))
	send := func() {
		t.Helper()
		err := errors.Join(d.Platform(north).Submit(t.Context(), s), d.Platform(north).Anchor(t.Context(), rx, list),
			d.Authority().Publish(t.Context(), held, granted, held))
		if err != nil {
			t.Fatal(err)
		}
	}
	send()
	send()
	// Two decisions: one submission may be held first and granted later.
	want := Backlog{Route: Route{north, rx}, Submissions: 1, Decisions: 2, Anchors: 1}
	if diff := cmp.Diff(want, health(t, n.Node).Backlog[0]); diff != "" {
		t.Errorf("stored (-want +got)\n%s", diff)
	}
	_, stopTaking := takeSubmissions(t, d)
	_, stopDeciding := takeDecisions(t, d, north)
	background(t, func(ctx context.Context) error {
		return d.Authority().Anchors(ctx, 1, func(context.Context, []AnchorDelivery) []error { return nil })
	})
	idle(t, n.Node)
	stopTaking()
	stopDeciding()
	send()
	idle(t, n.Node)
}

// What fn fails for comes again; what is behind it goes on.
func TestFailedMessagesComeAgain(t *testing.T) {
	n := start(t, NodeConfig{})
	d := directory(t, n)
	const count, failures = 20, 3
	tries, failed := map[flow.ID]int{}, errors.New("chain is away")
	done := make(chan flow.ID, count)
	background(t, func(ctx context.Context) error {
		return d.Authority().Submissions(ctx, 1, func(_ context.Context, batch []Delivery) []error {
			id := idOf(t, batch[0].Submission)
			if tries[id]++; id == number(0) && tries[id] <= failures {
				return []error{failed}
			}
			done <- id
			return nil
		})
	})
	for i := range uint64(count) {
		if err := d.Platform(north).Submit(t.Context(), submissionOf(t, north, rx, i, 100)); err != nil {
			t.Fatal(err)
		}
	}
	var order []flow.ID
	for range count {
		order = append(order, next(t, done))
	}
	if tries[number(0)] != failures+1 {
		t.Errorf("the failing submission was tried %d times", tries[number(0)])
	}
	if order[0] == number(0) {
		t.Error("the failing submission held up the others")
	}
	idle(t, n.Node)

	decisionTries := 0
	background(t, func(ctx context.Context) error {
		return d.Platform(north).Decisions(ctx, func(_ context.Context, one flow.Decision) error {
			if one.ID == number(0) {
				if decisionTries++; decisionTries <= failures {
					return failed
				}
			}
			done <- one.ID
			return nil
		})
	})
	if err := d.Authority().Publish(t.Context(), decisionOf(north, rx, 0), decisionOf(north, rx, 1)); err != nil {
		t.Fatal(err)
	}
	got := []flow.ID{next(t, done), next(t, done)}
	if diff := cmp.Diff([]flow.ID{number(1), number(0)}, got); diff != "" {
		t.Errorf("decisions in order (-want +got)\n%s", diff)
	}
	idle(t, n.Node)
}

// A message in hand is given out to nobody else, however long fn takes; one
// whose reader has gone is.
func TestMessagesInHandStayThere(t *testing.T) {
	t.Parallel() // it waits for Redeliver to pass
	const redeliver = time.Second
	n := start(t, NodeConfig{Redeliver: redeliver})
	d := directory(t, n)
	hand, release := make(chan flow.ID, 10), make(chan struct{})
	stopFirst := background(t, func(ctx context.Context) error {
		return d.Authority().Submissions(ctx, 1, func(_ context.Context, batch []Delivery) []error {
			hand <- idOf(t, batch[0].Submission)
			<-release
			return nil
		})
	})
	if err := d.Platform(north).Submit(t.Context(), submissionOf(t, north, rx, 1, 100)); err != nil {
		t.Fatal(err)
	}
	next(t, hand)
	from, stop := takeSubmissions(t, d)
	time.Sleep(5 * redeliver / 2)
	close(release)
	idle(t, n.Node)
	stop()
	stopFirst()
	if len(from)+len(hand) > 0 {
		t.Error("the submission in hand was given out again")
	}

	// A reader that is gone without a word: it took a message by the server's
	// account and never answers.
	c, err := n.authority.js.Consumer(t.Context(), streamOf(submissions, north), string(flow.Register))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Platform(north).Submit(t.Context(), submissionOf(t, north, rx, 2, 100)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Next(); err != nil {
		t.Fatal(err)
	}
	from, _ = takeSubmissions(t, d)
	if got := idOf(t, next(t, from).Submission); got != number(2) {
		t.Errorf("got %s", got)
	}
}

// What nobody has done with survives a restart, in both directions, and comes
// at once, though another process's reader had it in hand.
func TestRestartKeepsWhatIsNotDone(t *testing.T) {
	dir := t.TempDir()
	n := start(t, NodeConfig{Dir: dir, Redeliver: time.Hour})
	d := directory(t, n)
	for i := range uint64(3) {
		if err := d.Platform(north).Submit(t.Context(), submissionOf(t, north, rx, i, 100)); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Authority().Publish(t.Context(), decisionOf(north, rx, 0), decisionOf(north, rx, 1)); err != nil {
		t.Fatal(err)
	}
	if err := d.Platform(north).Anchor(t.Context(), rx, []flow.Anchor{{BusinessTx: "0x1"}}); err != nil {
		t.Fatal(err)
	}
	// One submission is done with; the others, and a decision, are in the hands
	// of readers that end without an answer.
	c, err := n.authority.js.Consumer(t.Context(), streamOf(submissions, north), string(flow.Register))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		m, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if err := m.DoubleAck(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	c, err = n.platforms[north].js.Consumer(t.Context(), streamOf(decisions, north), soleConsumer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Next(); err != nil {
		t.Fatal(err)
	}
	n.stop(t)

	again := start(t, NodeConfig{Dir: dir, Redeliver: time.Hour})
	want := Backlog{Route: Route{north, rx}, Submissions: 2, Decisions: 2, Anchors: 1}
	if diff := cmp.Diff(want, health(t, again.Node).Backlog[0]); diff != "" {
		t.Errorf("kept (-want +got)\n%s", diff)
	}
	d = directory(t, again)
	fromSubmissions, _ := takeSubmissions(t, d)
	got := []flow.ID{idOf(t, next(t, fromSubmissions).Submission), idOf(t, next(t, fromSubmissions).Submission)}
	if slices.Contains(got, number(0)) || got[0] == got[1] {
		t.Errorf("submissions %v", got)
	}
	fromDecisions, _ := takeDecisions(t, d, north)
	if one, two := next(t, fromDecisions).ID, next(t, fromDecisions).ID; one == two {
		t.Errorf("decision %s came twice, the other not", one)
	}
}

// A node may start with another configuration on the same folder.
func TestRestartWithAnotherConfiguration(t *testing.T) {
	dir := t.TempDir()
	n := start(t, NodeConfig{Dir: dir})
	d := directory(t, n)
	if err := d.Platform(north).Submit(t.Context(), submissionOf(t, north, rx, 1, 100)); err != nil {
		t.Fatal(err)
	}
	if err := d.Authority().Publish(t.Context(), decisionOf(south, rx, 1)); err != nil {
		t.Fatal(err)
	}
	n.stop(t)
	without := start(t, NodeConfig{
		Dir: dir, Redeliver: time.Minute, MaxWaiting: 100, MaxBytes: 2 * minBytes, DecisionAge: time.Hour,
		Routes: []Route{{north, rx}, {north, lab}},
	})
	from, stop := takeSubmissions(t, directory(t, without))
	if got := idOf(t, next(t, from).Submission); got != number(1) {
		t.Errorf("got %s", got)
	}
	stop()
	without.stop(t)
	again := start(t, NodeConfig{Dir: dir})
	decided, _ := takeDecisions(t, directory(t, again), south)
	if got := next(t, decided).ID; got != number(1) {
		t.Errorf("got %s", got)
	}
}

// R10.2: a full route says so, drops nothing, and leaves the other routes alone.
func TestFullStreamIsBusy(t *testing.T) {
	const room = 5
	n := start(t, NodeConfig{MaxWaiting: room})
	d := directory(t, n)
	for i := range uint64(room) {
		if err := d.Platform(north).Submit(t.Context(), submissionOf(t, north, rx, i, 100)); err != nil {
			t.Fatal(err)
		}
		if err := d.Platform(north).Anchor(t.Context(), rx, []flow.Anchor{{BusinessTx: fmt.Sprint(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	extra := submissionOf(t, north, rx, room, 100)
	var refused *Refused
	if err := d.Platform(north).Submit(t.Context(), extra); !errors.Is(err, ErrBusy) || !errors.As(err, &refused) || refused.RetryAfter <= 0 {
		t.Errorf("submitting to a full route: %v", err)
	}
	if err := d.Platform(north).Anchor(t.Context(), rx, []flow.Anchor{{BusinessTx: "more"}}); !errors.Is(err, ErrBusy) {
		t.Errorf("anchoring on a full route: %v", err)
	}
	if err := d.Platform(south).Submit(t.Context(), submissionOf(t, south, rx, 100, 100)); err != nil {
		t.Errorf("submitting to the route beside it: %v", err)
	}
	from, _ := takeSubmissions(t, d)
	for range room + 1 {
		next(t, from)
	}
	idle := func() bool { return health(t, n.Node).Backlog[0].Submissions == 0 }
	for end := time.Now().Add(waitLong); !idle(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the route does not empty")
		}
	}
	// What was refused was not remembered as a duplicate.
	if err := d.Platform(north).Submit(t.Context(), extra); err != nil {
		t.Errorf("submitting when there is room again: %v", err)
	}
	if got := idOf(t, next(t, from).Submission); got != number(room) {
		t.Errorf("got %s", got)
	}
}

// The bound in bytes holds too.
func TestFullDiskShareIsBusy(t *testing.T) {
	d := directory(t, start(t, NodeConfig{MaxBytes: minBytes}))
	const size = 1 << 20 * 9 / 10
	var err error
	taken := 0
	for ; err == nil && taken < 100; taken++ {
		err = d.Platform(north).Submit(t.Context(), submissionOf(t, north, rx, uint64(taken), size))
	}
	if !errors.Is(err, ErrBusy) {
		t.Errorf("after %d submissions: %v", taken, err)
	}
}

// A platform that stays away loses its oldest decisions, and no other's.
func TestAbsentPlatformStopsNobody(t *testing.T) {
	const room = 5
	n := start(t, NodeConfig{MaxWaiting: room})
	d := directory(t, n)
	if err := d.Authority().Publish(t.Context(), decisionOf(south, rx, 1000)); err != nil {
		t.Fatal(err)
	}
	var list []flow.Decision
	for i := range uint64(3 * room) {
		list = append(list, decisionOf(north, rx, i))
	}
	if err := d.Authority().Publish(t.Context(), list...); err != nil {
		t.Fatal(err)
	}
	from, _ := takeDecisions(t, d, south)
	if got := next(t, from).ID; got != number(1000) {
		t.Errorf("got %s", got)
	}
	from, _ = takeDecisions(t, d, north)
	for range room {
		if got := next(t, from).ID; !slices.ContainsFunc(list[2*room:], func(d flow.Decision) bool { return d.ID == got }) {
			t.Error("the platform got an old decision instead of a newer one")
		}
	}
	idle(t, n.Node)
}

// A node that can't start says why and lets nobody wait for it.
func TestNodeThatCannotStart(t *testing.T) {
	n, err := NewNode(NodeConfig{Name: "node", Dir: "/dev/null/folder", Routes: []Route{{north, rx}}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDirectory(n)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Run(t.Context()); err == nil {
		t.Error("the node ran in a folder that can't be made")
	}
	if err := d.Platform(north).Submit(t.Context(), submissionOf(t, north, rx, 1, 1)); !errors.Is(err, ErrStopped) {
		t.Errorf("a call at it: %v", err)
	}
}

// Goroutines of node and readers end with their contexts.
func TestNothingIsLeftRunning(t *testing.T) {
	cycle := func() {
		n := start(t, NodeConfig{Dir: t.TempDir()})
		d := directory(t, n)
		_, stopSubmissions := takeSubmissions(t, d)
		from, stopDecisions := takeDecisions(t, d, north)
		if err := d.Platform(north).Submit(t.Context(), submissionOf(t, north, rx, 1, 100)); err != nil {
			t.Fatal(err)
		}
		if err := d.Authority().Publish(t.Context(), decisionOf(north, rx, 1)); err != nil {
			t.Fatal(err)
		}
		next(t, from)
		stopSubmissions()
		stopDecisions()
		n.stop(t)
	}
	cycle() // what libraries start once and keep
	before := runtime.NumGoroutine()
	const cycles = 5
	for range cycles {
		cycle()
	}
	after := 0
	for end := time.Now().Add(waitLong); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if after = runtime.NumGoroutine(); after < before+cycles {
			return
		}
	}
	buf := make([]byte, 1<<20)
	t.Errorf("%d goroutines before, %d after %d cycles\n%s", before, after, cycles, buf[:runtime.Stack(buf, true)])
}
