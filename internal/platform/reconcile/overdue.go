package reconcile

import (
	"context"
	"errors"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/ledger"
)

// look finds what is overdue and looks at open findings again.
func (r *Reconciler) look(ctx context.Context) error {
	return errors.Join(r.overdue(ctx), r.recheck(ctx))
}

// overdue tells of what the outbox has not brought to its end in time. The
// outbox goes on with it all the same.
func (r *Reconciler) overdue(ctx context.Context) error {
	before := r.cfg.Clock().Add(-r.cfg.Pace.Overdue)
	var list []row
	add := func(kind Kind, kept []outbox.Kept, err error) error {
		for _, k := range kept {
			f := row{Kind: kind, Key: k.ID.String(), Step: k.Step, Expected: string(k.State)}
			if !k.Tx.IsZero() {
				f.Key = k.Tx.String()
			}
			if !k.Flow.IsZero() {
				f.Flow = k.Flow.String()
			}
			list = append(list, f)
		}
		return err
	}
	pending, err := r.cfg.Outbox.Undone(ctx, outbox.Pending, before, page)
	err = add(Undecided, pending, err)
	granted, more := r.cfg.Outbox.Undone(ctx, outbox.Granted, before, page)
	err = errors.Join(err, add(NotStored, granted, more))
	stored, more := r.cfg.Outbox.Unanchored(ctx, before, page)
	err = errors.Join(err, add(NotAnchored, stored, more))
	if err != nil || len(list) == 0 {
		return err
	}
	return r.write(ctx, list, nil)
}

// recheck looks again at the open findings that were not looked at for longest.
func (r *Reconciler) recheck(ctx context.Context) error {
	var open []row
	err := r.cfg.Store.DB().NewSelect().Model(&open).Where("resolved_at = 0").Order("last_at").Limit(page).Scan(ctx)
	if err != nil {
		return err
	}
	var still, gone []row
	for _, f := range open {
		so, err := r.stands(ctx, f)
		if err != nil {
			return err
		}
		if so {
			still = append(still, f)
		} else {
			gone = append(gone, f)
		}
	}
	if len(open) == 0 {
		return nil
	}
	err = r.write(ctx, still, func(ctx context.Context, tx bun.Tx) error {
		for _, f := range gone {
			if err := r.resolve(ctx, tx, f); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, f := range gone {
		r.cfg.Logger.Info("database and business chain agree again", "kind", f.Kind, "key", f.Key)
	}
	return nil
}

// stands says whether a finding is still so.
func (r *Reconciler) stands(ctx context.Context, f row) (bool, error) {
	if f.Kind == Undecided {
		id, err := flow.ParseID(f.Key)
		if err != nil {
			return false, nil
		}
		k, ok, err := r.cfg.Outbox.KeptOf(ctx, id)
		return ok && k.State == outbox.Pending, err
	}
	tx, err := flow.ParseHash(f.Key)
	if err != nil {
		return false, nil
	}
	all, err := r.cfg.Outbox.Kept(ctx, []flow.Hash{tx})
	if err != nil {
		return false, err
	}
	k, known := all[tx]
	switch f.Kind {
	case NotStored:
		return known && k.State == outbox.Granted, nil
	case NotAnchored:
		return known && !k.Anchored, nil
	case UnknownDecision:
		return !known, nil
	}
	return r.differs(ctx, f, tx, k, known)
}

// differs compares the record of a finding once more.
func (r *Reconciler) differs(ctx context.Context, f row, tx flow.Hash, k outbox.Kept, known bool) (bool, error) {
	id := k.Flow
	if parsed, err := flow.ParseHash(f.Flow); err == nil {
		id = parsed
	}
	s, err := r.get(ctx, ledger.Key{Flow: id, Tx: tx})
	if err != nil {
		return false, err
	}
	var now []row
	switch {
	case known:
		now = found(k, tx, compare(k, s))
	case s != nil:
		if one, ours := r.unknown(*s); ours {
			now = append(now, one)
		}
	}
	for _, one := range now {
		if one.Kind == f.Kind {
			return true, nil
		}
	}
	return false, nil
}
