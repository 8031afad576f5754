package contract

import (
	"fmt"
	"reflect"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"

	"signalbox.dev/signalbox/flow"
)

// Limits of one expression's form; the default ones of the parser are wider.
const (
	maxNodes     = 2000 // after macros are expanded
	maxRecursion = 32
)

// costModel pins the rules of cost estimation, so that an upgrade of the CEL
// library can't change which bundles are admitted.
const costModel = 1

// prepare declares what expressions may use: the types and functions below
// and nothing else. What is left out is left out for determinism (floating
// point, time, maps, regular expressions) or because it has no bounded cost.
func (r *Rules) prepare() error {
	options := append(baseEnvironment(),
		cel.Variable("facts", cel.ObjectType(factsType)),
		cel.Variable("step", cel.StringType),
		cel.Variable("today", cel.IntType),
	)
	r.parameters = make(map[string]any, len(r.bundle.Parameters))
	for name, v := range r.bundle.Parameters {
		t, err := parameterType(v)
		if err != nil {
			return fmt.Errorf("parameter %s: %w", name, err)
		}
		options = append(options, cel.Variable("params."+name, t))
		r.parameters["params."+name] = parameterValue(v)
	}
	r.counters = make(map[string]*counting, len(r.bundle.Counters))
	for _, declared := range r.bundle.Counters {
		c, err := r.bundle.counting(declared)
		if err != nil {
			return fmt.Errorf("counter %s: %w", declared.ID, err)
		}
		r.counters[c.name], r.counted = c, append(r.counted, c)
		options = append(options, c.declaration())
	}
	r.factsType, r.itemType = cel.ObjectType(factsType), cel.ObjectType(itemType)
	var err error
	if r.env, err = r.environment(options); err != nil {
		return err
	}
	r.adapter = r.env.CELTypeAdapter()
	return nil
}

// baseEnvironment is what every expression of a bundle may use and must keep to,
// but for names.
func baseEnvironment() []cel.EnvOption {
	return []cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(&env.LibrarySubset{
			IncludeMacros:    []string{operators.Has, operators.All, operators.Exists, operators.ExistsOne, operators.Map, operators.Filter},
			IncludeFunctions: standardFunctions(),
		})),
		ext.NativeTypes(reflect.TypeFor[*Facts](), ext.ParseStructField(factName)),
		cel.HomogeneousAggregateLiterals(),
		cel.CostModelVersion(costModel),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(maxRecursion),
		cel.ExpressionNodeLimit(maxNodes),
	}
}

// environment makes an environment whose facts are records.
func (r *Rules) environment(options []cel.EnvOption) (*cel.Env, error) {
	base, err := cel.NewCustomEnv(options...)
	if err != nil {
		return nil, err
	}
	return base.Extend(cel.CustomTypeProvider(factFields{base.CELTypeProvider(), r}))
}

// declaration is a variable, or for a counter by item a function of the item.
func (c *counting) declaration() cel.EnvOption {
	if !c.each {
		return cel.Variable(c.name, cel.IntType)
	}
	return cel.Function(c.name, cel.Overload(overloadOf(c.ID), []*cel.Type{cel.StringType}, cel.IntType, cel.LateFunctionBinding()))
}

func overloadOf(counter string) string { return "counter_" + counter }

func standardFunctions() []*env.Function {
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

// parameterValue is a parameter as expressions see it, a list with its elements
// converted once for all.
func parameterValue(v any) ref.Val {
	list, ok := v.([]any)
	if !ok {
		return types.DefaultTypeAdapter.NativeToValue(v)
	}
	all := make([]ref.Val, len(list))
	for i, e := range list {
		all[i] = types.DefaultTypeAdapter.NativeToValue(e)
	}
	return types.NewRefValList(types.DefaultTypeAdapter, all)
}

// counts says what a counter has under a key, before the step at hand.
type counts func(c *counting, parts []string) (int64, error)

// activation resolves the names that expressions may use, for one evaluation.
type activation struct {
	rules *Rules
	facts *Facts
	value ref.Val // of facts
	step  ref.Val
	today ref.Val
	count counts                           // nil when the bundle has no counters
	known map[reading]ref.Val              // what was read of counters
	calls map[string]functions.LateBoundOp // counters by item, once used

	failed error // the first failure to read a counter
}

// reading is a counter, and the item if it is one by item.
type reading struct {
	counter *counting
	item    string
}

func (r *Rules) activation(step flow.Step, facts *Facts, today int64, count counts) *activation {
	return &activation{rules: r, facts: facts, value: r.factRecord(facts), step: types.String(step), today: types.Int(today), count: count}
}

// ResolveName implements cel.Activation.
func (a *activation) ResolveName(name string) (any, bool) {
	switch name {
	case "facts":
		return a.value, true
	case "step":
		return a.step, true
	case "today":
		return a.today, true
	}
	if v, ok := a.rules.parameters[name]; ok {
		return v, true
	}
	if c, ok := a.rules.counters[name]; ok && !c.each {
		return a.read(c, ""), true
	}
	return nil, false
}

// Parent implements cel.Activation.
func (*activation) Parent() cel.Activation { return nil }

// ResolveFunction implements cel.FunctionActivation: counters by item.
func (a *activation) ResolveFunction(name string) (functions.LateBoundOp, bool) {
	if call, ok := a.calls[name]; ok {
		return call, true
	}
	c, ok := a.rules.counters[name]
	if !ok || !c.each {
		return nil, false
	}
	if a.calls == nil {
		a.calls = make(map[string]functions.LateBoundOp)
	}
	a.calls[name] = func(_ string, args ...ref.Val) ref.Val { return a.read(c, string(args[0].(types.String))) }
	return a.calls[name], true
}

// read gives a counter's value. A failure of the storage is kept for evaluate,
// which then gives up what the rules made of it.
func (a *activation) read(c *counting, item string) ref.Val {
	what := reading{c, item}
	if v, ok := a.known[what]; ok {
		return v
	}
	var n int64
	if parts, ok := c.key(a.facts, &ItemFacts{Item: item}); ok {
		var err error
		if n, err = a.count(c, parts); err != nil && a.failed == nil {
			a.failed = err
		}
	}
	if a.known == nil {
		a.known = make(map[reading]ref.Val)
	}
	a.known[what] = types.Int(n)
	return a.known[what]
}
