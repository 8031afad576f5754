package contract_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
)

const filtersBundle = `contract: prescription
counters:
  - { id: night, count: true, by: [facts.subject], window: 24h, steps: [register], when: '"night" in facts.tags' }
  - { id: narcotic, sum: item.days_supply, by: [facts.subject], window: 24h, steps: [register], when: '"narcotic" in item.tags' }
  - { id: dear, count: true, by: [facts.subject, item.item], window: 24h, steps: [register, order], when: item.amount > 100 && step == "register" }
  - { id: odd, count: true, by: [facts.subject], window: 24h, steps: [register], when: 1 / facts.amount > 5 }
rules:
  - { id: F-NIGHT-1, steps: [register], when: counters.night > 0, effect: flag, message: { zh: 一, en: one } }
  - { id: F-NARC-1, steps: [register], when: counters.narcotic > 7, effect: flag, message: { zh: 二, en: two } }
  - { id: F-DEAR-1, steps: [register], when: 'facts.items.exists(i, counters.dear(i.item) > 0)', effect: flag, message: { zh: 三, en: three } }
  - { id: F-ODD-1, steps: [register], when: counters.odd > 0, effect: flag, message: { zh: 四, en: four } }
`

// A counter with a filter counts the steps and items that pass it and no others,
// exactly (R6.1); one that fails to evaluate lets pass.
func TestCounterFilters(t *testing.T) {
	r, s := admitted(t, filtersBundle), mapState{}
	now := 20000 * day
	plain := contract.Facts{Subject: "S1", Amount: 1, Items: []contract.ItemFacts{{Item: "I1", DaysSupply: 9, Amount: 100}, {Item: "I2", DaysSupply: 9}}}
	count(t, r, s, flow.Register, plain, now)
	if got := hits(t, r, s, flow.Register, plain, now); len(got) != 0 {
		t.Errorf("what passes no filter is counted: %v", got)
	}
	night := plain
	night.Tags = []string{"night"}
	night.Items = []contract.ItemFacts{{Item: "I1", DaysSupply: 7, Tags: []string{"narcotic"}}, {Item: "I2", DaysSupply: 9}}
	count(t, r, s, flow.Register, night, now)
	if got := hits(t, r, s, flow.Register, plain, now); !cmp.Equal(got, []string{"F-NIGHT-1"}) {
		t.Errorf("after a step that passes, and seven days of a narcotic: %v", got)
	}
	dear := plain
	dear.Items = []contract.ItemFacts{{Item: "I1", DaysSupply: 1, Amount: 101, Tags: []string{"narcotic"}}}
	count(t, r, s, flow.Order, dear, now) // its filter is for registrations
	if got := hits(t, r, s, flow.Register, plain, now); !cmp.Equal(got, []string{"F-NIGHT-1"}) {
		t.Errorf("after an order: %v", got)
	}
	count(t, r, s, flow.Register, dear, now)
	failing := contract.Facts{Subject: "S1"} // divides by zero
	count(t, r, s, flow.Register, failing, now)
	want := []string{"F-NIGHT-1", "F-NARC-1", "F-DEAR-1", "F-ODD-1"}
	if got := hits(t, r, s, flow.Register, plain, now); !cmp.Equal(got, want) {
		t.Errorf("after all: %v, want %v", got, want)
	}
	if got := hits(t, r, s, flow.Register, plain, now+day); len(got) != 0 {
		t.Errorf("the day after: %v", got)
	}
}

// Filters keep to what rules keep to, and know the submission alone; each
// mistake has its line and column.
func TestFiltersAreChecked(t *testing.T) {
	bundle := func(declared, when string) string {
		return "contract: prescription\nparameters: { p: 1 }\ncounters:\n  - { id: one, count: true, by: [facts.subject], window: 1d, steps: [order] }\n" +
			"  - { " + declared + ", window: 24h, steps: [register], when: '" + when + "' }\n"
	}
	const bySubject, byItem = "id: c, count: true, by: [facts.subject]", "id: c, count: true, by: [item.item]"
	for name, tt := range map[string]struct{ declared, when, want string }{
		"unknown fact":    {bySubject, "facts.nothing > 1", "counter c: line 5, column 92: undefined field 'nothing'"},
		"no bool":         {bySubject, "facts.amount", "gives int, want bool"},
		"a double":        {bySubject, "1.5 > 0.5", "uses the type double"},
		"a map":           {bySubject, `{"a": 1}.size() > 0`, "uses the type map"},
		"a parameter":     {bySubject, "params.p > 0", "undeclared reference to 'params'"},
		"a counter":       {bySubject, "counters.one > 0", "undeclared reference to 'counters'"},
		"the day":         {bySubject, "today > 0", "undeclared reference to 'today'"},
		"an item of none": {bySubject, "item.quantity > 0", "undeclared reference to 'item'"},
		"too dear":        {byItem, "facts.items.exists(i, i.tags.exists(t, t in item.tags))", "the ceiling is 100000"},
		"empty":           {bySubject, "", "when: is empty"},
	} {
		b, err := contract.ParseBundle([]byte(bundle(tt.declared, tt.when)))
		if err == nil {
			_, err = b.Admit()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "line 5") {
			t.Errorf("%s: %v, want an error with %q and its line", name, err, tt.want)
		}
	}
}

// Another filter makes another counter, which begins at nothing; the same one in
// another bundle goes on.
func TestFilterIsTheCountersOwn(t *testing.T) {
	r, s := admitted(t, filtersBundle), mapState{}
	f := contract.Facts{Subject: "S1", Amount: 1, Tags: []string{"night"}}
	count(t, r, s, flow.Register, f, day)
	same := admitted(t, strings.Replace(filtersBundle, "zh: 一", "zh: 甲", 1))
	if got := hits(t, same, s, flow.Register, f, day); !cmp.Equal(got, []string{"F-NIGHT-1"}) {
		t.Errorf("in another bundle: %v", got)
	}
	for _, change := range [][2]string{{`when: '"night" in facts.tags'`, `when: '"nights" in facts.tags'`}, {`, when: '"night" in facts.tags'`, ""}} {
		text := strings.Replace(filtersBundle, change[0], change[1], 1)
		other := admitted(t, text)
		if other.Address() == r.Address() {
			t.Errorf("%v: the same address", change)
		}
		if got := hits(t, other, s, flow.Register, f, day); len(got) != 0 {
			t.Errorf("%v: %v", change, got)
		}
	}
}
