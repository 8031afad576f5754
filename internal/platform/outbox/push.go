package outbox

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/fault"
)

func (o *Outbox) pusher() pump {
	return pump{
		workers: o.cfg.Pace.Workers, poll: o.cfg.Pace.Poll, nudge: o.pushes,
		due: func(ctx context.Context, limit int) ([]string, error) {
			return o.due(ctx, limit, Pending, Held)
		},
		work:   o.push,
		failed: func(err error) { o.cfg.Logger.Error("looking for what to push", "err", err) },
	}
}

// due lists what is to be worked on now, longest due first. What was planned for
// later than anything is planned for was so by a clock that has been set back
// since; it is due too, or it would wait for the old time to come again.
func (o *Outbox) due(ctx context.Context, limit int, states ...State) ([]string, error) {
	var ids []string
	now := o.now()
	never := now.Add(2 * o.cfg.Pace.Longest)
	err := o.cfg.Store.DB().NewSelect().Model((*row)(nil)).Column("id").
		Where("state IN (?)", bun.List(states)).Where("next_at <= ? OR next_at > ?", now.UnixMilli(), never.UnixMilli()).
		Order("next_at", "seq").Limit(int64(limit)).Scan(ctx, &ids)
	return ids, err
}

// push is the second write: it hands the submission, byte for byte as it was
// first made, to the fusion node.
func (o *Outbox) push(ctx context.Context, id string) {
	r, err := find(ctx, o.cfg.Store.DB(), id)
	if err == nil && r.State != Pending && r.State != Held {
		return // decided in the meantime
	}
	var s flow.Submission
	if err == nil {
		err = flow.Unmarshal(r.Submission, &s)
	}
	if err == nil {
		err = fault.Before(fault.Submission)
	}
	if err == nil {
		err = o.cfg.Transport.Resubmit(ctx, s, r.Accepted)
	}
	if err == nil {
		err = fault.After(fault.Submission)
	}
	if ctx.Err() != nil {
		return
	}
	now := o.now()
	wait := backoff(o.cfg.Pace.Resend, o.cfg.Pace.Longest, r.Accepted+1)
	if err != nil {
		wait = backoff(o.cfg.Pace.Retry, o.cfg.Pace.Longest, r.Attempts-r.Accepted+1)
		o.cfg.Logger.Warn("pushing to the fusion node", "id", id, "step", r.Step, "err", err)
	}
	o.write(ctx, "noting a push", func(ctx context.Context, tx bun.Tx) error {
		// The decision may have been faster; then its own times stand.
		q := tx.NewUpdate().Model((*row)(nil)).Set("attempts = attempts + 1").
			Set("next_at = CASE WHEN state IN (?, ?) THEN ? ELSE next_at END", Pending, Held, now.Add(wait).UnixMilli()).
			Where("id = ?", id)
		if err != nil {
			q = q.Set("error = CASE WHEN state IN (?, ?) THEN ? ELSE error END", Pending, Held, err.Error())
		} else {
			q = q.Set("accepted = accepted + 1").Set("submitted_at = CASE submitted_at WHEN 0 THEN ? ELSE submitted_at END", now.UnixMilli())
		}
		_, err := q.Exec(ctx)
		return err
	})
}

// write is for what is repeated anyway when it fails.
func (o *Outbox) write(ctx context.Context, doing string, fn func(context.Context, bun.Tx) error) bool {
	err := o.cfg.Store.Write(ctx, fn)
	if err != nil && ctx.Err() == nil {
		o.cfg.Logger.Error(doing, "err", err)
		_ = pause(ctx, min(o.cfg.Pace.Retry, time.Second)) // a full disk is no reason to spin
	}
	return err == nil
}
