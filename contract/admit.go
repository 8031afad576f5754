package contract

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"

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
	for _, c := range r.counted {
		for _, s := range c.Steps {
			if steps[s] += c.writeCost(); steps[s] > maxStepCost {
				return within("counter "+c.ID, c.at.wrong("", fmt.Errorf("brings %s over the ceiling of %d", s, maxStepCost)))
			}
		}
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

// deterministic refuses every expression that holds a value of another type
// than those of facts and parameters, or builds a struct of its own.
func (c *compiledRule) deterministic() error {
	a := c.ast.NativeRep()
	var err error
	wrong := func(id int64, what error) {
		if err == nil {
			err = c.wrongAt(offsetOf(c.When, a.SourceInfo().GetStartLocation(id)), what)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(a.TypeMap())) {
		if t := a.GetType(id); !plainType(t) {
			wrong(id, fmt.Errorf("uses the type %s", t))
		}
	}
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.StructKind {
			wrong(e.ID(), errors.New("builds a struct"))
		}
	}))
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.CallKind && comparesStructs(a, e.AsCall()) {
			wrong(e.ID(), errors.New("compares whole structs"))
		}
	}))
	return err
}

// comparesStructs catches the operators whose cost on structs the estimation
// does not see.
func comparesStructs(a *ast.AST, call ast.CallExpr) bool {
	if !slices.Contains([]string{operators.Equals, operators.NotEquals, operators.In}, call.FunctionName()) {
		return false
	}
	return slices.ContainsFunc(call.Args(), func(e ast.Expr) bool { return holdsStruct(a.GetType(e.ID())) })
}

func holdsStruct(t *cel.Type) bool {
	return t.Kind() == cel.StructKind || t.Kind() == cel.ListKind && holdsStruct(t.Parameters()[0])
}

func plainType(t *cel.Type) bool {
	switch t.Kind() {
	case cel.BoolKind, cel.IntKind, cel.StringKind:
		return t.IsExactType(cel.BoolType) || t.IsExactType(cel.IntType) || t.IsExactType(cel.StringType)
	case cel.ListKind:
		return plainType(t.Parameters()[0])
	case cel.StructKind:
		return t.TypeName() == factsType || t.TypeName() == itemType
	default:
		return false
	}
}
