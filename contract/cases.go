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

// try evaluates one of the bundle's own cases.
func (r *Rules) try(c Case) error {
	facts, err := c.facts()
	if err != nil {
		return err
	}
	found := r.Evaluate(c.Step, &facts)
	for _, x := range found.Refusals {
		if x.Code == "rule_error" {
			return fmt.Errorf("rule %s fails to evaluate", x.Path)
		}
	}
	if got := found.Verdict(); got != c.Want.Verdict {
		return fmt.Errorf("is %s, want %s", got, c.Want.Verdict)
	}
	hit := found.rules()
	for _, rule := range r.bundle.Rules {
		got, want := slices.Contains(hit, rule.ID), slices.Contains(c.Want.Rules, rule.ID)
		switch {
		case got && !want:
			return fmt.Errorf("is hit by rule %s, which it does not want", rule.ID)
		case want && !got:
			return fmt.Errorf("is not hit by rule %s", rule.ID)
		}
	}
	return nil
}

// rules gives the ids of all rules that hit, whatever their effect and mode.
func (f Findings) rules() []string {
	var ids []string
	for _, reasons := range [][]flow.Reason{f.Refusals, f.Holds} {
		for _, r := range reasons {
			ids = append(ids, r.Code)
		}
	}
	return slices.Concat(ids, f.Flags, f.Observed)
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
