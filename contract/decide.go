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
	c        *Contract
	s        State
	r        Request
	received int64 // when it was submitted; before r.Now for one that was held
	word     *word // the officer's word on a held submission; nil for none

	flow     FlowState  // as it stands before this step
	known    bool       // whether there is such a flow
	next     flow.State // as it will stand when granted
	pending  permit     // the flow's token that waits to be used, if any
	waiting  bool       // whether there is one
	used     permit     // the token that this step presents
	standing Standing   // the strictest of the institutions'
	under    *Grant     // the batch grant that this step uses; nil for none
	issuing  bool       // whether a rule issues it with this very step
	sought   bool       // whether a batch grant was looked for in vain, and the rules asked for one
	granting Findings   // of the rules with effect grant
	found    Findings   // of the other rules

	holds  []flow.Reason // why an officer must decide
	heldOn Basis         // the first stage that said so

	entries   []Entry         // list entries that hit, for Explain
	standings []StandingTrace // likewise
}

// check is one article of the contract: it gives the reasons to refuse the
// submission, or none; why it must wait it notes with hold. An error is a
// failure of the storage.
type check struct {
	name text
	ask  func(*examination) ([]flow.Reason, error)
}

// stage is a group of checks. Within a stage the first check with reasons to
// refuse ends it; a stage with such reasons ends the examination.
type stage struct {
	basis  Basis
	checks []check
}

// stages is the contract's fixed order.
func stages() []stage {
	return []stage{
		{BasisContent, []check{
			{text{"内容可读", "readable"}, (*examination).readable},
			{text{"规模在上限内", "within bounds"}, (*examination).withinBounds},
		}},
		{BasisAdmission, []check{
			{text{"提交给本监管链", "for this chain"}, (*examination).forThisChain},
			{text{"业务类型已准入", "business admitted"}, (*examination).businessAdmitted},
			{text{"平台已准入", "platform admitted"}, (*examination).platformAdmitted},
			{text{"业务流转属于该平台", "flow of this platform"}, (*examination).flowOfThisPlatform},
			{text{"操作方已准入", "actor admitted"}, (*examination).actorAdmitted},
			{text{"可以登记", "may enrol"}, (*examination).mayEnrol},
		}},
		{BasisFreeze, []check{
			{text{"未被冻结", "not frozen"}, (*examination).notFrozen},
			{text{"环节未被停止", "not stopped"}, (*examination).notStopped},
		}},
		{BasisSequence, []check{
			{text{"环节顺序", "in order"}, (*examination).inOrder},
			{text{"业务信息未曾登记", "new record"}, (*examination).newRecord},
			{text{"业务信息在有效期内", "record valid"}, (*examination).recordValid},
			{text{"无其他人员在审", "not under review"}, (*examination).notUnderReview},
			{text{"无未用订单令牌", "no order pending"}, (*examination).noOrderPending},
			{text{"患者一致", "same subject"}, (*examination).sameSubject},
			{text{"生产端一致", "same producer"}, (*examination).sameProducer},
			{text{"与处方一致", "as prescribed"}, (*examination).asPrescribed},
		}},
		{BasisTokens, []check{
			{text{"令牌有效", "token true"}, (*examination).tokenTrue},
			{text{"与订单一致", "as ordered"}, (*examination).asOrdered},
		}},
		{BasisLists, []check{{text{"不在限制名单", "on no list"}, (*examination).onNoList}}},
		{BasisStanding, []check{{text{"名单等级与批量授权", "in standing"}, (*examination).inStanding}}},
		{BasisRules, []check{{text{"规则", "within rules"}, (*examination).withinRules}}},
	}
}

// Decide decides one submission in the contract's fixed order: content,
// admission, freeze, sequence, tokens, lists, standing, rules. It is
// deterministic. A granted submission changes the state; a held one is kept in
// it until an officer decides or its deadline passes; a refused one leaves it as
// it was, but for entries that rules put on lists. The error is a failure of the
// storage only; nothing is then decided.
func (c *Contract) Decide(s State, r Request) (Decision, error) {
	x := &examination{c: c, s: s, r: r, received: r.Now}
	return x.decide()
}

// decide examines the submission, and writes what its verdict changes.
func (x *examination) decide() (Decision, error) {
	on, reasons, err := x.examine()
	if err != nil {
		return Decision{}, fmt.Errorf("deciding %s: %w", x.r.Header.Step, err)
	}
	return x.conclude(on, reasons)
}

// conclude comes to the verdict and writes what it changes.
func (x *examination) conclude(on Basis, reasons []flow.Reason) (Decision, error) {
	step, d := x.r.Header.Step, x.against(on, reasons)
	var err error
	switch d.Verdict {
	case flow.Granted:
		if d, err = x.grant(d); err != nil {
			return Decision{}, fmt.Errorf("granting %s: %w", step, err)
		}
	case flow.Held:
		if err := x.wait(d); err != nil {
			return Decision{}, fmt.Errorf("holding %s: %w", step, err)
		}
	}
	if err := x.note(d); err != nil {
		return Decision{}, fmt.Errorf("noting %s on lists: %w", step, err)
	}
	return d, nil
}

// examine asks one check after the other until there is a reason to refuse.
func (x *examination) examine() (Basis, []flow.Reason, error) {
	for _, stage := range x.c.stages {
		for _, check := range stage.checks {
			reasons, err := check.ask(x)
			if err != nil || len(reasons) > 0 {
				return stage.basis, reasons, err
			}
		}
	}
	return "", nil, nil
}

// maxReasons is how many reasons a decision gives; a leaf holds 255 at most.
const maxReasons = 100

// against words the decision that the reasons to refuse, and those to wait,
// come to.
func (x *examination) against(on Basis, reasons []flow.Reason) Decision {
	d := Decision{
		Verdict: flow.Refused, Basis: on, Flow: x.r.Header.Flow,
		Contract: x.c.rules.address, Version: x.c.version,
		Flags: x.found.Flags, Observed: slices.Concat(x.granting.Observed, x.found.Observed), Standing: x.standing,
	}
	if len(reasons) == 0 {
		d.Verdict, d.Basis, reasons = flow.Held, x.heldOn, x.uncovered()
	}
	if len(reasons) == 0 {
		d.Verdict, d.Basis, d.Flags = flow.Granted, x.grantedOn(), x.flags()
		return d
	}
	d.Reasons = reasons[:min(len(reasons), maxReasons)]
	return d
}

// flags are the rules that show something, first the one that issues a batch grant.
func (x *examination) flags() []string {
	if x.issuing {
		return slices.Concat([]string{x.under.Rule}, x.found.Flags)
	}
	return x.found.Flags
}

// grantedOn is what a granted submission rests on.
func (x *examination) grantedOn() Basis {
	switch {
	case x.word != nil:
		return BasisHold
	case x.standing == Allow:
		return BasisStanding
	default:
		return BasisRules
	}
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

// withinRules applies the rule bundle, except to institutions that are granted
// without (R6.3).
func (x *examination) withinRules() ([]flow.Reason, error) {
	if err := complete(x.s, x.r.Header.Step, x.flow, &x.r.Facts); err != nil {
		return nil, err
	}
	if x.standing == Allow {
		return nil, nil
	}
	var err error
	if x.found, err = x.c.rules.Evaluate(x.s, x.r.Header.Step, &x.r.Facts, x.r.Now); err != nil {
		return nil, err
	}
	if len(x.found.Refusals) > 0 { // all that the rules say, even what alone would wait
		return slices.Concat(x.found.Refusals, x.found.Holds), nil
	}
	x.hold(BasisRules, x.found.Holds...)
	return nil, nil
}
