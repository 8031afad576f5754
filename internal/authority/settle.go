package authority

import (
	"context"
	"errors"
	"fmt"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/fault"
	"signalbox.dev/signalbox/internal/fusion"
)

// answer brings one submission to its decision. It gives none for one that can't
// be attributed to anyone. An error means that there is no answer yet: the
// submission is delivered again.
func (a *Authority) answer(ctx context.Context, d fusion.Delivery) (reply, error) {
	h, err := d.Submission.Open()
	if err != nil {
		a.cfg.Logger.Warn("dropped a submission with a malformed header", "platform", d.Platform, "error", err)
		return reply{}, nil
	}
	var checked error
	a.cpu.do(d.Platform, func() { checked = a.chain.Check(d.Submission) })
	switch {
	case errors.Is(checked, chain.ErrKnown):
		again, err := a.again(h)
		return reply{again, true}, err
	case errors.Is(checked, chain.ErrSender), errors.Is(checked, chain.ErrConflict), errors.Is(checked, chain.ErrRefused):
		return reply{a.reject(h, checked), true}, nil
	case checked != nil:
		return reply{}, checked
	}
	decision, err := a.submit(ctx, h, d.Submission)
	return reply{decision, false}, err
}

// again repeats the decision that a submission got before: a replay or a resend
// changes nothing and is answered alike.
func (a *Authority) again(h flow.Header) (*flow.Decision, error) {
	d, err := a.chain.BySubmission(h.ID)
	if err != nil {
		return nil, err
	}
	return a.prove(h, d)
}

// submit examines a submission, puts it on the chain and proves the decision.
func (a *Authority) submit(ctx context.Context, h flow.Header, sub flow.Submission) (*flow.Decision, error) {
	var (
		tx  []byte
		err error
	)
	a.cpu.do(h.Platform, func() { tx, err = a.compose(ctx, h, sub) })
	if err != nil {
		return nil, err
	}
	if err := fault.Before(fault.Transaction); err != nil {
		return nil, err
	}
	d, err := a.chain.Decide(ctx, h.ID, tx)
	if err == nil {
		err = fault.After(fault.Transaction)
	}
	switch {
	case errors.Is(err, chain.ErrSender), errors.Is(err, chain.ErrConflict), errors.Is(err, chain.ErrRefused):
		return a.reject(h, err), nil
	case err != nil:
		return nil, err
	}
	return a.prove(h, d)
}

func (a *Authority) compose(ctx context.Context, h flow.Header, sub flow.Submission) ([]byte, error) {
	e, err := a.examine(ctx, h, sub)
	if err != nil {
		return nil, err
	}
	facts, err := flow.Marshal(e.facts)
	if err != nil {
		return nil, fmt.Errorf("encoding facts of submission %s: %w", h.ID, err)
	}
	body := chain.Decide{Submission: sub, Facts: facts, Certificate: e.certificate}
	return chain.Compose(a.chain.ID(), chain.KindDecide, body, a.cfg.Suite, a.cfg.Signing, a.cfg.Random)
}

// prove makes the answer from a decision that stands on the chain.
func (a *Authority) prove(h flow.Header, d chain.Decided) (*flow.Decision, error) {
	var (
		proof []byte
		err   error
	)
	a.cpu.do(h.Platform, func() { proof, err = a.chain.Receipt(d) })
	if err != nil {
		return nil, err
	}
	return &flow.Decision{
		ID: h.ID, Platform: h.Platform, Business: h.Business, Flow: d.Leaf.Flow, Tx: d.Leaf.Tx,
		Verdict: d.Leaf.Verdict, Reasons: d.Reasons, Receipt: proof,
	}, nil
}

// reject answers a submission that the chain takes from nobody. There is no
// receipt, so a platform believes nothing of it; it tells an operator why
// nothing comes.
func (a *Authority) reject(h flow.Header, why error) *flow.Decision {
	a.cfg.Logger.Warn("rejected a submission", "submission", h.ID, "platform", h.Platform, "step", h.Step, "error", why)
	r := flow.Reason{Code: "not_attributable", Zh: "提交无法归属于获准的平台", En: "the submission can't be attributed to an admitted platform"}
	if errors.Is(why, chain.ErrConflict) {
		r = flow.Reason{Code: "submission_conflict", Zh: "该提交编号下已有另一份提交", En: "another submission was decided under this id"}
	}
	return &flow.Decision{ID: h.ID, Platform: h.Platform, Business: h.Business, Verdict: flow.Refused, Reasons: []flow.Reason{r}}
}
