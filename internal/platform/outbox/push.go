package outbox

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/fault"
	"signalbox.dev/signalbox/internal/store"
)

// What is to be worked on now, longest due first. What was planned for later than
// anything is planned for was so by a clock that has been set back since; it is
// due too, or it would wait for the old time to come again. The first condition
// of each lets the partial index serve.
const (
	selectDue   = "SELECT id FROM outbox WHERE state IN ('pending', 'held', 'granted') AND "
	andDue      = " AND (next_at <= +? OR next_at > +?) ORDER BY next_at, seq LIMIT ?"
	selectPush  = selectDue + "state IN ('pending', 'held')" + andDue
	selectStore = selectDue + "state = 'granted'" + andDue
)

func (o *Outbox) due(ctx context.Context, text string, limit int) ([]string, error) {
	var ids []string
	now := o.now()
	args := []any{now.UnixMilli(), now.Add(2 * o.cfg.Pace.Longest).UnixMilli(), limit}
	err := store.Query(ctx, o.cfg.Store.DB(), text, args, func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

func (o *Outbox) pusher() pump {
	return pump{
		workers: o.cfg.Pace.Workers, poll: o.cfg.Pace.Poll, offered: o.fresh,
		due: func(ctx context.Context, limit int) ([]string, error) { return o.due(ctx, selectPush, limit) },
		work: func(ctx context.Context, id string, offered bool) {
			if r, ok := o.live.first(id); ok {
				o.pushFirst(ctx, r)
			} else if !offered {
				o.pushAgain(ctx, id)
			}
		},
		failed: func(err error) { o.cfg.Logger.Error("looking for what to push", "err", err) },
	}
}

// push is the second write: it hands the submission, byte for byte as it was
// first made, to the fusion node, and tells how often it did so before.
func (o *Outbox) push(ctx context.Context, r row, before int) error {
	var s flow.Submission
	if err := flow.Unmarshal(r.Submission, &s); err != nil {
		return err
	}
	if err := fault.Before(fault.Submission); err != nil {
		return err
	}
	if err := o.cfg.Transport.Resubmit(ctx, s, before); err != nil {
		return err
	}
	return fault.After(fault.Submission)
}

// pushFirst pushes what has just been intended. It was written down then as
// pushed once, so that nothing is to be noted when that goes well.
func (o *Outbox) pushFirst(ctx context.Context, r row) {
	err := o.push(ctx, r, 0)
	if err == nil {
		o.live.pushed(r.ID, o.now().UnixMilli())
		return
	}
	// Nobody has taken it: the next attempt is the same one.
	const text = "UPDATE outbox SET accepted = 0, next_at = ?, error = ? WHERE id = ? AND state IN ('pending', 'held')"
	o.pushFailed(ctx, r, err, text, 1)
}

// pushAgain pushes what was not decided in time, or in an earlier process.
func (o *Outbox) pushAgain(ctx context.Context, id string) {
	if r, ok := o.live.find(id); ok && r.State == Granted {
		// The business chain takes its time. Written down, the decision needs not be asked for again.
		if err := o.settle(ctx, r); err != nil && ctx.Err() == nil {
			o.cfg.Logger.Error("noting a decision", "err", err)
		}
		return
	}
	r, err := find(ctx, o.cfg.Store.DB(), id)
	if err == nil && r.State != Pending && r.State != Held {
		return // decided in the meantime
	}
	if err == nil {
		err = o.push(ctx, r, r.Accepted)
	}
	if err != nil {
		const text = "UPDATE outbox SET attempts = attempts + 1, next_at = ?, error = ? WHERE id = ? AND state IN ('pending', 'held')"
		r.ID = id
		o.pushFailed(ctx, r, err, text, r.Attempts-r.Accepted+1)
		return
	}
	const text = "UPDATE outbox SET attempts = attempts + 1, accepted = accepted + 1, next_at = ?, " +
		"submitted_at = CASE submitted_at WHEN 0 THEN ? ELSE submitted_at END WHERE id = ? AND state IN ('pending', 'held')"
	now := o.now()
	waiting, err := o.Backlog(ctx)
	if err != nil {
		waiting = o.cfg.Pace.Backlog // better late than a flood
	}
	wait := backoff(o.patience(waiting), o.cfg.Pace.Longest, r.Accepted+1)
	o.write(ctx, "noting a push", func(ctx context.Context, tx bun.Tx) error {
		// The decision may have been faster; then its own times stand.
		_, err := store.Exec(ctx, tx, text, now.Add(wait).UnixMilli(), now.UnixMilli(), id)
		return err
	})
}

// pushFailed plans the next attempt after the n-th failure in a row, by a
// statement that takes its time, the cause and the id.
func (o *Outbox) pushFailed(ctx context.Context, r row, cause error, text string, n int) {
	if ctx.Err() != nil {
		return
	}
	o.cfg.Logger.Warn("pushing to the fusion node", "id", r.ID, "step", r.Step, "err", cause)
	next := o.now().Add(backoff(o.cfg.Pace.Retry, o.cfg.Pace.Longest, n))
	o.write(ctx, "noting an attempt", func(ctx context.Context, tx bun.Tx) error {
		_, err := store.Exec(ctx, tx, text, next.UnixMilli(), cause.Error(), r.ID)
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
