package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/ledger"
)

// Kept is what the database holds of an intent for comparing it with the
// business chain. It holds nothing sealed.
type Kept struct {
	Seq        int64
	ID         flow.ID
	Step       flow.Step
	Flow       flow.Hash // zero until known
	Tx         flow.Hash // zero until decided
	State      State
	Record     flow.Hash   // SHA-256 of the sealed value; zero where the step leaves no record
	BusinessTx ledger.TxID // empty until it stands
	Anchored   bool
	Intended   time.Time
}

// keptColumns are what a Kept is made of.
const keptColumns = "seq, id, step, flow, tx, state, record, business_tx, anchored, created_at"

func (r row) kept() Kept {
	k := Kept{
		Seq: r.Seq, Step: r.Step, State: r.State, BusinessTx: ledger.TxID(r.BusinessTx), Anchored: r.Anchored != 0,
		Intended: time.UnixMilli(r.CreatedAt).UTC(),
	}
	// The texts were written by this package: empty or well formed.
	k.ID, _ = flow.ParseID(r.ID)
	k.Flow, _ = flow.ParseHash(r.Flow)
	k.Tx, _ = flow.ParseHash(r.Tx)
	k.Record, _ = flow.ParseHash(r.Record)
	return k
}

func (o *Outbox) kept(ctx context.Context, where func(*bun.SelectQuery) *bun.SelectQuery) ([]Kept, error) {
	var rows []row
	q := o.cfg.Store.DB().NewSelect().Model(&rows).ColumnExpr(keptColumns)
	if err := where(q).Scan(ctx); err != nil {
		return nil, fmt.Errorf("reading intents: %w", err)
	}
	out := make([]Kept, len(rows))
	for i, r := range rows {
		out[i] = r.kept()
	}
	return out, nil
}

// Kept finds the intents that these transactions decided, those too whose decision
// is being carried out.
func (o *Outbox) Kept(ctx context.Context, txs []flow.Hash) (map[flow.Hash]Kept, error) {
	out := make(map[flow.Hash]Kept, len(txs))
	if len(txs) == 0 {
		return out, nil
	}
	keys := make([]string, len(txs))
	for i, tx := range txs {
		keys[i] = tx.String()
		if r, ok := o.live.decided(keys[i]); ok { // before the database is read, where it will be when it is no longer here
			out[tx] = r.kept()
		}
	}
	list, err := o.kept(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("tx IN (?)", bun.List(keys)).Where("tx <> ''")
	})
	for _, k := range list {
		out[k.Tx] = k
	}
	return out, err
}

// KeptOf finds the intent with that submission id; false when there is none.
func (o *Outbox) KeptOf(ctx context.Context, id flow.ID) (Kept, bool, error) {
	list, err := o.kept(ctx, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("id = ?", id.String()) })
	if err != nil || len(list) == 0 {
		return Kept{}, false, err
	}
	return list[0], true, nil
}

// StoredAfter lists up to limit intents whose record stands on the business
// chain, as far as the database knows, by their number, after that one.
func (o *Outbox) StoredAfter(ctx context.Context, seq int64, limit int) ([]Kept, error) {
	return o.kept(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("seq > ?", seq).Where("business_tx <> ''").Order("seq").Limit(int64(limit))
	})
}

// Undone lists up to limit intents in a state, Pending or Granted, that were
// intended before a time, the oldest first.
func (o *Outbox) Undone(ctx context.Context, state State, before time.Time, limit int) ([]Kept, error) {
	return o.kept(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("state = ?", state).Where("state IN ('pending', 'granted')").
			Where("created_at < ?", before.UnixMilli()).Order("created_at").Limit(int64(limit))
	})
}

// Unanchored lists up to limit intents whose record was stored before a time and
// that the fusion node has not taken the anchor of.
func (o *Outbox) Unanchored(ctx context.Context, before time.Time, limit int) ([]Kept, error) {
	return o.kept(ctx, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("business_tx <> ''").Where("anchored = 0").Where("stored_at < ?", before.UnixMilli()).
			Order("seq").Limit(int64(limit))
	})
}
