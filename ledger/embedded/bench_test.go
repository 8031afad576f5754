package embedded

import (
	"fmt"
	"sync"
	"testing"

	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/ledger/ledgertest"
	"signalbox.dev/signalbox/receipt"
)

// BenchmarkPut measures Put, receipts verified, for values of 1.5 KB on one node:
// one alone, and 256 in flight.
func BenchmarkPut(b *testing.B) {
	for _, flying := range []int{1, 256} {
		b.Run(fmt.Sprintf("flying=%d", flying), func(b *testing.B) {
			a := ledgertest.NewAuthority(b, ledgertest.Chain)
			l, _ := start(b, Config{Dir: b.TempDir(), Genesis: testGenesis(a)})
			recs := a.Records(b, b.N, 1500)
			work := make(chan ledger.Record)
			var wg sync.WaitGroup
			for range flying {
				wg.Go(func() {
					for rec := range work {
						if _, err := l.Put(b.Context(), rec); err != nil {
							b.Error(err)
						}
					}
				})
			}
			<-l.Running()
			b.ReportAllocs()
			b.ResetTimer() // b.N, not b.Loop: records are minted before, and the last ones count
			for _, rec := range recs {
				work <- rec
			}
			close(work)
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkCheck is what a node spends on a record's receipt.
func BenchmarkCheck(b *testing.B) {
	a := ledgertest.NewAuthority(b, ledgertest.Chain)
	l, _ := start(b, Config{Dir: b.TempDir(), Genesis: testGenesis(a)})
	<-l.Running()
	tx, err := encodeRecord(a.Records(b, 1000, 1500)[500])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		l.contract.proven, l.contract.heads = proofs{}, receipt.Memory{}
		if err := l.contract.judge(tx); err != nil {
			b.Fatal(err)
		}
	}
}
