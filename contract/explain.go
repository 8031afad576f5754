package contract

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"signalbox.dev/signalbox/flow"
)

// RuleTrace says what one rule made of one submission, and of which facts.
type RuleTrace struct {
	Rule    string   `json:"rule"`
	Mode    Mode     `json:"mode"`
	Effect  Effect   `json:"effect"`
	Outcome Outcome  `json:"outcome"`
	Cost    uint64   `json:"cost"`            // in CEL's units, what it took
	Facts   []Read   `json:"facts"`           // what the expression reads, sorted by name
	Error   string   `json:"error,omitempty"` // of a rule that failed
	Message *Message `json:"message,omitempty"`
}

// Read is a value that a rule reads.
type Read struct {
	Name  string `json:"name"`  // as the expression has it; "facts.items[].quantity" for what it reads of items
	Value any    `json:"value"` // int64, bool, string or a list; of items one value for each
}

// Explain evaluates the rules of the step as Evaluate does, those with effect
// grant before them, and says what each came to. It is slow and for people: a decision is made by Evaluate.
func (r *Rules) Explain(s State, step flow.Step, facts *Facts, now int64) ([]RuleTrace, error) {
	vars := r.activation(step, facts, r.today(now), r.stored(s, now))
	var all []RuleTrace
	for _, rule := range slices.Concat(r.granting[step], r.of[step]) {
		t, err := r.trace(rule, vars)
		if err != nil {
			return nil, fmt.Errorf("explaining rule %s: %w", rule.ID, err)
		}
		all = append(all, t)
	}
	if vars.failed != nil {
		return nil, fmt.Errorf("reading counters: %w", vars.failed)
	}
	return all, nil
}

func (r *Rules) trace(rule *compiledRule, vars *activation) (RuleTrace, error) {
	program, err := r.env.Program(rule.ast, cel.EvalOptions(cel.OptTrackCost))
	if err != nil {
		return RuleTrace{}, err
	}
	out, details, err := program.Eval(vars)
	hit, isBool := out.(types.Bool)
	t := RuleTrace{
		Rule: rule.ID, Mode: rule.Mode, Effect: rule.Effect,
		Outcome: outcomeOf(bool(hit), err != nil || !isBool), Facts: r.reads(rule, vars),
	}
	if details != nil && details.ActualCost() != nil {
		t.Cost = *details.ActualCost()
	}
	if t.Outcome == Failed {
		t.Error = fmt.Sprint(err)
	}
	if t.Outcome == Hit {
		t.Message = &rule.Message
	}
	return t, nil
}

// reads gives what the rule's expression names, with its values.
func (r *Rules) reads(rule *compiledRule, vars *activation) []Read {
	values := make(map[string]any)
	for name := range rule.names() {
		switch {
		case name == "step":
			values[name] = vars.step.Value()
		case name == "today":
			values[name] = vars.today.Value()
		case strings.HasPrefix(name, "params."):
			values[name] = r.bundle.Parameters[strings.TrimPrefix(name, "params.")]
		case r.counters[name] != nil:
			values[name] = r.counters[name].values(vars)
		}
	}
	tree := rule.ast.NativeRep()
	ast.PreOrderVisit(tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.SelectKind {
			return
		}
		field := e.AsSelect().FieldName()
		switch of := tree.GetType(e.AsSelect().Operand().ID()); of.TypeName() {
		case factsType:
			if field != "items" { // an item is told by what is read of it
				values[ofFacts+field] = factByName(reflect.ValueOf(vars.facts).Elem(), field)
			}
		case itemType:
			each := make([]any, 0, len(vars.facts.Items))
			for i := range vars.facts.Items {
				each = append(each, factByName(reflect.ValueOf(&vars.facts.Items[i]).Elem(), field))
			}
			values["facts.items[]."+field] = each
		}
	}))
	if len(values) == 0 || !slices.ContainsFunc(slices.Collect(maps.Keys(values)), aboutItems) {
		if rule.readsItems() {
			values["size(facts.items)"] = int64(len(vars.facts.Items))
		}
	}
	all := make([]Read, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		all = append(all, Read{Name: name, Value: values[name]})
	}
	return all
}

func aboutItems(name string) bool { return strings.HasPrefix(name, "facts.items[]") }

// readsItems says whether the expression names the list of items.
func (c *compiledRule) readsItems() bool {
	tree, found := c.ast.NativeRep(), false
	ast.PreOrderVisit(tree.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.SelectKind && e.AsSelect().FieldName() == "items" && tree.GetType(e.AsSelect().Operand().ID()).TypeName() == factsType {
			found = true
		}
	}))
	return found
}

// values gives what the counter says: one number, or one for each item.
func (c *counting) values(vars *activation) any {
	if !c.each {
		return vars.read(c, "").Value()
	}
	each := make([]any, 0, len(vars.facts.Items))
	for _, i := range vars.facts.Items {
		each = append(each, vars.read(c, i.Item).Value())
	}
	return each
}

func factByName(of reflect.Value, name string) any {
	for i := range of.NumField() {
		if factName(of.Type().Field(i)) == name {
			return of.Field(i).Interface()
		}
	}
	return nil
}
