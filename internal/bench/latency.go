package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"signalbox.dev/signalbox/flow"
)

// Steps are those of a complete flow, in their order.
func Steps() []flow.Step {
	return []flow.Step{flow.Register, flow.ReviewRequest, flow.ReviewResult, flow.Order, flow.Settle, flow.Deliver}
}

// The range and precision of latencies, in microseconds. Longer ones count as
// longest.
const (
	shortest = 1
	longest  = int64(10 * time.Minute / time.Microsecond)
	digits   = 3
)

// latencies of one kind of step. It is not safe for concurrent use.
type latencies struct{ h *hdrhistogram.Histogram }

func newLatencies() latencies { return latencies{hdrhistogram.New(shortest, longest, digits)} }

func (l latencies) add(d time.Duration) {
	// Within the range there is no error.
	_ = l.h.RecordValue(min(max(d.Microseconds(), shortest), longest))
}

// Quantiles of latencies, in milliseconds.
type Quantiles struct {
	Steps int64   `json:"steps"` // how many were measured
	P50   float64 `json:"p50"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

func (l latencies) quantiles() Quantiles {
	at := func(percent float64) float64 { return float64(l.h.ValueAtPercentile(percent)) / 1000 }
	return Quantiles{
		Steps: l.h.TotalCount(), P50: at(50), P95: at(95), P99: at(99), P999: at(99.9), Max: float64(l.h.Max()) / 1000,
	}
}
