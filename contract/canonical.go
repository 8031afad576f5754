package contract

import (
	"fmt"
	"maps"
	"slices"

	"signalbox.dev/signalbox/flow"
)

// canonicalFormat names the canonical form; another form gets another name.
const canonicalFormat = "signalbox/rules/v1"

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
	data, err := flow.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encoding rule bundle: %w", err)
	}
	return data, nil
}

// Address is the bundle's address: SHA-256 of its canonical form (R6.1).
func (b Bundle) Address() (flow.Hash, error) {
	data, err := b.Canonical()
	if err != nil {
		return flow.Hash{}, err
	}
	return flow.SumHash(data), nil
}
