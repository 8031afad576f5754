package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/store"
	"signalbox.dev/signalbox/ledger"
)

// State is where an intent stands.
type State string

// The states.
const (
	Pending State = "pending" // not decided; pushed until it is
	Held    State = "held"    // waits for an officer; pushed on, slowly
	Granted State = "granted" // decided; its record is not on the business chain yet
	Done    State = "done"    // final
	Refused State = "refused" // final
	Lapsed  State = "lapsed"  // final: granted, and the business chain refused the record
)

// Final says whether nothing more happens to the intent.
func (s State) Final() bool { return s == Done || s == Refused || s == Lapsed }

// Errors of this package.
var (
	ErrNotFound = errors.New("no such submission or decision")
	ErrInFlight = errors.New("another step of this flow is on its way")
	ErrTooLarge = errors.New("the record is too large for the business chain")
	ErrFull     = errors.New("too many steps wait for an answer: try again later")
)

// row is an intent in the database. Times are Unix milliseconds.
type row struct {
	bun.BaseModel `bun:"table:outbox"`

	Seq         int64 `bun:",pk,autoincrement"`
	ID          string
	Ref         string
	Flow        string
	Step        flow.Step
	Actor       string
	Detail      string
	State       State
	Submission  []byte `bun:"-"` // encoded flow.Submission; in outbox_sealed, until final
	Value       []byte `bun:"-"` // for the business chain; likewise
	Stands      State  `bun:"-"` // what the database last had as State
	Commitment  string
	Record      string
	Attempts    int // pushes, and later puts, that were tried
	Accepted    int // pushes that the fusion node took
	NextAt      int64
	Error       string
	Verdict     flow.Verdict
	Reasons     string // JSON
	Tx          string
	Token       string
	Issued      int64
	Expires     int64
	Receipt     []byte
	BusinessTx  string
	Anchored    int
	CreatedAt   int64
	SubmittedAt int64
	DecidedAt   int64
	StoredAt    int64
}

// brief are the columns that an Outcome needs: nothing sealed, no receipt.
const brief = "seq, id, ref, flow, step, actor, detail, state, attempts, error, verdict, reasons, tx, token, issued, expires, business_tx, anchored, created_at, submitted_at, decided_at, stored_at"

// brief are the places for the columns of that name.
func (r *row) brief() []any {
	return []any{
		&r.Seq, &r.ID, &r.Ref, &r.Flow, &r.Step, &r.Actor, &r.Detail, &r.State, &r.Attempts, &r.Error, &r.Verdict, &r.Reasons, &r.Tx, &r.Token,
		&r.Issued, &r.Expires, &r.BusinessTx, &r.Anchored, &r.CreatedAt, &r.SubmittedAt, &r.DecidedAt, &r.StoredAt,
	}
}

// Outcome is what is known of an intent.
type Outcome struct {
	ID         flow.ID
	Ref        flow.ID   // the flow's registration; zero for an enrolment
	Flow       flow.Hash // zero until known
	Step       flow.Step
	Actor      string
	Detail     string // what the module wrote down for its handler
	State      State
	Verdict    flow.Verdict  // empty while unknown
	Reasons    []flow.Reason // of a refusal, a hold, or a lapse
	Tx         flow.Hash     // the decision's transaction
	Token      flow.Hash     // zero where the step gives none
	Issued     time.Time     // zero while undecided
	Expires    time.Time     // zero for never
	BusinessTx ledger.TxID   // empty where the step leaves no record, and until it stands
	Receipt    []byte        // from Wait, Outcome and to handlers; lists leave it out
	Anchored   bool
	Attempts   int    // pushes so far
	Problem    string // what went wrong last, while not final
	Intended   time.Time

	// How long each part took, to the millisecond; zero until it is over.
	Submitting time.Duration // intent to the fusion node's answer
	Deciding   time.Duration // from there to the decision
	Storing    time.Duration // from there to the business chain's answer
}

// Took is the time from the intent to its last part so far.
func (o Outcome) Took() time.Duration { return o.Submitting + o.Deciding + o.Storing }

func (r row) outcome() Outcome {
	out := Outcome{
		Step: r.Step, Actor: r.Actor, Detail: r.Detail, State: r.State, Verdict: r.Verdict,
		BusinessTx: ledger.TxID(r.BusinessTx), Receipt: r.Receipt, Anchored: r.Anchored != 0,
		Attempts: r.Attempts, Problem: r.Error, Intended: time.UnixMilli(r.CreatedAt).UTC(),
		Issued: moment(r.Issued), Expires: moment(r.Expires),
	}
	// The texts were written by this package: empty or well formed.
	out.ID, _ = flow.ParseID(r.ID)
	out.Ref, _ = flow.ParseID(r.Ref)
	out.Flow, _ = flow.ParseHash(r.Flow)
	out.Tx, _ = flow.ParseHash(r.Tx)
	out.Token, _ = flow.ParseHash(r.Token)
	if r.Reasons != "" {
		_ = json.Unmarshal([]byte(r.Reasons), &out.Reasons)
	}
	// A decision can be here before the node's answer to the push is noted.
	submitted := r.SubmittedAt
	if submitted == 0 || r.DecidedAt != 0 && submitted > r.DecidedAt {
		submitted = r.DecidedAt
	}
	out.Submitting = between(r.CreatedAt, submitted)
	out.Deciding = between(submitted, r.DecidedAt)
	out.Storing = between(r.DecidedAt, r.StoredAt)
	return out
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func between(from, to int64) time.Duration {
	if from == 0 || to <= from {
		return 0
	}
	return time.Duration(to-from) * time.Millisecond
}

const selectIntent = "SELECT " + brief + ", receipt, commitment, record, accepted, next_at, submission, value " +
	"FROM outbox LEFT JOIN outbox_sealed USING (seq) WHERE id = ?"

// find reads an intent with everything that it carries.
func find(ctx context.Context, db bun.IDB, id string) (row, error) {
	var r row
	into := append(r.brief(), &r.Receipt, &r.Commitment, &r.Record, &r.Accepted, &r.NextAt, &r.Submission, &r.Value)
	err := store.Get(ctx, db, selectIntent, []any{id}, into...)
	if errors.Is(err, sql.ErrNoRows) {
		return row{}, ErrNotFound
	}
	if err != nil {
		return row{}, fmt.Errorf("reading intent: %w", err)
	}
	r.Stands = r.State
	return r, nil
}
