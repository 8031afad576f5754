package trial_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/contract/trial"
	"signalbox.dev/signalbox/contracts"
	"signalbox.dev/signalbox/flow"
)

func bundle(t testing.TB, text string) contract.Bundle {
	t.Helper()
	b, err := contract.ParseBundle([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func compiled(t testing.TB, text string) *contract.Rules {
	t.Helper()
	r, err := bundle(t, text).Compile()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const limits = `contract: prescription
parameters: { days: 30, orders: 2, spare: 1 }
counters:
  - { id: orders_day, count: true, by: [facts.subject], window: 24h, steps: [order] }
rules:
  - { id: T-DAYS-1, steps: [register], when: facts.days_supply > params.days, effect: refuse, message: { zh: 超过, en: too long } }
  - { id: T-ORDER-1, steps: [order], when: counters.orders_day >= params.orders, effect: refuse, message: { zh: 多, en: too often } }
  - { id: T-AMT-1, steps: [order], when: facts.amount > 1000, effect: hold, message: { zh: 大, en: large } }
cases:
  - { name: long, step: register, facts: { days_supply: 31 }, want: { verdict: refused, rules: [T-DAYS-1] } }
  - { name: short, step: register, facts: { days_supply: 30 }, want: { verdict: granted } }
  - { name: large, step: order, facts: { amount: 1001 }, want: { verdict: granted } }
`

// R6.4
func TestTest(t *testing.T) {
	got, err := trial.Test(bundle(t, limits))
	if err != nil {
		t.Fatal(err)
	}
	if got.Passed != 2 || got.Failed != 1 || got.Rules != 3 || !cmp.Equal(got.Unhit, []string{"T-ORDER-1"}) {
		t.Errorf("got %+v", got)
	}
	want := contract.CaseResult{Name: "large", Step: flow.Order, Verdict: flow.Held, Rules: []string{"T-AMT-1"}, Line: 12, Wrong: "is held, want granted"}
	if d := cmp.Diff(want, got.Cases[2]); d != "" {
		t.Errorf("the failing case (-want +got):\n%s", d)
	}
	if _, err := trial.Test(bundle(t, strings.Replace(limits, "facts.amount > 1000", "facts.weight > 1000", 1))); err == nil || !strings.Contains(err.Error(), "line 8") {
		t.Errorf("a bundle that does not compile: %v", err)
	}
}

// R6.4
func TestLint(t *testing.T) {
	const text = `contract: prescription
parameters: { low: 10, high: 20, spare: 1, on: false }
counters:
  - { id: used, count: true, by: [facts.subject], window: 24h, steps: [order] }
  - { id: spare, count: true, by: [item.item], window: 24h, steps: [order] }
rules:
  - { id: T-1, steps: [register, order], when: 'step == "order" && facts.amount > params.high', effect: refuse, message: { zh: 一, en: one } }
  - { id: T-2, steps: [order], when: facts.amount > params.low, effect: refuse, message: { zh: 二, en: two } }
  - { id: T-3, steps: [order], when: params.on && counters.used > 1, effect: refuse, message: { zh: 三, en: three } }
  - { id: T-4, steps: [order], when: params.high > params.low || facts.amount == 1, effect: flag, message: { zh: 四, en: four } }
  - { id: T-5, steps: [settle], when: facts.amount > 3, effect: refuse, message: { zh: 五, en: five } }
  - { id: T-6, steps: [order, settle], when: 'facts.amount  > params.low', effect: refuse, mode: observe, message: { zh: 六, en: six } }
  - { id: T-7, steps: [order], when: 'facts.items.exists(i, i.quantity < 0)', effect: refuse, message: { zh: 七, en: seven } }
cases:
  - { name: a, step: order, facts: { amount: 21 }, want: { verdict: refused, rules: [T-1, T-2, T-4, T-6] } }
  - { name: b, step: order, facts: { amount: 11 }, want: { verdict: refused, rules: [T-2, T-4, T-6] } }
  - { name: c, step: order, facts: { amount: 1 }, want: { verdict: granted, rules: [T-4] } }
`
	remarks, err := trial.Lint(bundle(t, text))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range remarks {
		got = append(got, strings.TrimSpace(fmt.Sprintln(r.Kind, r.Part, r.Step, r.By)))
	}
	want := []string{
		"unreachable T-1 register",
		"shadowed T-1  T-2",
		"unreachable T-3 order",
		"never T-3",
		"certain T-4 order",
		"always T-4",
		"untested T-5",
		"same T-6  T-2",
		"never T-7",
		"unused params.spare",
		"unused counters.spare",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("remarks (-want +got):\n%s", d)
	}
}

// The shipped rules have nothing that follows from the bundle alone, and every
// rule has a case.
func TestLintShipped(t *testing.T) {
	remarks, err := trial.Lint(bundle(t, string(contracts.Prescription())))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range remarks {
		t.Errorf("%+v", r)
	}
}

// R6.4
func TestDiff(t *testing.T) {
	next := strings.NewReplacer(
		"days: 30", "days: 14", ", spare: 1", ", names: [a, 'true', 'x y']",
		"window: 24h", "window: 7d",
		"facts.amount > 1000, effect: hold", "facts.amount > 2000, effect: refuse, mode: observe",
		"id: T-ORDER-1", "id: T-ORDER-2",
		"name: short", "name: brief",
	).Replace(limits)
	got, err := trial.Diff(bundle(t, limits), bundle(t, next))
	if err != nil {
		t.Fatal(err)
	}
	rule := func(field, old, new string) trial.Field { return trial.Field{Name: field, Old: old, New: new} }
	order := func(old bool) []trial.Field {
		var all []trial.Field
		for _, f := range [][2]string{{"steps", "order"}, {"when", "counters.orders_day >= params.orders"}, {"effect", "refuse"}, {"mode", "enforce"}, {"message.zh", "多"}, {"message.en", "too often"}, {"grant", ""}} {
			if old {
				all = append(all, rule(f[0], f[1], ""))
			} else {
				all = append(all, rule(f[0], "", f[1]))
			}
		}
		return all
	}
	want := trial.Changes{
		Old: got.Old, New: got.New,
		Parameters: []trial.Part{
			{Name: "days", Change: trial.Changed, Fields: []trial.Field{rule("value", "30", "14")}},
			{Name: "names", Change: trial.Added, Fields: []trial.Field{rule("value", "", `[a, "true", x y]`)}},
			{Name: "spare", Change: trial.Removed, Fields: []trial.Field{rule("value", "1", "")}},
		},
		Counters: []trial.Part{{Name: "orders_day", Change: trial.Changed, Fields: []trial.Field{rule("window", "1d", "7d")}}},
		Rules: []trial.Part{
			{Name: "T-ORDER-2", Change: trial.Added, Fields: order(false)},
			{Name: "T-AMT-1", Change: trial.Changed, Fields: []trial.Field{
				rule("when", "facts.amount > 1000", "facts.amount > 2000"), rule("effect", "hold", "refuse"), rule("mode", "enforce", "observe"),
			}},
			{Name: "T-ORDER-1", Change: trial.Removed, Fields: order(true)},
		},
		Cases: got.Cases,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("changes (-want +got):\n%s", d)
	}
	if len(got.Cases) != 2 || got.Same || got.Old == got.New {
		t.Errorf("cases %v, same %v", got.Cases, got.Same)
	}
	if same, err := trial.Diff(bundle(t, limits), bundle(t, "# a remark\n"+limits)); err != nil || !same.Same || len(same.Rules) > 0 {
		t.Errorf("the same bundle: %+v, %v", same, err)
	}
	swapped := strings.Replace(strings.Replace(strings.Replace(limits, "T-DAYS-1, steps: [register], when: facts.days_supply > params.days", "T-X", 1),
		"T-AMT-1, steps: [order], when: facts.amount > 1000, effect: hold, message: { zh: 大, en: large }", "T-DAYS-1, steps: [register], when: facts.days_supply > params.days, effect: refuse, message: { zh: 超过, en: too long }", 1),
		"T-X, effect: refuse, message: { zh: 超过, en: too long }", "T-AMT-1, steps: [order], when: facts.amount > 1000, effect: hold, message: { zh: 大, en: large }", 1)
	if m, err := trial.Diff(bundle(t, limits), bundle(t, swapped)); err != nil || len(m.Rules) != 1 || m.Rules[0].Change != trial.Moved {
		t.Errorf("other order: %+v, %v", m.Rules, err)
	}
}

// past is a small history: registrations and orders of three flows.
func past() []trial.Past {
	step := func(n byte, step flow.Step, of byte, v flow.Verdict, f contract.Facts) trial.Past {
		p := trial.Past{Verdict: v, Request: contract.Request{Tx: flow.Hash{n}, Now: int64(n) * 60, Facts: f}}
		p.Header.Step, p.Header.Platform = step, "P1"
		if of != 0 {
			p.Header.Flow = flow.Hash{of}
		}
		return p
	}
	item := []contract.ItemFacts{{Item: "I1"}, {Item: "I1"}, {Item: "I2"}}
	all := []trial.Past{
		step(1, flow.Register, 0, flow.Granted, contract.Facts{Originator: "H1", DaysSupply: 20, Items: item}),
		step(2, flow.Register, 0, flow.Granted, contract.Facts{Originator: "H2", DaysSupply: 7, Items: item}),
		step(3, flow.Register, 0, flow.Refused, contract.Facts{Originator: "H2", DaysSupply: 31}),
		step(4, flow.Order, 1, flow.Granted, contract.Facts{Subject: "S1", Producer: "D1", Amount: 5}), // would not come about
		step(5, flow.Order, 2, flow.Granted, contract.Facts{Subject: "S2", Producer: "D1", Amount: 5}),
		step(6, flow.Order, 2, flow.Granted, contract.Facts{Subject: "S2", Producer: "D1", Amount: 5}),
		step(7, flow.Order, 2, flow.Refused, contract.Facts{Subject: "S2", Producer: "D1", Amount: 5}),
		step(8, flow.Order, 2, flow.Held, contract.Facts{Subject: "S3", Producer: "D2", Amount: 1500}),
		step(9, flow.Order, 2, flow.Refused, contract.Facts{Subject: "S4", Producer: "D2", Amount: 5}),
	}
	all[8].Basis = contract.BasisLists
	return all
}

func each(all []trial.Past) iter.Seq2[trial.Past, error] {
	return func(yield func(trial.Past, error) bool) {
		for _, p := range all {
			if !yield(p, nil) {
				return
			}
		}
	}
}

// Shorter supplies are refused, and so are the flows that they began; orders are
// allowed once more a day, and large ones are not held. R6.4
func TestBacktest(t *testing.T) {
	next := strings.NewReplacer("days: 30", "days: 14", "orders: 2", "orders: 3", "facts.amount > 1000", "facts.amount > 2000").Replace(limits)
	got, err := trial.Backtest(compiled(t, limits), compiled(t, next), each(past()), trial.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := trial.Report{
		Old: got.Old, New: got.New, Done: 9, Compared: 7, Unasked: 1, Cut: 1, From: 60, To: 480, Changed: 3,
		Kinds: []trial.KindOf{{flow.Granted, flow.Refused, 1}, {flow.Held, flow.Granted, 1}, {flow.Refused, flow.Granted, 1}},
		Rules: []trial.RuleCount{
			{Rule: "T-AMT-1", Old: 1, Changed: 1}, {Rule: "T-DAYS-1", Old: 1, New: 2, Changed: 1}, {Rule: "T-ORDER-1", Old: 1, Changed: 1},
		},
		Institutions: []trial.Tally{
			{Sort: "platform", Name: "P1", Refused: 1, Granted: 2},
			{Sort: "originator", Name: "H2", Granted: 2},
			{Sort: "originator", Name: "H1", Refused: 1},
			{Sort: "producer", Name: "D1", Granted: 1},
			{Sort: "producer", Name: "D2", Granted: 1},
		},
		Items: []trial.Tally{{Sort: "item", Name: "I1", Refused: 1}, {Sort: "item", Name: "I2", Refused: 1}},
		Examples: []trial.Example{
			{Tx: flow.Hash{1}, Step: flow.Register, From: flow.Granted, To: flow.Refused, Rules: []string{"T-DAYS-1"}},
			{Tx: flow.Hash{7}, Step: flow.Order, From: flow.Refused, To: flow.Granted, Rules: []string{"T-ORDER-1"}},
			{Tx: flow.Hash{8}, Step: flow.Order, From: flow.Held, To: flow.Granted, Rules: []string{"T-AMT-1"}},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("report (-want +got):\n%s", d)
	}
	if _, err := json.Marshal(got); err != nil {
		t.Error(err)
	}
}

// The same rules change nothing, and say what was recorded.
func TestBacktestSameRules(t *testing.T) {
	got, err := trial.Backtest(compiled(t, limits), compiled(t, limits), each(past()), trial.Options{})
	if err != nil || got.Changed+got.Differing+got.Cut+len(got.Kinds)+len(got.Examples) != 0 || got.Compared != 8 {
		t.Errorf("got %+v, %v", got, err)
	}
	alone, err := trial.Backtest(nil, compiled(t, limits), each(past()), trial.Options{})
	if err != nil || alone.Changed != 0 {
		t.Errorf("against the record: %+v, %v", alone, err)
	}
}

// What is from before fills the counters and is not compared.
func TestBacktestBefore(t *testing.T) {
	all := past()[4:7]
	all[0].Before, all[1].Before = true, true
	got, err := trial.Backtest(compiled(t, limits), compiled(t, limits), each(all), trial.Options{})
	if err != nil || got.Compared != 1 || got.Differing != 0 {
		t.Errorf("with what was before: %+v, %v", got, err)
	}
	got, err = trial.Backtest(compiled(t, limits), compiled(t, limits), each(all[2:]), trial.Options{})
	if err != nil || got.Differing != 1 {
		t.Errorf("without: %+v, %v", got, err)
	}
}

// A replay can be stopped, and fails with its source.
func TestBacktestStops(t *testing.T) {
	var heard []int
	got, err := trial.Backtest(nil, compiled(t, limits), each(past()), trial.Options{Every: 2, Progress: func(done int) bool {
		heard = append(heard, done)
		return done < 4
	}})
	if err != nil || !got.Stopped || got.Done != 4 || !cmp.Equal(heard, []int{2, 4}) {
		t.Errorf("got %+v, %v, heard %v", got, err, heard)
	}
	broken := errors.New("block 7 is archived")
	got, err = trial.Backtest(nil, compiled(t, limits), func(yield func(trial.Past, error) bool) {
		if yield(past()[0], nil) {
			yield(trial.Past{}, broken)
		}
	}, trial.Options{})
	if !errors.Is(err, broken) || got.Done != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// A submission that was refused for want of a batch grant is put to rules that
// would have issued one, within their terms (R6.3, R6.4).
func TestBacktestGrants(t *testing.T) {
	lacked := func(n byte, platform string) trial.Past {
		p := past()[0]
		p.Tx, p.Header.Platform, p.Facts.Originator = flow.Hash{n}, platform, ""
		p.Verdict, p.Basis = flow.Refused, contract.BasisStanding
		return p
	}
	all := []trial.Past{lacked(1, "P1"), lacked(2, "P1"), lacked(3, "P1"), lacked(4, "P2")}
	next := compiled(t, strings.Replace(limits, "rules:\n", `rules:
  - { id: T-GRANT-1, steps: [register], when: 'facts.days_supply > 0', effect: grant, grant: { days: 30, quota: 2 }, message: { zh: 试用, en: trial } }
`, 1))
	got, err := trial.Backtest(compiled(t, limits), next, each(all), trial.Options{})
	want := []trial.KindOf{{From: flow.Refused, To: flow.Granted, Count: 3}}
	if err != nil || !cmp.Equal(want, got.Kinds) || got.Compared != 3 || got.Unasked != 1 || got.Examples[0].Rules[0] != "T-GRANT-1" {
		t.Errorf("got %+v, %v", got, err)
	}
	back, err := trial.Backtest(next, compiled(t, limits), each(all), trial.Options{})
	if err != nil || back.Changed != 3 || back.Kinds[0].To != flow.Refused || back.Rules[0].Rule != "T-GRANT-1" || back.Rules[0].Changed != 3 {
		t.Errorf("the other way: %+v, %v", back, err)
	}
	if none, err := trial.Backtest(nil, compiled(t, limits), each(all), trial.Options{}); err != nil || none.Changed != 0 || none.Unasked != 4 {
		t.Errorf("without such rules: %+v, %v", none, err)
	}
}

// Diff and lint know terms and filters.
func TestDiffTermsAndFilters(t *testing.T) {
	const text = `contract: prescription
counters:
  - { id: c, count: true, by: [facts.subject], window: 24h, steps: [order], when: facts.amount > 1 }
rules:
  - { id: T-1, steps: [order], when: counters.c > 0, effect: grant, grant: { days: 30, quota: 2 }, message: { zh: 一, en: one } }
  - { id: T-2, steps: [order], when: counters.c > 0, effect: flag, message: { zh: 二, en: two } }
`
	other := strings.NewReplacer("quota: 2", "quota: 3", "amount > 1", "amount > 2").Replace(text)
	got, err := trial.Diff(bundle(t, text), bundle(t, other))
	want := trial.Changes{
		Counters: []trial.Part{{Name: "c", Change: trial.Changed, Fields: []trial.Field{{Name: "when", Old: "facts.amount > 1", New: "facts.amount > 2"}}}},
		Rules:    []trial.Part{{Name: "T-1", Change: trial.Changed, Fields: []trial.Field{{Name: "grant", Old: "{days: 30, most: 0, quota: 2}", New: "{days: 30, most: 0, quota: 3}"}}}},
	}
	got.Old, got.New = "", ""
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("diff (-want +got): %s, %v", d, err)
	}
	remarks, err := trial.Lint(bundle(t, text))
	for _, r := range remarks {
		if r.Kind == trial.Same || r.Kind == trial.Unused {
			t.Errorf("remark %+v", r)
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// Examples and lists are bounded.
func TestBacktestBounds(t *testing.T) {
	var all []trial.Past
	for n := range 200 {
		p := past()[0]
		p.Tx, p.Facts.Originator = flow.Hash{1, byte(n)}, fmt.Sprint("H", n)
		all = append(all, p)
	}
	next := compiled(t, strings.Replace(limits, "days: 30", "days: 14", 1))
	got, err := trial.Backtest(compiled(t, limits), next, each(all), trial.Options{Examples: 3, Top: 10})
	if err != nil || len(got.Examples) != 3 || len(got.Institutions) != 11 || got.Changed != 200 {
		t.Errorf("%d examples, %d institutions, %d changed, %v", len(got.Examples), len(got.Institutions), got.Changed, err)
	}
	if got, err = trial.Backtest(compiled(t, limits), next, each(all), trial.Options{Examples: -1}); err != nil || len(got.Examples) != 0 {
		t.Errorf("%d examples, %v", len(got.Examples), err)
	}
}

// BenchmarkBacktest replays one order with the shipped rules on both sides.
func BenchmarkBacktest(b *testing.B) {
	rules := compiled(b, string(contracts.Prescription()))
	p := past()[5]
	b.ReportAllocs()
	n := 0
	if _, err := trial.Backtest(rules, rules, func(yield func(trial.Past, error) bool) {
		for b.Loop() {
			p.Facts.Subject = fmt.Sprint("S", n%1000)
			if n++; !yield(p, nil) {
				return
			}
		}
	}, trial.Options{}); err != nil {
		b.Fatal(err)
	}
}
