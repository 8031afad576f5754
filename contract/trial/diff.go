package trial

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"signalbox.dev/signalbox/contract"
)

// Changes say what differs between two bundles. They are sorted by name, but for
// rules and counters, which are in the order of the new bundle, those that it
// lacks last.
type Changes struct {
	Old        string `json:"old"`  // address
	New        string `json:"new"`  // address
	Same       bool   `json:"same"` // equal addresses
	Contract   []Part `json:"contract,omitempty"`
	Parameters []Part `json:"parameters,omitempty"`
	Counters   []Part `json:"counters,omitempty"`
	Rules      []Part `json:"rules,omitempty"`
	Cases      []Part `json:"cases,omitempty"`
}

// Change is what has become of a part.
type Change string

// The changes.
const (
	Added   Change = "added"
	Removed Change = "removed"
	Changed Change = "changed"
	Moved   Change = "moved" // a rule has another place among the others: reasons come in another order
)

// Part is one rule, parameter, counter or case that differs.
type Part struct {
	Name   string  `json:"name"`
	Change Change  `json:"change"`
	Fields []Field `json:"fields,omitempty"`
}

// Field is a property that differs, as text; empty where there is none.
type Field struct {
	Name string `json:"name"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

// Diff says what changes from one bundle to another. The error is a bundle that
// can't be encoded.
func Diff(old, new contract.Bundle) (Changes, error) {
	from, err := old.Address()
	if err != nil {
		return Changes{}, err
	}
	to, err := new.Address()
	if err != nil {
		return Changes{}, err
	}
	c := Changes{Old: from.String(), New: to.String(), Same: from == to}
	if old.Contract != new.Contract {
		c.Contract = []Part{{Name: "contract", Change: Changed, Fields: []Field{{"contract", old.Contract, new.Contract}}}}
	}
	c.Parameters = parts(parametersOf(old), parametersOf(new))
	c.Counters = parts(countersOf(old), countersOf(new))
	c.Rules = parts(rulesOf(old), rulesOf(new))
	c.Rules = append(c.Rules, moved(old, new, c.Rules)...)
	c.Cases = parts(casesOf(old), casesOf(new))
	return c, nil
}

// described is a part by its properties.
type described struct {
	name   string
	fields []Field // in New
}

func parts(old, new []described) []Part {
	before := make(map[string][]Field)
	for _, d := range old {
		before[d.name] = d.fields
	}
	var all []Part
	seen := make(map[string]bool)
	for _, d := range new {
		seen[d.name] = true
		was, had := before[d.name]
		if !had {
			all = append(all, Part{Name: d.name, Change: Added, Fields: d.fields})
			continue
		}
		if fields := fieldChanges(was, d.fields); len(fields) > 0 {
			all = append(all, Part{Name: d.name, Change: Changed, Fields: fields})
		}
	}
	for _, d := range old {
		if !seen[d.name] {
			var fields []Field
			for _, f := range d.fields {
				fields = append(fields, Field{Name: f.Name, Old: f.New})
			}
			all = append(all, Part{Name: d.name, Change: Removed, Fields: fields})
		}
	}
	return all
}

func fieldChanges(old, new []Field) []Field {
	var all []Field
	for i, f := range new { // both are made by the same function
		if old[i].New != f.New {
			all = append(all, Field{Name: f.Name, Old: old[i].New, New: f.New})
		}
	}
	return all
}

// moved names the rules that both bundles have unchanged, in another order:
// the fewest that need to be moved are not looked for, only the first one off.
func moved(old, new contract.Bundle, changed []Part) []Part {
	common := func(a, b contract.Bundle) []string {
		var ids []string
		for _, r := range a.Rules {
			if slices.ContainsFunc(b.Rules, func(o contract.Rule) bool { return o.ID == r.ID }) {
				ids = append(ids, r.ID)
			}
		}
		return ids
	}
	before, after := common(old, new), common(new, old)
	for i, id := range after {
		if before[i] != id && !slices.ContainsFunc(changed, func(p Part) bool { return p.Name == id }) {
			place := func(ids []string) string { return strconv.Itoa(slices.Index(ids, id) + 1) }
			return []Part{{Name: id, Change: Moved, Fields: []Field{{"place", place(before), place(after)}}}}
		}
	}
	return nil
}

func parametersOf(b contract.Bundle) []described {
	var all []described
	for _, name := range slices.Sorted(maps.Keys(b.Parameters)) {
		all = append(all, described{name, []Field{{Name: "value", New: written(b.Parameters[name])}}})
	}
	return all
}

func countersOf(b contract.Bundle) []described {
	var all []described
	for _, c := range b.Counters {
		all = append(all, described{c.ID, []Field{
			{Name: "sum", New: c.Sum},
			{Name: "by", New: strings.Join(c.By, ", ")},
			{Name: "window", New: strconv.FormatInt(c.Window, 10) + "d"},
			{Name: "steps", New: steps(c.Steps)},
			{Name: "when", New: c.When},
		}})
	}
	return all
}

func rulesOf(b contract.Bundle) []described {
	var all []described
	for _, r := range b.Rules {
		all = append(all, described{r.ID, []Field{
			{Name: "steps", New: steps(r.Steps)},
			{Name: "when", New: r.When},
			{Name: "effect", New: string(r.Effect)},
			{Name: "mode", New: string(r.Mode)},
			{Name: "message.zh", New: r.Message.Zh},
			{Name: "message.en", New: r.Message.En},
			{Name: "grant", New: terms(r)},
		}})
	}
	return all
}

// terms are those of a rule with effect grant, as YAML has them.
func terms(r contract.Rule) string {
	if r.Effect != contract.Granting {
		return ""
	}
	return written(map[string]any{"days": r.Terms.Days, "quota": r.Terms.Quota, "most": r.Terms.Most})
}

func casesOf(b contract.Bundle) []described {
	var all []described
	for _, c := range b.Cases {
		all = append(all, described{c.Name, []Field{
			{Name: "step", New: string(c.Step)},
			{Name: "today", New: strconv.FormatInt(c.Today, 10)},
			{Name: "facts", New: written(c.Facts)},
			{Name: "counters", New: written(c.Counters)},
			{Name: "verdict", New: string(c.Want.Verdict)},
			{Name: "rules", New: strings.Join(c.Want.Rules, ", ")},
		}})
	}
	return all
}

func steps[S ~string](all []S) string {
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

// written is a plain value as a person would write it in YAML, on one line.
func written(v any) string {
	switch v := v.(type) {
	case map[string]any:
		var all []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			all = append(all, k+": "+written(v[k]))
		}
		return "{" + strings.Join(all, ", ") + "}"
	case []any:
		var all []string
		for _, e := range v {
			all = append(all, written(e))
		}
		return "[" + strings.Join(all, ", ") + "]"
	case string:
		if v == "" || v != strings.TrimSpace(v) || strings.ContainsAny(v, `:,[]{}"'#`) || looksOther(v) {
			return strconv.Quote(v)
		}
		return v
	default:
		return fmt.Sprint(v)
	}
}

// looksOther says whether a text would be read as a number or a truth.
func looksOther(v string) bool {
	_, err := strconv.ParseInt(v, 0, 64)
	return err == nil || v == "true" || v == "false"
}
