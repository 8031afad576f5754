package process

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/dossier"
	"signalbox.dev/signalbox/internal/platform/event"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/internal/platform/sealing"
	"signalbox.dev/signalbox/internal/store"
	"signalbox.dev/signalbox/ledger"
)

// States of an order.
const (
	asked     = "asked"
	granted   = "granted" // its token is in force until it expires
	refused   = "refused"
	lapsed    = "lapsed"   // granted, and the business chain would not take it
	replaced  = "replaced" // by another order, after its token ended
	closed    = "settled"
	delivered = "delivered"
)

// order is an order's row: who, how and how much, but not what.
type order struct {
	bun.BaseModel `bun:"table:orders"`

	Seq        int64
	Submission string
	Flow       string
	Producer   string
	Delivery   string
	Currency   string
	Amount     int64
	State      string
	Tx         string
	Token      string
	Expires    int64
	FetchedAt  int64
	CreatedAt  int64
	UpdatedAt  int64
}

// place writes an order down before it is submitted, unless one is in force.
func (m *Module) place(ctx context.Context, tx bun.Tx, o order) error {
	var taken bool
	const text = "SELECT EXISTS (SELECT 1 FROM orders WHERE flow = ? AND state = 'granted' AND expires > ?)"
	if err := store.Get(ctx, tx, text, []any{o.Flow, m.now()}, &taken); err != nil {
		return fmt.Errorf("reading orders: %w", err)
	}
	if taken {
		return ErrOrdered
	}
	const insert = "INSERT INTO orders (submission, flow, producer, delivery, currency, amount, state, created_at, updated_at) " +
		"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
	return one(ctx, tx, insert, o.Submission, o.Flow, o.Producer, o.Delivery, o.Currency, o.Amount, o.State, o.CreatedAt, o.UpdatedAt)
}

// ordered handles the end of an order's submission. A lapsed one leaves the flow
// where it was, so that it can be ordered again.
func (m *Module) ordered(ctx context.Context, tx bun.Tx, o outbox.Outcome) error {
	const end = "UPDATE orders SET state = ?, updated_at = ? WHERE submission = ?"
	switch o.State {
	case outbox.Done:
		return m.grant(ctx, tx, o)
	case outbox.Refused:
		return one(ctx, tx, end, refused, m.now(), o.ID.String())
	case outbox.Lapsed:
		return one(ctx, tx, end, lapsed, m.now(), o.ID.String())
	default:
		return nil
	}
}

// grant puts an order in force, in place of one whose token has ended.
func (m *Module) grant(ctx context.Context, tx bun.Tx, o outbox.Outcome) error {
	if err := dossier.Advance(ctx, tx, o.Flow, o.Step, false, m.cfg.Clock()); err != nil {
		return err
	}
	const replace = "UPDATE orders SET state = 'replaced', updated_at = ? WHERE flow = ? AND state = 'granted'"
	if _, err := store.Exec(ctx, tx, replace, m.now(), o.Flow.String()); err != nil {
		return fmt.Errorf("writing order: %w", err)
	}
	const text = "UPDATE orders SET state = 'granted', tx = ?, token = ?, expires = ?, updated_at = ? WHERE submission = ?"
	return one(ctx, tx, text, o.Tx.String(), o.Token.String(), o.Expires.UnixMilli(), m.now(), o.ID.String())
}

// one changes exactly one row.
func one(ctx context.Context, tx bun.Tx, text string, args ...any) error {
	n, err := store.Exec(ctx, tx, text, args...)
	if err != nil {
		return fmt.Errorf("writing order or payment: %w", err)
	}
	if n != 1 {
		return fmt.Errorf("writing order or payment: %d rows, want 1: %w", n, dossier.ErrNotFound)
	}
	return nil
}

// Notification tells a producer of an order for it (R4.1). What is ordered, only
// the sealed order says.
type Notification struct {
	Flow      flow.Hash `json:"flow"`
	Tx        flow.Hash `json:"tx"`       // the order's decision; with Flow, its key on the business chain
	State     string    `json:"state"`    // granted, settled, delivered
	Delivery  string    `json:"delivery"` // pickup or courier
	OrderedAt time.Time `json:"ordered_at"`
	Expires   time.Time `json:"expires"` // end of the order's token
	Fetched   bool      `json:"fetched"`
}

// notifications is how many orders Orders gives at most.
const notifications = 500

// Orders lists a producer's orders that were granted, newest first, up to 500.
func (m *Module) Orders(ctx context.Context, producer string) ([]Notification, error) {
	var rows []order
	err := m.cfg.Store.DB().NewSelect().Model(&rows).Where("producer = ?", producer).
		Where("state IN (?, ?, ?)", granted, closed, delivered).Order("seq DESC").Limit(notifications).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading orders: %w", err)
	}
	out := make([]Notification, len(rows))
	for i, r := range rows {
		out[i] = Notification{
			State: r.State, Delivery: r.Delivery, OrderedAt: time.UnixMilli(r.CreatedAt).UTC(),
			Expires: time.UnixMilli(r.Expires).UTC(), Fetched: r.FetchedAt != 0,
		}
		// Written by ordered: well formed.
		out[i].Flow, _ = flow.ParseHash(r.Flow)
		out[i].Tx, _ = flow.ParseHash(r.Tx)
	}
	return out, nil
}

// Fetch answers a producer's request to process an order (R4.2): the token is
// judged again by its receipt (R3.4, R4.1), and the sealed order is taken from
// the business chain. Only the producer that was ordered from gets it; everybody
// else ErrNotYours.
func (m *Module) Fetch(ctx context.Context, id flow.Hash, producer string) (ledger.Stored, error) {
	o, tx, err := m.holds(ctx, id, producer)
	if err != nil {
		return ledger.Stored{}, err
	}
	stored, err := m.cfg.Ledger.Get(ctx, ledger.Key{Flow: id, Tx: tx})
	if err != nil {
		return ledger.Stored{}, fmt.Errorf("fetching order %s: %w", tx, err)
	}
	if o.FetchedAt != 0 {
		return stored, nil
	}
	err = m.cfg.Store.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := one(ctx, tx, "UPDATE orders SET fetched_at = ? WHERE seq = ?", m.now(), o.Seq); err != nil {
			return err
		}
		return m.tell(ctx, tx, event.Event{Kind: event.Fetched, Flow: o.Flow, Tx: o.Tx, Party: producer})
	})
	if err != nil {
		return ledger.Stored{}, err
	}
	m.cfg.Events.Wake()
	return stored, nil
}

// tell appends an event about a flow.
func (m *Module) tell(ctx context.Context, tx bun.Tx, e event.Event) error {
	id, err := flow.ParseHash(e.Flow)
	if err != nil {
		return err
	}
	f, err := dossier.ByFlow(ctx, tx, id)
	if err != nil {
		return err
	}
	e.At, e.Ref = m.cfg.Clock(), f.Ref
	return m.cfg.Events.Append(ctx, tx, e)
}

// holds finds the order that a producer holds and judges its token.
func (m *Module) holds(ctx context.Context, id flow.Hash, producer string) (order, flow.Hash, error) {
	o, err := m.current(ctx, id, granted)
	if err != nil {
		return order{}, flow.Hash{}, err
	}
	if o.Producer != producer {
		return order{}, flow.Hash{}, ErrNotYours
	}
	tx, err := flow.ParseHash(o.Tx)
	if err != nil {
		return order{}, flow.Hash{}, err
	}
	decided, err := m.cfg.Outbox.Decided(ctx, tx)
	if err != nil {
		return order{}, flow.Hash{}, fmt.Errorf("reading the order's receipt: %w", err)
	}
	_, err = m.cfg.Sealer.Permits(decided.Receipt, sealing.Permit{
		Step: flow.Order, Flow: id, Tx: tx, Actor: producer, Now: m.cfg.Clock(),
	})
	if err != nil {
		return order{}, flow.Hash{}, fmt.Errorf("%w: %w", ErrNotYours, err)
	}
	return o, tx, nil
}

const selectOrder = "SELECT seq, submission, flow, producer, delivery, currency, amount, state, tx, token, expires, fetched_at, created_at, updated_at " +
	"FROM orders WHERE flow = ? AND state IN (?, ?, ?) ORDER BY seq DESC LIMIT 1"

// current finds a flow's order in one of the given states, three at most; there is
// at most one.
func (m *Module) current(ctx context.Context, id flow.Hash, states ...string) (order, error) {
	args := []any{id.String(), "", "", ""}
	for i, s := range states {
		args[1+i] = s
	}
	var o order
	err := store.Get(ctx, m.cfg.Store.DB(), selectOrder, args, &o.Seq, &o.Submission, &o.Flow, &o.Producer, &o.Delivery, &o.Currency,
		&o.Amount, &o.State, &o.Tx, &o.Token, &o.Expires, &o.FetchedAt, &o.CreatedAt, &o.UpdatedAt)
	if errors.Is(err, sql.ErrNoRows) {
		return order{}, ErrNotYours
	}
	if err != nil {
		return order{}, fmt.Errorf("reading orders: %w", err)
	}
	return o, nil
}

// OpenOrder is run by a producer, with its own key, on what Fetch gave: it
// verifies receipt, signature and commitment, and opens the order (R4.2). An
// order from somebody else is envelope.ErrNotRecipient.
func OpenOrder(r sealing.Reader, rec ledger.Stored, key envelope.PrivateKey) (flow.Purchase, error) {
	plain, err := r.Open(rec, key)
	if err != nil {
		return flow.Purchase{}, fmt.Errorf("opening an order: %w", err)
	}
	var p flow.Purchase
	if err := flow.DecodePayload(plain, &p); err != nil {
		return flow.Purchase{}, fmt.Errorf("opening an order: %w", err)
	}
	if rec.Step != flow.Order || p.Flow != rec.Key.Flow {
		return flow.Purchase{}, fmt.Errorf("opening an order: %w: it is no order of this flow", sealing.ErrValue)
	}
	return p, nil
}
