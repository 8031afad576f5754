package contract

import (
	"fmt"
	"slices"

	"signalbox.dev/signalbox/flow"
)

// CheckOutcome is what one check of the contract came to.
type CheckOutcome string

// The outcomes of a check.
const (
	CheckPassed   CheckOutcome = "passed"
	CheckHeld     CheckOutcome = "held"
	CheckRefused  CheckOutcome = "refused"
	CheckNotAsked CheckOutcome = "not asked" // an earlier one has refused
)

// CheckTrace says what one check made of a submission.
type CheckTrace struct {
	Stage   Basis         `json:"stage"`
	Check   string        `json:"check"` // "no order pending"
	StageZh string        `json:"stage_zh"`
	CheckZh string        `json:"check_zh"`
	Outcome CheckOutcome  `json:"outcome"`
	Reasons []flow.Reason `json:"reasons,omitempty"`
}

// EntryTrace is a list entry that hit, and the orders that made it what it is.
// It is for the authority alone.
type EntryTrace struct {
	Entry  Entry         `json:"entry"`
	Code   string        `json:"code"`
	Orders []OrderRecord `json:"orders"` // that added it, and that heard appeals; none for genesis or a rule
}

// StandingTrace is the standing of one institution of the submission.
type StandingTrace struct {
	Institution string   `json:"institution"`
	Fact        string   `json:"fact"` // "producer"
	Standing    Standing `json:"standing"`
	Order       uint64   `json:"order"` // that set it; 0: genesis, or none
}

// Explanation says how the contract comes to its decision on a request.
type Explanation struct {
	Decision Decision        `json:"decision"`
	Facts    Facts           `json:"facts"` // complete, as the rules see them
	Checks   []CheckTrace    `json:"checks"`
	Entries  []EntryTrace    `json:"entries"`
	Standing []StandingTrace `json:"standing"`
	Grant    *Grant          `json:"grant"` // the batch grant used, as it stood before; nil for none
	Rules    []RuleTrace     `json:"rules"` // all of the step; none when an institution's standing passes over them
}

// Explain decides as Decide does, against the state given, and says how; it
// changes nothing. For a decision of the past the host gives the state of before
// that decision, or says that it is the state of now. Rules are traced even when
// an earlier stage refuses, unless the facts are beyond their bounds. Explain is
// slow and for people.
func (c *Contract) Explain(s State, r Request) (Explanation, error) {
	x := &examination{c: c, s: newStaged(s), r: r, received: r.Now}
	e := Explanation{Checks: []CheckTrace{}, Entries: []EntryTrace{}}
	on, reasons, err := x.trace(&e)
	if err == nil {
		err = x.traceEntries(&e)
	}
	if err == nil && on != BasisContent && x.standing != Allow {
		err = x.traceRules(&e)
	}
	if err != nil {
		return Explanation{}, fmt.Errorf("explaining %s: %w", r.Header.Step, err)
	}
	e.Standing, e.Facts = x.standings, x.r.Facts
	if x.under != nil {
		before := *x.under
		e.Grant = &before
	}
	if e.Decision, err = x.conclude(on, reasons); err != nil {
		return Explanation{}, err
	}
	return e, nil
}

// trace asks the checks as examine does, and keeps what each says.
func (x *examination) trace(e *Explanation) (on Basis, refusal []flow.Reason, err error) {
	for _, stage := range x.c.stages {
		for _, check := range stage.checks {
			t := CheckTrace{Stage: stage.basis, StageZh: stage.basis.Zh(), Check: check.name.en, CheckZh: check.name.zh, Outcome: CheckNotAsked}
			if len(refusal) == 0 {
				before := len(x.holds)
				if t.Reasons, err = check.ask(x); err != nil {
					return "", nil, err
				}
				held := x.holds[before:]
				switch {
				case len(t.Reasons) > 0:
					t.Outcome, on, refusal = CheckRefused, stage.basis, t.Reasons
				case len(held) > 0:
					t.Outcome, t.Reasons = CheckHeld, held
				default:
					t.Outcome = CheckPassed
				}
			}
			e.Checks = append(e.Checks, t)
		}
	}
	return on, refusal, nil
}

func (x *examination) traceEntries(e *Explanation) error {
	for _, entry := range x.entries {
		t := EntryTrace{Entry: entry, Code: entry.List.Code(), Orders: []OrderRecord{}}
		for _, number := range []uint64{entry.Added, entry.Appealed, entry.Kept} {
			order, ok, err := OrderOf(x.s, number)
			if err != nil {
				return err
			}
			if ok {
				t.Orders = append(t.Orders, order)
			}
		}
		e.Entries = append(e.Entries, t)
	}
	return nil
}

func (x *examination) traceRules(e *Explanation) error {
	if err := complete(x.s, x.r.Header.Step, x.flow, &x.r.Facts); err != nil {
		return err
	}
	var err error
	e.Rules, err = x.c.rules.Explain(x.s, x.r.Header.Step, &x.r.Facts, x.r.Now)
	if !x.sought { // nobody asked them
		e.Rules = slices.DeleteFunc(e.Rules, func(t RuleTrace) bool { return t.Effect == Granting })
	}
	return err
}
