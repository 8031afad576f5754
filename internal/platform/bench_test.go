package platform_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/platform/authorise"
	"signalbox.dev/signalbox/internal/platform/outbox"
)

// BenchmarkIntend is a registration up to where it is safe: read, sealed twice,
// signed twice, and on the disk.
func BenchmarkIntend(b *testing.B) {
	for _, suite := range []envelope.Suite{envelope.GM(), envelope.Intl()} {
		b.Run(suite.Name(), func(b *testing.B) {
			w := newWorld(b, func(w *world) { w.suite = suite })
			w.build()
			defer w.store.Close()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := w.Authorise.Register(b.Context(), authorise.Input{Data: prescription(i)}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkStep is a whole step, from a record to its place on the business
// chain, against a fake authority and a ledger in memory: alone, and with many
// in flight. An operation is one step.
func BenchmarkStep(b *testing.B) {
	for _, flows := range []int{1, 64} {
		b.Run(fmt.Sprintf("inflight=%d", flows), func(b *testing.B) {
			w := started(b, func(w *world) { w.pace = outbox.Pace{} })
			defer w.stop()
			b.ReportAllocs()
			var next atomic.Int64
			tokens := make(chan struct{}, flows)
			var wg sync.WaitGroup
			var slowest atomic.Int64
			for b.Loop() {
				tokens <- struct{}{}
				wg.Go(func() {
					defer func() { <-tokens }()
					began := time.Now()
					r, err := w.Authorise.Register(w.ctx, authorise.Input{Data: prescription(int(next.Add(1)))})
					if err == nil {
						_, err = w.Wait(w.ctx, r.Ref)
					}
					if err != nil {
						b.Error(err)
					}
					slowest.Store(max(slowest.Load(), int64(time.Since(began))))
				})
			}
			wg.Wait()
			b.ReportMetric(float64(slowest.Load())/1e6, "slowest-ms")
		})
	}
}
