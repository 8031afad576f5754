package platform_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/authorise"
	"signalbox.dev/signalbox/internal/platform/outbox"
)

// count counts a table's rows.
func (w *world) count(table string) int64 {
	w.tb.Helper()
	n, err := w.store.DB().NewSelect().Table(table).Count(w.tb.Context())
	if err != nil {
		w.tb.Fatal(err)
	}
	return n
}

// While the fusion node is away, or says busy, intents are taken up to the bound
// and no further: beyond it nothing is stored, and there is room again as soon as
// decisions come (R1.3).
func TestBacklogIsBounded(t *testing.T) {
	w := newWorld(t, func(w *world) { w.pace.Backlog = 3 })
	w.build() // nothing runs: whatever is intended waits
	register := func(n int, key string) error {
		_, err := w.Authorise.Register(t.Context(), authorise.Input{Data: prescription(n), Key: key})
		return err
	}
	for n := range 3 {
		if err := register(n, fmt.Sprint(n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := register(3, "3"); !errors.Is(err, outbox.ErrFull) {
		t.Fatalf("the fourth of three: %v", err)
	}
	if got := [3]int64{w.count("outbox"), w.count("flows"), w.count("idempotency")}; got != [3]int64{3, 3, 3} {
		t.Errorf("intents, flows, keys: %v", got)
	}
	// What was taken before is answered all the same, without another intent.
	if err := register(0, "0"); err != nil {
		t.Errorf("a known record: %v", err)
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}

	w.start() // the bound holds over a restart, and ends with the answers
	eventually(t, "there is room again", func() bool { return register(3, "3") == nil })
	eventually(t, "all are registered", func() bool {
		n, err := w.store.DB().NewSelect().Table("flows").Where("state = 'registered'").Count(t.Context())
		return err == nil && n == 4
	})
}

// Who begins something new is told to come back while there is room yet for flows
// that have begun: those go on to the whole bound (R1.3).
func TestRegistrationsLeaveRoomForFlows(t *testing.T) {
	w := started(t, func(w *world) { w.pace.Backlog = 10 })
	first, second := w.register(101), w.register(102)
	w.stop()
	w.build() // nothing runs: whatever is intended waits
	register := func(n int) error {
		_, err := w.Authorise.Register(t.Context(), authorise.Input{Data: prescription(n)})
		return err
	}
	for n := range 9 {
		if err := register(n); err != nil {
			t.Fatal(err)
		}
	}
	if err := register(9); !errors.Is(err, outbox.ErrFull) {
		t.Errorf("a registration at nine tenths: %v", err)
	}
	if _, err := w.Review.Request(t.Context(), first, reviewer); err != nil {
		t.Errorf("a step of a flow that has begun, at nine tenths: %v", err)
	}
	if _, err := w.Review.Request(t.Context(), second, reviewer); !errors.Is(err, outbox.ErrFull) {
		t.Errorf("a step at the whole bound: %v", err)
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
}

// The backlog counts what waits for a decision or for the business chain, exactly,
// through every way that an intent can go. What is held is not in it: an
// officer's docket must not stop those who are on no list.
func TestBacklogIsWhatWaitsForAMachine(t *testing.T) {
	w := started(t, func(w *world) { w.pace.Backlog = 100 })
	waiting := func() int64 {
		t.Helper()
		var kept int64
		if err := w.store.DB().NewSelect().Table("outbox_backlog").Column("waiting").Scan(t.Context(), &kept); err != nil {
			t.Fatal(err)
		}
		counted, err := w.store.DB().NewSelect().Table("outbox").Where("state IN ('pending', 'granted')").Count(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if kept != counted {
			t.Errorf("the database counts %d, there are %d", kept, counted)
		}
		return kept
	}
	id := w.register(1)
	w.approve(id)
	w.order(id)
	if n := waiting(); n != 0 {
		t.Errorf("%d wait after a flow", n)
	}
	end := w.authority.ruleFor("register", func() ruling { return ruling{verdict: "held"} })
	r, err := w.Authorise.Register(w.ctx, authorise.Input{Data: prescription(2)})
	if o := w.await(r.Ref, err); o.State != outbox.Held {
		t.Fatalf("registration is %s", o.State)
	}
	if n := waiting(); n != 0 {
		t.Errorf("%d wait beside a hold", n)
	}
	end()
	end = w.authority.ruleFor("register", func() ruling { return ruling{verdict: "refused"} })
	r, err = w.Authorise.Register(w.ctx, authorise.Input{Data: prescription(3)})
	w.await(r.Ref, err)
	end()
	w.offset.Add(int64(time.Minute))
	if n := waiting(); n != 0 {
		t.Errorf("%d wait after a refusal", n)
	}
}

// A push whose answer is lost is repeated as the attempt that it is; one that was
// taken and brought no decision is followed by the next attempt, over a restart
// as well, so that no fusion node takes it for a repetition (R1.3).
func TestAttemptsAreNumbered(t *testing.T) {
	w := newWorld(t)
	w.faults.site, w.faults.call, w.faults.mode = "submit", 1, answerLost
	w.authority.ruleFor(flow.Register, func() ruling {
		return ruling{lie: true, decision: func(d *flow.Decision) { d.Receipt = nil }}
	})
	w.start()
	r, err := w.Authorise.Register(w.ctx, authorise.Input{Data: prescription(1)})
	if err != nil {
		t.Fatal(err)
	}
	attempts := func() []int {
		w.authority.mu.Lock()
		defer w.authority.mu.Unlock()
		return slices.Clone(w.authority.attempts)
	}
	eventually(t, "it was taken twice", func() bool { return len(attempts()) >= 3 })
	w.stop()
	before := len(attempts())
	w.start()
	eventually(t, "it is pushed again after the restart", func() bool { return len(attempts()) > before })
	got := attempts()
	for i, n := range got[:3] {
		if want := []int{0, 0, 1}[i]; n != want {
			t.Errorf("attempts %v, want 0 0 1", got)
			break
		}
	}
	if got[before] <= got[1] {
		t.Errorf("attempts %v: the first after the restart is no later one", got)
	}
	w.authority.ruleFor(flow.Register, func() ruling { return ruling{} })
	w.granted(r.Ref, nil)
}
