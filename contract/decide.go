package contract

import (
	"errors"
	"fmt"
	"slices"

	"signalbox.dev/signalbox/flow"
)

// Contract is the verification contract with the rule bundle in force. It is
// immutable and safe for concurrent use; the host makes a new one when another
// bundle takes force.
type Contract struct {
	params  params
	version uint64
	rules   *Rules
	stages  []stage
}

// New loads the contract from a state that Init has written, and compiles the
// bundle in force.
func New(s State) (*Contract, error) {
	c := &Contract{stages: stages()}
	if ok, err := load(s, paramsKey(), &c.params); err != nil {
		return nil, err
	} else if !ok {
		return nil, errors.New("loading contract: the state has no genesis")
	}
	inForce, err := bundleInForce(s)
	if err != nil {
		return nil, err
	}
	var text []byte
	if ok, err := load(s, bundleKey(inForce.Address), &text); err != nil {
		return nil, err
	} else if !ok {
		return nil, fmt.Errorf("loading contract: bundle %s is missing", inForce.Address)
	}
	b, err := ParseBundle(text)
	if err != nil {
		return nil, fmt.Errorf("loading contract: %w", err)
	}
	if c.rules, err = b.Compile(); err != nil {
		return nil, fmt.Errorf("loading contract: %w", err)
	}
	if c.rules.address != inForce.Address {
		return nil, fmt.Errorf("loading contract: bundle %s has the address %s", inForce.Address, c.rules.address)
	}
	c.rules, c.version = c.rules.InZone(c.params.ZoneOffset), inForce.Version
	return c, nil
}

// Address and Version name the rule bundle in force (R6.1).
func (c *Contract) Address() flow.Hash { return c.rules.address }

// Version counts the bundles that have taken force on this chain, from 1.
func (c *Contract) Version() uint64 { return c.version }

// examination is one request on its way through the contract.
type examination struct {
	c *Contract
	s State
	r Request

	flow    FlowState  // as it stands before this step
	known   bool       // whether there is such a flow
	next    flow.State // as it will stand when granted
	pending permit     // the flow's token that waits to be used, if any
	waiting bool       // whether there is one
	used    permit     // the token that this step presents
	found   Findings   // of the rules
}

// check is one article of the contract: it gives the reasons against the
// submission, or none. An error is a failure of the storage.
type check func(*examination) ([]flow.Reason, error)

// stage is a group of checks. Within a stage the first check with reasons
// ends it; a stage with reasons ends the examination.
type stage struct {
	basis  Basis
	checks []check
}

// stages is the contract's fixed order.
func stages() []stage {
	return []stage{
		{BasisContent, []check{(*examination).readable, (*examination).withinBounds}},
		{BasisAdmission, []check{
			(*examination).forThisChain,
			(*examination).businessAdmitted,
			(*examination).platformAdmitted,
			(*examination).flowOfThisPlatform,
			(*examination).actorAdmitted,
			(*examination).mayEnrol,
		}},
		{BasisSequence, []check{
			(*examination).inOrder,
			(*examination).newRecord,
			(*examination).recordValid,
			(*examination).notUnderReview,
			(*examination).noOrderPending,
			(*examination).sameSubject,
			(*examination).sameProducer,
			(*examination).asPrescribed,
		}},
		{BasisTokens, []check{(*examination).tokenTrue, (*examination).asOrdered}},
		{BasisLists, []check{(*examination).onNoList}},
		{BasisRules, []check{(*examination).withinRules}},
	}
}

// Decide decides one submission in the contract's fixed order: content,
// admission, sequence, tokens, lists, rules. It is deterministic. A granted
// submission changes the state, any other leaves it as it was. The error is a
// failure of the storage only; nothing is then decided.
func (c *Contract) Decide(s State, r Request) (Decision, error) {
	x := &examination{c: c, s: s, r: r}
	for _, stage := range c.stages {
		for _, check := range stage.checks {
			reasons, err := check(x)
			if err != nil {
				return Decision{}, fmt.Errorf("deciding %s: %w", r.Header.Step, err)
			}
			if len(reasons) > 0 {
				return x.against(stage.basis, reasons), nil
			}
		}
	}
	d, err := x.grant()
	if err != nil {
		return Decision{}, fmt.Errorf("granting %s: %w", r.Header.Step, err)
	}
	return d, nil
}

// decision is what every decision has in common.
func (x *examination) decision(v flow.Verdict, on Basis) Decision {
	return Decision{
		Verdict: v, Basis: on, Flow: x.r.Header.Flow,
		Contract: x.c.rules.address, Version: x.c.version,
		Flags: x.found.Flags, Observed: x.found.Observed,
	}
}

// maxReasons is how many reasons a decision gives; a leaf holds 255 at most.
const maxReasons = 100

// against refuses, or holds when rules alone speak and none of them refuses.
func (x *examination) against(on Basis, reasons []flow.Reason) Decision {
	verdict := flow.Refused
	if on == BasisRules {
		verdict = x.found.Verdict()
	}
	d := x.decision(verdict, on)
	d.Reasons = reasons[:min(len(reasons), maxReasons)]
	return d
}

// readable passes on what the authority could not open or read.
func (x *examination) readable() ([]flow.Reason, error) {
	f := x.r.Facts
	if f.Unreadable == "" {
		return nil, nil
	}
	path := f.UnreadablePath
	if len(path) > maxPath {
		path = ""
	}
	return []flow.Reason{notTaken(f.Unreadable, path)}, nil
}

// withinBounds keeps facts to the size that the rules' cost was estimated for.
func (x *examination) withinBounds() ([]flow.Reason, error) {
	if where := x.r.Facts.outOfBounds(); where != "" {
		return because("facts_too_large", where), nil
	}
	return nil, nil
}

// withinRules applies the rule bundle.
func (x *examination) withinRules() ([]flow.Reason, error) {
	if err := complete(x.s, x.r.Header.Step, x.flow, &x.r.Facts); err != nil {
		return nil, err
	}
	var err error
	if x.found, err = x.c.rules.Evaluate(x.s, x.r.Header.Step, &x.r.Facts, x.r.Now); err != nil {
		return nil, err
	}
	return slices.Concat(x.found.Refusals, x.found.Holds), nil
}
