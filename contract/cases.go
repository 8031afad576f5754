package contract

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"signalbox.dev/signalbox/flow"
)

// CaseResult is what the rules make of one of the bundle's cases.
type CaseResult struct {
	Name    string       `json:"name"`
	Step    flow.Step    `json:"step"`
	Verdict flow.Verdict `json:"verdict"`         // what it came to
	Rules   []string     `json:"rules"`           // that hit, in the bundle's order, whatever their effect and mode
	Line    int          `json:"line,omitempty"`  // of the case in the YAML
	Wrong   string       `json:"wrong,omitempty"` // how that differs from what the case wants; empty: passed
}

// Test evaluates the bundle's own cases and reports each, passed or not.
func (r *Rules) Test() []CaseResult {
	all := make([]CaseResult, 0, len(r.bundle.Cases))
	for _, c := range r.bundle.Cases {
		all = append(all, r.try(c))
	}
	return all
}

// try evaluates one of the bundle's own cases.
func (r *Rules) try(c Case) CaseResult {
	result := CaseResult{Name: c.Name, Step: c.Step, Rules: []string{}}
	if n := c.at[""]; n != nil {
		result.Line = n.Line
	}
	facts, err := c.facts()
	if err != nil {
		result.Wrong = err.Error()
		return result
	}
	if id := r.keyless(c, &facts); id != "" {
		result.Wrong = fmt.Sprintf("says what counter %s has, but lacks the facts that it goes by", id)
		return result
	}
	found, err := r.put(r.activation(c.Step, &facts, c.Today, c.given), slices.Concat(r.granting[c.Step], r.of[c.Step]), 0)
	if err != nil { // a case's counters don't fail
		result.Wrong = err.Error()
		return result
	}
	hit := found.rules()
	result.Verdict = found.Verdict()
	for _, rule := range r.bundle.Rules {
		if slices.Contains(hit, rule.ID) {
			result.Rules = append(result.Rules, rule.ID)
		}
	}
	result.Wrong = c.Want.against(r.bundle, found, result)
	return result
}

// keyless names a counter that the case gives in vain: it has no key there, and
// so it would be 0 in earnest.
func (r *Rules) keyless(c Case, f *Facts) string {
	for _, id := range slices.Sorted(maps.Keys(c.Counters)) {
		k := r.counters["counters."+id]
		if _, ok := k.key(f, &ItemFacts{Item: "any"}); !ok {
			return id
		}
	}
	return ""
}

// against says how a result differs from what is wanted; empty if it does not.
func (w Want) against(b Bundle, found Findings, got CaseResult) string {
	for _, x := range found.Refusals {
		if x.Code == "rule_error" {
			return fmt.Sprintf("rule %s fails to evaluate", x.Path)
		}
	}
	if got.Verdict != w.Verdict {
		return fmt.Sprintf("is %s, want %s", got.Verdict, w.Verdict)
	}
	for _, rule := range b.Rules {
		has, want := slices.Contains(got.Rules, rule.ID), slices.Contains(w.Rules, rule.ID)
		switch {
		case has && !want:
			return fmt.Sprintf("is hit by rule %s, which it does not want", rule.ID)
		case want && !has:
			return fmt.Sprintf("is not hit by rule %s", rule.ID)
		}
	}
	return ""
}

// given answers for counters what the case says; what it leaves out is 0. A
// counter by item has the item as the last part of its key or before it.
func (c Case) given(k *counting, parts []string) (int64, error) {
	switch v := c.Counters[k.ID].(type) {
	case int64:
		return v, nil
	case map[string]any:
		for i, name := range k.By {
			if strings.HasPrefix(name, ofItem) {
				n, _ := v[parts[i]].(int64)
				return n, nil
			}
		}
	}
	return 0, nil
}

// facts builds what the case describes, and checks it as submitted facts are.
func (c Case) facts() (Facts, error) {
	var f Facts
	if err := setFields(reflect.ValueOf(&f).Elem(), c.Facts); err != nil {
		return Facts{}, fmt.Errorf("facts: %w", err)
	}
	if where := f.outOfBounds(); where != "" {
		return Facts{}, fmt.Errorf("facts: %s is over its bound", where)
	}
	return f, nil
}

// setFields fills the fields of a fact struct by their names in expressions.
func setFields(dst reflect.Value, values map[string]any) error {
	known := make(map[string]reflect.Value)
	for i := range dst.NumField() {
		if name := factName(dst.Type().Field(i)); name != "-" {
			known[name] = dst.Field(i)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		field, ok := known[name]
		if !ok {
			return fmt.Errorf("there is no fact %s; there are %s", name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		if err := setField(field, values[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func setField(dst reflect.Value, value any) error {
	switch v := value.(type) {
	case []any:
		if dst.Kind() != reflect.Slice {
			return errors.New("is no list")
		}
		list := reflect.MakeSlice(dst.Type(), len(v), len(v))
		for i, e := range v {
			if err := setField(list.Index(i), e); err != nil {
				return fmt.Errorf("element %d: %w", i, err)
			}
		}
		dst.Set(list)
		return nil
	case map[string]any:
		if dst.Kind() != reflect.Struct {
			return errors.New("is no mapping")
		}
		return setFields(dst, v)
	default:
		got := reflect.ValueOf(value)
		if !got.IsValid() || got.Type() != dst.Type() {
			return fmt.Errorf("want %s", dst.Type())
		}
		dst.Set(got)
		return nil
	}
}
