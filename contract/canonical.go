package contract

import (
	"fmt"
	"maps"
	"slices"

	"signalbox.dev/signalbox/flow"
)

// The names of the canonical forms. Bundles that can do with the first
// keep to it, and so to the addresses that they have always had.
const (
	canonicalFormat = "signalbox/rules/v1"
	countersFormat  = "signalbox/rules/v2" // with counters, or with cases on a day
	grantsFormat    = "signalbox/rules/v3" // with rules that issue grants, or counters with filters
)

// The canonical form: deterministic CBOR of these arrays. Comments, key order
// and layout of the YAML leave no trace in it; the order of rules does.
type canonicalBundle struct {
	_ struct{} `cbor:",toarray"`

	Format     string
	Contract   string
	Parameters []canonicalParameter // sorted by name
	Rules      []canonicalRule
	Cases      []canonicalCase
}

// countersBundle is the form of bundles with counters, or with cases that say
// which day it is.
type countersBundle struct {
	_ struct{} `cbor:",toarray"`

	Format     string
	Contract   string
	Parameters []canonicalParameter
	Rules      []canonicalRule
	Cases      []canonicalCase
	Counters   []canonicalCounter // in the bundle's order
	Given      []map[string]any   // what the counters say in each case
	Days       []int64            // the day of each case
}

// grantsBundle is the form of bundles with rules that issue batch grants, or
// with filters on counters.
type grantsBundle struct {
	_ struct{} `cbor:",toarray"`

	Format  string
	Bundle  countersBundle
	Terms   []canonicalTerms // of each rule
	Filters []string         // of each counter
}

type canonicalTerms struct {
	_ struct{} `cbor:",toarray"`

	Days  int64
	Quota uint64
	Most  uint64
}

type canonicalCounter struct {
	_ struct{} `cbor:",toarray"`

	ID     string
	Sum    string
	By     []string
	Window int64 // days
	Steps  []flow.Step
}

type canonicalParameter struct {
	_ struct{} `cbor:",toarray"`

	Name  string
	Value any
}

type canonicalRule struct {
	_ struct{} `cbor:",toarray"`

	ID     string
	Steps  []flow.Step
	When   string
	Effect Effect
	Mode   Mode
	Zh     string
	En     string
}

type canonicalCase struct {
	_ struct{} `cbor:",toarray"`

	Name    string
	Step    flow.Step
	Facts   map[string]any
	Verdict flow.Verdict
	Rules   []string
}

// Canonical gives the bytes that the bundle's address is the hash of.
func (b Bundle) Canonical() ([]byte, error) {
	c := canonicalBundle{
		Format: canonicalFormat, Contract: b.Contract,
		Parameters: []canonicalParameter{}, Rules: []canonicalRule{}, Cases: []canonicalCase{},
	}
	for _, name := range slices.Sorted(maps.Keys(b.Parameters)) {
		c.Parameters = append(c.Parameters, canonicalParameter{Name: name, Value: b.Parameters[name]})
	}
	for _, r := range b.Rules {
		c.Rules = append(c.Rules, canonicalRule{
			ID: r.ID, Steps: r.Steps, When: r.When, Effect: r.Effect, Mode: r.Mode, Zh: r.Message.Zh, En: r.Message.En,
		})
	}
	for _, k := range b.Cases {
		rules := append([]string{}, k.Want.Rules...) // none is an empty list, not null
		c.Cases = append(c.Cases, canonicalCase{Name: k.Name, Step: k.Step, Facts: k.Facts, Verdict: k.Want.Verdict, Rules: rules})
	}
	data, err := flow.Marshal(b.form(c))
	if err != nil {
		return nil, fmt.Errorf("encoding rule bundle: %w", err)
	}
	return data, nil
}

// form gives c, with counters and days if the bundle has some, and with grants
// and filters likewise.
func (b Bundle) form(c canonicalBundle) any {
	if slices.ContainsFunc(b.Rules, func(r Rule) bool { return r.Effect == Granting }) || slices.ContainsFunc(b.Counters, func(k Counter) bool { return k.When != "" }) {
		with := grantsBundle{Format: grantsFormat, Bundle: b.counted(c), Terms: []canonicalTerms{}, Filters: []string{}}
		for _, r := range b.Rules {
			with.Terms = append(with.Terms, canonicalTerms{Days: r.Terms.Days, Quota: r.Terms.Quota, Most: r.Terms.Most})
		}
		for _, k := range b.Counters {
			with.Filters = append(with.Filters, k.When)
		}
		return with
	}
	if len(b.Counters) == 0 && !slices.ContainsFunc(b.Cases, func(k Case) bool { return k.Today != 0 }) {
		return c
	}
	return b.counted(c)
}

func (b Bundle) counted(c canonicalBundle) countersBundle {
	with := countersBundle{Format: countersFormat, Contract: c.Contract, Parameters: c.Parameters, Rules: c.Rules, Cases: c.Cases}
	for _, k := range b.Counters {
		with.Counters = append(with.Counters, canonicalCounter{ID: k.ID, Sum: k.Sum, By: k.By, Window: k.Window, Steps: k.Steps})
	}
	for _, k := range b.Cases {
		given := k.Counters
		if given == nil {
			given = map[string]any{} // none is an empty map, not null
		}
		with.Given = append(with.Given, given)
		with.Days = append(with.Days, k.Today)
	}
	return with
}

// Address is the bundle's address: SHA-256 of its canonical form (R6.1).
func (b Bundle) Address() (flow.Hash, error) {
	data, err := b.Canonical()
	if err != nil {
		return flow.Hash{}, err
	}
	return flow.SumHash(data), nil
}
