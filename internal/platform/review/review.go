// Package review is the platform's part of reviewing (R2): reviewers enrol, pick
// a record from the pool of those that await review, ask for permission to
// review it, read it, and give their result. Every one of these is the
// authority's to grant; reading needs a granted request whose token is true,
// unexpired and unused, and then shows the record to that reviewer alone (R2.4).
package review

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/dossier"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/internal/platform/sealing"
	"signalbox.dev/signalbox/internal/store"
	"signalbox.dev/signalbox/ledger"
)

// Errors of this package.
var (
	// ErrNotYours is the one answer to everybody who holds no valid permit for
	// the record, whatever the reason, so that it tells nothing of the record.
	ErrNotYours    = errors.New("no valid permission to review this record")
	ErrUnderReview = errors.New("another permission to review this record is in force")
	ErrOpinion     = errors.New("an opinion is approve, or reject with reasons")
)

// Config is what the module works with.
type Config struct {
	Store  *store.Store
	Outbox *outbox.Outbox
	Sealer *sealing.Sealer
	Ledger ledger.Ledger
	Clock  func() time.Time
}

// Module is the platform's part of reviewing. It is safe for concurrent use.
type Module struct {
	cfg Config
}

// New registers the module's handlers with the outbox.
func New(cfg Config) *Module {
	m := &Module{cfg: cfg}
	cfg.Outbox.Handle(flow.Enrol, m.enrolled)
	cfg.Outbox.Handle(flow.ReviewRequest, m.permitted)
	cfg.Outbox.Handle(flow.ReviewResult, m.reviewed)
	return m
}

// Waiting is a record in the pool (待审阅池).
type Waiting struct {
	Flow  flow.Hash `json:"flow"`
	Title string    `json:"title"` // names no person
	Since time.Time `json:"since"` // when it was registered
}

// pool is how many records Pool gives at most.
const pool = 500

// Pool lists the records that await review, longest waiting first, up to 500:
// registered, and nobody holds or has asked for permission to review them. A
// record whose reviewer let the permission expire is back in it.
func (m *Module) Pool(ctx context.Context) ([]Waiting, error) {
	var rows []dossier.Flow
	err := m.cfg.Store.DB().NewSelect().Model(&rows).
		Where("state IN (?, ?)", flow.Registered, flow.InReview).
		Where("NOT EXISTS (SELECT 1 FROM outbox AS o WHERE o.ref = flow.ref AND o.state IN ('pending', 'held', 'granted'))").
		Where("NOT EXISTS (SELECT 1 FROM reviews AS r WHERE r.flow = flow.flow AND r.state = ? AND r.expires > ?)", granted, m.now()).
		Order("seq").Limit(pool).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the pool: %w", err)
	}
	out := make([]Waiting, len(rows))
	for i, f := range rows {
		out[i] = Waiting{Flow: f.ID(), Title: f.Title, Since: time.UnixMilli(f.CreatedAt).UTC()}
	}
	return out, nil
}

// Request asks for permission to review a record (R2.2). The answer is the
// outcome of the submission whose id it returns; granted, it carries the token.
func (m *Module) Request(ctx context.Context, id flow.Hash, reviewer string) (flow.ID, error) {
	if err := flow.CheckName("reviewer", reviewer); err != nil {
		return flow.ID{}, err
	}
	payload, err := flow.EncodePayload(flow.ReviewAsk{Flow: id, Reviewer: reviewer, AskedAt: m.cfg.Clock().UTC()})
	if err != nil {
		return flow.ID{}, fmt.Errorf("asking to review: %w", err)
	}
	p, err := m.cfg.Outbox.Prepare(ctx, outbox.Intent{Step: flow.ReviewRequest, Flow: id, Actor: reviewer, Payload: payload})
	if err != nil {
		return flow.ID{}, fmt.Errorf("asking to review: %w", err)
	}
	return m.cfg.Outbox.Do(ctx, p, func(ctx context.Context, tx bun.Tx) error {
		var taken bool
		const text = "SELECT EXISTS (SELECT 1 FROM reviews WHERE flow = ? AND state = 'granted' AND expires > ?)"
		if err := store.Get(ctx, tx, text, []any{id.String(), m.now()}, &taken); err != nil {
			return fmt.Errorf("reading permits: %w", err)
		}
		if taken {
			return ErrUnderReview
		}
		return nil
	})
}

// Read gives the record, plain, to the reviewer whose request was granted; to
// everybody else ErrNotYours (R2.4). The token is judged again by its receipt,
// and the record is taken from the business chain and checked against the
// registration that stands there.
func (m *Module) Read(ctx context.Context, id flow.Hash, reviewer string) ([]byte, error) {
	if _, err := m.holds(ctx, id, reviewer); err != nil {
		return nil, err
	}
	stored, err := m.cfg.Ledger.Get(ctx, ledger.Key{Flow: id, Tx: id})
	if err != nil {
		return nil, fmt.Errorf("fetching record %s: %w", id, err)
	}
	return m.cfg.Sealer.OpenStored(stored)
}

// holds finds the permit that a reviewer holds for a record and judges it.
func (m *Module) holds(ctx context.Context, id flow.Hash, reviewer string) (permit, error) {
	// The last given: the authority lets it replace those before.
	const text = "SELECT request FROM reviews WHERE flow = ? AND reviewer = ? AND state = 'granted' ORDER BY rowid DESC LIMIT 1"
	var held permit
	err := store.Get(ctx, m.cfg.Store.DB(), text, []any{id.String(), reviewer}, &held.Request)
	if errors.Is(err, sql.ErrNoRows) {
		return permit{}, ErrNotYours
	}
	if err != nil {
		return permit{}, fmt.Errorf("reading permits: %w", err)
	}
	tx, err := flow.ParseHash(held.Request)
	if err != nil {
		return permit{}, err
	}
	o, err := m.cfg.Outbox.Decided(ctx, tx)
	if err != nil {
		return permit{}, fmt.Errorf("reading the permit's receipt: %w", err)
	}
	leaf, err := m.cfg.Sealer.Permits(o.Receipt, sealing.Permit{
		Step: flow.ReviewRequest, Flow: id, Tx: tx, Actor: reviewer, Now: m.cfg.Clock(),
	})
	if err != nil {
		return permit{}, fmt.Errorf("%w: %w", ErrNotYours, err)
	}
	held.token, held.request = leaf.Token, leaf.Tx
	return held, nil
}

// Result is what a reviewer concludes (R2.5).
type Result struct {
	Flow     flow.Hash
	Reviewer string
	Opinion  flow.Opinion
	Reasons  []string // needed for a rejection
}

// Submit gives a reviewer's result (R2.6, R2.7), with the token that permitted
// the review, which is then spent: the record is shown no more. Granted, it
// approves the record or, rejecting it, ends the flow.
func (m *Module) Submit(ctx context.Context, r Result) (flow.ID, error) {
	if r.Opinion != flow.Approve && (r.Opinion != flow.Reject || len(r.Reasons) == 0) {
		return flow.ID{}, ErrOpinion
	}
	held, err := m.holds(ctx, r.Flow, r.Reviewer)
	if err != nil {
		return flow.ID{}, err
	}
	payload, err := flow.EncodePayload(flow.Review{
		Flow: r.Flow, Reviewer: r.Reviewer, Opinion: r.Opinion, Reasons: r.Reasons,
		ReviewedAt: m.cfg.Clock().UTC(), Token: held.token, Request: held.request,
	})
	if err != nil {
		return flow.ID{}, fmt.Errorf("submitting a review: %w", err)
	}
	p, err := m.cfg.Outbox.Prepare(ctx, outbox.Intent{
		Step: flow.ReviewResult, Flow: r.Flow, Actor: r.Reviewer, Payload: payload,
		To: m.cfg.Sealer.Own(), Detail: string(r.Opinion),
	})
	if err != nil {
		return flow.ID{}, fmt.Errorf("submitting a review: %w", err)
	}
	return m.cfg.Outbox.Do(ctx, p, func(ctx context.Context, tx bun.Tx) error {
		return m.spend(ctx, tx, held, p.ID())
	})
}
