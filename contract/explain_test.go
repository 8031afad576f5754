package contract_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
)

// Explain says what each rule of the step came to and of which values; and it
// comes to what Evaluate comes to.
func TestExplainRules(t *testing.T) {
	r := admitted(t, `contract: prescription
parameters: { limit: 100, names: [S1, S2] }
counters:
  - { id: orders, count: true, by: [facts.subject], window: 24h, steps: [order] }
  - { id: units, sum: item.quantity, by: [facts.subject, item.item], window: 24h, steps: [order] }
rules:
  - { id: E-1, steps: [order], when: facts.amount > params.limit && facts.subject in params.names, effect: refuse, message: { zh: 一, en: one } }
  - { id: E-2, steps: [order], when: 'counters.orders > 5 || facts.items.exists(i, counters.units(i.item) + i.quantity > 8)', effect: hold, mode: observe, message: { zh: 二, en: two } }
  - { id: E-3, steps: [order], when: 'step == "order" && today > 10 && facts.items.size() / facts.insured > 1', effect: refuse, message: { zh: 三, en: three } }
  - { id: E-4, steps: [register], when: facts.amount > 1, effect: flag, message: { zh: 四, en: four } }
  - { id: E-5, steps: [order], when: '"a" in facts.tags', effect: flag, message: { zh: 五, en: five } }
`)
	s := mapState{}
	f := contract.Facts{Subject: "S1", Amount: 101, Items: []contract.ItemFacts{{Item: "I1", Quantity: 4}, {Item: "I2", Quantity: 5}}}
	now := 20 * day
	count(t, r, s, flow.Order, f, now)
	got, err := r.Explain(s, flow.Order, &f, now)
	if err != nil {
		t.Fatal(err)
	}
	want := []contract.RuleTrace{
		{Rule: "E-1", Mode: contract.Enforce, Effect: contract.Refuse, Outcome: contract.Hit, Message: &contract.Message{Zh: "一", En: "one"}, Facts: []contract.Read{
			{Name: "facts.amount", Value: int64(101)},
			{Name: "facts.subject", Value: "S1"},
			{Name: "params.limit", Value: int64(100)},
			{Name: "params.names", Value: []any{"S1", "S2"}},
		}},
		{Rule: "E-2", Mode: contract.Observe, Effect: contract.Hold, Outcome: contract.Hit, Message: &contract.Message{Zh: "二", En: "two"}, Facts: []contract.Read{
			{Name: "counters.orders", Value: int64(1)},
			{Name: "counters.units", Value: []any{int64(4), int64(5)}},
			{Name: "facts.items[].item", Value: []any{"I1", "I2"}},
			{Name: "facts.items[].quantity", Value: []any{int64(4), int64(5)}},
		}},
		{Rule: "E-3", Mode: contract.Enforce, Effect: contract.Refuse, Outcome: contract.Failed, Error: "division by zero", Facts: []contract.Read{
			{Name: "facts.insured", Value: int64(0)}, {Name: "size(facts.items)", Value: int64(2)}, {Name: "step", Value: "order"}, {Name: "today", Value: int64(20)},
		}},
		{Rule: "E-5", Mode: contract.Enforce, Effect: contract.Flag, Outcome: contract.Clear, Facts: []contract.Read{{Name: "facts.tags", Value: []string(nil)}}},
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreFields(contract.RuleTrace{}, "Cost")); d != "" {
		t.Errorf("traces (-want +got):\n%s", d)
	}
	for _, trace := range got {
		if trace.Cost == 0 {
			t.Errorf("%s cost nothing", trace.Rule)
		}
	}
	found, err := r.Evaluate(s, flow.Order, &f, now)
	if err != nil || len(found.Refusals) != 2 || found.Refusals[0].Code != "E-1" || found.Refusals[1].Path != "E-3" || !cmp.Equal(found.Observed, []string{"E-2"}) {
		t.Errorf("evaluated otherwise: %+v, %v", found, err)
	}
	if _, err := r.Explain(brokenState{}, flow.Order, &f, now); err == nil {
		t.Error("a failure of the storage is not reported")
	}
}
