package bench

import (
	"slices"
	"sync"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/event"
)

// tracker follows flows by what the platform tells of them. It is safe for
// concurrent use.
type tracker struct {
	mu       sync.Mutex // guards everything
	flights  map[string]*flight
	latency  map[flow.Step]latencies
	intents  latencies // of all steps, from intent to end by the platform's own clock
	from, to time.Time // what is measured; zero: not yet, not yet over
	count    tally
}

// tally is what has happened.
type tally struct {
	Begun  int64 // flows that the platform took in
	Ended  int64 // of them, delivered or stuck
	Failed int64 // registrations that the platform did not take
	Stuck  int64 // flows that a refusal, a hold or a lapsed token ended
	Twice  int64 // steps that were done again
	Steps  int64 // done, of any time
	// Of the time that is measured:
	Measured struct{ Steps, Flows int64 }
}

// flight is one flow.
type flight struct {
	begun bool
	last  time.Time // when the last step was done, or the registration was due
	meant time.Time // when the step on its way was intended, by the platform's clock
	early []seen    // before the registration's caller had its answer
	done  map[flow.Step]bool
	over  bool
	ended chan struct{} // closed when it is over
}

type seen struct {
	event event.Event
	at    time.Time
}

func newTracker() *tracker {
	t := &tracker{flights: map[string]*flight{}, latency: map[flow.Step]latencies{}, intents: newLatencies()}
	for _, s := range Steps() {
		t.latency[s] = newLatencies()
	}
	return t
}

// flight needs mu.
func (t *tracker) flight(ref string) *flight {
	f := t.flights[ref]
	if f == nil {
		f = &flight{done: map[flow.Step]bool{}, ended: make(chan struct{})}
		t.flights[ref] = f
	}
	return f
}

// begin takes note of a flow that was due then and that the platform has taken in.
// The channel is closed when the flow is over.
func (t *tracker) begin(ref string, due time.Time) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.flight(ref)
	f.begun, f.last = true, due
	t.count.Begun++
	for _, s := range f.early {
		t.take(f, s)
	}
	f.early = nil
	return f.ended
}

// failed takes note of a registration that the platform did not take.
func (t *tracker) failed() {
	t.mu.Lock()
	t.count.Failed++
	t.mu.Unlock()
}

// saw takes note of an event.
func (t *tracker) saw(e event.Event, at time.Time) {
	if e.Ref == "" || !slices.Contains(Steps(), e.Step) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.flight(e.Ref)
	if !f.begun {
		f.early = append(f.early, seen{e, at})
		return
	}
	t.take(f, seen{e, at})
}

// take needs mu.
func (t *tracker) take(f *flight, s seen) {
	switch s.event.Kind {
	case event.Submitted:
		f.meant = s.event.At
	case event.Done:
		t.done(f, s)
	case event.Refused, event.Held, event.Lapsed:
		if !f.over {
			t.count.Stuck++
			t.end(f)
		}
	}
}

// done needs mu.
func (t *tracker) done(f *flight, s seen) {
	step, at := s.event.Step, s.at
	if f.done[step] {
		t.count.Twice++
		return
	}
	f.done[step] = true
	t.count.Steps++
	if t.measured(f.last) {
		t.latency[step].add(at.Sub(f.last))
		if !f.meant.IsZero() {
			t.intents.add(s.event.At.Sub(f.meant))
		}
	}
	f.last = at
	last := step == flow.Deliver && !f.over
	if t.measured(at) {
		t.count.Measured.Steps++
		if last {
			t.count.Measured.Flows++
		}
	}
	if last {
		t.end(f)
	}
}

// measured needs mu.
func (t *tracker) measured(at time.Time) bool {
	return !t.from.IsZero() && !at.Before(t.from) && (t.to.IsZero() || at.Before(t.to))
}

// end needs mu.
func (t *tracker) end(f *flight) {
	f.over = true
	t.count.Ended++
	close(f.ended)
}

// measure begins the time that is measured.
func (t *tracker) measure(from time.Time) {
	t.mu.Lock()
	t.from = from
	t.mu.Unlock()
}

// enough ends it.
func (t *tracker) enough(to time.Time) {
	t.mu.Lock()
	t.to = to
	t.mu.Unlock()
}

func (t *tracker) tally() tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count
}

// quantiles gives those of each step, of all together, and of all together from
// their intents.
func (t *tracker) quantiles() (byStep map[flow.Step]Quantiles, all, intents Quantiles) {
	t.mu.Lock()
	defer t.mu.Unlock()
	byStep = map[flow.Step]Quantiles{}
	together := newLatencies()
	for s, l := range t.latency {
		byStep[s] = l.quantiles()
		together.h.Merge(l.h)
	}
	return byStep, together.quantiles(), t.intents.quantiles()
}
