package contract_test

import (
	"fmt"
	"strings"
	"testing"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/bench/reference"
)

// overlay keeps a benchmark's writes apart from the state it starts from.
type overlay struct{ base, writes mapState }

func (o overlay) Get(key []byte) ([]byte, error) {
	if v, ok := o.writes[string(key)]; ok {
		return v, nil
	}
	return o.base.Get(key)
}
func (o overlay) Set(key, value []byte) { o.writes.Set(key, value) }

// manyRules bear all on registrations and orders; they are conditions such as
// an authority writes, each with a limit of its own.
func manyRules(n int, counters string, more ...string) []byte {
	conditions := append([]string{
		`facts.days_supply > params.days + %d`,
		`facts.items.exists(i, "narcotic" in i.tags && i.days_supply > params.days + %d)`,
		`facts.amount > 1000000 + %d && facts.currency == "CNY"`,
		`facts.items.filter(i, "antibiotic" in i.tags).size() > 2 + %d`,
		`facts.subject in params.names || facts.producer in params.names || facts.amount < -%d`,
		`facts.insured > facts.amount * 9 / 10 + 500 + %d`,
		`"narcotic" in facts.record_tags && !("narcotic" in facts.producer_tags) && facts.amount > %d`,
		`facts.expires_on != 0 && facts.issued_on > facts.expires_on + %d`,
		`size(facts.items) > 20 + %d`,
		`step == "order" && facts.amount %% 1000 == 999 && facts.amount > %d`,
	}, more...)
	var b strings.Builder
	b.WriteString("contract: bench\nparameters: { days: 180, names: [a, b, c, d] }\n" + counters + "rules:\n")
	for i := range n {
		when := fmt.Sprintf(conditions[i%len(conditions)], i)
		fmt.Fprintf(&b, "  - { id: B-%d, steps: [register, order], when: '%s', effect: refuse, message: { zh: 测, en: test } }\n", i, when)
	}
	return []byte(b.String())
}

// BenchmarkReference is what the others' time is compared with.
func BenchmarkReference(b *testing.B) { reference.Verify(b) }

// BenchmarkEvaluate puts an order of five items to 200 rules: as they are, and
// where every sixth rule reads a counter.
func BenchmarkEvaluate(b *testing.B) {
	const counters = `counters:
  - { id: orders, count: true, by: [facts.subject], window: 24h, steps: [order] }
  - { id: item_30d, sum: item.quantity, by: [facts.subject, item.item], window: 720h, steps: [order] }
`
	facts := &contract.Facts{Subject: "S1", Producer: "D1", Amount: 12850, Insured: 8995, Currency: "CNY", RecordTags: []string{"chronic"}}
	for n := range 5 {
		facts.Items = append(facts.Items, contract.ItemFacts{Item: fmt.Sprint("I", n), Quantity: 1000, DaysSupply: 30, Tags: []string{"antibiotic"}[:n%2]})
	}
	for _, c := range []struct {
		name string
		text []byte
	}{
		{"20 rules", manyRules(20, "")},
		{"200 rules", manyRules(200, "")},
		{"200 rules and counters", manyRules(200, counters, `counters.orders > 100 + %d`, `facts.items.exists(i, counters.item_30d(i.item) > 100000000 + %d)`)},
	} {
		b.Run(c.name, func(b *testing.B) {
			bundle, err := contract.ParseBundle(c.text)
			if err != nil {
				b.Fatal(err)
			}
			rules, err := bundle.Admit()
			if err != nil {
				b.Fatal(err)
			}
			s, day := mapState{}, int64(86400)
			for n := range int64(30) { // a month of orders
				if err := rules.Count(s, flow.Order, facts, n*day); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if found, err := rules.Evaluate(s, flow.Order, facts, 29*day); err != nil || found.Verdict() != flow.Granted {
					b.Fatal(found, err)
				}
			}
		})
	}
}

// BenchmarkCount is what a granted order of five items costs with two counters.
func BenchmarkCount(b *testing.B) {
	bundle, err := contract.ParseBundle([]byte(`contract: bench
counters:
  - { id: orders, count: true, by: [facts.subject], window: 24h, steps: [order] }
  - { id: item_30d, sum: item.quantity, by: [facts.subject, item.item], window: 720h, steps: [order] }
`))
	if err != nil {
		b.Fatal(err)
	}
	rules, err := bundle.Admit()
	if err != nil {
		b.Fatal(err)
	}
	facts := &contract.Facts{Subject: "S1"}
	for n := range 5 {
		facts.Items = append(facts.Items, contract.ItemFacts{Item: fmt.Sprint("I", n), Quantity: 1000})
	}
	s := mapState{}
	b.ReportAllocs()
	for n := int64(0); b.Loop(); n++ {
		if err := rules.Count(s, flow.Order, facts, n%60*86400); err != nil {
			b.Fatal(err)
		}
	}
}

// twentyRules all bear on registrations and orders.
func twentyRules() []byte {
	conditions := []string{
		`facts.days_supply > params.days`,
		`facts.items.exists(i, "narcotic" in i.tags && i.days_supply > params.days)`,
		`facts.items.filter(i, "antibiotic" in i.tags).size() > 2`,
		`facts.subject in params.names || facts.producer in params.names`,
	}
	var b strings.Builder
	b.WriteString("contract: bench\nparameters: { days: 180, names: [a, b, c, d] }\nrules:\n")
	for n := range 20 {
		fmt.Fprintf(&b, "  - { id: B-%d, steps: [register, order], when: '%s', effect: refuse, message: { zh: 测, en: test } }\n", n, conditions[n%4])
	}
	return []byte(b.String())
}

// BenchmarkDecide decides registrations and orders with 20 rules and 10,000
// list entries, on a state in memory.
func BenchmarkDecide(b *testing.B) {
	g := townGenesis()
	g.Bundle = twentyRules()
	for n := range 10_000 {
		list := contract.Lists()[n%5]
		key := []string{fmt.Sprintf("%064d", n)}
		if list == contract.RestrictedSubjectItems || list == contract.RestrictedProducerSubjects {
			key = append(key, fmt.Sprintf("%064d", n))
		}
		g.Lists = append(g.Lists, contract.Entry{List: list, Key: key, Reason: "r", Basis: "b"})
	}
	s, c := begin(b, g)
	tokens := map[string]flow.Hash{}
	for _, request := range wholeFlow(func(tx string) flow.Hash { return tokens[tx] }) {
		r := request()
		if r.Header.Step == flow.Register {
			for n := range 4 {
				r.Facts.Items = append(r.Facts.Items, contract.ItemFacts{Item: fmt.Sprint("J", n), Quantity: 1000, DaysSupply: 30, Tags: []string{"antibiotic"}[:n%2]})
			}
		}
		if step := r.Header.Step; step == flow.Register || step == flow.Order {
			if step == flow.Order {
				for n := range 4 {
					r.Facts.Items = append(r.Facts.Items, contract.ItemFacts{Item: fmt.Sprint("J", n), Quantity: 1000})
				}
			}
			b.Run(string(step), func(b *testing.B) {
				b.ReportAllocs()
				o := overlay{base: s, writes: mapState{}}
				for b.Loop() {
					clear(o.writes)
					if d, err := c.Decide(o, r); err != nil || d.Verdict != flow.Granted {
						b.Fatal(d.Verdict, d.Reasons, err)
					}
				}
			})
			if step == flow.Order {
				return
			}
		}
		if d := decide(b, c, s, r); r.Header.Step == flow.ReviewRequest {
			tokens["A1"] = d.Token
		}
	}
}

// BenchmarkRules evaluates the 20 rules alone.
func BenchmarkRules(b *testing.B) {
	bundle, err := contract.ParseBundle(twentyRules())
	if err != nil {
		b.Fatal(err)
	}
	rules, err := bundle.Admit()
	if err != nil {
		b.Fatal(err)
	}
	facts := &contract.Facts{Subject: "S1"}
	for n := range 5 {
		facts.Items = append(facts.Items, contract.ItemFacts{Item: fmt.Sprint("I", n), Tags: []string{"antibiotic"}[:n%2]})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rules.Evaluate(nil, flow.Order, facts, 0); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAdmit is what publishing a bundle costs.
func BenchmarkAdmit(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		bundle, err := contract.ParseBundle(genesis().Bundle)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := bundle.Admit(); err != nil {
			b.Fatal(err)
		}
	}
}
