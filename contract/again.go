package contract

import (
	"fmt"
	"slices"

	"signalbox.dev/signalbox/flow"
)

// ExplainAgain explains a decision that stands on the chain against a state
// that came after it, such as that of now. What the decision left there itself is
// left out, so that a registration does not stand in its own way: its record, its
// step of the flow and the token it used or gave, what it counted, its use of a
// batch grant. What others have changed since shows. was is the decision as it
// stands; its verdict and grant count.
func (c *Contract) ExplainAgain(s State, r Request, was Decision) (Explanation, error) {
	before := newStaged(s)
	if was.Verdict == flow.Granted {
		if err := c.undo(before, r, was.Grant); err != nil {
			return Explanation{}, fmt.Errorf("explaining %s: leaving out its own traces: %w", r.Header.Step, err)
		}
	}
	return c.Explain(before, r)
}

// undo takes back what a granted submission has written.
func (c *Contract) undo(s *staged, r Request, grant string) error {
	var err error
	switch r.Header.Step {
	case flow.Enrol: // the same identity may enrol again
	case flow.Register:
		err = undoRecord(s, r)
	default:
		err = undoStep(s, r)
	}
	if err != nil {
		return err
	}
	if err := undoGrant(s, grant); err != nil {
		return err
	}
	f := r.Facts
	if err := Complete(s, r.Header, &f); err != nil {
		return err
	}
	return c.rules.count(s, r.Header.Step, &f, r.Now, -1)
}

func undoRecord(s *staged, r Request) error {
	var known recordState
	if ok, err := load(s, recordKey(r.Facts.Record), &known); err != nil || !ok || known.Flow != r.Tx {
		return err
	}
	s.unset(recordKey(r.Facts.Record))
	return nil
}

// undoStep puts a flow where it must have stood before a granted step.
func undoStep(s *staged, r Request) error {
	at, ok, err := FlowOf(s, r.Header.Flow)
	if err != nil || !ok {
		return err
	}
	at.State, at.Pending = stateBefore(r.Header.Step), flow.Hash{}
	if permittedBy(r.Header.Step) != "" {
		var p permit
		ok, err := load(s, permitKey(r.Facts.Permit), &p)
		if err != nil {
			return err
		}
		if ok {
			at.Pending, p.Used = r.Facts.Permit, false
			if err := store(s, permitKey(r.Facts.Permit), p); err != nil {
				return err
			}
		}
	}
	if slices.Contains([]flow.Step{flow.ReviewRequest, flow.ReviewResult}, r.Header.Step) {
		at.Reviewer = ""
	}
	return store(s, flowKey(r.Header.Flow), at)
}

// stateBefore is the state that a step follows on.
func stateBefore(step flow.Step) flow.State {
	switch step {
	case flow.ReviewRequest:
		return flow.Registered
	case flow.ReviewResult:
		return flow.InReview
	case flow.Order:
		return flow.Approved
	case flow.Settle:
		return flow.Ordered
	default:
		return flow.Settled
	}
}

func undoGrant(s *staged, code string) error {
	g, ok, err := GrantOf(s, code)
	if err != nil || !ok || g.Used == 0 {
		return err
	}
	g.Used--
	return store(s, grantKey(code), g)
}
