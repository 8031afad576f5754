package payment

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/store"
)

// Sandbox is a provider that moves no money: whoever opens the link presses a
// button. Its book is a table of the platform's database, so it survives a
// restart.
type Sandbox struct {
	store *store.Store
	base  string
	clock func() time.Time
}

// NewSandbox gives a provider whose links are base/pay/ID. A nil clock is time.Now.
func NewSandbox(s *store.Store, base string, clock func() time.Time) *Sandbox {
	if clock == nil {
		clock = time.Now
	}
	return &Sandbox{store: s, base: strings.TrimSuffix(base, "/"), clock: clock}
}

var _ Provider = (*Sandbox)(nil)

// charge is a row of the book.
type charge struct {
	ID          string
	Ref         string
	Currency    string
	Amount      int64
	Description string
	PaidAt      int64 // Unix milliseconds; 0 until paid
}

// Create implements Provider. The id follows from the reference.
func (s *Sandbox) Create(ctx context.Context, c Charge) (Link, error) {
	if c.Ref == "" || c.Amount <= 0 || c.Currency == "" {
		return Link{}, errors.New("creating a payment: want a reference, a currency and an amount above 0")
	}
	id := "pay-" + flow.SumHash([]byte("signalbox/sandbox/payment\n"), []byte(c.Ref)).String()[:32]
	err := s.store.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		old, err := s.find(ctx, tx, id)
		switch {
		case errors.Is(err, ErrNotFound):
			const text = "INSERT INTO sandbox_charges (id, ref, currency, amount, description) VALUES (?, ?, ?, ?, ?)"
			_, err = store.Exec(ctx, tx, text, id, c.Ref, c.Currency, c.Amount, c.Description)
			return err
		case err != nil:
			return err
		case old.Amount != c.Amount || old.Currency != c.Currency:
			return ErrConflict
		default:
			return nil
		}
	})
	if err != nil {
		return Link{}, fmt.Errorf("creating a payment: %w", err)
	}
	return Link{ID: id, URL: s.base + "/pay/" + id}, nil
}

// Status implements Provider.
func (s *Sandbox) Status(ctx context.Context, id string) (Status, error) {
	c, err := s.find(ctx, s.store.DB(), id)
	if err != nil {
		return Status{}, err
	}
	st := Status{Ref: c.Ref, Currency: c.Currency, Amount: c.Amount, Paid: c.PaidAt != 0}
	if st.Paid {
		st.PaidAt = time.UnixMilli(c.PaidAt).UTC()
	}
	return st, nil
}

// Pay is the button behind the link (R4.4). Pressing it again changes nothing.
// The platform learns of it when it asks for the status.
func (s *Sandbox) Pay(ctx context.Context, id string) error {
	err := s.store.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		if _, err := s.find(ctx, tx, id); err != nil {
			return err
		}
		_, err := store.Exec(ctx, tx, "UPDATE sandbox_charges SET paid_at = ? WHERE id = ? AND paid_at = 0", s.clock().UnixMilli(), id)
		return err
	})
	if err != nil {
		return fmt.Errorf("paying %s: %w", id, err)
	}
	return nil
}

func (s *Sandbox) find(ctx context.Context, db bun.IDB, id string) (charge, error) {
	var c charge
	const text = "SELECT id, ref, currency, amount, description, paid_at FROM sandbox_charges WHERE id = ?"
	err := store.Get(ctx, db, text, []any{id}, &c.ID, &c.Ref, &c.Currency, &c.Amount, &c.Description, &c.PaidAt)
	if errors.Is(err, sql.ErrNoRows) {
		return charge{}, ErrNotFound
	}
	if err != nil {
		return charge{}, fmt.Errorf("reading payment: %w", err)
	}
	return c, nil
}
