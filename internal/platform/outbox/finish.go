package outbox

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/internal/fault"
	"signalbox.dev/signalbox/internal/platform/event"
	"signalbox.dev/signalbox/internal/store"
)

// finish is the sixth write: in one transaction the intent's state, what it
// means to its module, and the event that tells the participants. If it does not
// stand as it was read any more, somebody else has finished it.
func (o *Outbox) finish(ctx context.Context, r row) error {
	if err := fault.Before(fault.Done); err != nil {
		return err
	}
	err := o.cfg.Store.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		ours, err := o.update(ctx, tx, r)
		if err != nil || !ours {
			return err
		}
		if h := o.handlers[r.Step]; h != nil {
			if err := h(ctx, tx, r.outcome()); err != nil {
				return fmt.Errorf("handling %s of %s: %w", r.Step, r.ID, err)
			}
		}
		return o.tell(ctx, tx, r)
	})
	if err == nil {
		err = fault.After(fault.Done)
	}
	if err != nil {
		return err
	}
	o.live.drop(r.ID)
	o.cfg.Logger.Info("step", "id", r.ID, "step", r.Step, "state", r.State, "flow", r.Flow)
	o.cfg.Events.Wake()
	o.wake(r.ID)
	if r.BusinessTx != "" {
		o.anchors.give()
	}
	return nil
}

const (
	updateIntent = "UPDATE outbox SET flow = ?, state = ?, next_at = ?, error = ?, verdict = ?, reasons = ?, tx = ?, token = ?, issued = ?, " +
		"expires = ?, receipt = ?, business_tx = ?, submitted_at = ?, decided_at = ?, stored_at = ? WHERE id = ? AND state = +?"
	deleteSealed = "DELETE FROM outbox_sealed WHERE seq = (SELECT seq FROM outbox WHERE id = ?)"
)

// update writes what a decision or a put changes, if the row still stands as it was
// read. What a final intent carried stands on the chains now, or nowhere.
func (o *Outbox) update(ctx context.Context, tx bun.Tx, r row) (bool, error) {
	n, err := store.Exec(ctx, tx, updateIntent, r.Flow, string(r.State), r.NextAt, r.Error, string(r.Verdict), r.Reasons, r.Tx, r.Token, r.Issued,
		r.Expires, r.Receipt, r.BusinessTx, r.SubmittedAt, r.DecidedAt, r.StoredAt, r.ID, string(r.Stands))
	if err == nil && n == 1 && r.State.Final() {
		_, err = store.Exec(ctx, tx, deleteSealed, r.ID)
	}
	if err != nil {
		return false, fmt.Errorf("writing intent: %w", err)
	}
	return n == 1, nil
}

func (o *Outbox) tell(ctx context.Context, tx bun.Tx, r row) error {
	kinds := map[State]event.Kind{Done: event.Done, Refused: event.Refused, Held: event.Held, Lapsed: event.Lapsed}
	return o.cfg.Events.Append(ctx, tx, event.Event{
		At: o.now(), Kind: kinds[r.State], Flow: r.Flow, Ref: r.Ref, Step: r.Step,
		Verdict: r.Verdict, Tx: r.Tx, Party: r.Actor,
	})
}
