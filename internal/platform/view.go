package platform

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/dossier"
	"signalbox.dev/signalbox/internal/platform/outbox"
)

// Pending is how a view names a flow whose registration is undecided.
const Pending flow.State = "pending"

// FlowView is a flow as it is shown. It holds no content and no person.
type FlowView struct {
	Seq       int64      `json:"seq"`            // counts up in order of registration; a cursor for Filter.Before
	Ref       flow.ID    `json:"ref"`            // the registration's submission id
	Flow      flow.Hash  `json:"flow,omitzero"`  // txhash, once granted (R1.6)
	State     flow.State `json:"state"`          // Pending, a flow.State, or "refused"
	Title     string     `json:"title"`          //
	Number    string     `json:"number"`         // the originator's number for the record
	CreatedAt time.Time  `json:"created_at"`     //
	UpdatedAt time.Time  `json:"updated_at"`     //
	Steps     []StepView `json:"steps,omitzero"` // in the order in which they were intended
}

// StepView is one step of a flow.
type StepView struct {
	ID         flow.ID       `json:"id"` // the submission's
	Step       flow.Step     `json:"step"`
	Actor      string        `json:"actor,omitempty"`
	State      outbox.State  `json:"state"`
	Verdict    flow.Verdict  `json:"verdict,omitempty"` // empty while unknown
	Reasons    []flow.Reason `json:"reasons,omitempty"`
	Tx         flow.Hash     `json:"tx,omitzero"`           // on the supervision chain
	BusinessTx string        `json:"business_tx,omitempty"` // on the business chain
	Token      flow.Hash     `json:"token,omitzero"`
	Expires    time.Time     `json:"expires,omitzero"` // of the token
	Receipt    bool          `json:"receipt"`          // whether Receipt has one for Tx
	Anchored   bool          `json:"anchored"`         // whether the authority was told where the record stands
	At         time.Time     `json:"at"`
	MS         int64         `json:"ms"` // from intent to end, or so far, in milliseconds
	Parts      Parts         `json:"parts"`
	Problem    string        `json:"problem,omitempty"` // what went wrong last, while not ended
}

// Parts says where a step's time went, in milliseconds.
type Parts struct {
	Submitting int64 `json:"submitting"`
	Deciding   int64 `json:"deciding"`
	Storing    int64 `json:"storing"`
}

// Step shows an outcome.
func Step(o outbox.Outcome) StepView {
	return StepView{
		ID: o.ID, Step: o.Step, Actor: o.Actor, State: o.State, Verdict: o.Verdict, Reasons: o.Reasons,
		Tx: o.Tx, BusinessTx: string(o.BusinessTx), Token: o.Token, Expires: o.Expires,
		Receipt: !o.Tx.IsZero(), Anchored: o.Anchored, At: o.Intended, MS: o.Took().Milliseconds(),
		Parts: Parts{
			Submitting: o.Submitting.Milliseconds(), Deciding: o.Deciding.Milliseconds(), Storing: o.Storing.Milliseconds(),
		},
		Problem: o.Problem,
	}
}

// Filter says which flows to list.
type Filter struct {
	State  flow.State // empty: all
	Before int64      // only flows with a smaller Seq; 0: from the newest on
	Limit  int        // at most this many; 0: 50; at most 500
}

// Flows lists flows with their steps, newest first.
func (p *Platform) Flows(ctx context.Context, f Filter) ([]FlowView, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = 50
	}
	return p.read(ctx, func(ctx context.Context, db bun.IDB) ([]dossier.Flow, error) {
		var rows []dossier.Flow
		q := db.NewSelect().Model(&rows).Order("seq DESC").Limit(int64(min(limit, 500)))
		switch f.State {
		case "":
		case Pending:
			q = q.Where("state = ''")
		default:
			q = q.Where("state = ?", f.State)
		}
		if f.Before > 0 {
			q = q.Where("seq < ?", f.Before)
		}
		return rows, q.Scan(ctx)
	})
}

// Flow finds a flow by its txhash or by its registration's submission id, in
// their text forms; dossier.ErrNotFound where there is none.
func (p *Platform) Flow(ctx context.Context, idOrRef string) (FlowView, error) {
	views, err := p.read(ctx, func(ctx context.Context, db bun.IDB) ([]dossier.Flow, error) {
		row, err := find(ctx, db, idOrRef)
		return []dossier.Flow{row}, err
	})
	if err != nil {
		return FlowView{}, err
	}
	return views[0], nil
}

func find(ctx context.Context, db bun.IDB, idOrRef string) (dossier.Flow, error) {
	if id, err := flow.ParseHash(idOrRef); err == nil {
		return dossier.ByFlow(ctx, db, id)
	}
	ref, err := flow.ParseID(idOrRef)
	if err != nil {
		return dossier.Flow{}, dossier.ErrNotFound
	}
	return dossier.ByRef(ctx, db, ref)
}

// read reads flows and their steps as of one moment: a state that is older than
// the steps shown with it would mislead whoever acts on it.
func (p *Platform) read(ctx context.Context, flows func(context.Context, bun.IDB) ([]dossier.Flow, error)) ([]FlowView, error) {
	var views []FlowView
	err := p.store.DB().RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		rows, err := flows(ctx, tx)
		if err != nil {
			return err
		}
		views, err = show(ctx, tx, rows)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading flows: %w", err)
	}
	return views, nil
}

func show(ctx context.Context, db bun.IDB, rows []dossier.Flow) ([]FlowView, error) {
	refs := make([]string, len(rows))
	for i, r := range rows {
		refs[i] = r.Ref
	}
	outcomes, err := outbox.OfFlows(ctx, db, refs...)
	if err != nil {
		return nil, err
	}
	steps := map[string][]StepView{}
	for _, o := range outcomes {
		ref := o.Ref.String()
		steps[ref] = append(steps[ref], Step(o))
	}
	out := make([]FlowView, len(rows))
	for i, r := range rows {
		out[i] = FlowView{
			Seq: r.Seq, Flow: r.ID(), State: r.State, Title: r.Title, Number: r.Number, Steps: steps[r.Ref],
			CreatedAt: time.UnixMilli(r.CreatedAt).UTC(), UpdatedAt: time.UnixMilli(r.UpdatedAt).UTC(),
		}
		if r.State == flow.Unregistered {
			out[i].State = Pending
		}
		if out[i].Ref, err = flow.ParseID(r.Ref); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Outcome gives what is known of a submission now, or outbox.ErrNotFound.
func (p *Platform) Outcome(ctx context.Context, id flow.ID) (outbox.Outcome, error) {
	return p.outbox.Outcome(ctx, id)
}

// Receipt gives the receipt of the decision with that transaction hash, a
// c2sp.org/tlog-proof that anyone can check; outbox.ErrNotFound where the
// platform has none. It holds no personal data.
func (p *Platform) Receipt(ctx context.Context, tx flow.Hash) ([]byte, error) {
	o, err := p.outbox.Decided(ctx, tx)
	return o.Receipt, err
}
