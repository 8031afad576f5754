package reconcile

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"signalbox.dev/signalbox/ledger"
)

// follow takes records as they are stored, from where the process before left
// off, and compares them in batches. It ends with ctx or a failure.
func (r *Reconciler) follow(ctx context.Context) error {
	p, err := r.at(ctx, following)
	if err != nil {
		return err
	}
	records := make(chan ledger.Stored, page)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		err := r.cfg.Ledger.Follow(ctx, uint64(p.Position), func(s ledger.Stored) error {
			select {
			case records <- s:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		return fmt.Errorf("following the business chain: %w", err)
	})
	g.Go(func() error {
		for {
			batch, err := r.gather(ctx, records)
			if err != nil {
				return err
			}
			if err := r.take(ctx, batch); err != nil {
				return err
			}
		}
	})
	return g.Wait()
}

// gather waits for a record and takes those that come soon after it.
func (r *Reconciler) gather(ctx context.Context, records <-chan ledger.Stored) ([]ledger.Stored, error) {
	var batch []ledger.Stored
	select {
	case s := <-records:
		batch = append(batch, s)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	end := time.NewTimer(r.cfg.Pace.Gather)
	defer end.Stop()
	for len(batch) < page {
		select {
		case s := <-records:
			batch = append(batch, s)
		case <-end.C:
			return batch, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return batch, nil
}

func (r *Reconciler) take(ctx context.Context, batch []ledger.Stored) error {
	list, err := r.judge(ctx, batch)
	if err != nil {
		return err
	}
	return r.write(ctx, list, r.advance(following, int64(batch[len(batch)-1].Position)))
}
