package process

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/event"
	"signalbox.dev/signalbox/internal/platform/payment"
	"signalbox.dev/signalbox/internal/store"
	"signalbox.dev/signalbox/profile"
)

// States of a payment.
const (
	made     = "made" // the amounts stand, the link does not yet
	open     = "open" // the subject can pay
	settling = "settling"
	paid     = "settled"
	failed   = "failed" // the settlement was not granted
)

// bill is a payment's row. Draft is the settlement so far, sealed to the
// platform's own key.
type bill struct {
	bun.BaseModel `bun:"table:payments"`

	Ref        string `bun:",pk"` // the order's submission id
	Flow       string
	Payment    string // the provider's id
	URL        string
	Currency   string
	Total      int64
	Insured    int64
	Self       int64
	Draft      []byte
	State      string
	Submission string // of the settlement
	CreatedAt  int64
	UpdatedAt  int64
}

// MadeUp is what a producer reports when it has made an order up (R4.3).
type MadeUp struct {
	Flow     flow.Hash
	Producer string
	Lines    []flow.OrderLine // of the order that it opened; it may have left some out, or lowered prices
}

// Bill is what the subject is asked to pay. Amounts are in minor units.
type Bill struct {
	Flow       flow.Hash `json:"flow"`
	Payment    string    `json:"payment,omitempty"` // the provider's id; empty where the subject pays nothing
	URL        string    `json:"url,omitempty"`     // where the subject pays
	Currency   string    `json:"currency"`
	Total      int64     `json:"total"`
	Insured    int64     `json:"insured"`
	Self       int64     `json:"self"`                // Total - Insured
	State      string    `json:"state"`               // made, open, settling, settled, failed
	Settlement flow.ID   `json:"settlement,omitzero"` // submission id, once there is one
}

// MakeUp computes what insurance and subject bear of each line, by the record's
// reimbursement ratios, and has a payment link made for the subject's part. When
// that is nothing, it settles at once. Reporting the same again gives the same
// bill; other lines are ErrMadeUp. It needs the order's token, in force, and the
// producer that holds it: everybody else gets ErrNotYours.
func (m *Module) MakeUp(ctx context.Context, u MadeUp) (Bill, error) {
	o, _, err := m.holds(ctx, u.Flow, u.Producer)
	if errors.Is(err, ErrNotYours) {
		// Once it is settling the token is used; the bill still stands.
		return m.madeBefore(ctx, u, err)
	}
	if err != nil {
		return Bill{}, err
	}
	b, draft, err := m.draft(ctx, o, u)
	if err != nil {
		return Bill{}, fmt.Errorf("making up %s: %w", u.Flow, err)
	}
	if b, err = m.keep(ctx, b, draft); err != nil {
		return Bill{}, err
	}
	if b, err = m.charge(ctx, b); err != nil {
		return Bill{}, err
	}
	return b.show(), nil
}

// madeBefore gives the bill of an order that is settled, to its producer.
func (m *Module) madeBefore(ctx context.Context, u MadeUp, notYours error) (Bill, error) {
	o, err := m.current(ctx, u.Flow, closed)
	if err != nil || o.Producer != u.Producer {
		return Bill{}, errors.Join(notYours, ignore(err, ErrNotYours))
	}
	return m.Bill(ctx, u.Flow)
}

func ignore(err, target error) error {
	if errors.Is(err, target) {
		return nil
	}
	return err
}

// draft makes the settlement as far as it can be before payment.
func (m *Module) draft(ctx context.Context, o order, u MadeUp) (bill, []byte, error) {
	rec, err := m.record(ctx, u.Flow)
	if err != nil {
		return bill{}, nil, err
	}
	if err := within(rec, u.Lines); err != nil {
		return bill{}, nil, err
	}
	lines, sum, err := profile.Settle(u.Lines)
	if err != nil {
		return bill{}, nil, fmt.Errorf("%w: %w", ErrLines, err)
	}
	if sum.Total > o.Amount {
		return bill{}, nil, fmt.Errorf("%w: they cost more than was ordered", ErrLines)
	}
	s := flow.Settlement{
		Flow: u.Flow, SubjectID: rec.SubjectID, Producer: u.Producer, Currency: o.Currency,
		Lines: lines, Total: sum.Total, Insured: sum.Insured, Self: sum.Self,
	}
	if s.Order, err = flow.ParseHash(o.Tx); err != nil {
		return bill{}, nil, err
	}
	if s.Token, err = flow.ParseHash(o.Token); err != nil {
		return bill{}, nil, err
	}
	plain, err := flow.EncodePayload(s)
	if err != nil {
		return bill{}, nil, err
	}
	b := bill{
		Ref: o.Submission, Flow: o.Flow, Currency: o.Currency, Total: sum.Total, Insured: sum.Insured,
		Self: sum.Self, State: made, CreatedAt: m.now(), UpdatedAt: m.now(),
	}
	ref, err := flow.ParseID(o.Submission)
	if err != nil {
		return bill{}, nil, err
	}
	b.Draft, err = m.cfg.Sealer.SealDraft(ref, u.Flow, plain)
	return b, plain, err
}

// within checks that the lines are of the record, each item once, at its ratio
// (R4.3): the ratio decides who pays, so the producer does not choose it.
func within(rec profile.Record, lines []flow.OrderLine) error {
	left := slices.Clone(rec.Items)
	for i, l := range lines {
		at := slices.IndexFunc(left, func(it profile.Item) bool {
			return it.Code == l.Item && it.Ratio == l.Ratio && l.Quantity <= it.Quantity
		})
		if at < 0 {
			return fmt.Errorf("%w: line %d is not in the record so", ErrLines, i+1)
		}
		left = slices.Delete(left, at, at+1)
	}
	return nil
}

// keep writes the bill down before anything is asked of the provider.
func (m *Module) keep(ctx context.Context, b bill, draft []byte) (bill, error) {
	var old *bill
	err := m.cfg.Store.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		found, err := m.bill(ctx, tx, "ref = ?", b.Ref)
		if err == nil {
			old = &found
			return nil
		}
		if !errors.Is(err, payment.ErrNotFound) {
			return err
		}
		const text = "INSERT INTO payments (ref, flow, currency, total, insured, self, draft, state, created_at, updated_at) " +
			"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
		return one(ctx, tx, text, b.Ref, b.Flow, b.Currency, b.Total, b.Insured, b.Self, b.Draft, b.State, b.CreatedAt, b.UpdatedAt)
	})
	if err != nil || old == nil {
		return b, err
	}
	before, err := m.openDraft(*old)
	if err != nil {
		return bill{}, err
	}
	if !bytes.Equal(before, draft) {
		return bill{}, ErrMadeUp
	}
	return *old, nil
}

func (m *Module) openDraft(b bill) ([]byte, error) {
	ref, err := flow.ParseID(b.Ref)
	if err != nil {
		return nil, err
	}
	id, err := flow.ParseHash(b.Flow)
	if err != nil {
		return nil, err
	}
	return m.cfg.Sealer.OpenDraft(ref, id, b.Draft)
}

// charge takes a made bill on: to a payment link, or straight to settlement.
func (m *Module) charge(ctx context.Context, b bill) (bill, error) {
	if b.State != made {
		return b, nil
	}
	if b.Self == 0 {
		_, err := m.settle(ctx, b, nothingToPay, m.cfg.Clock())
		if err != nil {
			return bill{}, err
		}
		return m.bill(ctx, m.cfg.Store.DB(), "ref = ?", b.Ref)
	}
	link, err := m.cfg.Provider.Create(ctx, payment.Charge{
		Ref: b.Ref, Currency: b.Currency, Amount: b.Self, Description: "Order " + b.Ref[:12],
	})
	if err != nil {
		return bill{}, fmt.Errorf("making a payment link: %w", err)
	}
	err = m.cfg.Store.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		const text = "UPDATE payments SET payment = ?, url = ?, state = 'open', updated_at = ? WHERE ref = ? AND state = 'made'"
		n, err := store.Exec(ctx, tx, text, link.ID, link.URL, m.now(), b.Ref)
		if err != nil {
			return fmt.Errorf("writing payment: %w", err)
		}
		if n == 0 {
			return nil // another call was first, with the same link
		}
		return m.tell(ctx, tx, event.Event{Kind: event.Payable, Flow: b.Flow})
	})
	if err != nil {
		return bill{}, err
	}
	m.cfg.Events.Wake()
	return m.bill(ctx, m.cfg.Store.DB(), "ref = ?", b.Ref)
}

// Bill gives the bill of a flow's newest order, or payment.ErrNotFound.
func (m *Module) Bill(ctx context.Context, id flow.Hash) (Bill, error) {
	b, err := m.bill(ctx, m.cfg.Store.DB(), "flow = ?", id.String())
	if err != nil {
		return Bill{}, err
	}
	return b.show(), nil
}

const selectBill = "SELECT ref, flow, payment, url, currency, total, insured, self, draft, state, submission, created_at, updated_at FROM payments WHERE "

func (m *Module) bill(ctx context.Context, db bun.IDB, where, arg string) (bill, error) {
	var b bill
	err := store.Get(ctx, db, selectBill+where+" ORDER BY created_at DESC LIMIT 1", []any{arg}, &b.Ref, &b.Flow, &b.Payment, &b.URL,
		&b.Currency, &b.Total, &b.Insured, &b.Self, &b.Draft, &b.State, &b.Submission, &b.CreatedAt, &b.UpdatedAt)
	if errors.Is(err, sql.ErrNoRows) {
		return bill{}, payment.ErrNotFound
	}
	if err != nil {
		return bill{}, fmt.Errorf("reading payment: %w", err)
	}
	return b, nil
}

func (b bill) show() Bill {
	out := Bill{
		Payment: b.Payment, URL: b.URL, Currency: b.Currency,
		Total: b.Total, Insured: b.Insured, Self: b.Self, State: b.State,
	}
	// Written by this package: well formed, or empty.
	out.Flow, _ = flow.ParseHash(b.Flow)
	out.Settlement, _ = flow.ParseID(b.Submission)
	return out
}
