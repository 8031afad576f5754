package contract

import (
	"errors"
	"fmt"
	"maps"
	"slices"

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
// cost ceilings, and its own cases passed (R6.1).
func (b Bundle) Admit() (*Rules, error) {
	rules, err := b.Compile()
	if err != nil {
		return nil, fmt.Errorf("admitting rule bundle: %w", err)
	}
	if err := rules.vet(); err != nil {
		return nil, fmt.Errorf("admitting rule bundle: %w", err)
	}
	for _, c := range b.Cases {
		if err := rules.try(c); err != nil {
			return nil, fmt.Errorf("admitting rule bundle: case %q: %w", c.Name, err)
		}
	}
	return rules, nil
}

func (r *Rules) vet() error {
	steps := make(map[flow.Step]uint64)
	for i := range r.compiled {
		rule := &r.compiled[i]
		if err := deterministic(rule.ast.NativeRep()); err != nil {
			return fmt.Errorf("rule %s: %w", rule.ID, err)
		}
		worst, err := r.cost(rule)
		if err != nil {
			return fmt.Errorf("rule %s: estimating its cost: %w", rule.ID, err)
		}
		if worst > maxRuleCost {
			return fmt.Errorf("rule %s: may cost %d, the ceiling is %d", rule.ID, worst, maxRuleCost)
		}
		for _, s := range rule.Steps {
			if steps[s] += worst; steps[s] > maxStepCost {
				return fmt.Errorf("rule %s: brings the rules of %s over the ceiling of %d", rule.ID, s, maxStepCost)
			}
		}
	}
	return nil
}

// cost is what the rule costs at most, whatever the facts.
func (r *Rules) cost(rule *compiledRule) (uint64, error) {
	estimate, err := r.env.EstimateCost(rule.ast, sizes{r.parameters})
	return estimate.Max, err
}

// deterministic refuses every expression that holds a value of another type
// than those of facts and parameters, or builds a struct of its own.
func deterministic(a *ast.AST) error {
	for _, id := range slices.Sorted(maps.Keys(a.TypeMap())) {
		if t := a.GetType(id); !plainType(t) {
			return fmt.Errorf("uses the type %s", t)
		}
	}
	var err error
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch {
		case e.Kind() == ast.StructKind:
			err = errors.New("builds a struct")
		case e.Kind() == ast.CallKind && comparesStructs(a, e.AsCall()):
			err = errors.New("compares whole structs")
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
