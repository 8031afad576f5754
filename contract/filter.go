package contract

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"signalbox.dev/signalbox/flow"
)

// filter is a counter's expression, compiled: which steps it counts, or which
// items of a step. It knows the submission and nothing else, neither parameters
// nor counters nor the day, so that what a counter has counted hangs on its own
// declaration alone and stays exact under another version of the bundle.
type filter struct {
	*expression
	counter *counting
	items   bool // asked for each item
}

// ofItems says whether the counter goes through the items of a step.
func (c Counter) ofItems() bool { return c.PerItem() || strings.HasPrefix(c.Sum, ofItem) }

// compileFilters makes the counters' filters ready.
func (r *Rules) compileFilters() error {
	for _, c := range r.counted {
		if c.When == "" {
			continue
		}
		env, err := r.filterEnvironment(c)
		if err != nil {
			return fmt.Errorf("counter %s: %w", c.ID, err)
		}
		e, err := compileExpression(env, c.expression())
		if err != nil {
			return err
		}
		c.filter = &filter{expression: e, counter: c, items: c.ofItems()}
	}
	return nil
}

// filterEnvironment is what a filter may use: facts, step, and the item where
// the counter goes through items.
func (r *Rules) filterEnvironment(c *counting) (*cel.Env, error) {
	options := append(baseEnvironment(), cel.Variable("facts", cel.ObjectType(factsType)), cel.Variable("step", cel.StringType))
	if c.ofItems() {
		options = append(options, cel.Variable("item", cel.ObjectType(itemType)))
	}
	return r.environment(options)
}

// passes says whether the counter counts the step, or one item of it. A filter
// that fails to evaluate lets it pass: counters lead to refusals, and so what can't
// be told counts.
func (f *filter) passes(r *Rules, step flow.Step, facts *record, item *ItemFacts) bool {
	if f == nil {
		return true
	}
	vars := filtering{facts: facts, step: types.String(step)}
	if f.items {
		vars.item = newRecord(r.itemType, reflect.ValueOf(item).Elem())
	}
	out, _, err := f.program.Eval(vars)
	hit, isBool := out.(types.Bool)
	return err != nil || !isBool || bool(hit)
}

// filtering resolves the names that a filter may use.
type filtering struct {
	facts *record
	step  types.String
	item  *record
}

// ResolveName implements cel.Activation.
func (f filtering) ResolveName(name string) (any, bool) {
	switch name {
	case "facts":
		return ref.Val(f.facts), true
	case "step":
		return f.step, true
	case "item":
		return ref.Val(f.item), f.item != nil
	}
	return nil, false
}

// Parent implements cel.Activation.
func (filtering) Parent() cel.Activation { return nil }

// cost is what asking the filter for one step costs at most.
func (f *filter) cost() (uint64, error) {
	if f == nil {
		return 0, nil
	}
	estimate, err := f.env.EstimateCost(f.ast, sizes{})
	if err != nil {
		return 0, f.wrongAt(0, fmt.Errorf("estimating its cost: %w", err))
	}
	worst := estimate.Max
	if f.items && worst < maxRuleCost {
		worst *= maxItems
	}
	if worst > maxRuleCost {
		return 0, f.wrongAt(0, fmt.Errorf("may cost %d, the ceiling is %d", worst, maxRuleCost))
	}
	return worst, nil
}

// validateFilter checks the form of a counter's filter.
func (c Counter) validateFilter() error {
	if c.When == "" && c.at["when"] != nil {
		return c.at.wrong("when", errors.New("when: is empty"))
	}
	return nil
}
