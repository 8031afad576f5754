package trial

import "signalbox.dev/signalbox/contract"

// Tested is the result of a bundle's own cases.
type Tested struct {
	Address string                `json:"address"` // of the bundle
	Rules   int                   `json:"rules"`
	Passed  int                   `json:"passed"`
	Failed  int                   `json:"failed"`
	Cases   []contract.CaseResult `json:"cases"`
	Unhit   []string              `json:"unhit,omitempty"` // rules that no case hits
}

// Test runs the bundle's own cases. The error says why it does not compile.
func Test(b contract.Bundle) (Tested, error) {
	rules, err := b.Compile()
	if err != nil {
		return Tested{}, err
	}
	t := Tested{Address: rules.Address().String(), Rules: len(b.Rules), Cases: rules.Test()}
	hit := make(map[string]bool)
	for _, c := range t.Cases {
		if c.Wrong == "" {
			t.Passed++
		} else {
			t.Failed++
		}
		for _, id := range c.Rules {
			hit[id] = true
		}
	}
	for _, r := range b.Rules {
		if !hit[r.ID] {
			t.Unhit = append(t.Unhit, r.ID)
		}
	}
	return t, nil
}
