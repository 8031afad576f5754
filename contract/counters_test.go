package contract_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
)

const day = int64(86400)

// countersBundle has a counter of each kind, read by rules that tell by hitting.
const countersBundle = `contract: prescription
parameters: { limit: 2 }
counters:
  - { id: orders_1d, count: true, by: [facts.subject], window: 24h, steps: [order] }
  - { id: spent_3d, sum: facts.amount, by: [facts.subject, facts.producer], window: 3d, steps: [order] }
  - { id: item_30d, sum: item.quantity, by: [facts.subject, item.item], window: 720h, steps: [order] }
  - { id: item_count_2d, count: true, by: [item.item], window: 48h, steps: [register, order] }
  - { id: units_1d, sum: item.quantity, by: [facts.subject], window: 24h, steps: [order] }
rules:
  - { id: C-ORDERS-1, steps: [order], when: counters.orders_1d >= params.limit, effect: refuse, message: { zh: 次数, en: orders } }
  - { id: C-SPENT-1, steps: [order], when: counters.spent_3d + facts.amount > 1000, effect: refuse, message: { zh: 金额, en: spent } }
  - { id: C-ITEM-1, steps: [order], when: 'facts.items.exists(i, counters.item_30d(i.item) + i.quantity > 5000)', effect: hold, message: { zh: 数量, en: quantity } }
  - { id: C-ITEM-2, steps: [register], when: 'facts.items.exists(i, counters.item_count_2d(i.item) > 0)', effect: flag, message: { zh: 重复, en: again } }
  - { id: C-UNITS-1, steps: [order], when: 'counters.units_1d >= 4', effect: list, message: { zh: 总量, en: units } }
cases:
  - name: the third order of a day is refused
    step: order
    facts: { subject: S1 }
    counters: { orders_1d: 2 }
    want: { verdict: refused, rules: [C-ORDERS-1] }
  - name: a quantity counts what was had before
    step: order
    facts: { subject: S1, items: [{ item: I1, quantity: 1000 }, { item: I2, quantity: 2 }] }
    counters: { item_30d: { I1: 1000, I2: 4999 } }
    want: { verdict: held, rules: [C-ITEM-1] }
`

func admitted(t testing.TB, text string) *contract.Rules {
	t.Helper()
	b, err := contract.ParseBundle([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.Admit()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// hits evaluates and names the rules that hit.
func hits(t testing.TB, r *contract.Rules, s contract.State, step flow.Step, f contract.Facts, now int64) []string {
	t.Helper()
	found, err := r.Evaluate(s, step, &f, now)
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{}
	for _, x := range append(found.Refusals, found.Holds...) {
		ids = append(ids, x.Code)
	}
	return append(ids, found.Flags...)
}

func count(t testing.TB, r *contract.Rules, s contract.State, step flow.Step, f contract.Facts, now int64) {
	t.Helper()
	if err := r.Count(s, step, &f, now); err != nil {
		t.Fatal(err)
	}
}

// A window is the authority's last days, today included: an order stops to
// count at the midnight that ends its window, in the authority's zone.
func TestCounterWindow(t *testing.T) {
	r, s := admitted(t, countersBundle), mapState{}
	noon := 100*day + 4*3600 // at +08:00, on day 100
	order := contract.Facts{Subject: "S1", Producer: "D1", Amount: 600}
	count(t, r, s, flow.Order, order, noon)
	count(t, r, s, flow.Order, contract.Facts{Subject: "S2", Producer: "D1", Amount: 900}, noon)
	midnight := 101*day - 8*3600
	for _, c := range []struct {
		name string
		now  int64
		f    contract.Facts
		want []string
	}{
		{"the same subject and producer", noon, order, []string{"C-SPENT-1"}},
		{"another producer", noon, contract.Facts{Subject: "S1", Producer: "D2", Amount: 600}, []string{}},
		{"no subject: nothing is read", noon, contract.Facts{Producer: "D1", Amount: 600}, []string{}},
		{"the last second of the third day", midnight + 2*day - 1, order, []string{"C-SPENT-1"}},
		{"the first of the fourth", midnight + 2*day, order, []string{}},
	} {
		if d := cmp.Diff(c.want, hits(t, r, s, flow.Order, c.f, c.now)); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
	count(t, r, s, flow.Order, contract.Facts{Subject: "S1"}, noon)
	small := contract.Facts{Subject: "S1", Producer: "D9", Amount: 1}
	if got := hits(t, r, s, flow.Order, small, midnight-1); !cmp.Equal(got, []string{"C-ORDERS-1"}) {
		t.Errorf("before midnight: %v", got)
	}
	if got := hits(t, r, s, flow.Order, small, midnight); len(got) > 0 {
		t.Errorf("after midnight: %v", got)
	}
	utc := r.InZone(0)
	if got := hits(t, utc, s, flow.Order, small, midnight); !cmp.Equal(got, []string{"C-ORDERS-1"}) {
		t.Errorf("after the midnight of another zone: %v", got)
	}
}

// By item: each has its own key, sums add all lines, counts count the step once.
func TestCounterByItem(t *testing.T) {
	r, s := admitted(t, countersBundle), mapState{}
	items := func(quantities ...int64) contract.Facts {
		f := contract.Facts{Subject: "S1"}
		for n, q := range quantities {
			f.Items = append(f.Items, contract.ItemFacts{Item: fmt.Sprint("I", n%2), Quantity: q})
		}
		return f
	}
	count(t, r, s, flow.Order, items(2000, 1000, 2000), 0) // I0: 4000, I1: 1000
	for _, c := range []struct {
		f    contract.Facts
		want []string
	}{
		{items(1000), []string{"C-UNITS-1"}},
		{items(1001), []string{"C-ITEM-1", "C-UNITS-1"}},
		{items(0, 4000), []string{"C-UNITS-1"}},
		{items(0, 4001), []string{"C-ITEM-1", "C-UNITS-1"}},
	} {
		if d := cmp.Diff(c.want, hits(t, r, s, flow.Order, c.f, 0)); d != "" {
			t.Errorf("%v (-want +got):\n%s", c.f.Items, d)
		}
	}
	if got := hits(t, r, s, flow.Register, items(1), day); !cmp.Equal(got, []string{"C-ITEM-2"}) {
		t.Errorf("a step that reads and counts: %v", got)
	}
	if got := hits(t, r, s, flow.Register, items(1), 2*day); len(got) > 0 {
		t.Errorf("after its window: %v", got)
	}
}

// Whatever comes, a counter says what adding up the last days from a list of
// all says, and keeps no more days than its window has.
func TestCounterIsExactAndBounded(t *testing.T) {
	r := admitted(t, `contract: prescription
counters: [{ id: n, sum: facts.amount, by: [facts.subject], window: 5d, steps: [order] }]
rules: [{ id: N-1, steps: [order], when: counters.n == facts.insured, effect: flag, message: { zh: 等, en: equal } }]
`)
	random := rand.New(rand.NewPCG(1, 2))
	s, now := mapState{}, int64(0)
	type past struct{ day, amount int64 }
	var all []past
	for range 2000 {
		now += random.Int64N(day)
		today := (now + 8*3600) / day
		var want int64
		for _, p := range all {
			if p.day > today-5 {
				want += p.amount
			}
		}
		f := contract.Facts{Subject: "S1", Amount: random.Int64N(100) - 20, Insured: want}
		if got := hits(t, r, s, flow.Order, f, now); len(got) != 1 {
			t.Fatalf("on day %d the counter is not %d", today, want)
		}
		count(t, r, s, flow.Order, f, now)
		all = append(all, past{today, f.Amount})
		for k, v := range s {
			var kept []int64
			if err := flow.Unmarshal(v, &kept); err != nil || len(kept) > 10 {
				t.Fatalf("%s keeps %v, %v", k, kept, err)
			}
		}
	}
	if len(s) != 1 {
		t.Errorf("%d keys, want 1", len(s))
	}
	s = mapState{}
	for range 2 {
		count(t, r, s, flow.Order, contract.Facts{Subject: "S1", Amount: math.MaxInt64}, 0)
	}
	if got := hits(t, r, s, flow.Order, contract.Facts{Subject: "S1", Insured: math.MaxInt64}, 0); len(got) != 1 {
		t.Error("a sum beyond the largest number does not stay there")
	}
}

// A counter outlives new versions of the bundle while it means the same.
func TestCounterAcrossVersions(t *testing.T) {
	with := func(counter string) *contract.Rules {
		return admitted(t, "contract: prescription\ncounters: ["+counter+"]\nrules: [{ id: N-1, steps: [order], when: counters.n > 0, effect: flag, message: { zh: 有, en: some } }]\n")
	}
	s, f := mapState{}, contract.Facts{Subject: "S1", Producer: "D1", Amount: 5}
	count(t, with("{ id: n, count: true, by: [facts.subject], window: 5d, steps: [order, settle] }"), s, flow.Order, f, 0)
	for _, c := range []struct {
		counter string
		goesOn  bool
	}{
		{"{ id: n, count: true, by: [facts.subject], window: 120h, steps: [settle, order] }", true},
		{"{ id: n, count: true, by: [facts.subject], window: 1d, steps: [order, settle] }", true},
		{"{ id: n, sum: facts.amount, by: [facts.subject], window: 5d, steps: [order, settle] }", false},
		{"{ id: n, count: true, by: [facts.producer], window: 5d, steps: [order, settle] }", false},
		{"{ id: n, count: true, by: [facts.subject], window: 5d, steps: [order] }", false},
	} {
		if got := len(hits(t, with(c.counter), s, flow.Order, f, 0)) == 1; got != c.goesOn {
			t.Errorf("%s: goes on %v, want %v", c.counter, got, c.goesOn)
		}
	}
}

// brokenState fails to read counters.
type brokenState struct{ mapState }

var errDisk = errors.New("disk failure")

func (brokenState) Get(key []byte) ([]byte, error) { return nil, errDisk }

// A failure of the storage is no verdict.
func TestCounterStorageFailure(t *testing.T) {
	r, f := admitted(t, countersBundle), contract.Facts{Subject: "S1"}
	if found, err := r.Evaluate(brokenState{}, flow.Order, &f, 0); !errors.Is(err, errDisk) || len(found.Refusals) > 0 {
		t.Errorf("got %+v, %v", found, err)
	}
	if err := r.Count(brokenState{}, flow.Order, &f, 0); !errors.Is(err, errDisk) {
		t.Errorf("counting: %v", err)
	}
}

// Effect list makes an entry for whoever knows the flow; observed rules don't.
func TestEffectListAndObserve(t *testing.T) {
	r := admitted(t, `contract: prescription
rules:
  - { id: L-1, steps: [order], when: facts.amount > 10, effect: list, message: { zh: 大额, en: large } }
  - { id: L-2, steps: [order], when: facts.amount > 20, effect: list, mode: observe, message: { zh: 大额, en: large } }
  - { id: L-3, steps: [order], when: 1 / facts.insured > 0, effect: refuse, mode: observe, message: { zh: 除零, en: division } }
`)
	found, err := r.Evaluate(nil, flow.Order, &contract.Facts{Amount: 21}, 77)
	if err != nil {
		t.Fatal(err)
	}
	want := contract.Findings{
		Flags: []string{"L-1"}, Observed: []string{"L-2", "L-3:error"},
		Lists: []contract.Entry{{List: contract.AbnormalTransactions, From: 77, Reason: "大额 / large", Basis: "L-1"}},
	}
	if d := cmp.Diff(want, found, cmp.Comparer(func(a, b contract.Entry) bool {
		return a.List == b.List && a.From == b.From && a.Reason == b.Reason && a.Basis == b.Basis && len(a.Key)+len(b.Key) == 0
	})); d != "" {
		t.Errorf("findings (-want +got):\n%s", d)
	}
	if v := found.Verdict(); v != flow.Granted {
		t.Errorf("verdict %s", v)
	}
	s := mapState{}
	for range 3 {
		if err := r.CountObserved(s, found); err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range map[string]uint64{"L-1": 0, "L-2": 3, "L-3": 3} {
		if got, err := contract.ObservedCount(s, r.Address(), id); got != want || err != nil {
			t.Errorf("%s: observed %d, %v, want %d", id, got, err, want)
		}
	}
}

// Decide counts granted steps only, and gives rules the tags that the chain
// knows whatever the submission claims.
func TestDecideCountsAndCompletes(t *testing.T) {
	g := townGenesis()
	g.Bundle = []byte(`contract: prescription
counters: [{ id: n, count: true, by: [facts.subject], window: 1d, steps: [register] }]
rules:
  - { id: N-1, steps: [register], when: counters.n >= 2, effect: refuse, message: { zh: 多, en: many } }
  - { id: N-2, steps: [register], when: size(facts.reviewer_tags) + size(facts.producer_tags) > 0, effect: refuse, message: { zh: 假, en: forged } }
  - { id: N-3, steps: [register], when: '"x" in facts.record_tags', effect: refuse, mode: observe, message: { zh: 标, en: tag } }
`)
	s, c := begin(t, g)
	for n, want := range []flow.Verdict{flow.Granted, flow.Granted, flow.Refused, flow.Refused} {
		r := submission("P1", flow.Register, "F1", fmt.Sprint("F", n))
		r.Header.Flow = flow.Hash{}
		r.Facts.Subject, r.Facts.Record, r.Facts.Content, r.Facts.Originator = "S1", fmt.Sprint("R", n), "C", "H1"
		r.Facts.Items = []contract.ItemFacts{{Item: "I1", Quantity: 1}}
		r.Facts.Tags = []string{"x"}
		r.Facts.ReviewerTags, r.Facts.ProducerTags, r.Facts.RecordTags = []string{"forged"}, []string{"forged"}, nil
		d := decide(t, c, s, r)
		if d.Verdict != want {
			t.Fatalf("registration %d: %s %v", n, d.Verdict, d.Reasons)
		}
	}
	if got, err := contract.ObservedCount(s, c.Address(), "N-3"); got != 2 || err != nil {
		t.Errorf("observed %d, %v, want 2", got, err)
	}
}
