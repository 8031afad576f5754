package platform_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform"
	"signalbox.dev/signalbox/internal/platform/authorise"
	"signalbox.dev/signalbox/internal/platform/dossier"
	"signalbox.dev/signalbox/internal/platform/event"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/internal/platform/payment"
	"signalbox.dev/signalbox/internal/platform/process"
	"signalbox.dev/signalbox/internal/platform/review"
	"signalbox.dev/signalbox/profile"
)

const hours3 = int64(3 * time.Hour)

// R2.4: the record is shown to the reviewer whose request was granted, while the
// token is unexpired and unused, and to nobody else.
func TestReviewerSeesOnlyWhatIsTheirs(t *testing.T) {
	w := started(t)
	id, other := w.register(1), w.register(2)
	read := func(id flow.Hash, who string) error {
		_, err := w.Review.Read(w.ctx, id, who)
		return err
	}
	denied := func(when string, id flow.Hash, who string) {
		t.Helper()
		if err := read(id, who); !errors.Is(err, review.ErrNotYours) {
			t.Errorf("%s: %v", when, err)
		}
	}
	denied("before asking", id, reviewer)
	w.granted(w.Review.Request(w.ctx, id, reviewer))
	if err := read(id, reviewer); err != nil {
		t.Errorf("with permission: %v", err)
	}
	denied("another reviewer", id, "reviewer-2")
	denied("another record", other, reviewer)
	denied("no record", flow.Hash{1}, reviewer)
	if _, err := w.Review.Request(w.ctx, id, "reviewer-2"); !errors.Is(err, review.ErrUnderReview) {
		t.Errorf("a second permission: %v", err)
	}
	_, err := w.Review.Submit(w.ctx, review.Result{Flow: id, Reviewer: "reviewer-2", Opinion: flow.Approve})
	if !errors.Is(err, review.ErrNotYours) {
		t.Errorf("another reviewer's result: %v", err)
	}
	w.checkPool(other)

	w.offset.Store(hours3) // the token ends
	denied("after the token's end", id, reviewer)
	_, err = w.Review.Submit(w.ctx, review.Result{Flow: id, Reviewer: reviewer, Opinion: flow.Approve})
	if !errors.Is(err, review.ErrNotYours) {
		t.Errorf("a result after the token's end: %v", err)
	}
	w.checkPool(id, other)

	w.granted(w.Review.Request(w.ctx, id, "reviewer-2"))
	denied("the one before", id, reviewer)
	w.granted(w.Review.Submit(w.ctx, review.Result{Flow: id, Reviewer: "reviewer-2", Opinion: flow.Approve}))
	denied("after the result", id, "reviewer-2")
}

// A result that the authority refuses leaves the permission in force; one on the
// way has spent it.
func TestRefusedResultGivesThePermissionBack(t *testing.T) {
	w := started(t)
	end := w.authority.ruleFor(flow.ReviewResult, func() ruling { return ruling{verdict: flow.Held} })
	result := w.intend(flow.ReviewResult)
	o := w.await(result, nil)
	if _, err := w.Review.Read(w.ctx, o.Flow, reviewer); !errors.Is(err, review.ErrNotYours) {
		t.Errorf("reading with a spent permission: %v", err)
	}
	end()
	end = w.authority.ruleFor(flow.ReviewResult, func() ruling { return ruling{verdict: flow.Refused} })
	eventually(t, "the result is refused", func() bool {
		o, err := w.Outcome(w.ctx, result)
		return err == nil && o.State == outbox.Refused
	})
	end()
	if _, err := w.Review.Read(w.ctx, o.Flow, reviewer); err != nil {
		t.Error(err)
	}
	w.granted(w.Review.Submit(w.ctx, review.Result{Flow: o.Flow, Reviewer: reviewer, Opinion: flow.Approve}))
}

// R4.2: only the producer that was ordered from gets the order, and only its key
// opens it: no other producer's, not the platform's, not the network's.
func TestNoOrderGrabbing(t *testing.T) {
	w := started(t)
	id := w.register(1)
	w.approve(id)
	w.order(id)
	if _, err := w.Process.Fetch(w.ctx, id, rival); !errors.Is(err, process.ErrNotYours) {
		t.Errorf("the rival fetches: %v", err)
	}
	if orders, err := w.Process.Orders(w.ctx, rival); err != nil || len(orders) != 0 {
		t.Errorf("the rival is told of %d orders, %v", len(orders), err)
	}
	stored, err := w.Process.Fetch(w.ctx, id, pharmacy)
	if err != nil {
		t.Fatal(err)
	}
	p, err := process.OpenOrder(w.reader(), stored, w.producers[pharmacy])
	if err != nil || p.SubjectID != "cn-id:"+patientID || len(p.Lines) != 2 || p.Lines[1].Price != 990 {
		t.Errorf("the pharmacy's own order: %+v, %v", p, err)
	}
	for who, key := range map[string]envelope.PrivateKey{"the rival": w.producers[rival], "the platform": w.sealing, "the network": w.network, "the authority": w.authority.sealing} {
		if _, err := process.OpenOrder(w.reader(), stored, key); !errors.Is(err, envelope.ErrNotRecipient) {
			t.Errorf("%s opens the order: %v", who, err)
		}
	}
	orders, err := w.Process.Orders(w.ctx, pharmacy)
	if err != nil || len(orders) != 1 || !orders[0].Fetched || orders[0].Flow != id {
		t.Errorf("orders %+v, %v", orders, err)
	}
	if _, err := w.Process.Order(w.ctx, process.OrderRequest{Flow: id, Producer: rival, Delivery: "pickup"}); !errors.Is(err, process.ErrOrdered) {
		t.Errorf("ordering away from the pharmacy: %v", err)
	}
	w.offset.Store(hours3)
	if _, err := w.Process.Fetch(w.ctx, id, pharmacy); !errors.Is(err, process.ErrNotYours) {
		t.Errorf("fetching after the token's end: %v", err)
	}
	if _, err := w.makeUp(w.ctx, id); !errors.Is(err, process.ErrNotYours) {
		t.Errorf("making up after the token's end: %v", err)
	}
}

// What is settled is its producer's to see and to deliver, and nobody else's.
func TestNoDeliveryByARival(t *testing.T) {
	w := started(t)
	id := w.register(1)
	w.approve(id)
	w.order(id)
	b, err := w.makeUp(w.ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.sandbox.Pay(w.ctx, b.Payment); err != nil {
		t.Fatal(err)
	}
	w.granted(w.Process.Paid(w.ctx, b.Payment))
	if _, err := w.Process.Deliver(w.ctx, id, rival); !errors.Is(err, process.ErrNotYours) {
		t.Errorf("the rival delivers: %v", err)
	}
	if _, err := w.Process.MakeUp(w.ctx, process.MadeUp{Flow: id, Producer: rival}); !errors.Is(err, process.ErrNotYours) {
		t.Errorf("the rival asks for the bill: %v", err)
	}
	w.granted(w.Process.Deliver(w.ctx, id, pharmacy))
	if _, err := w.Process.Deliver(w.ctx, id, pharmacy); !errors.Is(err, flow.ErrOutOfOrder) {
		t.Errorf("delivering twice: %v", err)
	}
}

// What a producer opens is checked: a record under another receipt, a changed
// one, and one of another step are refused.
func TestOpenOrderTrustsNothing(t *testing.T) {
	w := started(t)
	id := w.register(1)
	w.approve(id)
	tx := w.order(id).Tx
	records := w.list(id)
	order := records[len(records)-1]
	if order.Key.Tx != tx {
		t.Fatal("the order is not the last record")
	}
	key := w.producers[pharmacy]
	for name, change := range map[string]func(){
		"changed value":    func() { order.Value[len(order.Value)/2] ^= 1 },
		"another receipt":  func() { order.Receipt = records[0].Receipt },
		"another key":      func() { order.Key.Tx = records[0].Key.Tx },
		"another step":     func() { order.Step = flow.Settle },
		"no receipt":       func() { order.Receipt = nil },
		"another's record": func() { order = records[0] },
	} {
		kept := order
		order.Value = bytes.Clone(order.Value)
		change()
		if _, err := process.OpenOrder(w.reader(), order, key); err == nil {
			t.Errorf("%s: opened", name)
		}
		order = kept
	}
	forger := w.reader()
	forger.Sender = generate(t, w.suite, envelope.Signing).Public()
	if _, err := process.OpenOrder(forger, order, key); !errors.Is(err, envelope.ErrSignature) {
		t.Errorf("another platform's signature: %v", err)
	}
}

// A step out of turn is not even sent.
func TestOutOfOrderIsNotSent(t *testing.T) {
	w := started(t)
	registered, inReview, rejected := w.register(1), w.register(2), w.register(3)
	w.granted(w.Review.Request(w.ctx, inReview, reviewer))
	w.granted(w.Review.Request(w.ctx, rejected, reviewer))
	w.granted(w.Review.Submit(w.ctx, review.Result{Flow: rejected, Reviewer: reviewer, Opinion: flow.Reject, Reasons: []string{"dose"}}))
	approved, ordered := w.register(4), w.register(5)
	w.approve(approved)
	w.approve(ordered)
	w.order(ordered)
	pushes := w.authority.pushed()

	order := func(id flow.Hash) error {
		_, err := w.Process.Order(w.ctx, process.OrderRequest{Flow: id, Producer: pharmacy, Delivery: "pickup"})
		return err
	}
	makeUp := func(id flow.Hash) error {
		_, err := w.Process.MakeUp(w.ctx, process.MadeUp{Flow: id, Producer: pharmacy})
		return err
	}
	deliver := func(id flow.Hash) error {
		_, err := w.Process.Deliver(w.ctx, id, pharmacy)
		return err
	}
	request := func(id flow.Hash) error {
		_, err := w.Review.Request(w.ctx, id, reviewer)
		return err
	}
	for _, c := range []struct {
		name string
		do   func(flow.Hash) error
		flow flow.Hash
		want error
	}{
		{"order of an unknown record", order, flow.Hash{1}, dossier.ErrNotFound},
		{"order of an unreviewed record", order, registered, flow.ErrOutOfOrder},
		{"order of a record under review", order, inReview, flow.ErrOutOfOrder},
		{"order of a rejected record", order, rejected, flow.ErrOutOfOrder},
		{"review of a rejected record", request, rejected, flow.ErrOutOfOrder},
		{"review of an approved record", request, approved, flow.ErrOutOfOrder},
		{"settlement without an order token", makeUp, approved, process.ErrNotYours},
		{"settlement of an unreviewed record", makeUp, registered, process.ErrNotYours},
		{"delivery before settlement", deliver, ordered, flow.ErrOutOfOrder},
		{"delivery without an order", deliver, approved, process.ErrNotYours},
	} {
		if err := c.do(c.flow); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := w.Process.Paid(w.ctx, "pay-none"); !errors.Is(err, payment.ErrNotFound) {
		t.Errorf("payment for nothing: %v", err)
	}
	if n := w.authority.pushed(); n != pushes {
		t.Errorf("%d submissions were sent", n-pushes)
	}
}

// R4.3: a producer does not choose ratios, items or higher prices.
func TestMakeUpKeepsToTheOrder(t *testing.T) {
	w := started(t)
	id := w.register(1)
	w.approve(id)
	w.order(id)
	lines := []flow.OrderLine{
		{Item: itemCode, Quantity: 2000, Unit: "box", Price: 2350, Ratio: 700},
		{Item: "urn:item|PARA-0250", Quantity: 1000, Unit: "box", Price: 990},
	}
	try := func(change func([]flow.OrderLine) []flow.OrderLine) error {
		_, err := w.Process.MakeUp(w.ctx, process.MadeUp{Flow: id, Producer: pharmacy, Lines: change(append([]flow.OrderLine(nil), lines...))})
		return err
	}
	for name, change := range map[string]func([]flow.OrderLine) []flow.OrderLine{
		"another ratio":   func(l []flow.OrderLine) []flow.OrderLine { l[1].Ratio = 1000; return l },
		"a higher price":  func(l []flow.OrderLine) []flow.OrderLine { l[0].Price++; return l },
		"a negative one":  func(l []flow.OrderLine) []flow.OrderLine { l[0].Price = -1; return l },
		"more of it":      func(l []flow.OrderLine) []flow.OrderLine { l[0].Quantity++; return l },
		"another item":    func(l []flow.OrderLine) []flow.OrderLine { l[0].Item = "urn:item|GOLD"; return l },
		"one item twice":  func(l []flow.OrderLine) []flow.OrderLine { return append(l, l[1]) },
		"nothing at all":  func([]flow.OrderLine) []flow.OrderLine { return nil },
		"an overflow (1)": func(l []flow.OrderLine) []flow.OrderLine { l[0].Price = 1<<63 - 1; return l },
	} {
		if err := try(change); !errors.Is(err, process.ErrLines) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.Process.MakeUp(w.ctx, process.MadeUp{Flow: id, Producer: rival, Lines: lines}); !errors.Is(err, process.ErrNotYours) {
		t.Errorf("the rival makes it up: %v", err)
	}
	if err := try(func(l []flow.OrderLine) []flow.OrderLine { return l }); err != nil {
		t.Fatal(err)
	}
	if err := try(func(l []flow.OrderLine) []flow.OrderLine { return l[:1] }); !errors.Is(err, process.ErrMadeUp) {
		t.Errorf("making it up otherwise afterwards: %v", err)
	}
}

// A notice of payment is not believed: the provider is asked, and its answer
// must be about this very charge.
func TestPaymentIsAskedFor(t *testing.T) {
	w := started(t)
	id := w.register(1)
	w.approve(id)
	w.order(id)
	b, err := w.makeUp(w.ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Process.Paid(w.ctx, b.Payment); !errors.Is(err, process.ErrNotPaid) {
		t.Errorf("unpaid: %v", err)
	}
	if err := w.sandbox.Pay(w.ctx, b.Payment); err != nil {
		t.Fatal(err)
	}
	first, err := w.Process.Paid(w.ctx, b.Payment)
	w.granted(first, err)
	second, err := w.Process.Paid(w.ctx, b.Payment)
	if err != nil || first != second {
		t.Errorf("a second notice gives %s, %v; want %s", second, err, first)
	}
}

// A payment whose notice never comes is found all the same.
func TestPaymentWithoutNotice(t *testing.T) {
	w := started(t)
	id := w.register(1)
	w.approve(id)
	w.order(id)
	b, err := w.makeUp(w.ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.sandbox.Pay(w.ctx, b.Payment); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the settlement is granted", func() bool {
		v, err := w.Flow(w.ctx, id.String())
		return err == nil && v.State == flow.Settled
	})
}

// lyingProvider says that more, or less, or another thing was paid.
type lyingProvider struct {
	payment.Provider
	lie func(*payment.Status)
}

func (p *lyingProvider) Status(ctx context.Context, id string) (payment.Status, error) {
	s, err := p.Provider.Status(ctx, id)
	s.Paid, s.PaidAt = true, time.Now()
	p.lie(&s)
	return s, err
}

// A payment of another amount, currency or reference settles nothing.
func TestOtherPaymentSettlesNothing(t *testing.T) {
	for name, lie := range map[string]func(*payment.Status){
		"another amount":    func(s *payment.Status) { s.Amount-- },
		"another currency":  func(s *payment.Status) { s.Currency = "JPY" },
		"another reference": func(s *payment.Status) { s.Ref = "other" },
	} {
		t.Run(name, func(t *testing.T) {
			w := started(t, func(w *world) {
				w.provider = func(p payment.Provider) payment.Provider { return &lyingProvider{p, lie} }
			})
			id := w.register(1)
			w.approve(id)
			w.order(id)
			b, err := w.makeUp(w.ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Process.Paid(w.ctx, b.Payment); !errors.Is(err, process.ErrPayment) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Money that comes for an order that was replaced settles nothing, and an event
// tells of it.
func TestPaymentForAReplacedOrder(t *testing.T) {
	w := started(t)
	id := w.register(1)
	w.approve(id)
	w.order(id)
	b, err := w.makeUp(w.ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	w.offset.Store(hours3)
	w.granted(w.Process.Order(w.ctx, process.OrderRequest{Flow: id, Producer: rival, Delivery: "courier"}))
	if _, err := w.Process.Fetch(w.ctx, id, pharmacy); !errors.Is(err, process.ErrNotYours) {
		t.Errorf("the replaced producer fetches: %v", err)
	}
	if err := w.sandbox.Pay(w.ctx, b.Payment); err != nil {
		t.Fatal(err)
	}
	found := errors.New("found")
	ctx, cancel := context.WithTimeout(w.ctx, 20*time.Second)
	defer cancel()
	err = w.Events(ctx, 0, func(e event.Event) error {
		if e.Kind == event.Failed && e.Flow == id.String() {
			return found
		}
		return nil
	})
	if !errors.Is(err, found) {
		t.Fatal(err)
	}
	if _, err := w.Process.Paid(w.ctx, b.Payment); !errors.Is(err, process.ErrFailed) {
		t.Errorf("settling it: %v", err)
	}
	if v, err := w.Flow(w.ctx, id.String()); err != nil || v.State != flow.Ordered {
		t.Errorf("flow is %s, %v", v.State, err)
	}
}

// The same input is the same registration, however often it comes.
func TestIdempotency(t *testing.T) {
	w := started(t)
	in := authorise.Input{Data: prescription(1), Key: "key-1"}
	first, err := w.Authorise.Register(w.ctx, in)
	if err != nil || first.Existing {
		t.Fatalf("%+v, %v", first, err)
	}
	id := w.granted(first.Ref, nil).Flow
	other := prescription(1, func(f *form) { f.Items[0].Quantity = 1000 })
	for name, c := range map[string]struct {
		in   authorise.Input
		want error
	}{
		"same key":                       {in, nil},
		"no key":                         {authorise.Input{Data: in.Data}, nil},
		"another key, same record":       {authorise.Input{Data: in.Data, Key: "key-2"}, nil},
		"same key, another record":       {authorise.Input{Data: prescription(2), Key: "key-1"}, authorise.ErrKeyReused},
		"same key, same number, changed": {authorise.Input{Data: other, Key: "key-1"}, authorise.ErrKeyReused},
		"endless key":                    {authorise.Input{Data: in.Data, Key: strings.Repeat("k", 256)}, authorise.ErrKey},
	} {
		r, err := w.Authorise.Register(w.ctx, c.in)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if c.want == nil && (r.Ref != first.Ref || r.Flow != id || !r.Existing || r.State != flow.Registered) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if _, err := w.Authorise.Register(w.ctx, authorise.Input{Data: prescription(3), Key: "key-2"}); !errors.Is(err, authorise.ErrKeyReused) {
		t.Errorf("a key that came with a known record: %v", err)
	}
	// Other content under the same number is the authority's to refuse.
	w.authority.ruleFor(flow.Register, func() ruling {
		return ruling{verdict: flow.Refused, reasons: []flow.Reason{{Code: "duplicate_record"}}}
	})
	r, err := w.Authorise.Register(w.ctx, authorise.Input{Data: other})
	if o := w.await(r.Ref, err); o.State != outbox.Refused || o.Reasons[0].Code != "duplicate_record" {
		t.Errorf("%s %v", o.State, o.Reasons)
	}
}

// Many callers with one record make one registration.
func TestSameRecordAtOnce(t *testing.T) {
	w := started(t)
	refs := make(chan flow.ID, 32)
	for range cap(refs) {
		go func() {
			r, err := w.Authorise.Register(w.ctx, authorise.Input{Data: prescription(1), Key: "one"})
			if err != nil {
				t.Error(err)
			}
			refs <- r.Ref
		}()
	}
	first := <-refs
	for range cap(refs) - 1 {
		if ref := <-refs; ref != first {
			t.Errorf("registrations %s and %s", first, ref)
		}
	}
	w.granted(first, nil)
}

// What the profile does not take comes back as the profile's own error, and
// leaves nothing behind.
func TestProfileErrorsPassThrough(t *testing.T) {
	w := started(t)
	var refusal *profile.Refusal
	_, err := w.Authorise.Register(w.ctx, authorise.Input{Data: prescription(1, func(f *form) { f.Refuse = "cancellation" })})
	if !errors.As(err, &refusal) || refusal.Reason.Code != "cancellation" {
		t.Errorf("refusal: %v", err)
	}
	var problem *profile.Problem
	if _, err := w.Authorise.Register(w.ctx, authorise.Input{Data: []byte("{")}); !errors.As(err, &problem) {
		t.Errorf("problem: %v", err)
	}
	if views, err := w.Flows(w.ctx, platform.Filter{}); err != nil || len(views) != 0 {
		t.Errorf("%d flows, %v", len(views), err)
	}
}
