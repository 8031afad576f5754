// Package dossier is what the platform knows of each flow: where it stands, and
// enough about its record to recognise it when it comes again. It holds no
// content and no person; the record itself stands sealed on the business chain.
//
// The three modules and the outbox share it. Each of its functions works in the
// transaction, or on the database, that it is given.
package dossier

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/store"
)

// Refused is the state of a flow whose registration was refused. It is the
// platform's own word: on the supervision chain there is no such flow.
const Refused flow.State = "refused"

// ErrNotFound says that the platform knows no such flow.
var ErrNotFound = errors.New("no such flow")

// Flow is one flow's row.
type Flow struct {
	bun.BaseModel `bun:"table:flows"`

	Seq        int64  `bun:",pk,autoincrement"` // counts up in order of registration
	Ref        string // the registration's submission id
	Flow       string `bun:",nullzero"` // txhash; empty until granted (R1.6)
	State      flow.State
	Originator string
	Number     string
	Content    string // SHA-256 of the canonical record
	Title      string // names no person
	CreatedAt  int64  // Unix milliseconds
	UpdatedAt  int64  // Unix milliseconds
}

// ID is the flow's txhash, zero until granted.
func (f Flow) ID() flow.Hash {
	h, _ := flow.ParseHash(f.Flow) // empty or written by Granted
	return h
}

// ByFlow finds a flow by its txhash.
func ByFlow(ctx context.Context, db bun.IDB, id flow.Hash) (Flow, error) {
	return find(ctx, db, "flow = ?", id.String())
}

// ByRef finds a flow by its registration's submission id.
func ByRef(ctx context.Context, db bun.IDB, ref flow.ID) (Flow, error) {
	return find(ctx, db, "ref = ?", ref.String())
}

// SameRecord finds the flow that stands for this very record: same originator,
// number and content, and not refused.
func SameRecord(ctx context.Context, db bun.IDB, originator, number, content string) (Flow, error) {
	return find(ctx, db, "originator = ? AND number = ? AND content = ? AND state <> 'refused'", originator, number, content)
}

const selectFlow = "SELECT seq, ref, coalesce(flow, ''), state, originator, number, content, title, created_at, updated_at FROM flows WHERE "

func find(ctx context.Context, db bun.IDB, where string, args ...any) (Flow, error) {
	var f Flow
	err := store.Get(ctx, db, selectFlow+where, args,
		&f.Seq, &f.Ref, &f.Flow, &f.State, &f.Originator, &f.Number, &f.Content, &f.Title, &f.CreatedAt, &f.UpdatedAt)
	if errors.Is(err, sql.ErrNoRows) {
		return Flow{}, ErrNotFound
	}
	if err != nil {
		return Flow{}, fmt.Errorf("reading flow: %w", err)
	}
	return f, nil
}

// Insert adds a flow that is about to be registered.
func Insert(ctx context.Context, tx bun.Tx, f Flow) error {
	const text = "INSERT INTO flows (ref, originator, number, content, title, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)"
	if _, err := store.Exec(ctx, tx, text, f.Ref, f.Originator, f.Number, f.Content, f.Title, f.CreatedAt, f.UpdatedAt); err != nil {
		return fmt.Errorf("writing flow: %w", err)
	}
	return nil
}

// Granted gives a registered flow its id (R1.5, R1.6).
func Granted(ctx context.Context, tx bun.Tx, ref flow.ID, id flow.Hash, now time.Time) error {
	return change(ctx, tx, "UPDATE flows SET flow = ?, state = ?, updated_at = ? WHERE ref = ? AND state = ''",
		id.String(), string(flow.Registered), now.UnixMilli(), ref.String())
}

// Refuse ends a flow whose registration was not granted.
func Refuse(ctx context.Context, tx bun.Tx, ref flow.ID, now time.Time) error {
	return change(ctx, tx, "UPDATE flows SET state = ?, updated_at = ? WHERE ref = ? AND state = ''",
		string(Refused), now.UnixMilli(), ref.String())
}

// Advance moves a flow on by a granted step; approved matters for a review's
// result alone.
func Advance(ctx context.Context, tx bun.Tx, id flow.Hash, step flow.Step, approved bool, now time.Time) error {
	f, err := ByFlow(ctx, tx, id)
	if err != nil {
		return err
	}
	next, err := flow.Next(f.State, step, approved)
	if err != nil {
		return err
	}
	return change(ctx, tx, "UPDATE flows SET state = ?, updated_at = ? WHERE seq = ?", string(next), now.UnixMilli(), f.Seq)
}

// change changes exactly one row.
func change(ctx context.Context, tx bun.Tx, text string, args ...any) error {
	n, err := store.Exec(ctx, tx, text, args...)
	if err != nil {
		return fmt.Errorf("changing flow: %w", err)
	}
	if n != 1 {
		return fmt.Errorf("changing flow: %d rows, want 1: %w", n, ErrNotFound)
	}
	return nil
}
