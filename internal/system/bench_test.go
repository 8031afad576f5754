package system

import (
	"testing"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/authorise"
	"signalbox.dev/signalbox/profile/prescription/samples"
)

// BenchmarkStep measures one registration alone, end to end: intake, sealing,
// fusion node, decision in consensus, receipt, business chain, done.
func BenchmarkStep(b *testing.B) {
	record, err := samples.Series("B")
	must(b, err)
	s, _ := open(b, b.TempDir(), true)
	var parts [3]time.Duration
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		i++
		r, err := s.Platform.Authorise.Register(b.Context(), authorise.Input{Data: record(i)})
		must(b, err)
		o, err := s.Platform.Wait(b.Context(), r.Ref)
		must(b, err)
		if o.Verdict != flow.Granted {
			b.Fatalf("%s %v", o.Verdict, o.Reasons)
		}
		parts[0], parts[1], parts[2] = parts[0]+o.Submitting, parts[1]+o.Deciding, parts[2]+o.Storing
	}
	for n, name := range []string{"submitting", "deciding", "storing"} {
		b.ReportMetric(float64(parts[n].Microseconds())/1000/float64(i), name+"-ms")
	}
}
