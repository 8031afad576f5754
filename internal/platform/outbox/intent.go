package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/fault"
	"signalbox.dev/signalbox/internal/platform/dossier"
	"signalbox.dev/signalbox/internal/platform/event"
	"signalbox.dev/signalbox/internal/platform/sealing"
	"signalbox.dev/signalbox/internal/store"
)

// Intent is a step that a module wants to take.
type Intent struct {
	Step    flow.Step
	Flow    flow.Hash          // zero for Register and Enrol
	Actor   string             // reviewer or producer; may be empty
	Payload []byte             // plain; it goes no further than Prepare
	To      envelope.PublicKey // whom the business chain's copy is for; unused where the step leaves none
	Detail  string             // for the module's handler; no personal data, no content
}

// Prepared is a sealed intent. It holds nothing plain. It is done once.
type Prepared struct {
	row *row
}

// ID is the submission's.
func (p Prepared) ID() flow.ID {
	id, _ := flow.ParseID(p.row.ID)
	return id
}

// Prepare seals an intent. It is apart from Do because sealing takes
// milliseconds in suite intl, and the database has one writer. When the backlog
// is full, or for a step that begins a flow nine tenths full, it seals nothing: ErrFull.
func (o *Outbox) Prepare(ctx context.Context, in Intent) (Prepared, error) {
	if _, err := o.room(ctx, o.cfg.Store.DB(), in.Step); err != nil {
		return Prepared{}, err
	}
	sealed, err := o.cfg.Sealer.Seal(sealing.Draft{Step: in.Step, Flow: in.Flow, Actor: in.Actor, Payload: in.Payload, To: in.To})
	if err != nil {
		return Prepared{}, err
	}
	if most := o.cfg.Ledger.Capabilities().MaxValue; most > 0 && len(sealed.Value) > most {
		return Prepared{}, fmt.Errorf("%w: %d bytes sealed, at most %d", ErrTooLarge, len(sealed.Value), most)
	}
	submission, err := flow.Marshal(sealed.Submission)
	if err != nil {
		return Prepared{}, fmt.Errorf("encoding submission: %w", err)
	}
	h := sealed.Header
	r := &row{
		ID: h.ID.String(), Step: h.Step, Actor: h.Actor, Detail: in.Detail, State: Pending,
		Submission: submission, Value: sealed.Value, Commitment: h.Commitment.String(),
	}
	if !h.Flow.IsZero() {
		r.Flow = h.Flow.String()
	}
	if !h.Record.IsZero() {
		r.Record = h.Record.String()
	}
	return Prepared{row: r}, nil
}

// Do stores the intent in one transaction with what fn writes before it, and
// sees to its being pushed. fn may be nil; its error undoes everything. A step
// that can't follow on where the flow stands is flow.ErrOutOfOrder, a flow with
// an undecided intent ErrInFlight, a full backlog ErrFull; none is sent anywhere.
func (o *Outbox) Do(ctx context.Context, p Prepared, fn func(context.Context, bun.Tx) error) (flow.ID, error) {
	if err := fault.Before(fault.Intent); err != nil {
		return flow.ID{}, err
	}
	err := o.cfg.Store.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		if fn != nil {
			if err := fn(ctx, tx); err != nil {
				return err
			}
		}
		return o.intend(ctx, tx, p.row)
	})
	if err == nil {
		err = fault.After(fault.Intent)
	}
	if err != nil {
		return flow.ID{}, err
	}
	o.cfg.Events.Wake()
	p.row.Stands = Pending
	o.hand(o.fresh, *p.row)
	return p.ID(), nil
}

// hand gives an intent to a pump, without its being read again, and says whether
// there was room for it. One that finds none is due by itself, in a while.
func (o *Outbox) hand(to chan string, r row) bool {
	kept := o.live.keep(r)
	select {
	case to <- r.ID:
		return kept
	default:
		return false
	}
}

// intend stores the intent in the caller's transaction. It is planned for its
// second push: the first is made at once, unless there is no room in memory.
func (o *Outbox) intend(ctx context.Context, tx bun.Tx, r *row) error {
	waiting, err := o.room(ctx, tx, r.Step)
	if err != nil {
		return err
	}
	if err := place(ctx, tx, r); err != nil {
		return err
	}
	r.Attempts, r.Accepted = 1, 1
	r.CreatedAt = o.now().UnixMilli()
	r.NextAt = r.CreatedAt
	if !o.live.full() {
		r.NextAt += o.patience(waiting).Milliseconds()
	}
	if err := insert(ctx, tx, r); err != nil {
		return fmt.Errorf("writing intent: %w", err)
	}
	return o.cfg.Events.Append(ctx, tx, event.Event{
		At: o.now(), Kind: event.Submitted, Flow: r.Flow, Ref: r.Ref, Step: r.Step, Party: r.Actor,
	})
}

const (
	insertIntent = "INSERT INTO outbox (id, ref, flow, step, actor, detail, state, commitment, record, attempts, accepted, next_at, created_at) " +
		"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	insertSealed = "INSERT INTO outbox_sealed VALUES (last_insert_rowid(), ?, ?)"
)

func insert(ctx context.Context, tx bun.Tx, r *row) error {
	_, err := store.Exec(ctx, tx, insertIntent, r.ID, r.Ref, r.Flow, string(r.Step), r.Actor, r.Detail, string(r.State),
		r.Commitment, r.Record, r.Attempts, r.Accepted, r.NextAt, r.CreatedAt)
	if err == nil {
		_, err = store.Exec(ctx, tx, insertSealed, r.Submission, r.Value)
	}
	return err
}

// room is where back-pressure begins: while the fusion node, the authority or the
// business chain is away, what waits for them grows to Pace.Backlog and no
// further. The count is kept by the database itself, so that looking is cheap
// and exact within tx. What is held waits for an officer, not for a machine, and
// doesn't count: a full docket must not stop those who are on no list.
//
// What begins something new has nine tenths of the room: the last one is for
// flows that have begun, which would else wait behind what they have no share in.
func (o *Outbox) room(ctx context.Context, db bun.IDB, step flow.Step) (waiting int, err error) {
	most := o.cfg.Pace.Backlog
	if step == flow.Register || step == flow.Enrol {
		most -= most / 10
	}
	waiting, err = backlog(ctx, db)
	if err == nil && waiting >= most {
		err = fmt.Errorf("%w: %d steps wait for an answer", ErrFull, waiting)
	}
	return waiting, err
}

// patience is how long a step may go without its answer before it is pushed
// again: Resend when it is alone, and longer in a queue. Who asks again while the
// others are only busy makes them busier, until copies are all that they see.
func (o *Outbox) patience(waiting int) time.Duration {
	return min(o.cfg.Pace.Resend+time.Duration(waiting)*o.cfg.Pace.Turn, max(o.cfg.Pace.Longest, o.cfg.Pace.Resend))
}

func backlog(ctx context.Context, db bun.IDB) (int, error) {
	var waiting int
	if err := store.Get(ctx, db, "SELECT waiting FROM outbox_backlog WHERE id = ?", []any{1}, &waiting); err != nil {
		return 0, fmt.Errorf("reading the backlog: %w", err)
	}
	return waiting, nil
}

// Backlog is how many intents wait for a decision or for the business chain.
func (o *Outbox) Backlog(ctx context.Context) (int, error) { return backlog(ctx, o.cfg.Store.DB()) }

// The + hides a value from SQLite's planner, which would prepare the statement anew
// for every value to see whether a partial index covers it.
const (
	busyFlow  = "SELECT count(*) FROM outbox WHERE ref = +? AND ref <> '' AND state IN ('pending', 'held', 'granted')"
	busyActor = "SELECT count(*) FROM outbox WHERE ref = '' AND actor = +? AND state IN ('pending', 'held', 'granted')"
)

// place finds the intent's flow and makes sure that the step may come now.
func place(ctx context.Context, tx bun.Tx, r *row) error {
	open, whose := busyFlow, ""
	switch r.Step {
	case flow.Register:
		r.Ref = r.ID
		return nil
	case flow.Enrol:
		open, whose = busyActor, r.Actor
	default:
		id, err := flow.ParseHash(r.Flow)
		if err != nil {
			return err
		}
		f, err := dossier.ByFlow(ctx, tx, id)
		if err != nil {
			return err
		}
		if _, err := flow.Next(f.State, r.Step, true); err != nil {
			return err
		}
		r.Ref, whose = f.Ref, f.Ref
	}
	var busy int
	if err := store.Get(ctx, tx, open, []any{whose}, &busy); err != nil {
		return fmt.Errorf("reading intents: %w", err)
	}
	if busy > 0 {
		return ErrInFlight
	}
	return nil
}
