package platform_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform"
	"signalbox.dev/signalbox/internal/platform/authorise"
	"signalbox.dev/signalbox/internal/platform/event"
	"signalbox.dev/signalbox/internal/platform/process"
	"signalbox.dev/signalbox/internal/platform/review"
	"signalbox.dev/signalbox/receipt"
)

// recorded are the steps that leave a record, in the order of a whole flow.
func recorded() []flow.Step {
	return []flow.Step{flow.Register, flow.ReviewResult, flow.Order, flow.Settle, flow.Deliver}
}

// checkWhole demands a flow that went from registration to delivery exactly once.
func (w *world) checkWhole(ref string) {
	w.tb.Helper()
	ctx := context.Background()
	v, err := w.Flow(ctx, ref)
	if err != nil {
		w.tb.Fatal(err)
	}
	if v.State != flow.Delivered {
		w.tb.Errorf("flow is %s", v.State)
	}
	var steps []flow.Step
	for _, s := range v.Steps {
		steps = append(steps, s.Step)
	}
	if diff := cmp.Diff(flow.Steps()[1:], steps); diff != "" {
		w.tb.Errorf("steps of the flow (-want +got):\n%s", diff)
	}
	w.authority.mu.Lock()
	if diff := cmp.Diff(flow.Steps()[1:], w.authority.granted[v.Flow]); diff != "" {
		w.tb.Errorf("granted by the authority (-want +got):\n%s", diff)
	}
	for _, p := range w.authority.problems {
		w.tb.Errorf("the authority met a problem: %s", p)
	}
	w.authority.mu.Unlock()
	var stored []flow.Step
	for _, s := range w.list(v.Flow) { // R1.5, R2.7, R4.1, R4.6
		stored = append(stored, s.Step)
	}
	if diff := cmp.Diff(recorded(), stored); diff != "" {
		w.tb.Errorf("on the business chain (-want +got):\n%s", diff)
	}
	w.checkEvents(v.Ref.String())
}

// checkEvents demands one end of every step in the list of events.
func (w *world) checkEvents(ref string) {
	w.tb.Helper()
	ctx := context.Background()
	var newest, last int64
	if err := w.store.DB().NewSelect().Table("events").ColumnExpr("max(id)").Scan(ctx, &newest); err != nil {
		w.tb.Fatal(err)
	}
	var done []flow.Step
	end := errors.New("end")
	err := w.Events(ctx, 0, func(e event.Event) error {
		if e.ID <= last {
			w.tb.Errorf("event %d after %d", e.ID, last)
		}
		if last = e.ID; e.Kind == event.Done && e.Ref == ref {
			done = append(done, e.Step)
		}
		if e.ID >= newest {
			return end
		}
		return nil
	})
	if !errors.Is(err, end) {
		w.tb.Errorf("following events: %v", err)
	}
	if diff := cmp.Diff(flow.Steps()[1:], done); diff != "" {
		w.tb.Errorf("events (-want +got):\n%s", diff)
	}
}

// eventually waits for what comes by itself.
func eventually(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	for range 2000 {
		if holds() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	tb.Errorf("%s: it never came to that", what)
}

// A whole flow, step by step, in both suites: R1 to R5.
func TestWholeFlow(t *testing.T) {
	for _, suite := range []envelope.Suite{envelope.GM(), envelope.Intl()} {
		t.Run(suite.Name(), func(t *testing.T) {
			w := started(t, func(w *world) { w.suite = suite })
			w.granted(w.Review.Enrol(w.ctx, review.Application{ID: reviewer, Application: flow.Application{ // R2.1
				Kind: "reviewer", Name: "Li Na", Licence: "PH-1", AppliedAt: w.now(),
			}}))
			reviewers, err := w.Review.Reviewers(w.ctx)
			if diff := cmp.Diff([]review.Enrolment{{Reviewer: reviewer, State: "active"}}, reviewers); diff != "" || err != nil {
				t.Errorf("reviewers (-want +got, %v):\n%s", err, diff)
			}
			id := w.register(1)
			w.checkPool(id)
			w.approveReading(id)
			w.checkPool()
			o := w.order(id)
			w.checkReceipt(o.Tx)
			w.settleAndDeliver(id)
			w.checkWhole(id.String())
			eventually(t, "every record is anchored", func() bool {
				w.authority.mu.Lock()
				defer w.authority.mu.Unlock()
				for _, s := range w.list(id) {
					if w.authority.anchors[s.Key.Tx] != string(s.TxID) {
						return false
					}
				}
				return true
			})
		})
	}
}

func (w *world) checkPool(want ...flow.Hash) {
	w.tb.Helper()
	pool, err := w.Review.Pool(w.ctx)
	if err != nil {
		w.tb.Fatal(err)
	}
	var got []flow.Hash
	for _, p := range pool {
		got = append(got, p.Flow)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.tb.Errorf("pool (-want +got):\n%s", diff)
	}
}

// approveReading is a review with everything that R2 asks.
func (w *world) approveReading(id flow.Hash) {
	w.tb.Helper()
	o := w.granted(w.Review.Request(w.ctx, id, reviewer))
	if !flow.TokenIsTrue(o.Token, o.Issued.In(w.zone), id, flow.ReviewRequest) { // R2.3
		w.tb.Error("the token is not the source's")
	}
	plain, err := w.Review.Read(w.ctx, id, reviewer) // R2.4
	if err != nil || !bytes.Contains(plain, []byte(patientName)) {
		w.tb.Errorf("the reviewer does not see the record: %v", err)
	}
	o = w.granted(w.Review.Submit(w.ctx, review.Result{Flow: id, Reviewer: reviewer, Opinion: flow.Approve}))
	var r flow.Review // R2.5, R2.6: what the authority got
	if err := flow.DecodePayload(w.authority.payloads[o.ID], &r); err != nil || r.Opinion != flow.Approve || r.Reviewer != reviewer || r.ReviewedAt.IsZero() || r.Token.IsZero() {
		w.tb.Errorf("the result is incomplete: %v", err)
	}
}

func (w *world) checkReceipt(tx flow.Hash) {
	w.tb.Helper()
	file, err := w.Receipt(w.ctx, tx)
	if err != nil {
		w.tb.Fatal(err)
	}
	p, err := receipt.Verify(file, w.keys, chainID)
	if err != nil || p.Leaf.Tx != tx {
		w.tb.Errorf("the receipt does not hold: %v", err)
	}
}

func (w *world) settleAndDeliver(id flow.Hash) {
	w.tb.Helper()
	b, err := w.makeUp(w.ctx, id)
	if err != nil {
		w.tb.Fatal(err)
	}
	// R4.3: 2350 at 70 % and 990 at nothing.
	want := process.Bill{Flow: id, Payment: b.Payment, URL: "http://pay.test/pay/" + b.Payment, Currency: "CNY", Total: 3340, Insured: 1645, Self: 1695, State: "open"}
	if diff := cmp.Diff(want, b); diff != "" {
		w.tb.Errorf("bill (-want +got):\n%s", diff)
	}
	if err := w.sandbox.Pay(w.ctx, b.Payment); err != nil { // R4.4
		w.tb.Fatal(err)
	}
	o := w.granted(w.Process.Paid(w.ctx, b.Payment))
	var s flow.Settlement // R4.5
	if err := flow.DecodePayload(w.authority.payloads[o.ID], &s); err != nil || s.Self != 1695 || s.Payment != b.Payment || s.SubjectID != "cn-id:"+patientID || s.Token.IsZero() {
		w.tb.Errorf("the settlement is incomplete: %v", err)
	}
	// R4.6: the business chain's copy is sealed to the network's key, and to nobody else's.
	for _, stored := range w.list(id) {
		if stored.Step != flow.Settle {
			continue
		}
		if plain, err := w.reader().Open(stored, w.network); err != nil || !bytes.Equal(plain, w.authority.payloads[o.ID]) {
			w.tb.Errorf("the network does not read the settlement: %v", err)
		}
		if _, err := w.reader().Open(stored, w.sealing); err == nil {
			w.tb.Error("the settlement opens with the platform's own key")
		}
	}
	w.granted(w.Process.Deliver(w.ctx, id, pharmacy)) // R5
}

// Insurance that bears everything leaves nothing to pay: no link.
func TestNothingToPay(t *testing.T) {
	w := started(t)
	r, err := w.Authorise.Register(w.ctx, authorise.Input{Data: prescription(1, func(f *form) {
		f.Items = []formItem{{Code: itemCode, Name: itemName, Quantity: 1000, Price: 100, Ratio: 1000}}
	})})
	id := w.granted(r.Ref, err).Flow
	w.approve(id)
	w.order(id)
	b, err := w.makeUp(w.ctx, id)
	if err != nil || b.Payment != "" || b.URL != "" || b.Settlement == (flow.ID{}) {
		t.Fatalf("bill %+v, %v", b, err)
	}
	w.granted(b.Settlement, nil)
	again, err := w.Process.MakeUp(w.ctx, process.MadeUp{Flow: id, Producer: pharmacy})
	if err != nil || again.State != "settled" {
		t.Errorf("making up once more gives %+v, %v", again, err)
	}
	w.granted(w.Process.Deliver(w.ctx, id, pharmacy))
	w.checkWhole(id.String())
}

// A rejected review ends the flow (R2.7); an order on it is not even sent.
func TestRejectedReviewEndsTheFlow(t *testing.T) {
	w := started(t)
	id := w.register(1)
	w.granted(w.Review.Request(w.ctx, id, reviewer))
	if _, err := w.Review.Submit(w.ctx, review.Result{Flow: id, Reviewer: reviewer, Opinion: flow.Reject}); err == nil {
		t.Error("a rejection without reasons was taken")
	}
	w.granted(w.Review.Submit(w.ctx, review.Result{Flow: id, Reviewer: reviewer, Opinion: flow.Reject, Reasons: []string{"dose"}}))
	v, err := w.Flow(w.ctx, id.String())
	if err != nil || v.State != flow.Rejected {
		t.Errorf("flow is %s, %v", v.State, err)
	}
	w.checkPool()
}

// 64 flows at once: all of them whole, none twice.
func TestManyFlowsAtOnce(t *testing.T) {
	const n = 64
	w := started(t)
	refs := make([]string, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			r, err := w.Authorise.Register(w.ctx, authorise.Input{Data: prescription(i)})
			if err != nil {
				t.Error(err)
				return
			}
			refs[i] = r.Ref.String()
			for done := false; !done; {
				if done, err = w.advance(refs[i]); err != nil {
					t.Errorf("flow %d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, ref := range refs {
		w.checkWhole(ref)
	}
	if t.Failed() {
		return
	}
	views, err := w.Flows(w.ctx, platform.Filter{Limit: 10})
	if err != nil || len(views) != 10 || views[0].Seq != n || len(views[0].Steps) != 6 {
		t.Errorf("%d views, %v", len(views), err)
	}
}

// Nothing that names the patient or what was prescribed stands in the database.
func TestDatabaseHoldsNoPlaintext(t *testing.T) {
	w := started(t)
	r, err := w.Authorise.Register(w.ctx, authorise.Input{Data: prescription(1, func(f *form) {
		s := secretText("masked before it is sealed")
		f.Secret = &s
	}), Key: patientName})
	w.granted(w.Review.Enrol(w.ctx, review.Application{ID: reviewer, Application: flow.Application{Kind: "reviewer", Name: "Li Na", Licence: "PH-77123"}}))
	id := w.granted(r.Ref, err).Flow
	w.granted(w.Review.Request(w.ctx, id, reviewer))
	w.granted(w.Review.Submit(w.ctx, review.Result{Flow: id, Reviewer: reviewer, Opinion: flow.Approve, Reasons: []string{"checked against allergy"}}))
	w.order(id)
	b, err := w.makeUp(w.ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	w.scan(t) // with the draft in it
	if err := w.sandbox.Pay(w.ctx, b.Payment); err != nil {
		t.Fatal(err)
	}
	w.granted(w.Process.Paid(w.ctx, b.Payment))
	w.granted(w.Process.Deliver(w.ctx, id, pharmacy))
	w.scan(t)
	for _, payload := range w.authority.payloads {
		if bytes.Contains(payload, []byte("masked before")) { // R1.1
			t.Error("a masked field reached the authority")
		}
	}
}

func (w *world) scan(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob(w.path + "*")
	if err != nil || len(files) < 2 {
		t.Fatalf("database files %v, %v", files, err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(name) == ".db-wal" && !bytes.Contains(data, []byte("RX-00001")) {
			t.Error("the scan would find nothing") // the number may stand there
		}
		for _, secret := range []string{patientName, patientID, itemCode, itemName, "masked before", "Li Na", "PH-77123", "allergy"} {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s holds %q", filepath.Base(name), secret)
			}
		}
	}
}

func TestFilter(t *testing.T) {
	w := started(t)
	for i := range 3 {
		w.register(i)
	}
	w.approve(w.register(3))
	for _, c := range []struct {
		state flow.State
		want  string
	}{{"", "[4 3 2 1]"}, {flow.Registered, "[3 2 1]"}, {flow.Approved, "[4]"}, {flow.Delivered, "[]"}} {
		f := platform.Filter{}
		f.State = c.state
		views, err := w.Flows(w.ctx, f)
		seqs := []int64{}
		for _, v := range views {
			seqs = append(seqs, v.Seq)
		}
		if fmt.Sprint(seqs) != c.want || err != nil {
			t.Errorf("state %q: %v, want %s (%v)", c.state, seqs, c.want, err)
		}
	}
	f := platform.Filter{Limit: 1}
	f.Before = 3
	if views, err := w.Flows(w.ctx, f); err != nil || len(views) != 1 || views[0].Seq != 2 {
		t.Errorf("before 3: %v, %v", views, err)
	}
}
