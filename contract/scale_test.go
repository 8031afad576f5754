package contract_test

import (
	"fmt"
	"testing"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
)

// BenchmarkScale decides a registration of five items on disk by the number of
// list entries and of rules. A million entries take minutes to set up. Compare with
// BenchmarkReference. R10.2
func BenchmarkScale(b *testing.B) {
	for _, c := range []struct{ rules, entries int }{
		{20, 1_000},
		{20, 10_000},
		{20, 100_000},
		{20, 1_000_000},
		{0, 10_000},
		{200, 10_000},
	} {
		b.Run(fmt.Sprintf("rules=%d/entries=%d", c.rules, c.entries), func(b *testing.B) {
			s := openDisk(b, b.TempDir())
			defer s.db.Close()
			g := countryGenesis()
			g.Bundle = []byte("contract: bench\n")
			if c.rules > 0 {
				g.Bundle = manyRules(c.rules, "")
			}
			if err := contract.Init(s, g); err != nil {
				b.Fatal(err)
			}
			rules, err := contract.New(s)
			if err != nil {
				b.Fatal(err)
			}
			fill(b, s, rules, c.entries)
			if err := s.db.Compact(nil, nil); err != nil { // or its own compaction runs beside the benchmark
				b.Fatal(err)
			}
			r := registration()
			for n := range 4 {
				r.Facts.Items = append(r.Facts.Items, contract.ItemFacts{Item: fmt.Sprint("J", n), Quantity: 1000, DaysSupply: 30})
			}
			decideOften(b, rules, s, r)
		})
	}
}

// registration is the whole flow's first.
func registration() contract.Request {
	for _, request := range wholeFlow(func(string) flow.Hash { return flow.Hash{} }) {
		if r := request(); r.Header.Step == flow.Register {
			return r
		}
	}
	panic("a whole flow has no registration")
}
