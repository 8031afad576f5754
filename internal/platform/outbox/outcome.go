package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/store"
)

// Wait blocks until the intent is final or held, and gives its outcome. When ctx
// ends first it gives what is known so far, and ctx's error.
func (o *Outbox) Wait(ctx context.Context, id flow.ID) (Outcome, error) {
	key := id.String()
	changed := o.subscribe(key)
	defer func() { o.unsubscribe(key, changed) }()
	for {
		out, err := o.Outcome(ctx, id)
		if err != nil || out.State.Final() || out.State == Held {
			return out, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return out, ctx.Err()
		}
	}
}

// Outcome gives what is known of an intent now, or ErrNotFound.
func (o *Outbox) Outcome(ctx context.Context, id flow.ID) (Outcome, error) {
	return o.one(ctx, "SELECT "+brief+", receipt FROM outbox WHERE id = ?", id.String())
}

// Decided gives the outcome that a decision's transaction hash belongs to, or
// ErrNotFound.
func (o *Outbox) Decided(ctx context.Context, tx flow.Hash) (Outcome, error) {
	// The second half lets the partial index serve.
	return o.one(ctx, "SELECT "+brief+", receipt FROM outbox WHERE tx = ? AND tx <> ''", tx.String())
}

func (o *Outbox) one(ctx context.Context, text, arg string) (Outcome, error) {
	var r row
	err := store.Get(ctx, o.cfg.Store.DB(), text, []any{arg}, append(r.brief(), &r.Receipt)...)
	if errors.Is(err, sql.ErrNoRows) {
		return Outcome{}, ErrNotFound
	}
	if err != nil {
		return Outcome{}, fmt.Errorf("reading intent: %w", err)
	}
	return r.outcome(), nil
}

// OfFlows gives the outcomes of the flows with these registrations, in the order
// in which they were intended, without receipts. It reads from db, so that the
// caller can read more of the same moment.
func OfFlows(ctx context.Context, db bun.IDB, refs ...string) ([]Outcome, error) {
	var out []Outcome
	if len(refs) == 1 { // as people look at one flow, again and again; the + as in intent.go
		var r row
		err := store.Query(ctx, db, "SELECT "+brief+" FROM outbox WHERE ref = +? ORDER BY seq", []any{refs[0]}, func(scan func(...any) error) error {
			err := scan(r.brief()...)
			out = append(out, r.outcome())
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("reading intents: %w", err)
		}
		return out, nil
	}
	if len(refs) == 0 {
		return nil, nil
	}
	var rows []row
	err := db.NewSelect().Model(&rows).ColumnExpr(brief).Where("ref IN (?)", bun.List(refs)).Order("seq").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading intents: %w", err)
	}
	for _, r := range rows {
		out = append(out, r.outcome())
	}
	return out, nil
}

func (o *Outbox) subscribe(key string) chan struct{} {
	c := make(chan struct{}, 1)
	o.mu.Lock()
	o.waiting[key] = append(o.waiting[key], c)
	o.mu.Unlock()
	return c
}

func (o *Outbox) unsubscribe(key string, c chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	rest := slices.DeleteFunc(o.waiting[key], func(w chan struct{}) bool { return w == c })
	if len(rest) == 0 {
		delete(o.waiting, key)
		return
	}
	o.waiting[key] = rest
}

// wake tells whoever waits for the intent.
func (o *Outbox) wake(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.waiting[key] {
		nudge(c).give()
	}
}
