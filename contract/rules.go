package contract

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/interpreter"

	"signalbox.dev/signalbox/flow"
)

// Rules are a bundle's rules, compiled. They are safe for concurrent use.
type Rules struct {
	bundle     Bundle
	address    flow.Hash
	zone       int64 // seconds east of UTC, in which the authority's day begins
	env        *cel.Env
	adapter    types.Adapter
	factsType  *cel.Type
	itemType   *cel.Type
	parameters map[string]any       // by the name that expressions use, "params.max_days"
	counters   map[string]*counting // likewise, "counters.orders"
	counted    []*counting          // in the bundle's order
	compiled   []compiledRule
	of         map[flow.Step][]*compiledRule // in the bundle's order, but for those with effect grant
	granting   map[flow.Step][]*compiledRule // those with effect grant
}

type compiledRule struct {
	Rule
	*expression
	refusal flow.Reason // for when it fails
}

// Bundle is what the rules were compiled from. It shares memory with them:
// nobody changes it.
func (r *Rules) Bundle() Bundle { return r.bundle }

// Address is the bundle's address (R6.1).
func (r *Rules) Address() flow.Hash { return r.address }

// InZone gives the same rules with the authority's day at an offset in seconds
// east of UTC; without it the day is that of Genesis's default, +08:00.
func (r *Rules) InZone(offset int64) *Rules {
	in := *r
	in.zone = offset
	return &in
}

// Findings are what the rules say of one submission, in the bundle's order.
type Findings struct {
	Refusals []flow.Reason
	Holds    []flow.Reason
	Flags    []string // ids of rules with effect flag or list that hit
	Grants   []string // ids of rules with effect grant that hit
	Observed []string // ids of rules in mode observe that hit, or that failed, then with ":error"
	// Lists are entries for the abnormal-transaction list, one for each rule
	// with effect list that hit, with the rule's id as their basis. Their Key, the
	// flow, is the caller's to set: rules don't know it.
	Lists []Entry
}

// Verdict is what the findings come to: one refusal outweighs every hold.
func (f Findings) Verdict() flow.Verdict {
	switch {
	case len(f.Refusals) > 0:
		return flow.Refused
	case len(f.Holds) > 0:
		return flow.Held
	default:
		return flow.Granted
	}
}

// grants says whether a rule with effect grant hit.
func (f Findings) grants(rule string) bool { return slices.Contains(f.Grants, rule) }

// Evaluate puts the facts of one submission to every rule of its step, but for
// those with effect grant, which are for submissions that lack a grant. A rule
// that fails to evaluate (an overflow, a division by zero) refuses: the
// contract fails closed. The facts must be within Facts' bounds and complete
// (Complete). Now is the block's time in Unix seconds. The error is a failure of
// the storage only.
func (r *Rules) Evaluate(s State, step flow.Step, facts *Facts, now int64) (Findings, error) {
	return r.evaluate(s, r.of[step], step, facts, now)
}

func (r *Rules) evaluate(s State, rules []*compiledRule, step flow.Step, facts *Facts, now int64) (Findings, error) {
	var count counts
	if len(r.counted) > 0 {
		count = r.stored(s, now)
	}
	return r.put(r.activation(step, facts, r.today(now), count), rules, now)
}

// put puts what is known to rules, one after the other.
func (r *Rules) put(vars *activation, rules []*compiledRule, now int64) (Findings, error) {
	var found Findings
	frame, err := interpreter.NewExecutionFrame(vars) // one for all rules
	if err != nil {
		return Findings{}, fmt.Errorf("evaluating rules: %w", err)
	}
	defer frame.Close()
	for _, rule := range rules {
		out, _, err := rule.program.Eval(frame)
		hit, isBool := out.(types.Bool)
		found.add(rule, outcomeOf(bool(hit), err != nil || !isBool), now)
	}
	if vars.failed != nil {
		return Findings{}, fmt.Errorf("reading counters: %w", vars.failed)
	}
	return found, nil
}

// Outcome is what one rule made of one submission.
type Outcome string

// The outcomes.
const (
	Hit    Outcome = "hit"
	Clear  Outcome = "clear"
	Failed Outcome = "failed" // could not be evaluated, and so counts as a refusal
)

func outcomeOf(hit, failed bool) Outcome {
	switch {
	case failed:
		return Failed
	case hit:
		return Hit
	default:
		return Clear
	}
}

// add notes what a rule came to.
func (f *Findings) add(rule *compiledRule, o Outcome, now int64) {
	switch {
	case o == Clear:
	case rule.Mode == Observe && o == Failed:
		f.Observed = append(f.Observed, rule.ID+":error")
	case rule.Mode == Observe:
		f.Observed = append(f.Observed, rule.ID)
	case o == Failed:
		f.Refusals = append(f.Refusals, rule.refusal)
	case rule.Effect == Granting:
		f.Grants = append(f.Grants, rule.ID)
	case rule.Effect == Flag:
		f.Flags = append(f.Flags, rule.ID)
	case rule.Effect == Listing:
		f.Flags = append(f.Flags, rule.ID)
		f.Lists = append(f.Lists, rule.entry(now))
	case rule.Effect == Hold:
		f.Holds = append(f.Holds, rule.reason())
	default:
		f.Refusals = append(f.Refusals, rule.reason())
	}
}

// rules gives the ids of all rules that hit, whatever their effect and mode.
func (f Findings) rules() []string {
	var ids []string
	for _, reasons := range [][]flow.Reason{f.Refusals, f.Holds} {
		for _, r := range reasons {
			ids = append(ids, r.Code)
		}
	}
	return slices.Concat(ids, f.Flags, f.Grants, f.Observed)
}

func (r Rule) reason() flow.Reason {
	return flow.Reason{Code: r.ID, Zh: r.Message.Zh, En: r.Message.En}
}

// entry is what a rule with effect list puts on the list of abnormal
// transactions, but for the flow.
func (r Rule) entry(now int64) Entry {
	why := r.Message.Zh + " / " + r.Message.En
	if len(why) > maxMessage {
		why = r.Message.Zh
	}
	return Entry{List: AbnormalTransactions, From: now, Reason: why, Basis: r.ID}
}

// Compile checks and plans the rules. It does not ask whether they are fit to
// take force; Admit does. What is wrong with a rule is a *PlaceError.
func (b Bundle) Compile() (*Rules, error) {
	address, err := b.Address()
	if err != nil {
		return nil, err
	}
	rules := &Rules{bundle: b, address: address, zone: defaultZoneOffset, of: make(map[flow.Step][]*compiledRule), granting: make(map[flow.Step][]*compiledRule)}
	if err := rules.prepare(); err != nil {
		return nil, fmt.Errorf("preparing rules: %w", err)
	}
	if err := rules.compileFilters(); err != nil {
		return nil, err
	}
	rules.compiled = make([]compiledRule, 0, len(b.Rules))
	for _, r := range b.Rules {
		c, err := rules.compile(r)
		if err != nil {
			return nil, err
		}
		rules.compiled = append(rules.compiled, c)
		into := rules.of
		if r.Effect == Granting {
			into = rules.granting
		}
		for _, s := range r.Steps {
			into[s] = append(into[s], &rules.compiled[len(rules.compiled)-1])
		}
	}
	return rules, nil
}

func (r *Rules) compile(rule Rule) (compiledRule, error) {
	e, err := compileExpression(r.env, rule.expression())
	if err != nil {
		return compiledRule{}, err
	}
	return compiledRule{Rule: rule, expression: e, refusal: reason("rule_error", rule.ID, rule.ID)}, nil
}
