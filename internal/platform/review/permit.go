package review

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/dossier"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/internal/store"
)

// States of a permit.
const (
	granted = "granted" // in force until it expires
	spent   = "spent"   // its result is on the way
	used    = "used"    // its result was granted
)

// permit is one granted review request.
type permit struct {
	bun.BaseModel `bun:"table:reviews"`

	Request    string `bun:",pk"` // the decision's transaction hash
	Flow       string
	Reviewer   string
	Token      string
	Expires    int64 // Unix milliseconds
	State      string
	Submission string
	Result     string // submission id of the result
	UpdatedAt  int64

	token, request flow.Hash // as the receipt proves them; set by holds
}

func (m *Module) now() int64 { return m.cfg.Clock().UnixMilli() }

// permitted handles the end of a review request.
func (m *Module) permitted(ctx context.Context, tx bun.Tx, o outbox.Outcome) error {
	if o.State != outbox.Done {
		return nil
	}
	if err := dossier.Advance(ctx, tx, o.Flow, o.Step, false, m.cfg.Clock()); err != nil {
		return err
	}
	p := permit{
		Request: o.Tx.String(), Flow: o.Flow.String(), Reviewer: o.Actor, Token: o.Token.String(),
		Expires: o.Expires.UnixMilli(), State: granted, Submission: o.ID.String(), UpdatedAt: m.now(),
	}
	const text = "INSERT INTO reviews (request, flow, reviewer, token, expires, state, submission, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
	if _, err := store.Exec(ctx, tx, text, p.Request, p.Flow, p.Reviewer, p.Token, p.Expires, p.State, p.Submission, p.UpdatedAt); err != nil {
		return fmt.Errorf("writing permit: %w", err)
	}
	return nil
}

// spend makes a token serve for one result only.
func (m *Module) spend(ctx context.Context, tx bun.Tx, p permit, result flow.ID) error {
	ok, err := m.move(ctx, tx, spent, result, "request = ? AND state = 'granted'", p.Request)
	if err == nil && !ok {
		return ErrNotYours
	}
	return err
}

// reviewed handles the end of a result. Where it was not granted, the permit is
// in force again: the authority counts no token as used that it refused.
func (m *Module) reviewed(ctx context.Context, tx bun.Tx, o outbox.Outcome) error {
	to := granted
	switch o.State {
	case outbox.Done:
		to = used
		approved := o.Detail == string(flow.Approve)
		if err := dossier.Advance(ctx, tx, o.Flow, o.Step, approved, m.cfg.Clock()); err != nil {
			return err
		}
	case outbox.Refused, outbox.Lapsed:
	default:
		return nil
	}
	ok, err := m.move(ctx, tx, to, o.ID, "result = ? AND state = 'spent'", o.ID.String())
	if err == nil && !ok {
		err = fmt.Errorf("writing permit: none is spent for result %s", o.ID)
	}
	return err
}

func (m *Module) move(ctx context.Context, tx bun.Tx, to string, result flow.ID, where, arg string) (bool, error) {
	n, err := store.Exec(ctx, tx, "UPDATE reviews SET state = ?, result = ?, updated_at = ? WHERE "+where, to, result.String(), m.now(), arg)
	if err != nil {
		return false, fmt.Errorf("writing permit: %w", err)
	}
	return n == 1, nil
}
