package chain_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"signalbox.dev/signalbox/committee"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/chain/chaintest"
)

// BenchmarkValidators decides with 1, 4 and 7 validators, all in this process: the
// processor time of a decision is that of all of them together, and latency has
// all of them on one machine. One at a time for latency, 64 for the rate.
func BenchmarkValidators(b *testing.B) {
	for _, count := range []int{1, 4, 7} {
		c := chaintest.Convene(b, envelope.GM(), committee.Terms{Seats: count}, count)
		for _, m := range c.Members {
			m.Start(b)
		}
		c.Fixture.Register(b, c.Members[0].Chain, fmt.Sprintf("RX-%d", count))
		for _, workers := range []int{1, 64} {
			b.Run(fmt.Sprintf("validators=%d/at-once=%d", count, workers), func(b *testing.B) { decideMany(b, c, workers) })
		}
		for _, m := range c.Members {
			m.Stop()
		}
	}
}

// decideMany gives b.N decisions by so many workers.
func decideMany(b *testing.B, c *chaintest.Council, workers int) {
	f, first := c.Fixture, c.Members[0].Chain
	var next atomic.Int64
	var mu sync.Mutex // guards waits
	var waits []time.Duration
	var all sync.WaitGroup
	before, begun := processor(b), time.Now()
	for range workers {
		all.Go(func() {
			for next.Add(1) <= int64(b.N) {
				sub, h, facts := f.Registration(b, fmt.Sprintf("%s-%d-%d", b.Name(), b.N, next.Load()))
				tx := f.Compose(b, sub, facts)
				asked := time.Now()
				if _, err := first.Decide(b.Context(), h.ID, tx); err != nil {
					b.Error(err)
					return
				}
				mu.Lock()
				waits = append(waits, time.Since(asked))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	took := time.Since(begun)
	slices.Sort(waits)
	b.ReportMetric(float64(b.N)/took.Seconds(), "decisions/s")
	b.ReportMetric(float64(waits[len(waits)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64((processor(b)-before).Microseconds())/1000/float64(b.N), "cpu-ms/decision")
}

// processor is the time that this process has had.
func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkMembers is what the members' signatures of the log cost: the same chain
// without and with them, with 1 and 4 validators in this process.
func BenchmarkMembers(b *testing.B) {
	for _, count := range []int{1, 4} {
		for _, sign := range []bool{false, true} {
			c := chaintest.Convene(b, envelope.GM(), committee.Terms{Seats: count}, count)
			c.Fixture.Genesis.MemberSignatures = sign
			for _, m := range c.Members {
				m.Start(b)
			}
			c.Fixture.Register(b, c.Members[0].Chain, fmt.Sprintf("RX-%d-%t", count, sign))
			for _, workers := range []int{1, 64} {
				b.Run(fmt.Sprintf("validators=%d/members-sign=%t/at-once=%d", count, sign, workers), func(b *testing.B) { decideMany(b, c, workers) })
			}
			for _, m := range c.Members {
				m.Stop()
			}
		}
	}
}
