package comet

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// BenchmarkPut measures from Submit to the end of Commit, for transactions of
// 1.5 KB on one validator: one alone, and 256 in flight.
func BenchmarkPut(b *testing.B) {
	pad := strings.Repeat("x", 1500)
	for _, flying := range []int{1, 256} {
		b.Run(fmt.Sprintf("flying=%d", flying), func(b *testing.B) {
			n, app, _ := open(b, b.TempDir())
			b.ReportAllocs()
			work := make(chan int)
			var wg sync.WaitGroup
			for range flying {
				wg.Go(func() {
					for i := range work {
						if _, err := app.put(b.Context(), n, fmt.Sprintf("%08d%s", i, pad)); err != nil {
							b.Error(err)
						}
					}
				})
			}
			i := 0
			for b.Loop() {
				work <- i
				i++
			}
			close(work)
			wg.Wait()
			b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "tx/s")
			b.ReportMetric(float64(i)/float64(max(app.finished, 1)), "tx/block")
		})
	}
}
