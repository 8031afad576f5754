package contract

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"signalbox.dev/signalbox/flow"
)

// Cost ceilings, in CEL's cost units (about one for each operation, list
// element or ten bytes of text), for the worst facts within bounds. A unit is
// about 20 ns, so that a rule takes about two milliseconds at worst and all rules
// of a step ten. Evaluation is never cut short: what could run too long is not
// admitted in the first place.
const (
	maxRuleCost = 100_000 // one rule
	maxStepCost = 500_000 // all rules of one step
)

// Admit compiles the bundle and says whether it may take force: only types and
// functions that are deterministic on every validator, a worst case under the
// cost ceilings, and its own cases passed (R6.1). What is wrong with a rule or a
// case is a *PlaceError: with its line and column if the bundle was YAML.
func (b Bundle) Admit() (*Rules, error) {
	rules, err := b.Compile()
	if err != nil {
		return nil, fmt.Errorf("admitting rule bundle: %w", err)
	}
	if err := rules.vet(); err != nil {
		return nil, fmt.Errorf("admitting rule bundle: %w", err)
	}
	for i, c := range rules.Test() {
		if c.Wrong != "" {
			err := within(fmt.Sprintf("case %q", c.Name), b.Cases[i].at.wrong("", errors.New(c.Wrong)))
			return nil, fmt.Errorf("admitting rule bundle: %w", err)
		}
	}
	return rules, nil
}

func (r *Rules) vet() error {
	steps := make(map[flow.Step]uint64)
	if err := r.vetCounters(steps); err != nil {
		return err
	}
	for i := range r.compiled {
		rule := &r.compiled[i]
		if err := rule.deterministic(); err != nil {
			return err
		}
		worst, err := r.cost(rule)
		if err != nil {
			return rule.wrongAt(0, fmt.Errorf("estimating its cost: %w", err))
		}
		if worst > maxRuleCost {
			return rule.wrongAt(0, fmt.Errorf("may cost %d, the ceiling is %d", worst, maxRuleCost))
		}
		for _, s := range rule.Steps {
			if steps[s] += worst; steps[s] > maxStepCost {
				return rule.wrongAt(0, fmt.Errorf("brings the rules of %s over the ceiling of %d", s, maxStepCost))
			}
		}
	}
	return nil
}

// vetCounters checks the filters of counters, and adds to each step what
// counting it costs.
func (r *Rules) vetCounters(steps map[flow.Step]uint64) error {
	for _, c := range r.counted {
		if c.filter != nil {
			if err := c.filter.deterministic(); err != nil {
				return err
			}
		}
		asking, err := c.filter.cost()
		if err != nil {
			return err
		}
		for _, s := range c.Steps {
			if steps[s] += c.writeCost() + asking; steps[s] > maxStepCost {
				return within("counter "+c.ID, c.at.wrong("", fmt.Errorf("brings %s over the ceiling of %d", s, maxStepCost)))
			}
		}
	}
	return nil
}

// cost is what the rule costs at most, whatever the facts: what CEL's
// operations cost, and each counter that it reads once for the submission.
func (r *Rules) cost(rule *compiledRule) (uint64, error) {
	estimate, err := r.env.EstimateCost(rule.ast, sizes{r.parameters, r.counters})
	worst := estimate.Max
	for _, name := range slices.Sorted(maps.Keys(rule.names())) {
		if c, ok := r.counters[name]; ok && !c.each {
			worst = max(worst, worst+c.readCost()) // the sum, unless it wraps
		}
	}
	return worst, err
}

// names gives the variables and functions that the rule uses, by qualified name.
func (c *compiledRule) names() map[string]bool {
	used := make(map[string]bool)
	for _, r := range c.ast.NativeRep().ReferenceMap() {
		if r.Name != "" {
			used[r.Name] = true
		}
		for _, overload := range r.OverloadIDs {
			if id, ok := strings.CutPrefix(overload, overloadOf("")); ok {
				used["counters."+id] = true
			}
		}
	}
	return used
}
