package plain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/dossier"
	"signalbox.dev/signalbox/internal/platform/event"
	"signalbox.dev/signalbox/internal/platform/payment"
	"signalbox.dev/signalbox/internal/store"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/profile"
)

// Who takes part.
const (
	reviewer = "reviewer-1"
	producer = "producer-1"
)

// unpriced is the price of a line whose record names none, in minor units.
const unpriced = 1000

// permission is how long a permit or an order is in force.
const permission = 24 * time.Hour

// running is a flow between two of its steps.
type running struct {
	ref   string
	id    flow.Hash
	order flow.ID   // the order's id
	bill  flow.Hash // the order's record
}

// play takes a record from registration to delivery.
func (p *platform) play(ctx context.Context, data []byte) error {
	f, err := p.register(ctx, data)
	if err != nil {
		return fmt.Errorf("registering: %w", err)
	}
	for _, next := range []func(context.Context, *running) error{p.ask, p.review, p.place, p.settle, p.deliver} {
		if err := p.look(ctx, f.ref); err != nil {
			return fmt.Errorf("looking at a flow: %w", err)
		}
		if err := next(ctx, f); err != nil {
			return fmt.Errorf("flow %s: %w", f.id, err)
		}
	}
	return nil
}

// register takes a record in (R1).
func (p *platform) register(ctx context.Context, data []byte) (*running, error) {
	rec, err := p.profile.Intake(data)
	if err != nil {
		return nil, err
	}
	id, err := flow.NewID(nil)
	if err != nil {
		return nil, err
	}
	content := flow.SumHash(rec.Canonical).String()
	known := func(ctx context.Context, db bun.IDB) error {
		_, err := dossier.SameRecord(ctx, db, rec.Originator, rec.Number, content)
		switch {
		case errors.Is(err, dossier.ErrNotFound):
			return nil
		case err == nil:
			return errors.New("the record is here already: every record must be another")
		}
		return err
	}
	if err := known(ctx, p.store.DB()); err != nil {
		return nil, err
	}
	s := step{kind: flow.Register, id: id, ref: id.String(), payload: rec.Canonical}
	s.before = func(ctx context.Context, tx bun.Tx) error {
		if err := known(ctx, tx); err != nil {
			return err
		}
		now := time.Now().UnixMilli()
		return dossier.Insert(ctx, tx, dossier.Flow{
			Ref: s.ref, Originator: rec.Originator, Number: rec.Number, Content: content, Title: rec.Title, CreatedAt: now, UpdatedAt: now,
		})
	}
	s.after = func(ctx context.Context, tx bun.Tx) error { return dossier.Granted(ctx, tx, id, s.tx(), time.Now()) }
	if err := p.carry(ctx, s); err != nil {
		return nil, err
	}
	return &running{ref: s.ref, id: s.tx()}, nil
}

const (
	insertPermit = "INSERT INTO reviews (request, flow, reviewer, token, expires, state, submission, updated_at) VALUES (?, ?, ?, ?, ?, 'granted', ?, ?)"
	permitTaken  = "SELECT count(*) FROM reviews WHERE flow = ? AND state = 'granted' AND expires > ?"
	selectPermit = "SELECT request FROM reviews WHERE flow = ? AND reviewer = ? AND state = 'granted' ORDER BY rowid DESC LIMIT 1"
	spendPermit  = "UPDATE reviews SET state = 'spent', result = ?, updated_at = ? WHERE request = ? AND state = 'granted'"
	usePermit    = "UPDATE reviews SET state = 'used', updated_at = ? WHERE result = ? AND state = 'spent'"
)

// ask gives a reviewer the permission to review (R2.2), which leaves no record.
func (p *platform) ask(ctx context.Context, f *running) error {
	began := time.Now()
	s, err := newStep(flow.ReviewRequest, f, reviewer, flow.ReviewAsk{Flow: f.id, Reviewer: reviewer, AskedAt: began.UTC()})
	if err != nil {
		return err
	}
	now := began.UnixMilli()
	s.before = func(ctx context.Context, tx bun.Tx) error {
		var taken int
		if err := store.Get(ctx, tx, permitTaken, []any{f.id.String(), now}, &taken); err != nil || taken > 0 {
			return errors.Join(err, errRows)
		}
		return nil
	}
	err = p.store.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := s.before(ctx, tx); err != nil {
			return err
		}
		if err := p.intend(ctx, tx, s, "done"); err != nil {
			return err
		}
		if err := dossier.Advance(ctx, tx, f.id, s.kind, false, time.Now()); err != nil {
			return err
		}
		err := one(ctx, tx, insertPermit, s.tx().String(), f.id.String(), reviewer, s.id.String(), now+permission.Milliseconds(), s.id.String(), now)
		if err != nil {
			return err
		}
		return p.tell(ctx, tx, event.Done, s, f.id)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", s.kind, err)
	}
	p.events.Wake()
	p.ended(time.Since(began))
	return nil
}

// review reads the record as the reviewer and approves it (R2.4 to R2.7).
func (p *platform) review(ctx context.Context, f *running) error {
	var request string
	for range 2 { // once to read, once to give the result
		if err := store.Get(ctx, p.store.DB(), selectPermit, []any{f.id.String(), reviewer}, &request); err != nil {
			return fmt.Errorf("reading permits: %w", err)
		}
	}
	if _, err := p.chain.get(ledger.Key{Flow: f.id, Tx: f.id}); err != nil {
		return err
	}
	s, err := newStep(flow.ReviewResult, f, reviewer, flow.Review{Flow: f.id, Reviewer: reviewer, Opinion: flow.Approve, ReviewedAt: time.Now().UTC()})
	if err != nil {
		return err
	}
	s.detail = string(flow.Approve)
	s.before = func(ctx context.Context, tx bun.Tx) error {
		return one(ctx, tx, spendPermit, s.id.String(), time.Now().UnixMilli(), request)
	}
	s.after = func(ctx context.Context, tx bun.Tx) error {
		if err := dossier.Advance(ctx, tx, f.id, s.kind, true, time.Now()); err != nil {
			return err
		}
		return one(ctx, tx, usePermit, time.Now().UnixMilli(), s.id.String())
	}
	return p.carry(ctx, s)
}

const (
	orderTaken  = "SELECT count(*) FROM orders WHERE flow = ? AND state = 'granted' AND expires > ?"
	insertOrder = "INSERT INTO orders (submission, flow, producer, delivery, currency, amount, state, created_at, updated_at) " +
		"VALUES (?, ?, ?, 'pickup', ?, ?, 'asked', ?, ?)"
	replaceOrder = "UPDATE orders SET state = 'replaced', updated_at = ? WHERE flow = ? AND state = 'granted'"
	grantOrder   = "UPDATE orders SET state = 'granted', tx = ?, token = ?, expires = ?, updated_at = ? WHERE submission = ?"
	selectOrder  = "SELECT submission, tx, amount, currency FROM orders WHERE flow = ? AND state IN ('granted', 'settled') ORDER BY seq DESC LIMIT 1"
	fetchOrder   = "UPDATE orders SET fetched_at = ? WHERE submission = ?"
	moveOrder    = "UPDATE orders SET state = ?, updated_at = ? WHERE flow = ? AND state = ?"
)

// record takes the flow's record from the chain and reads it.
func (p *platform) record(f *running) (profile.Record, error) {
	e, err := p.chain.get(ledger.Key{Flow: f.id, Tx: f.id})
	if err != nil {
		return profile.Record{}, err
	}
	return p.profile.Parse(e.Value)
}

// place is the subject's order (R3).
func (p *platform) place(ctx context.Context, f *running) error {
	d, err := dossier.ByFlow(ctx, p.store.DB(), f.id)
	if err != nil {
		return err
	}
	if _, err := flow.Next(d.State, flow.Order, false); err != nil {
		return err
	}
	rec, err := p.record(f)
	if err != nil {
		return err
	}
	buy := flow.Purchase{Flow: f.id, SubjectID: rec.SubjectID, Producer: producer, Currency: rec.Currency, Delivery: "pickup", OrderedAt: time.Now().UTC()}
	for _, it := range rec.Items {
		if it.Price == 0 {
			it.Price = unpriced
		}
		buy.Lines = append(buy.Lines, flow.OrderLine{Item: it.Code, Name: it.Name, Quantity: it.Quantity, Unit: it.Unit, Price: it.Price, Ratio: it.Ratio})
	}
	_, sum, err := profile.Settle(buy.Lines)
	if err != nil {
		return err
	}
	s, err := newStep(flow.Order, f, producer, buy)
	if err != nil {
		return err
	}
	s.before = func(ctx context.Context, tx bun.Tx) error {
		var taken int
		now := time.Now().UnixMilli()
		if err := store.Get(ctx, tx, orderTaken, []any{f.id.String(), now}, &taken); err != nil || taken > 0 {
			return errors.Join(err, errRows)
		}
		return one(ctx, tx, insertOrder, s.id.String(), f.id.String(), producer, buy.Currency, sum.Total, now, now)
	}
	s.after = func(ctx context.Context, tx bun.Tx) error {
		now := time.Now()
		if err := dossier.Advance(ctx, tx, f.id, s.kind, false, now); err != nil {
			return err
		}
		if _, err := store.Exec(ctx, tx, replaceOrder, now.UnixMilli(), f.id.String()); err != nil {
			return err
		}
		return one(ctx, tx, grantOrder, s.tx().String(), s.id.String(), now.Add(permission).UnixMilli(), now.UnixMilli(), s.id.String())
	}
	f.order, f.bill = s.id, s.tx()
	return p.carry(ctx, s)
}

// fetch gives the order to the producer (R4.2), which reads it.
func (p *platform) fetch(ctx context.Context, f *running) (flow.Purchase, error) {
	if err := current(ctx, p.store.DB(), f); err != nil {
		return flow.Purchase{}, err
	}
	e, err := p.chain.get(ledger.Key{Flow: f.id, Tx: f.bill})
	if err != nil {
		return flow.Purchase{}, err
	}
	err = p.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := one(ctx, tx, fetchOrder, time.Now().UnixMilli(), f.order.String()); err != nil {
			return err
		}
		return p.note(ctx, tx, event.Fetched, f, producer)
	})
	if err != nil {
		return flow.Purchase{}, err
	}
	var buy flow.Purchase
	return buy, flow.DecodePayload(e.Value, &buy)
}

// current reads the flow's order.
func current(ctx context.Context, db bun.IDB, f *running) error {
	var submission, record, currency string
	var amount int64
	if err := store.Get(ctx, db, selectOrder, []any{f.id.String()}, &submission, &record, &amount, &currency); err != nil {
		return fmt.Errorf("reading orders: %w", err)
	}
	return nil
}

// billed reads the payment of the flow's order: the provider's id, if any.
func billed(ctx context.Context, db bun.IDB, f *running) (id string, err error) {
	var state, currency string
	var self int64
	var draft []byte
	if err := store.Get(ctx, db, selectBill, []any{f.order.String()}, &id, &state, &self, &currency, &draft); err != nil {
		return "", fmt.Errorf("reading payments: %w", err)
	}
	return id, nil
}

// note tells of something that is no step.
func (p *platform) note(ctx context.Context, tx bun.Tx, kind event.Kind, f *running, party string) error {
	d, err := dossier.ByFlow(ctx, tx, f.id)
	if err != nil {
		return err
	}
	return p.events.Append(ctx, tx, event.Event{At: time.Now(), Kind: kind, Flow: f.id.String(), Ref: d.Ref, Party: party})
}

func (p *platform) write(ctx context.Context, fn within) error {
	err := p.store.Write(ctx, fn)
	if err == nil {
		p.events.Wake()
	}
	return err
}

const (
	insertBill = "INSERT INTO payments (ref, flow, currency, total, insured, self, draft, state, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, 'made', ?, ?)"
	openBill   = "UPDATE payments SET payment = ?, url = ?, state = 'open', updated_at = ? WHERE ref = ? AND state = 'made'"
	selectBill = "SELECT payment, state, self, currency, draft FROM payments WHERE ref = ?"
	moveBill   = "UPDATE payments SET state = ?, submission = ?, updated_at = ? WHERE ref = ?"
)

// settle is the making up, the payment and its record (R4.2 to R4.6).
func (p *platform) settle(ctx context.Context, f *running) error {
	buy, err := p.fetch(ctx, f)
	if err != nil {
		return fmt.Errorf("fetching an order: %w", err)
	}
	paid, err := p.bill(ctx, f, buy)
	if err != nil {
		return fmt.Errorf("making up an order: %w", err)
	}
	s, err := newStep(flow.Settle, f, producer, paid)
	if err != nil {
		return err
	}
	s.detail = f.order.String()
	s.before = func(ctx context.Context, tx bun.Tx) error {
		if err := current(ctx, tx, f); err != nil {
			return err
		}
		if _, err := billed(ctx, tx, f); err != nil {
			return err
		}
		return one(ctx, tx, moveBill, "settling", s.id.String(), time.Now().UnixMilli(), f.order.String())
	}
	s.after = func(ctx context.Context, tx bun.Tx) error {
		now := time.Now()
		if err := dossier.Advance(ctx, tx, f.id, s.kind, false, now); err != nil {
			return err
		}
		if err := one(ctx, tx, moveBill, "settled", s.id.String(), now.UnixMilli(), f.order.String()); err != nil {
			return err
		}
		return one(ctx, tx, moveOrder, "settled", now.UnixMilli(), f.id.String(), "granted")
	}
	return p.carry(ctx, s)
}

// bill makes the order up and has the subject pay.
func (p *platform) bill(ctx context.Context, f *running, buy flow.Purchase) (flow.Settlement, error) {
	rec, err := p.record(f)
	if err != nil {
		return flow.Settlement{}, err
	}
	lines, sum, err := profile.Settle(buy.Lines)
	if err != nil {
		return flow.Settlement{}, err
	}
	s := flow.Settlement{
		Flow: f.id, SubjectID: rec.SubjectID, Producer: producer, Order: f.bill, Currency: buy.Currency,
		Lines: lines, Total: sum.Total, Insured: sum.Insured, Self: sum.Self,
	}
	draft, err := flow.EncodePayload(s)
	if err != nil {
		return flow.Settlement{}, err
	}
	ref := f.order.String()
	err = p.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		now := time.Now().UnixMilli()
		return one(ctx, tx, insertBill, ref, f.id.String(), s.Currency, s.Total, s.Insured, s.Self, draft, now, now)
	})
	if err != nil {
		return flow.Settlement{}, err
	}
	if s.Payment, s.PaidAt = "none", time.Now().UTC(); s.Self > 0 {
		s.Payment, s.PaidAt, err = p.charge(ctx, f, s)
	}
	return s, err
}

// charge has the provider make a link, and the subject pay by it.
func (p *platform) charge(ctx context.Context, f *running, s flow.Settlement) (string, time.Time, error) {
	ref := f.order.String()
	link, err := p.pay.Create(ctx, payment.Charge{Ref: ref, Currency: s.Currency, Amount: s.Self, Description: "Order " + ref[:12]})
	if err != nil {
		return "", time.Time{}, err
	}
	err = p.write(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := one(ctx, tx, openBill, link.ID, link.URL, time.Now().UnixMilli(), ref); err != nil {
			return err
		}
		return p.note(ctx, tx, event.Payable, f, "")
	})
	if err != nil {
		return "", time.Time{}, err
	}
	if err := p.pay.Pay(ctx, link.ID); err != nil {
		return "", time.Time{}, err
	}
	id, err := billed(ctx, p.store.DB(), f)
	if err != nil {
		return "", time.Time{}, err
	}
	at, err := p.pay.Status(ctx, id)
	if err == nil && !at.Paid {
		err = errors.New("the payment is not there")
	}
	return id, at.PaidAt, err
}

// deliver reports that the subject has the goods (R5).
func (p *platform) deliver(ctx context.Context, f *running) error {
	if err := current(ctx, p.store.DB(), f); err != nil {
		return err
	}
	s, err := newStep(flow.Deliver, f, producer, flow.Delivery{Flow: f.id, Producer: producer, Method: "pickup", DeliveredAt: time.Now().UTC()})
	if err != nil {
		return err
	}
	s.after = func(ctx context.Context, tx bun.Tx) error {
		if err := dossier.Advance(ctx, tx, f.id, s.kind, false, time.Now()); err != nil {
			return err
		}
		return one(ctx, tx, moveOrder, "delivered", time.Now().UnixMilli(), f.id.String(), "settled")
	}
	return p.carry(ctx, s)
}
