package platform_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/authorise"
	"signalbox.dev/signalbox/internal/platform/event"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/internal/platform/process"
	"signalbox.dev/signalbox/internal/platform/review"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/ledger/ledgertest"
	"signalbox.dev/signalbox/receipt"
)

// intend takes the flow to where step comes next, and intends it.
func (w *world) intend(step flow.Step) flow.ID {
	w.tb.Helper()
	var id flow.ID
	var err error
	switch step {
	case flow.Register:
		var r authorise.Registration
		r, err = w.Authorise.Register(w.ctx, authorise.Input{Data: prescription(1)})
		id = r.Ref
	case flow.ReviewRequest:
		id, err = w.Review.Request(w.ctx, w.register(1), reviewer)
	case flow.ReviewResult:
		f := w.register(1)
		w.granted(w.Review.Request(w.ctx, f, reviewer))
		id, err = w.Review.Submit(w.ctx, review.Result{Flow: f, Reviewer: reviewer, Opinion: flow.Approve})
	case flow.Order:
		f := w.register(1)
		w.approve(f)
		id, err = w.Process.Order(w.ctx, process.OrderRequest{Flow: f, Producer: pharmacy, Delivery: "pickup"})
	default:
		w.tb.Fatalf("no way to %s", step)
	}
	if err != nil {
		w.tb.Fatal(err)
	}
	return id
}

// lie is an answer that proves nothing about the step.
type lie struct {
	name string
	step flow.Step
	tell func(*world) ruling
}

func leafLie(change func(*receipt.Leaf)) func(*world) ruling {
	return func(*world) ruling { return ruling{lie: true, leaf: change} }
}

func decisionLie(change func(*world, *flow.Decision)) func(*world) ruling {
	return func(w *world) ruling {
		return ruling{lie: true, decision: func(d *flow.Decision) { change(w, d) }}
	}
}

// tokenOf gives a leaf the token of so many days after its own, of the step.
func tokenOf(days int, step flow.Step) func(*receipt.Leaf) {
	return func(l *receipt.Leaf) {
		at := time.Unix(l.Issued, 0).In(time.FixedZone("", 8*3600)).AddDate(0, 0, days)
		l.Token, _ = flow.Token(at, l.Flow, step)
	}
}

// registrationLies are about registrations.
func registrationLies() []lie {
	otherHash := flow.SumHash([]byte("other"))
	return []lie{
		{"no receipt", flow.Register, decisionLie(func(_ *world, d *flow.Decision) { d.Receipt = nil })},
		{"not a receipt", flow.Register, decisionLie(func(_ *world, d *flow.Decision) { d.Receipt = []byte("granted, trust me") })},
		{"tampered receipt", flow.Register, decisionLie(func(_ *world, d *flow.Decision) { d.Receipt[len(d.Receipt)/3] ^= 1 })},
		{"a forger's receipt", flow.Register, decisionLie(func(w *world, d *flow.Decision) {
			d.Receipt = mint(w, d.Receipt, ledgertest.NewAuthority(w.tb, chainID))
		})},
		{"another chain's receipt", flow.Register, decisionLie(func(w *world, d *flow.Decision) {
			d.Receipt = mint(w, d.Receipt, ledgertest.NewAuthority(w.tb, "supervision-other"))
		})},
		{"another chain in the leaf", flow.Register, leafLie(func(l *receipt.Leaf) { l.Chain = "supervision-other" })},
		{"another platform", flow.Register, leafLie(func(l *receipt.Leaf) { l.Platform = "platform-other" })},
		{"another network", flow.Register, leafLie(func(l *receipt.Leaf) { l.Network = "network-other" })},
		{"another business", flow.Register, leafLie(func(l *receipt.Leaf) { l.Business = "other" })},
		{"another suite", flow.Register, leafLie(func(l *receipt.Leaf) { l.Suite = "intl" })},
		{"another submission", flow.Register, leafLie(func(l *receipt.Leaf) { l.Submission[0] ^= 1 })},
		{"another step", flow.Register, leafLie(func(l *receipt.Leaf) { l.Step = flow.ReviewResult })},
		{"another payload", flow.Register, leafLie(func(l *receipt.Leaf) { l.Commitment = otherHash })},
		{"another record", flow.Register, leafLie(func(l *receipt.Leaf) { l.Record = otherHash })},
		{"a flow that is not its own transaction", flow.Register, leafLie(func(l *receipt.Leaf) { l.Flow = otherHash })},
		{"no transaction", flow.Register, leafLie(func(l *receipt.Leaf) { l.Tx, l.Flow = flow.Hash{}, flow.Hash{} })},
		{"a token that the step does not give", flow.Register, leafLie(func(l *receipt.Leaf) { l.Token = otherHash })},
	}
}

// tokenLies are about steps that give tokens, and one that does not.
func tokenLies() []lie {
	otherHash := flow.SumHash([]byte("other"))
	return []lie{
		{"another reviewer", flow.ReviewRequest, leafLie(func(l *receipt.Leaf) { l.Actor = "reviewer-2" })},
		{"another flow", flow.ReviewRequest, leafLie(func(l *receipt.Leaf) { l.Flow = otherHash; tokenOf(0, flow.ReviewRequest)(l) })},
		{"no flow", flow.ReviewRequest, leafLie(func(l *receipt.Leaf) { l.Flow = flow.Hash{} })},
		// R2.3: the platform recomputes the token.
		{"no token", flow.ReviewRequest, leafLie(func(l *receipt.Leaf) { l.Token = flow.Hash{} })},
		{"a made-up token", flow.ReviewRequest, leafLie(func(l *receipt.Leaf) { l.Token = otherHash })},
		{"yesterday's token", flow.ReviewRequest, leafLie(tokenOf(-1, flow.ReviewRequest))},
		{"tomorrow's token", flow.ReviewRequest, leafLie(tokenOf(1, flow.ReviewRequest))},
		{"an order's token for a review", flow.ReviewRequest, leafLie(tokenOf(0, flow.Order))},
		{"a token without end", flow.ReviewRequest, leafLie(func(l *receipt.Leaf) { l.Expires = 0 })},
		{"an end before the beginning", flow.ReviewRequest, leafLie(func(l *receipt.Leaf) { l.Expires = l.Issued })},
		// R3.4: the platform goes on only if the token is true.
		{"a review's token for an order", flow.Order, leafLie(tokenOf(0, flow.ReviewRequest))},
		{"yesterday's token for an order", flow.Order, leafLie(tokenOf(-1, flow.Order))},
		{"another producer", flow.Order, leafLie(func(l *receipt.Leaf) { l.Actor = rival })},
		{"a refusal of another submission", flow.ReviewResult, func(*world) ruling {
			return ruling{lie: true, verdict: flow.Refused, leaf: func(l *receipt.Leaf) { l.Submission[0] ^= 1 }}
		}},
	}
}

// A decision counts only when its receipt proves it for exactly this
// submission. Everything else leaves the outcome unknown: neither granted nor
// refused, nothing on the business chain, pushed again until the truth comes.
func TestUnprovenDecisionsAreNoDecisions(t *testing.T) {
	for _, c := range slices.Concat(registrationLies(), tokenLies()) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := started(t)
			end := w.authority.ruleFor(c.step, func() ruling { return c.tell(w) })
			id := w.intend(c.step)
			before := w.authority.pushed()
			eventually(t, "it is pushed again", func() bool { return w.authority.pushed() >= before+2 })
			o, err := w.Outcome(w.ctx, id)
			if err != nil || o.State != outbox.Pending || o.Verdict != "" || !o.Tx.IsZero() {
				t.Fatalf("outcome %s %s, %v", o.State, o.Verdict, err)
			}
			eventually(t, "the problem is noted", func() bool {
				o, err := w.Outcome(w.ctx, id)
				return err == nil && strings.Contains(o.Problem, "not proven")
			})
			for _, s := range w.list(o.Flow) {
				if s.Step == c.step {
					t.Error("the record reached the business chain")
				}
			}
			end()
			w.granted(id, nil) // the truth is believed when it comes
		})
	}
}

// mint has another authority log the same leaf.
func mint(w *world, file []byte, other *ledgertest.Authority) []byte {
	p, err := receipt.Verify(file, w.keys, chainID)
	if err != nil {
		w.tb.Error(err)
		return nil
	}
	l := p.Leaf
	l.Chain = other.Origin
	return other.Receipt(w.tb, l)
}

// The clear parts of a decision are not believed: verdict, hashes and reason
// codes are the receipt's.
func TestClearPartsAreNotBelieved(t *testing.T) {
	w := started(t)
	w.authority.ruleFor(flow.Register, func() ruling {
		return ruling{
			verdict: flow.Refused, reasons: []flow.Reason{{Code: "LIST-SUBJECT", Zh: "受限患者", En: "restricted subject"}},
			decision: func(d *flow.Decision) {
				d.Verdict, d.Flow, d.Tx = flow.Granted, flow.SumHash([]byte("x")), flow.SumHash([]byte("x"))
				d.Reasons = []flow.Reason{{Code: "fine", En: "nothing to worry about"}}
			},
		}
	})
	o := w.await(w.intend(flow.Register), nil)
	if o.State != outbox.Refused || o.Verdict != flow.Refused || !o.Flow.IsZero() {
		t.Errorf("outcome %s, %s, flow %s", o.State, o.Verdict, o.Flow)
	}
	if diff := cmp.Diff([]flow.Reason{{Code: "LIST-SUBJECT"}}, o.Reasons); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
}

// A decision that comes many times at once counts once.
func TestDecisionsDeliveredManyTimes(t *testing.T) {
	w := newWorld(t)
	w.authority.copies = 20
	w.start()
	enrolled := w.granted(w.Review.Enrol(w.ctx, review.Application{ID: reviewer, Application: flow.Application{Kind: "reviewer"}}))
	id := w.register(1)
	w.approve(id)
	w.order(id)
	w.settleAndDeliver(id)
	w.checkWhole(id.String())
	var n int
	err := w.store.DB().NewSelect().Table("events").ColumnExpr("count(*)").
		Where("kind = ?", event.Done).Where("tx = ?", enrolled.Tx.String()).Scan(t.Context(), &n)
	if err != nil || n != 1 {
		t.Errorf("the enrolment ended %d times, %v", n, err)
	}
}

// A decision on something that this platform never asked is passed over.
func TestDecisionOnNothingOfOurs(t *testing.T) {
	w := started(t)
	w.authority.deliver(flow.Decision{ID: flow.ID{1, 2, 3}, Verdict: flow.Granted})
	w.register(1)
}

// A refusal is final: the submission is never pushed again, the record never
// reaches the business chain (R1.7), and what follows can't come.
func TestRefusalIsFinal(t *testing.T) {
	w := started(t)
	reasons := []flow.Reason{{Code: "LIST-SUBJECT", Path: "/patient", Zh: "受限患者", En: "restricted subject"}}
	end := w.authority.ruleFor(flow.Register, func() ruling { return ruling{verdict: flow.Refused, reasons: reasons} })
	o := w.await(w.intend(flow.Register), nil)
	if diff := cmp.Diff(reasons, o.Reasons); diff != "" || o.State != outbox.Refused {
		t.Errorf("%s, reasons (-want +got):\n%s", o.State, diff)
	}
	pushes := w.authority.pushed()
	time.Sleep(4 * w.pace.Longest)
	if n := w.authority.pushed(); n != pushes {
		t.Errorf("pushed %d times more", n-pushes)
	}
	v, err := w.Flow(w.ctx, o.Ref.String())
	if err != nil || v.State != "refused" || !v.Flow.IsZero() {
		t.Errorf("flow is %s %s, %v", v.State, v.Flow, err)
	}
	if n := len(w.list(flow.Hash{})); n != 0 {
		t.Errorf("%d records on the business chain", n)
	}
	// A new submission of the same record may be tried, under other rules.
	end()
	if id := w.register(1); id.IsZero() {
		t.Error("the record is barred for good")
	}
}

// A hold is no refusal: the flow waits, nothing else comes in between, and the
// officer's decision carries it on.
func TestHoldWaitsForAnOfficer(t *testing.T) {
	w := started(t)
	end := w.authority.ruleFor(flow.ReviewRequest, func() ruling {
		return ruling{verdict: flow.Held, reasons: []flow.Reason{{Code: "standing_deny"}}}
	})
	id := w.register(1)
	ask, err := w.Review.Request(w.ctx, id, reviewer)
	if o := w.await(ask, err); o.State != outbox.Held || o.Verdict != flow.Held {
		t.Errorf("outcome %s %s", o.State, o.Verdict)
	}
	if _, err := w.Review.Read(w.ctx, id, reviewer); !errors.Is(err, review.ErrNotYours) {
		t.Errorf("reading on a hold: %v", err)
	}
	if _, err := w.Review.Request(w.ctx, id, "reviewer-2"); !errors.Is(err, outbox.ErrInFlight) {
		t.Errorf("asking during a hold: %v", err)
	}
	w.checkPool()
	end()
	eventually(t, "the officer's decision arrives", func() bool {
		o, err := w.Outcome(w.ctx, ask)
		return err == nil && o.State == outbox.Done
	})
	if _, err := w.Review.Read(w.ctx, id, reviewer); err != nil {
		t.Error(err)
	}
}

// What was granted and has expired before it could be stored has lapsed, and
// can be ordered again.
func TestExpiredGrantLapses(t *testing.T) {
	w := started(t)
	end := w.authority.ruleFor(flow.Order, func() ruling {
		return ruling{leaf: func(l *receipt.Leaf) {
			at := time.Unix(l.Issued, 0).Add(-5 * time.Hour)
			l.Issued, l.Expires = at.Unix(), at.Add(2*time.Hour).Unix()
			l.Token, _ = flow.Token(at.In(w.zone), l.Flow, l.Step)
		}}
	})
	ordered := w.intend(flow.Order)
	o := w.await(ordered, nil)
	if o.State != outbox.Lapsed || o.Verdict != flow.Granted || len(o.Reasons) != 1 || o.Reasons[0].Code != "business_chain_refused" {
		t.Fatalf("outcome %s %s %v", o.State, o.Verdict, o.Reasons)
	}
	if v, err := w.Flow(w.ctx, o.Flow.String()); err != nil || v.State != flow.Approved {
		t.Errorf("flow is %s, %v", v.State, err)
	}
	if orders, err := w.Process.Orders(w.ctx, pharmacy); err != nil || len(orders) != 0 {
		t.Errorf("the producer is told of %d orders, %v", len(orders), err)
	}
	end()
	w.order(o.Flow)
	w.settleAndDeliver(o.Flow)
}

// Wait gives what is known when its context ends.
func TestWaitEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	w.build()
	defer w.store.Close()
	r, err := w.Authorise.Register(t.Context(), authorise.Input{Data: prescription(1)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if o, err := w.Wait(ctx, r.Ref); !errors.Is(err, context.DeadlineExceeded) || o.State != outbox.Pending {
		t.Errorf("%s, %v", o.State, err)
	}
	if _, err := w.Wait(t.Context(), flow.ID{}); !errors.Is(err, outbox.ErrNotFound) {
		t.Errorf("waiting for nothing: %v", err)
	}
}

// Events can be followed from any number on, and go on live.
func TestEventsReplayAndGoOn(t *testing.T) {
	w := started(t)
	w.register(1)
	kinds := make(chan event.Event, 64)
	ctx, cancel := context.WithCancel(w.ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- w.Events(ctx, 1, func(e event.Event) error {
			kinds <- e
			return nil
		})
	}()
	if e := <-kinds; e.Kind != event.Done || e.ID != 2 || e.Step != flow.Register {
		t.Errorf("replayed %+v", e)
	}
	w.register(2)
	if e := <-kinds; e.Kind != event.Submitted || e.ID != 3 {
		t.Errorf("live %+v", e)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Events ended with %v", err)
	}
}

// A business chain whose clock is ahead, or whose time cannot go back, takes a
// decision for expired that has not: it is put again until it stands (R3.4).
func TestChainWithAClockAheadIsAskedAgain(t *testing.T) {
	w := newWorld(t)
	var ahead atomic.Bool
	ahead.Store(true)
	w.chain = func(l ledger.Ledger) ledger.Ledger { return hasty{l, &ahead} }
	w.start()
	ref := w.intend(flow.Order)
	eventually(t, "it was refused", func() bool {
		o, err := w.Outcome(w.ctx, ref)
		return err == nil && o.Problem != ""
	})
	if o, err := w.Outcome(w.ctx, ref); err != nil || o.State != outbox.Granted {
		t.Fatalf("%s, %v", o.State, err)
	}
	ahead.Store(false)
	if o := w.granted(ref, nil); o.BusinessTx == "" {
		t.Error("the record does not stand")
	}
}

// hasty is a chain to which, while it is ahead, every order has expired.
type hasty struct {
	ledger.Ledger
	ahead *atomic.Bool
}

func (h hasty) Put(ctx context.Context, r ledger.Record) (ledger.TxID, error) {
	if r.Step == flow.Order && h.ahead.Load() {
		return "", ledger.ErrExpired
	}
	return h.Ledger.Put(ctx, r)
}
