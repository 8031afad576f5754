package plain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/dossier"
	"signalbox.dev/signalbox/internal/platform/event"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/internal/platform/payment"
	"signalbox.dev/signalbox/internal/store"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/profile"
)

// platform carries steps as the product's would if nobody supervised it.
type platform struct {
	store   *store.Store
	events  *event.Log
	profile profile.Profile
	chain   *chain
	pay     *payment.Sandbox
	ended   func(time.Duration) // told how long each step took
}

// within is what a module writes in a step's transaction.
type within func(ctx context.Context, tx bun.Tx) error

// step is a step of a flow as it is carried.
type step struct {
	kind    flow.Step
	id      flow.ID
	ref     string // the registration's id
	flow    flow.Hash
	actor   string
	detail  string
	payload []byte
	before  within // with the intent
	after   within // with its end
}

// newStep draws the step's id and encodes its payload.
func newStep(kind flow.Step, f *running, actor string, payload any) (step, error) {
	s := step{kind: kind, ref: f.ref, flow: f.id, actor: actor}
	var err error
	if s.id, err = flow.NewID(nil); err != nil {
		return step{}, err
	}
	if s.payload, err = flow.EncodePayload(payload); err != nil {
		return step{}, fmt.Errorf("%s: %w", kind, err)
	}
	return s, nil
}

// tx names a step's record, as the decision's transaction does in the product.
func (s step) tx() flow.Hash { return flow.SumHash(s.id[:], s.payload) }

const (
	insertIntent = "INSERT INTO outbox (id, ref, flow, step, actor, detail, state, commitment, record, attempts, accepted, next_at, created_at) " +
		"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 1, ?, ?)"
	insertCarried = "INSERT INTO outbox_sealed VALUES (last_insert_rowid(), x'00', ?)"
	updateIntent  = "UPDATE outbox SET flow = ?, state = 'done', tx = ?, issued = ?, business_tx = ?, anchored = 1, decided_at = ?, stored_at = ? " +
		"WHERE id = ? AND state = 'granted'"
	deleteCarried = "DELETE FROM outbox_sealed WHERE seq = (SELECT seq FROM outbox WHERE id = ?)"
	busyFlow      = "SELECT count(*) FROM outbox WHERE ref = ? AND ref <> '' AND state IN ('pending', 'held', 'granted')"
	backlog       = "SELECT waiting FROM outbox_backlog WHERE id = ?"
)

// carry writes the step down, puts it on the chain, and writes its end down.
func (p *platform) carry(ctx context.Context, s step) error {
	began := time.Now()
	if err := p.begin(ctx, s, "granted"); err != nil {
		return fmt.Errorf("beginning %s: %w", s.kind, err)
	}
	tx, id := s.tx(), s.flow
	if s.kind == flow.Register {
		id = tx
	}
	txid, err := p.chain.put(ctx, ledger.Key{Flow: id, Tx: tx}, s.kind, s.payload)
	if err != nil {
		return fmt.Errorf("putting %s: %w", s.kind, err)
	}
	err = p.store.Write(ctx, func(ctx context.Context, w bun.Tx) error {
		now := time.Now().UnixMilli()
		n, err := store.Exec(ctx, w, updateIntent, id.String(), tx.String(), now, string(txid), now, now, s.id.String())
		if err == nil && n == 1 {
			_, err = store.Exec(ctx, w, deleteCarried, s.id.String())
		}
		if err != nil || n != 1 {
			return errors.Join(err, errRows)
		}
		if err := s.after(ctx, w); err != nil {
			return err
		}
		return p.tell(ctx, w, event.Done, s, id)
	})
	if err != nil {
		return fmt.Errorf("ending %s: %w", s.kind, err)
	}
	p.events.Wake()
	p.ended(time.Since(began))
	return nil
}

var errRows = errors.New("not the one row that was to change")

// begin writes the intent with what it carries, and what its module writes.
func (p *platform) begin(ctx context.Context, s step, state string) error {
	err := p.store.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		if s.before != nil {
			if err := s.before(ctx, tx); err != nil {
				return err
			}
		}
		return p.intend(ctx, tx, s, state)
	})
	if err == nil {
		p.events.Wake()
	}
	return err
}

func (p *platform) intend(ctx context.Context, tx bun.Tx, s step, state string) error {
	var waiting, busy int
	if err := store.Get(ctx, tx, backlog, []any{1}, &waiting); err != nil {
		return err
	}
	if s.kind != flow.Register {
		f, err := dossier.ByFlow(ctx, tx, s.flow)
		if err != nil {
			return err
		}
		if _, err := flow.Next(f.State, s.kind, true); err != nil {
			return err
		}
		if err := store.Get(ctx, tx, busyFlow, []any{s.ref}, &busy); err != nil || busy > 0 {
			return errors.Join(err, outbox.ErrInFlight)
		}
	}
	now, content := time.Now().UnixMilli(), flow.SumHash(s.payload).String()
	_, err := store.Exec(ctx, tx, insertIntent, s.id.String(), s.ref, text(s.flow), string(s.kind), s.actor, s.detail, state, content, content, now, now)
	if err == nil && state == "granted" {
		_, err = store.Exec(ctx, tx, insertCarried, s.payload)
	}
	if err != nil {
		return err
	}
	return p.tell(ctx, tx, event.Submitted, s, s.flow)
}

func (p *platform) tell(ctx context.Context, tx bun.Tx, kind event.Kind, s step, id flow.Hash) error {
	return p.events.Append(ctx, tx, event.Event{At: time.Now(), Kind: kind, Flow: text(id), Ref: s.ref, Step: s.kind, Party: s.actor})
}

func text(h flow.Hash) string {
	if h.IsZero() {
		return ""
	}
	return h.String()
}

// one runs a statement that is to change one row.
func one(ctx context.Context, tx bun.Tx, statement string, args ...any) error {
	n, err := store.Exec(ctx, tx, statement, args...)
	if err != nil || n != 1 {
		return errors.Join(err, errRows)
	}
	return nil
}

// look is what a participant does before it acts: it asks where the flow stands.
func (p *platform) look(ctx context.Context, ref string) error {
	return p.store.DB().RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		id, err := flow.ParseID(ref)
		if err != nil {
			return err
		}
		if _, err := dossier.ByRef(ctx, tx, id); err != nil {
			return err
		}
		_, err = outbox.OfFlows(ctx, tx, ref)
		return err
	})
}
