package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/outbox"
)

// Bounds of what is kept.
const (
	maxFindings = 10_000              // open and resolved
	keepFor     = 30 * 24 * time.Hour // a resolved one
)

// row is a finding in the database. Times are Unix milliseconds.
type row struct {
	bun.BaseModel `bun:"table:findings"`

	ID         int64 `bun:",pk,autoincrement"`
	Kind       Kind
	Key        string
	Flow       string
	Step       flow.Step
	Expected   string
	Actual     string
	FirstAt    int64
	LastAt     int64
	ResolvedAt int64
}

// found makes the findings of a compared record.
func found(kept outbox.Kept, tx flow.Hash, differences []difference) (out []row) {
	for _, d := range differences {
		r := row{Kind: d.kind, Key: tx.String(), Step: kept.Step, Expected: d.expected, Actual: d.actual}
		if !kept.Flow.IsZero() {
			r.Flow = kept.Flow.String()
		}
		out = append(out, r)
	}
	return out
}

// report writes findings down, in the caller's transaction: new ones while there
// is room, known ones as seen again. It gives those that are new, and says how
// many found no room.
func (r *Reconciler) report(ctx context.Context, tx bun.Tx, list []row) (fresh []row, dropped int, err error) {
	if len(list) == 0 {
		return nil, 0, nil
	}
	now := r.cfg.Clock().UnixMilli()
	room, err := r.room(ctx, tx, now)
	if err != nil {
		return nil, 0, err
	}
	for _, f := range list {
		f.FirstAt, f.LastAt = now, now
		res, err := tx.NewUpdate().Model((*row)(nil)).Set("last_at = ?", now).Set("expected = ?", f.Expected).Set("actual = ?", f.Actual).
			Set("first_at = CASE resolved_at WHEN 0 THEN first_at ELSE ? END", now).Set("resolved_at = 0").
			Where("kind = ?", f.Kind).Where("key = ?", f.Key).Exec(ctx)
		if err != nil {
			return nil, 0, fmt.Errorf("writing a finding: %w", err)
		}
		known, err := res.RowsAffected()
		if err != nil {
			return nil, 0, fmt.Errorf("writing a finding: %w", err)
		}
		if known > 0 {
			continue
		}
		if room <= 0 {
			dropped++
			continue
		}
		room--
		fresh = append(fresh, f)
		if _, err := tx.NewInsert().Model(&f).Exec(ctx); err != nil {
			return nil, 0, fmt.Errorf("writing a finding: %w", err)
		}
	}
	return fresh, dropped, nil
}

// room makes room where it can, and says how many more findings may be kept.
func (r *Reconciler) room(ctx context.Context, tx bun.Tx, now int64) (int64, error) {
	_, err := tx.NewDelete().Model((*row)(nil)).Where("resolved_at <> 0").Where("resolved_at < ?", now-keepFor.Milliseconds()).Exec(ctx)
	if err != nil {
		return 0, fmt.Errorf("clearing findings: %w", err)
	}
	have, err := tx.NewSelect().Model((*row)(nil)).Count(ctx)
	if err != nil {
		return 0, fmt.Errorf("counting findings: %w", err)
	}
	if int64(have) < r.cfg.Pace.Findings {
		return r.cfg.Pace.Findings - int64(have), nil
	}
	res, err := tx.NewRaw("DELETE FROM findings WHERE id IN (SELECT id FROM findings WHERE resolved_at <> 0 ORDER BY resolved_at LIMIT ?)", page).Exec(ctx)
	if err != nil {
		return 0, fmt.Errorf("clearing findings: %w", err)
	}
	return res.RowsAffected()
}

// resolve notes that a finding is gone, in the caller's transaction.
func (r *Reconciler) resolve(ctx context.Context, tx bun.Tx, f row) error {
	_, err := tx.NewUpdate().Model((*row)(nil)).Set("resolved_at = ?", r.cfg.Clock().UnixMilli()).Where("id = ?", f.ID).Exec(ctx)
	if err != nil {
		return fmt.Errorf("resolving a finding: %w", err)
	}
	return nil
}

// write reports and notes how far a comparison has come, in one transaction.
func (r *Reconciler) write(ctx context.Context, list []row, also func(context.Context, bun.Tx) error) error {
	var fresh []row
	dropped := 0
	err := r.cfg.Store.Write(ctx, func(ctx context.Context, tx bun.Tx) (err error) {
		if fresh, dropped, err = r.report(ctx, tx, list); err != nil || also == nil {
			return err
		}
		return also(ctx, tx)
	})
	if err != nil {
		return err
	}
	for _, f := range fresh {
		r.cfg.Logger.Warn("database and business chain differ", "kind", f.Kind, "key", f.Key, "step", f.Step)
	}
	if dropped > 0 {
		r.dropped.Add(int64(dropped))
		r.cfg.Logger.Error("no room for more findings", "dropped", dropped, "kept", r.cfg.Pace.Findings)
	}
	return nil
}

// progress is how far a comparison has come.
type progress struct {
	bun.BaseModel `bun:"table:reconcile_progress"`

	Name     string `bun:",pk"`
	Position int64
	At       int64 // of the last change
}

// The comparisons.
const (
	following       = "follow"        // position of the business chain
	sweepingIntents = "sweep.intents" // number of the intent; 0 between two rounds
	sweepingRecords = "sweep.records" // position of the business chain; 0 between two rounds
)

func (r *Reconciler) at(ctx context.Context, name string) (progress, error) {
	var p []progress
	err := r.cfg.Store.DB().NewSelect().Model(&p).Where("name = ?", name).Scan(ctx)
	if err != nil || len(p) == 0 {
		return progress{Name: name}, err
	}
	return p[0], nil
}

// advance is for write: it notes how far a comparison has come.
func (r *Reconciler) advance(name string, position int64) func(context.Context, bun.Tx) error {
	return func(ctx context.Context, tx bun.Tx) error {
		p := progress{Name: name, Position: position, At: r.cfg.Clock().UnixMilli()}
		_, err := tx.NewInsert().Model(&p).On("CONFLICT (name) DO UPDATE").Set("position = EXCLUDED.position").Set("at = EXCLUDED.at").Exec(ctx)
		if err != nil {
			return fmt.Errorf("noting how far the comparison is: %w", err)
		}
		return nil
	}
}
