package reconcile

import (
	"context"
	"errors"
	"time"

	"signalbox.dev/signalbox/ledger"
)

// The sweep compares one more page of each side at a time: what is there may have
// changed since it was compared, on a disk that fails or by somebody's hand.

// patience is how long a page of the business chain may take, in pages' pauses.
// A chain that has lost its end would be waited for without end.
const patience = 20

// begin says where a sweep goes on, and whether it is time to.
func (r *Reconciler) begin(ctx context.Context, name string) (progress, bool, error) {
	p, err := r.at(ctx, name)
	rest := r.cfg.Clock().Sub(time.UnixMilli(p.At))
	return p, p.Position > 0 || p.At == 0 || rest >= r.cfg.Pace.Round, err
}

// sweepIntents asks the chain for what the database says stands there.
func (r *Reconciler) sweepIntents(ctx context.Context) error {
	p, due, err := r.begin(ctx, sweepingIntents)
	if err != nil || !due {
		return err
	}
	kept, err := r.cfg.Outbox.StoredAfter(ctx, p.Position, page)
	if err != nil {
		return err
	}
	var list []row
	for _, k := range kept {
		s, err := r.get(ctx, ledger.Key{Flow: k.Flow, Tx: k.Tx})
		if err != nil {
			return err
		}
		list = append(list, found(k, k.Tx, compare(k, s))...)
	}
	next := int64(0) // the round is over
	if len(kept) == page {
		next = kept[page-1].Seq
	}
	return r.write(ctx, list, r.advance(sweepingIntents, next))
}

// errPage ends a look at the business chain that has its page.
var errPage = errors.New("page is full")

// sweepRecords compares again what follow has compared before.
func (r *Reconciler) sweepRecords(ctx context.Context) error {
	p, due, err := r.begin(ctx, sweepingRecords)
	if err != nil || !due {
		return err
	}
	end, err := r.at(ctx, following)
	if err != nil {
		return err
	}
	var batch []ledger.Stored
	if p.Position < end.Position {
		waiting, cancel := context.WithTimeout(ctx, patience*r.cfg.Pace.Sweep)
		defer cancel()
		err := r.cfg.Ledger.Follow(waiting, uint64(p.Position), func(s ledger.Stored) error {
			batch = append(batch, s)
			if len(batch) == page || int64(s.Position) >= end.Position {
				return errPage
			}
			return nil
		})
		if !errors.Is(err, errPage) && waiting.Err() == nil || ctx.Err() != nil {
			return err
		}
	}
	list, err := r.judge(ctx, batch)
	if err != nil {
		return err
	}
	next := int64(0) // the round is over, or the chain gives no more
	if n := len(batch); n > 0 && int64(batch[n-1].Position) < end.Position {
		next = int64(batch[n-1].Position)
	}
	return r.write(ctx, list, r.advance(sweepingRecords, next))
}
