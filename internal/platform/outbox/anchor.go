package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/fault"
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
	var rows []row
	err := o.cfg.Store.DB().NewSelect().Model(&rows).Column("seq", "tx", "business_tx").
		Where("business_tx <> ''").Where("anchored = 0").Order("seq").Limit(anchorBatch).Scan(ctx)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	anchors := make([]flow.Anchor, len(rows))
	seqs := make([]int64, len(rows))
	for i, r := range rows {
		tx, err := flow.ParseHash(r.Tx)
		if err != nil {
			return 0, fmt.Errorf("reading intent: %w", err)
		}
		anchors[i], seqs[i] = flow.Anchor{Tx: tx, BusinessTx: r.BusinessTx}, r.Seq
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
	return len(rows), o.cfg.Store.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Model((*row)(nil)).Set("anchored = 1").Where("seq IN (?)", bun.List(seqs)).Exec(ctx)
		return err
	})
}
