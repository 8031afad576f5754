package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/fault"
	"signalbox.dev/signalbox/internal/store"
)

// anchorBatch is the most anchors in one message.
const anchorBatch = 256

// anchor is the seventh write: it reports where records stand, in batches.
func (o *Outbox) anchor(ctx context.Context) error {
	tick := time.NewTicker(o.cfg.Pace.AnchorEvery)
	defer tick.Stop()
	for failures := 0; ; {
		n, err := o.anchorSome(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			failures++
			o.cfg.Logger.Warn("anchoring", "err", err)
			if err := pause(ctx, backoff(o.cfg.Pace.Retry, o.cfg.Pace.Longest, failures)); err != nil {
				return err
			}
			continue
		case n == anchorBatch:
			continue
		}
		failures = 0
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-o.anchors:
		}
		select { // gather a batch
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// anchorSome reports one batch and says how many were in it.
func (o *Outbox) anchorSome(ctx context.Context) (int, error) {
	anchors, seqs, err := o.unanchored(ctx)
	if err != nil || len(seqs) == 0 {
		return 0, err
	}
	if err := fault.Before(fault.Anchor); err != nil {
		return 0, err
	}
	if err := o.cfg.Transport.Anchor(ctx, o.cfg.Business, anchors); err != nil {
		return 0, err
	}
	if err := fault.After(fault.Anchor); err != nil {
		return 0, err
	}
	return len(seqs), o.cfg.Store.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		for _, seq := range seqs {
			if _, err := store.Exec(ctx, tx, "UPDATE outbox SET anchored = 1 WHERE seq = ?", seq); err != nil {
				return err
			}
		}
		return nil
	})
}

// unanchored reads the next batch, with the numbers of its rows.
func (o *Outbox) unanchored(ctx context.Context) (anchors []flow.Anchor, seqs []int64, err error) {
	const text = "SELECT seq, tx, business_tx FROM outbox WHERE business_tx <> '' AND anchored = 0 ORDER BY seq LIMIT ?"
	err = store.Query(ctx, o.cfg.Store.DB(), text, []any{anchorBatch}, func(scan func(...any) error) error {
		var seq int64
		var tx string
		var a flow.Anchor
		err := scan(&seq, &tx, &a.BusinessTx)
		if err == nil {
			a.Tx, err = flow.ParseHash(tx)
		}
		anchors, seqs = append(anchors, a), append(seqs, seq)
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("reading intents: %w", err)
	}
	return anchors, seqs, nil
}
