package remote

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/ledger/embedded"
	"signalbox.dev/signalbox/ledger/ledgertest"
)

// BenchmarkPut measures Put for values of 1.5 KB in the process and over
// loopback: on a ledger in memory, which shows what the link costs, and on a
// chain, which shows what that is of the whole.
func BenchmarkPut(b *testing.B) {
	chains := []struct {
		name string
		open func(*testing.B, *ledgertest.Authority) ledger.Ledger
	}{
		{"memory", func(b *testing.B, a *ledgertest.Authority) ledger.Ledger { return newMemory(b, setup(a)) }},
		{"embedded", func(b *testing.B, a *ledgertest.Authority) ledger.Ledger {
			l, _ := startEmbedded(b, embedded.Config{Dir: b.TempDir(), Genesis: embedded.Genesis{
				Network: ledgertest.Network, Supervision: ledgertest.Chain, AuthorityKeys: a.Keys, Platforms: []string{ledgertest.Platform},
			}})
			<-l.Running()
			return l
		}},
	}
	for _, chain := range chains {
		for _, wire := range []bool{false, true} {
			for _, flying := range []int{1, 64} {
				b.Run(fmt.Sprintf("%s/wire=%v/flying=%d", chain.name, wire, flying), func(b *testing.B) {
					a := ledgertest.NewAuthority(b, ledgertest.Chain)
					l := chain.open(b, a)
					if wire {
						l = serve(b, l).dial(b)
					}
					benchPut(b, l, a, flying)
				})
			}
		}
	}
}

func benchPut(b *testing.B, l ledger.Ledger, a *ledgertest.Authority, flying int) {
	recs := a.Records(b, b.N, 1500)
	took := make([]time.Duration, b.N)
	work := make(chan int)
	var wg sync.WaitGroup
	for range flying {
		wg.Go(func() {
			for i := range work {
				begun := time.Now()
				if _, err := l.Put(b.Context(), recs[i]); err != nil {
					b.Error(err)
				}
				took[i] = time.Since(begun)
			}
		})
	}
	b.ReportAllocs()
	b.ResetTimer() // b.N, not b.Loop: records are minted before, and the last ones count
	for i := range recs {
		work <- i
	}
	close(work)
	wg.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}
