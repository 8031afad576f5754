package contract

import (
	"strings"
	"testing"

	"cel.dev/cel-go/cel"

	"signalbox.dev/signalbox/flow"
)

// largest are facts at every bound.
func largest() *Facts {
	text := strings.Repeat("x", maxText)
	tags := make([]string, maxTags)
	for i := range tags {
		tags[i] = text[:maxText-1] + string(rune('a'+i%20))
	}
	f := &Facts{
		Unreadable: text, UnreadablePath: strings.Repeat("x", maxPath), Business: text, Subject: text, Originator: text,
		Prescriber: text, Reviewer: text, Producer: text, Record: text, Content: text, Currency: text, Tags: tags,
	}
	for range maxItems {
		f.Items = append(f.Items, ItemFacts{Item: text, Quantity: 1, Tags: tags})
	}
	return f
}

var expressions = []string{
	`facts.amount > 999`,
	`"chronic" in facts.tags`,
	`facts.subject in params.names`,
	`facts.items.exists(i, "narcotic" in i.tags && i.days_supply > params.days)`,
	`facts.items.all(i, i.quantity > 0 && i.item != facts.subject)`,
	`facts.items.filter(i, i.quantity > 0).size() > 200`,
	`facts.items.map(i, i.item + i.item).exists(x, x == facts.subject)`,
	`facts.items.exists(i, i.tags.exists(t, t == facts.record))`,
	`facts.items.exists_one(i, i.item.contains(facts.subject))`,
	`facts.tags == params.names || facts.tags + facts.tags == facts.tags`,
	`facts.unreadable_path.contains(facts.subject) || facts.subject < facts.record`,
	`facts.tags.exists(t, t.startsWith(params.name) || t.endsWith(step))`,
	`facts.tags.map(t, t + t + t).filter(t, t.size() > 3).size() == 1`,
	`[facts.subject, facts.record].exists(x, x in facts.tags)`,
	`step == "order" ? facts.items[0].quantity > 1 : facts.tags[1] == "a"`,
}

// actualCost evaluates a rule with the library's own cost tracking.
func actualCost(t *testing.T, r *Rules, facts *Facts) uint64 {
	t.Helper()
	p, err := r.env.Program(r.compiled[0].ast, cel.EvalOptions(cel.OptTrackCost))
	if err != nil {
		t.Fatal(err)
	}
	_, details, _ := p.Eval(r.activation(flow.ReviewRequest, facts, 0, nil))
	if details == nil || details.ActualCost() == nil {
		t.Fatal("the cost was not tracked")
	}
	return *details.ActualCost()
}

// The estimate that a bundle is admitted by holds for the largest facts.
func TestCostEstimateHolds(t *testing.T) {
	for _, when := range expressions {
		r, err := withRule(when).Admit()
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		worst, err := r.cost(&r.compiled[0])
		if err != nil {
			t.Fatal(err)
		}
		if got := actualCost(t, r, largest()); got > worst {
			t.Errorf("%s: costs %d, the estimate is %d", when, got, worst)
		}
	}
}

// Counters have their price: by what their windows can hold, for each item.
func TestCounterCost(t *testing.T) {
	for _, c := range []struct {
		when string
		cost uint64
	}{
		{`counters.orders > 1`, 2 + 52},
		{`counters.orders > 1 && counters.orders < 9`, 4 + 52}, // read once
		{`facts.items.exists(i, counters.units(i.item) > 1)`, 3 + 100*(7+110)},
	} {
		b := withRule(c.when)
		b.Counters = []Counter{
			{ID: "orders", By: []string{"facts.subject"}, Window: 1, Steps: []flow.Step{flow.Order}},
			{ID: "units", Sum: "item.quantity", By: []string{"item.item"}, Window: 30, Steps: []flow.Step{flow.Order}},
		}
		r, err := b.Admit()
		if err != nil {
			t.Fatalf("%s: %v", c.when, err)
		}
		if worst, err := r.cost(&r.compiled[0]); err != nil || worst != c.cost {
			t.Errorf("%s: costs %d, %v, want %d", c.when, worst, err, c.cost)
		}
	}
}

// Any expression is admitted or not, and evaluates, without a panic; and what
// is admitted keeps to its estimate.
func FuzzExpression(f *testing.F) {
	for _, when := range expressions {
		f.Add(when)
	}
	facts := largest()
	f.Fuzz(func(t *testing.T, when string) {
		r, err := withRule(when).Admit()
		if err != nil {
			return
		}
		r.Evaluate(nil, flow.Order, facts, 0)
		r.Evaluate(nil, flow.Order, &Facts{}, 0)
		worst, err := r.cost(&r.compiled[0])
		if err != nil {
			t.Fatal(err)
		}
		if got := actualCost(t, r, facts); got > worst {
			t.Errorf("costs %d, the estimate is %d", got, worst)
		}
	})
}

// BenchmarkWorstCase shows what the ceiling of a rule means in time.
func BenchmarkWorstCase(b *testing.B) {
	r, err := withRule(`facts.items.exists(i, i.tags.exists(t, t == facts.record))`).Admit()
	if err != nil {
		b.Fatal(err)
	}
	worst, err := r.cost(&r.compiled[0])
	if err != nil {
		b.Fatal(err)
	}
	facts := largest()
	b.ReportAllocs()
	for b.Loop() {
		r.Evaluate(nil, flow.Order, facts, 0)
	}
	b.ReportMetric(float64(worst), "cost")
}
