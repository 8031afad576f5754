package process

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/dossier"
	"signalbox.dev/signalbox/internal/platform/event"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/internal/store"
)

// nothingToPay stands for the payment where insurance bears everything.
const nothingToPay = "none"

// Paid is to be called when the provider gives notice of a payment (R4.4). It
// believes nothing of that: it asks the provider. Then it submits the settlement
// (R4.5) and returns the submission's id; called again, the same id.
func (m *Module) Paid(ctx context.Context, paymentID string) (flow.ID, error) {
	b, err := m.bill(ctx, m.cfg.Store.DB(), "payment = ? AND payment <> ''", paymentID) // the second half lets the partial index serve
	if err != nil {
		return flow.ID{}, err
	}
	switch b.State {
	case settling, paid:
		return flow.ParseID(b.Submission)
	case failed:
		return flow.ID{}, ErrFailed
	}
	st, err := m.cfg.Provider.Status(ctx, paymentID)
	if err != nil {
		return flow.ID{}, fmt.Errorf("asking for payment %s: %w", paymentID, err)
	}
	if !st.Paid {
		return flow.ID{}, ErrNotPaid
	}
	if st.Ref != b.Ref || st.Amount != b.Self || st.Currency != b.Currency {
		return flow.ID{}, ErrPayment
	}
	return m.settle(ctx, b, paymentID, st.PaidAt)
}

// errSettling ends a transaction that has found the settlement submitted already.
var errSettling = errors.New("the settlement is submitted already")

// settle submits the settlement, with the order's token and transaction (R4.5),
// and with the business copy sealed to the network's key (R4.6).
func (m *Module) settle(ctx context.Context, b bill, paymentID string, paidAt time.Time) (flow.ID, error) {
	plain, err := m.openDraft(b)
	if err != nil {
		return flow.ID{}, err
	}
	var s flow.Settlement
	if err := flow.DecodePayload(plain, &s); err != nil {
		return flow.ID{}, err
	}
	s.Payment, s.PaidAt = paymentID, paidAt.UTC()
	payload, err := flow.EncodePayload(s)
	if err != nil {
		return flow.ID{}, fmt.Errorf("settling %s: %w", b.Flow, err)
	}
	p, err := m.cfg.Outbox.Prepare(ctx, outbox.Intent{
		Step: flow.Settle, Flow: s.Flow, Actor: s.Producer, Payload: payload,
		To: m.cfg.Sealer.NetworkKey(), Detail: b.Ref,
	})
	if err != nil {
		return flow.ID{}, fmt.Errorf("settling %s: %w", b.Flow, err)
	}
	id, err := m.cfg.Outbox.Do(ctx, p, func(ctx context.Context, tx bun.Tx) error {
		return m.begin(ctx, tx, b.Ref, p.ID())
	})
	if errors.Is(err, errSettling) {
		if b, err = m.bill(ctx, m.cfg.Store.DB(), "ref = ?", b.Ref); err == nil {
			id, err = flow.ParseID(b.Submission)
		}
	}
	return id, err
}

// begin marks the bill as settling. The order must still be the flow's.
func (m *Module) begin(ctx context.Context, tx bun.Tx, ref string, settlement flow.ID) error {
	var inForce bool
	const text = "SELECT EXISTS (SELECT 1 FROM orders WHERE submission = ? AND state = 'granted')"
	if err := store.Get(ctx, tx, text, []any{ref}, &inForce); err != nil {
		return fmt.Errorf("reading order: %w", err)
	}
	b, err := m.bill(ctx, tx, "ref = ?", ref)
	if err != nil {
		return err
	}
	if b.State == settling || b.State == paid {
		return errSettling
	}
	if !inForce || b.State == failed {
		return fmt.Errorf("settling without an order in force: %w", flow.ErrOutOfOrder)
	}
	return m.move(ctx, tx, ref, settling, settlement.String())
}

func (m *Module) move(ctx context.Context, tx bun.Tx, ref, to, settlement string) error {
	return one(ctx, tx, "UPDATE payments SET state = ?, submission = ?, updated_at = ? WHERE ref = ?", to, settlement, m.now(), ref)
}

// settled handles the end of a settlement's submission.
func (m *Module) settled(ctx context.Context, tx bun.Tx, o outbox.Outcome) error {
	switch o.State {
	case outbox.Done:
		if err := dossier.Advance(ctx, tx, o.Flow, o.Step, false, m.cfg.Clock()); err != nil {
			return err
		}
		if err := m.move(ctx, tx, o.Detail, paid, o.ID.String()); err != nil {
			return err
		}
		return m.moveOrder(ctx, tx, granted, closed, o)
	case outbox.Refused, outbox.Lapsed:
		if err := m.move(ctx, tx, o.Detail, failed, o.ID.String()); err != nil {
			return err
		}
		return m.tell(ctx, tx, event.Event{Kind: event.Failed, Flow: o.Flow.String(), Step: flow.Settle})
	default:
		return nil
	}
}

func (m *Module) moveOrder(ctx context.Context, tx bun.Tx, from, to string, o outbox.Outcome) error {
	return one(ctx, tx, "UPDATE orders SET state = ?, updated_at = ? WHERE flow = ? AND state = ?", to, m.now(), o.Flow.String(), from)
}

// Deliver reports that the subject has the goods (R5). Only the producer that
// settled the order can; everybody else gets ErrNotYours, and it itself
// flow.ErrOutOfOrder where the order is not settled, or delivered already.
func (m *Module) Deliver(ctx context.Context, id flow.Hash, producer string) (flow.ID, error) {
	o, err := m.current(ctx, id, granted, closed, delivered)
	if err != nil {
		return flow.ID{}, err
	}
	if o.Producer != producer {
		return flow.ID{}, ErrNotYours
	}
	payload, err := flow.EncodePayload(flow.Delivery{Flow: id, Producer: producer, Method: o.Delivery, DeliveredAt: m.cfg.Clock().UTC()})
	if err != nil {
		return flow.ID{}, fmt.Errorf("delivering %s: %w", id, err)
	}
	p, err := m.cfg.Outbox.Prepare(ctx, outbox.Intent{
		Step: flow.Deliver, Flow: id, Actor: producer, Payload: payload, To: m.cfg.Sealer.NetworkKey(),
	})
	if err != nil {
		return flow.ID{}, fmt.Errorf("delivering %s: %w", id, err)
	}
	return m.cfg.Outbox.Do(ctx, p, nil)
}

// delivered handles the end of a delivery's submission.
func (m *Module) delivered(ctx context.Context, tx bun.Tx, o outbox.Outcome) error {
	if o.State != outbox.Done {
		return nil
	}
	if err := dossier.Advance(ctx, tx, o.Flow, o.Step, false, m.cfg.Clock()); err != nil {
		return err
	}
	return m.moveOrder(ctx, tx, closed, delivered, o)
}

// watched is how many bills one look at the payments takes.
const watched = 100

// Run finishes bills that a killed process left without a link, and asks for
// open payments whose notice never came, until ctx ends; it returns ctx's error.
func (m *Module) Run(ctx context.Context) error {
	tick := time.NewTicker(m.cfg.Watch)
	defer tick.Stop()
	for {
		if err := m.look(ctx); err != nil && ctx.Err() == nil {
			m.cfg.Logger.Warn("looking at payments", "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (m *Module) look(ctx context.Context) error {
	var rows []bill
	// Those not looked at for longest come first, so that all have their turn.
	err := m.cfg.Store.DB().NewSelect().Model(&rows).Where("state IN (?, ?)", made, open).
		Order("updated_at").Limit(watched).Scan(ctx)
	if err != nil {
		return fmt.Errorf("reading payments: %w", err)
	}
	var seen []string
	for _, b := range rows {
		if b.State == made {
			_, err = m.charge(ctx, b)
		} else {
			_, err = m.Paid(ctx, b.Payment)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, flow.ErrOutOfOrder):
			err = m.fail(ctx, b) // paid for an order that was replaced
		case errors.Is(err, ErrNotPaid), errors.Is(err, outbox.ErrInFlight), errors.Is(err, outbox.ErrFull):
			err = nil // looked at again
		}
		if err != nil {
			m.cfg.Logger.Warn("looking at a payment", "ref", b.Ref, "err", err)
		}
		seen = append(seen, b.Ref)
	}
	if len(seen) < watched {
		return nil // all had their turn
	}
	return m.cfg.Store.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Model((*bill)(nil)).Set("updated_at = ?", m.now()).Where("ref IN (?)", bun.List(seen)).Exec(ctx)
		return err
	})
}

// fail ends a bill that can't be settled any more.
func (m *Module) fail(ctx context.Context, b bill) error {
	err := m.cfg.Store.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		res, err := tx.NewUpdate().Model((*bill)(nil)).Set("state = ?", failed).Set("updated_at = ?", m.now()).
			Where("ref = ?", b.Ref).Where("state IN (?, ?)", made, open).Exec(ctx)
		if err != nil {
			return fmt.Errorf("writing payment: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return m.tell(ctx, tx, event.Event{Kind: event.Failed, Flow: b.Flow, Step: flow.Settle})
	})
	if err == nil {
		m.cfg.Events.Wake()
	}
	return err
}
