package system

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform"
	"signalbox.dev/signalbox/internal/platform/authorise"
	"signalbox.dev/signalbox/internal/platform/event"
	"signalbox.dev/signalbox/profile/prescription/samples"
)

// visitor is the sample that the benchmarks multiply: its subject's passport
// number can be any, and rules that count by subject see many.
const visitor = "visitor-influenza-self-paid"

// numbered gives the i-th of endlessly many records, of as many subjects.
func numbered(b *testing.B, i int) []byte {
	b.Helper()
	all, err := samples.All()
	must(b, err)
	at := slices.IndexFunc(all, func(s samples.Sample) bool { return s.Name == visitor })
	if at < 0 {
		b.Fatalf("no sample %s", visitor)
	}
	out := bytes.Replace(all[at].Data, []byte(`"number": "`), fmt.Appendf(nil, `"number": "B%08d-`, i), 1)
	return bytes.Replace(out, []byte("UTO-X00000001"), fmt.Appendf(nil, "UTO-X%08d", i), 1)
}

// BenchmarkStep measures one registration alone, end to end: intake, sealing,
// fusion node, decision in consensus, receipt, business chain, done.
func BenchmarkStep(b *testing.B) {
	s, _ := open(b, b.TempDir(), true)
	var parts [3]time.Duration
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		i++
		r, err := s.Platform.Authorise.Register(b.Context(), authorise.Input{Data: numbered(b, i)})
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

// BenchmarkFlows holds 64 flows at once, all from registration to delivery (six
// steps each).
func BenchmarkFlows(b *testing.B) {
	for _, suite := range []string{"gm", "intl"} {
		b.Run(suite+"/inflight=64", func(b *testing.B) { benchmarkFlows(b, suite, 64) })
	}
}

func benchmarkFlows(b *testing.B, suite string, inFlight int) {
	s, _ := openSuite(b, b.TempDir(), suite, false)
	slots := make(chan struct{}, inFlight)
	var ended sync.WaitGroup
	go s.Platform.Events(b.Context(), 0, func(e event.Event) error {
		stuck := e.Kind == event.Refused || e.Kind == event.Held || e.Kind == event.Lapsed
		if stuck {
			b.Errorf("%s of flow %s is stuck: %s", e.Step, e.Flow, e.Kind)
		}
		if stuck || e.Step == flow.Deliver && e.Kind == event.Done {
			<-slots
			ended.Done()
		}
		return nil
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu := processorTime(b)
	b.ResetTimer()
	for i := range b.N {
		slots <- struct{}{}
		ended.Add(1)
		_, err := s.Platform.Authorise.Register(b.Context(), authorise.Input{Data: numbered(b, i)})
		must(b, err)
	}
	ended.Wait()
	b.StopTimer()
	b.ReportMetric(float64((processorTime(b)-cpu).Microseconds())/float64(6*b.N), "cpu-us/step")
	runtime.ReadMemStats(&after)
	b.ReportMetric(6*float64(b.N)/b.Elapsed().Seconds(), "steps/s")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(6*b.N), "allocs/step")
	latencies(b, s)
}

// processorTime is what the process has used, in the kernel too.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// latencies reports the steps' own times.
func latencies(b *testing.B, s *System) {
	b.Helper()
	flows, err := s.Platform.Flows(b.Context(), platform.Filter{Limit: 500})
	must(b, err)
	var ms []int64
	var parts [3]time.Duration
	for _, f := range flows {
		for _, st := range f.Steps {
			ms = append(ms, st.MS)
			o, err := s.Platform.Wait(b.Context(), st.ID)
			must(b, err)
			parts[0], parts[1], parts[2] = parts[0]+o.Submitting, parts[1]+o.Deciding, parts[2]+o.Storing
		}
	}
	for n, name := range []string{"submitting", "deciding", "storing"} {
		b.ReportMetric(float64(parts[n].Microseconds())/1000/float64(len(ms)), name+"-ms")
	}
	slices.Sort(ms)
	b.ReportMetric(float64(ms[len(ms)/2]), "p50-ms")
	b.ReportMetric(float64(ms[len(ms)*99/100]), "p99-ms")
}
