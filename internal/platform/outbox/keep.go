package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/fault"
	"signalbox.dev/signalbox/internal/store"
	"signalbox.dev/signalbox/ledger"
)

func (o *Outbox) keeper() pump {
	return pump{
		workers: o.cfg.Pace.Workers, poll: o.cfg.Pace.Poll, offered: o.granted,
		due: func(ctx context.Context, limit int) ([]string, error) { return o.due(ctx, selectStore, limit) },
		work: func(ctx context.Context, id string, offered bool) {
			r, ok := o.live.find(id)
			var err error
			if !ok || !offered {
				r, err = find(ctx, o.cfg.Store.DB(), id)
			}
			o.keep(ctx, id, r, err)
		},
		failed: func(err error) { o.cfg.Logger.Error("looking for what to store", "err", err) },
	}
}

// keep is the fifth write: the record, with the receipt that permits it, on the
// business chain (R1.5, R2.7, R4.1, R4.6); and the sixth. r is the intent as it
// was found, if there was no error.
func (o *Outbox) keep(ctx context.Context, id string, r row, err error) {
	if err == nil && r.State != Granted {
		return // finished in the meantime
	}
	granted := r
	var txid ledger.TxID
	if err == nil {
		txid, err = o.put(ctx, r)
	}
	now := o.now()
	switch {
	case ctx.Err() != nil:
		return
	case errors.Is(err, ledger.ErrExpired) && now.UnixMilli() < r.Expires:
		// By our clock it has not: the chain's is wrong, or ours. It is tried again
		// for as long as that can be.
	case errors.Is(err, ledger.ErrRefused):
		// The chain says no for good: it was shown the same bytes that it will
		// be shown every time.
		r.State, r.Error = Lapsed, ""
		r.Reasons, err = encodeReasons([]flow.Reason{lapse(err)})
	case err == nil:
		r.State, r.Error = Done, ""
		r.BusinessTx, r.StoredAt = string(txid), now.UnixMilli()
	}
	if err == nil {
		err = o.finish(ctx, r)
	}
	if err == nil || ctx.Err() != nil {
		return
	}
	o.cfg.Logger.Warn("storing on the business chain", "id", id, "step", r.Step, "err", err)
	o.postpone(ctx, id, granted, err)
}

// postpone plans the next try to store a record, and writes the decision down if
// that has not been done.
func (o *Outbox) postpone(ctx context.Context, id string, r row, cause error) {
	const text = "UPDATE outbox SET attempts = attempts + 1, next_at = ?, error = ? WHERE id = ? AND state = 'granted'"
	next := o.now().Add(backoff(o.cfg.Pace.Retry, o.cfg.Pace.Longest, r.Attempts-r.Accepted+1)).UnixMilli()
	if o.write(ctx, "noting an attempt", func(ctx context.Context, tx bun.Tx) error {
		if r.Stands != Granted {
			if _, err := o.update(ctx, tx, r); err != nil {
				return err
			}
		}
		_, err := store.Exec(ctx, tx, text, next, cause.Error(), id)
		return err
	}) {
		o.live.drop(id)
	}
}

func lapse(err error) flow.Reason {
	return flow.Reason{Code: "business_chain_refused", Zh: "业务链拒绝写入: " + err.Error(), En: "the business chain refused the record: " + err.Error()}
}

// put stores the record. When the chain will not take it, because its answer to
// an earlier attempt was lost and the receipt has expired since, say, it looks
// whether the record stands already.
func (o *Outbox) put(ctx context.Context, r row) (ledger.TxID, error) {
	rec, err := record(r)
	if err != nil {
		return "", err
	}
	if err := fault.Before(fault.Record); err != nil {
		return "", err
	}
	txid, err := o.cfg.Ledger.Put(ctx, rec)
	if err == nil {
		err = fault.After(fault.Record)
	}
	if !errors.Is(err, ledger.ErrRefused) && !errors.Is(err, ledger.ErrConflict) {
		return txid, err
	}
	stored, getErr := o.cfg.Ledger.Get(ctx, rec.Key)
	switch {
	case errors.Is(getErr, ledger.ErrNotFound):
		return "", err
	case getErr != nil:
		return "", fmt.Errorf("looking for the record that the chain would not take: %w", getErr)
	case stored.Step != rec.Step || !bytes.Equal(stored.Value, rec.Value):
		// No %w for the refusal: something else stands there, which only
		// people can sort out, so this stays undone and visible.
		return "", fmt.Errorf("another record stands under key %s: %v", rec.Key.Tx, err)
	default:
		return stored.TxID, nil
	}
}

func record(r row) (ledger.Record, error) {
	id, err := flow.ParseHash(r.Flow)
	if err != nil {
		return ledger.Record{}, fmt.Errorf("reading intent: %w", err)
	}
	tx, err := flow.ParseHash(r.Tx)
	if err != nil {
		return ledger.Record{}, fmt.Errorf("reading intent: %w", err)
	}
	return ledger.Record{Key: ledger.Key{Flow: id, Tx: tx}, Step: r.Step, Value: r.Value, Receipt: r.Receipt}, nil
}
