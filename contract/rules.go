package contract

import (
	"fmt"
	"reflect"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"

	"signalbox.dev/signalbox/flow"
)

// Rules are a bundle's rules, compiled. They are safe for concurrent use.
type Rules struct {
	bundle     Bundle
	address    flow.Hash
	env        *cel.Env
	adapter    types.Adapter
	parameters map[string]any // by the name that expressions use, "params.max_days"
	compiled   []compiledRule
}

type compiledRule struct {
	Rule
	ast     *cel.Ast
	program cel.Program
}

// Findings are what the rules say of one submission, in the bundle's order.
type Findings struct {
	Refusals []flow.Reason
	Holds    []flow.Reason
	Flags    []string // ids of rules with effect flag that hit
	Observed []string // ids of rules in mode observe that hit, or that failed, then with ":error"
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

// Evaluate puts the facts of one submission to every rule of its step. A rule
// that fails to evaluate (an overflow, a division by zero) refuses: the
// contract fails closed. The facts must be within Facts' bounds.
func (r *Rules) Evaluate(step flow.Step, facts *Facts) Findings {
	var found Findings
	vars := &activation{facts: r.adapter.NativeToValue(facts), step: types.String(step), parameters: r.parameters}
	for i := range r.compiled {
		rule := &r.compiled[i]
		if !slices.Contains(rule.Steps, step) {
			continue
		}
		out, _, err := rule.program.Eval(vars)
		hit, isBool := out.(types.Bool)
		failed := err != nil || !isBool
		switch {
		case rule.Mode == Observe && failed:
			found.Observed = append(found.Observed, rule.ID+":error")
		case failed:
			found.Refusals = append(found.Refusals, reason("rule_error", rule.ID, rule.ID))
		case !bool(hit):
		case rule.Mode == Observe:
			found.Observed = append(found.Observed, rule.ID)
		case rule.Effect == Flag:
			found.Flags = append(found.Flags, rule.ID)
		case rule.Effect == Hold:
			found.Holds = append(found.Holds, rule.reason())
		default:
			found.Refusals = append(found.Refusals, rule.reason())
		}
	}
	return found
}

func (r Rule) reason() flow.Reason {
	return flow.Reason{Code: r.ID, Zh: r.Message.Zh, En: r.Message.En}
}

// activation resolves the names that expressions may use.
type activation struct {
	facts      ref.Val
	step       types.String
	parameters map[string]any
}

func (a *activation) ResolveName(name string) (any, bool) {
	switch name {
	case "facts":
		return a.facts, true
	case "step":
		return a.step, true
	default:
		v, ok := a.parameters[name]
		return v, ok
	}
}

func (*activation) Parent() cel.Activation { return nil }

// Compile checks and plans the rules. It does not ask whether they are fit to
// take force; Admit does.
func (b Bundle) Compile() (*Rules, error) {
	address, err := b.Address()
	if err != nil {
		return nil, err
	}
	e, parameters, err := b.environment()
	if err != nil {
		return nil, fmt.Errorf("preparing rules: %w", err)
	}
	rules := &Rules{bundle: b, address: address, env: e, adapter: e.CELTypeAdapter(), parameters: parameters}
	for _, r := range b.Rules {
		ast, issues := e.Compile(r.When)
		if err := issues.Err(); err != nil {
			return nil, fmt.Errorf("rule %s: %w", r.ID, err)
		}
		if t := ast.OutputType(); !t.IsExactType(cel.BoolType) {
			return nil, fmt.Errorf("rule %s: gives %s, want bool", r.ID, t)
		}
		program, err := e.Program(ast, cel.EvalOptions(cel.OptOptimize))
		if err != nil {
			return nil, fmt.Errorf("rule %s: %w", r.ID, err)
		}
		rules.compiled = append(rules.compiled, compiledRule{Rule: r, ast: ast, program: program})
	}
	return rules, nil
}

// Limits of one expression's form; the default ones of the parser are wider.
const (
	maxNodes     = 2000 // after macros are expanded
	maxRecursion = 32
)

// costModel pins the rules of cost estimation, so that an upgrade of the CEL
// library can't change which bundles are admitted.
const costModel = 1

// environment declares what expressions may use: the types and functions below
// and nothing else. What is left out is left out for determinism (floating
// point, time, maps, regular expressions) or because it has no bounded cost.
func (b Bundle) environment() (*cel.Env, map[string]any, error) {
	options := []cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(&env.LibrarySubset{
			IncludeMacros:    []string{operators.Has, operators.All, operators.Exists, operators.ExistsOne, operators.Map, operators.Filter},
			IncludeFunctions: functions(),
		})),
		ext.NativeTypes(reflect.TypeFor[*Facts](), ext.ParseStructField(factName)),
		cel.Variable("facts", cel.ObjectType(factsType)),
		cel.Variable("step", cel.StringType),
		cel.HomogeneousAggregateLiterals(),
		cel.CostModelVersion(costModel),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(maxRecursion),
		cel.ExpressionNodeLimit(maxNodes),
	}
	parameters := make(map[string]any, len(b.Parameters))
	for name, v := range b.Parameters {
		t, err := parameterType(v)
		if err != nil {
			return nil, nil, fmt.Errorf("parameter %s: %w", name, err)
		}
		options = append(options, cel.Variable("params."+name, t))
		parameters["params."+name] = types.DefaultTypeAdapter.NativeToValue(v)
	}
	e, err := cel.NewCustomEnv(options...)
	return e, parameters, err
}

func functions() []*env.Function {
	names := []string{
		operators.Conditional, operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.NotStrictlyFalse,
		operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals,
		operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Modulo, operators.Negate,
		operators.Index, operators.In,
		"size", "startsWith", "endsWith", "contains",
	}
	all := make([]*env.Function, 0, len(names))
	for _, n := range names {
		all = append(all, env.NewFunction(n))
	}
	return all
}

// The names of the fact types in expressions.
const (
	factsType = "contract.Facts"
	itemType  = "contract.ItemFacts"
)

// factName is a field's name in expressions; fields without one are hidden.
func factName(f reflect.StructField) string {
	if name := f.Tag.Get("cel"); name != "" {
		return name
	}
	return "-"
}

// parameterType gives the CEL type of a parameter's value.
func parameterType(v any) (*cel.Type, error) {
	switch v := v.(type) {
	case int64:
		return cel.IntType, nil
	case bool:
		return cel.BoolType, nil
	case string:
		return cel.StringType, nil
	case []any:
		if len(v) == 0 {
			return cel.ListType(cel.StringType), nil
		}
		first, err := parameterType(v[0])
		if err != nil || first.Kind() == cel.ListKind {
			return nil, fmt.Errorf("a list holds integers, texts, or true and false")
		}
		for _, e := range v[1:] {
			if t, err := parameterType(e); err != nil || !t.IsExactType(first) {
				return nil, fmt.Errorf("a list holds values of one kind")
			}
		}
		return cel.ListType(first), nil
	default:
		return nil, fmt.Errorf("want an integer, a text, true, false, or a list of them")
	}
}
