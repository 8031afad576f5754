package contract

import (
	"maps"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"signalbox.dev/signalbox/flow"
)

// Uses gives what a rule's expression names beside facts, sorted: "params.x",
// "counters.x", "step", "today" and functions; nil when there is no such rule.
func (r *Rules) Uses(rule string) []string {
	for i := range r.compiled {
		if r.compiled[i].ID == rule {
			return slices.Sorted(maps.Keys(r.compiled[i].names()))
		}
	}
	return nil
}

// Settled says what a rule comes to on a step when that can be told without
// facts, counters and the day: from its parameters, the step, and what stands in
// the expression itself. Such a rule hits always or never.
func (r *Rules) Settled(rule string, step flow.Step) (hit, settled bool) {
	i := slices.IndexFunc(r.compiled, func(c compiledRule) bool { return c.ID == rule })
	if i < 0 {
		return false, false
	}
	program, err := r.env.Program(r.compiled[i].ast, cel.EvalOptions(cel.OptPartialEval))
	if err != nil {
		return false, false
	}
	known := maps.Clone(r.parameters)
	known["step"] = types.String(step)
	unknown := []*cel.AttributePatternType{cel.AttributePattern("facts"), cel.AttributePattern("today")}
	for name := range r.counters {
		unknown = append(unknown, cel.AttributePattern(name))
	}
	vars, err := cel.PartialVars(known, unknown...)
	if err != nil {
		return false, false
	}
	out, _, err := program.Eval(vars)
	value, isBool := out.(types.Bool)
	return bool(value), err == nil && isBool
}
