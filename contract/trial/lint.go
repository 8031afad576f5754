package trial

import (
	"fmt"
	"slices"
	"strings"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
)

// Kind is what Lint can find.
type Kind string

// The kinds. The first three follow from the bundle alone, the others are as
// good as its cases.
const (
	Unreachable Kind = "unreachable" // the rule can't hit on the step, whatever the facts
	Certain     Kind = "certain"     // the rule hits on the step, whatever the facts
	Unused      Kind = "unused"      // a parameter or counter that no rule reads
	Same        Kind = "same"        // the rule has the condition and the steps of another
	Untested    Kind = "untested"    // no case is of a step of the rule
	Never       Kind = "never"       // the rule hits in no case
	Always      Kind = "always"      // the rule hits in every case of its steps
	Shadowed    Kind = "shadowed"    // the rule refuses no case that another does not refuse as well
)

// Remark is one finding of Lint.
type Remark struct {
	Kind Kind      `json:"kind"`
	Part string    `json:"part"`            // id of the rule, "params.<name>" or "counters.<id>"
	Step flow.Step `json:"step,omitempty"`  // where it is about one step
	By   string    `json:"by,omitempty"`    // the other rule
	Text string    `json:"text"`            // in English
	Of   int       `json:"cases,omitempty"` // how many cases it is judged by
}

// Lint finds rules that do nothing or too much, in the bundle's order. The
// error says why the bundle does not compile.
func Lint(b contract.Bundle) ([]Remark, error) {
	rules, err := b.Compile()
	if err != nil {
		return nil, err
	}
	l := &linter{bundle: b, rules: rules, results: rules.Test()}
	for _, r := range b.Rules {
		l.settled(r)
		l.twin(r)
		l.cases(r)
		l.shadow(r)
	}
	l.unused()
	return l.remarks, nil
}

type linter struct {
	bundle  contract.Bundle
	rules   *contract.Rules
	results []contract.CaseResult
	remarks []Remark
}

func (l *linter) add(r Remark) { l.remarks = append(l.remarks, r) }

// settled finds rules that facts make no difference to.
func (l *linter) settled(r contract.Rule) {
	for _, s := range r.Steps {
		switch hit, settled := l.rules.Settled(r.ID, s); {
		case settled && hit:
			l.add(Remark{Kind: Certain, Part: r.ID, Step: s, Text: fmt.Sprintf("hits on every %s, whatever the facts", s)})
		case settled:
			l.add(Remark{Kind: Unreachable, Part: r.ID, Step: s, Text: fmt.Sprintf("can't hit on %s, whatever the facts", s)})
		}
	}
}

// twin finds an earlier rule with the same condition.
func (l *linter) twin(r contract.Rule) {
	for _, other := range l.bundle.Rules {
		if other.ID == r.ID {
			return
		}
		if (other.Effect == contract.Granting) != (r.Effect == contract.Granting) {
			continue // asked at different times
		}
		same := strings.Join(strings.Fields(other.When), " ") == strings.Join(strings.Fields(r.When), " ")
		if same && slices.ContainsFunc(r.Steps, func(s flow.Step) bool { return slices.Contains(other.Steps, s) }) {
			l.add(Remark{Kind: Same, Part: r.ID, By: other.ID, Text: "has the condition of " + other.ID + " on a step of it"})
		}
	}
}

// cases judges a rule by the cases of its steps.
func (l *linter) cases(r contract.Rule) {
	var of, hits int
	for _, c := range l.results {
		if !slices.Contains(r.Steps, c.Step) {
			continue
		}
		of++
		if slices.Contains(c.Rules, r.ID) {
			hits++
		}
	}
	switch {
	case of == 0:
		l.add(Remark{Kind: Untested, Part: r.ID, Text: "no case is of its steps"})
	case hits == 0:
		l.add(Remark{Kind: Never, Part: r.ID, Of: of, Text: fmt.Sprintf("hits in none of %d cases", of)})
	case hits == of:
		l.add(Remark{Kind: Always, Part: r.ID, Of: of, Text: fmt.Sprintf("hits in every one of %d cases", of)})
	}
}

// shadow finds another rule that refuses wherever r does, and elsewhere too.
func (l *linter) shadow(r contract.Rule) {
	mine := l.refused(r)
	if len(mine) == 0 {
		return
	}
	for _, other := range l.bundle.Rules {
		theirs := l.refused(other)
		covers := !slices.ContainsFunc(mine, func(c string) bool { return !slices.Contains(theirs, c) })
		if other.ID != r.ID && covers && len(theirs) > len(mine) {
			l.add(Remark{Kind: Shadowed, Part: r.ID, By: other.ID, Of: len(mine), Text: "refuses no case that " + other.ID + " does not refuse as well"})
			return
		}
	}
}

// refused names the cases that an enforced rule refuses.
func (l *linter) refused(r contract.Rule) []string {
	if r.Effect != contract.Refuse || r.Mode != contract.Enforce {
		return nil
	}
	var names []string
	for _, c := range l.results {
		if slices.Contains(c.Rules, r.ID) {
			names = append(names, c.Name)
		}
	}
	return names
}

// unused finds parameters and counters that no rule reads.
func (l *linter) unused() {
	used := make(map[string]bool)
	for _, r := range l.bundle.Rules {
		for _, name := range l.rules.Uses(r.ID) {
			used[name] = true
		}
	}
	var names []string
	for name := range l.bundle.Parameters {
		names = append(names, "params."+name)
	}
	slices.Sort(names)
	for _, c := range l.bundle.Counters {
		names = append(names, "counters."+c.ID)
	}
	for _, name := range names {
		if !used[name] {
			l.add(Remark{Kind: Unused, Part: name, Text: "no rule reads it"})
		}
	}
}
