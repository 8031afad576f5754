package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/event"
)

// still is a clock that goes on only when somebody sleeps.
type still struct {
	mu sync.Mutex
	at time.Time
}

func (s *still) clock() clock {
	return clock{
		now: func() time.Time {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.at
		},
		sleep: func(ctx context.Context, d time.Duration) error {
			s.pass(d)
			return ctx.Err()
		},
	}
}

func (s *still) pass(d time.Duration) {
	s.mu.Lock()
	s.at = s.at.Add(max(d, 0))
	s.mu.Unlock()
}

var noon = time.Date(2026, 11, 13, 12, 0, 0, 0, time.UTC)

// TestScheduleKeepsItsTimes has the machine stall: what was due meanwhile begins
// at once and counts from when it was due, so that nothing is omitted (R10.2).
func TestScheduleKeepsItsTimes(t *testing.T) {
	c := &still{at: noon}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var due, began []time.Duration
	s := schedule{clock: c.clock(), begin: noon, rate: 10}
	s.run(ctx, func(i int, at time.Time) {
		due, began = append(due, at.Sub(noon)), append(began, c.clock().now().Sub(noon))
		if i == 2 {
			c.pass(250 * time.Millisecond)
		}
		if i == 6 {
			stop()
		}
	})
	ms := func(all ...int) (out []time.Duration) {
		for _, v := range all {
			out = append(out, time.Duration(v)*time.Millisecond)
		}
		return out
	}
	if diff := cmp.Diff(ms(0, 100, 200, 300, 400, 500, 600), due); diff != "" {
		t.Errorf("due (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(ms(0, 100, 200, 450, 450, 500, 600), began); diff != "" {
		t.Errorf("began (-want +got):\n%s", diff)
	}
}

// TestScheduleDoesNotDrift: the times of flows are reckoned from the beginning, not
// added up.
func TestScheduleDoesNotDrift(t *testing.T) {
	s := schedule{begin: noon, rate: 1000.0 / 6}
	if got := s.due(1_000_000).Sub(noon); got != 6000*time.Second {
		t.Errorf("the millionth flow is due after %s, want 6000 s", got)
	}
}

// told are events of a flow.
func told(ref string, kind event.Kind, all ...flow.Step) (out []event.Event) {
	for _, s := range all {
		out = append(out, event.Event{Kind: kind, Ref: ref, Step: s})
	}
	return out
}

func TestTracker(t *testing.T) {
	at := func(ms int) time.Time { return noon.Add(time.Duration(ms) * time.Millisecond) }
	tr := newTracker()
	tr.measure(at(100))

	meant := event.Event{Kind: event.Submitted, Step: flow.ReviewRequest, Ref: "early", At: at(125)}
	tr.begin("early", at(50)) // its registration could have begun before what is measured
	tr.saw(told("early", event.Done, flow.Register)[0], at(120))
	tr.saw(meant, at(126))
	done := told("early", event.Done, flow.ReviewRequest)[0]
	done.At = at(145)
	tr.saw(done, at(150))

	tr.saw(told("quick", event.Done, flow.Register)[0], at(140)) // before begin: its caller is slow
	ended := tr.begin("quick", at(110))
	for i, e := range told("quick", event.Done, Steps()[1:]...) {
		tr.saw(e, at(150+10*i))
	}
	if !isClosed(ended) {
		t.Error("a delivered flow has not ended")
	}
	tr.saw(told("quick", event.Done, flow.Deliver)[0], at(195))
	tr.enough(at(200))

	tr.begin("held", at(130))
	tr.saw(told("held", event.Held, flow.Register)[0], at(300))
	tr.saw(told("held", event.Refused, flow.Register)[0], at(310)) // no second end
	tr.begin("late", at(199))
	tr.saw(told("late", event.Done, flow.Register)[0], at(1199)) // counts: it was due in time
	tr.begin("lost", at(130))
	tr.failed()
	tr.saw(event.Event{Kind: event.Done, Step: flow.Enrol, Ref: "somebody"}, at(130)) // belongs to no flow
	tr.saw(event.Event{Kind: event.Submitted, Step: flow.Order, Ref: "lost"}, at(130))

	want := tally{Begun: 5, Ended: 2, Failed: 1, Stuck: 1, Twice: 1, Steps: 9}
	want.Measured.Steps, want.Measured.Flows = 8, 1
	if diff := cmp.Diff(want, tr.tally()); diff != "" {
		t.Errorf("tally (-want +got):\n%s", diff)
	}
	by, all, intents := tr.quantiles()
	if all.Steps != 8 { // early's registration is not among them
		t.Errorf("%d latencies, want 8", all.Steps)
	}
	if intents.Steps != 1 || intents.P50 < 19.9 || intents.P50 > 20.1 {
		t.Errorf("from intents: %+v, want 20 ms", intents)
	}
	if q := by[flow.Register]; q.Steps != 2 || q.Max < 999 || q.Max > 1001 || q.P50 < 29.9 || q.P50 > 30.1 {
		t.Errorf("registrations: %+v, want 30 and 1000 ms", q)
	}
	if q := by[flow.ReviewRequest]; q.Steps != 2 || q.P50 > 10.1 || q.Max < 29.9 || q.Max > 30.1 {
		t.Errorf("review requests: %+v, want 10 and 30 ms, each from the step before it", q)
	}
}

// fakes is a platform in memory: flows go through every step at once, unless fate
// says otherwise.
type fakes struct {
	fate func(n int) (stop flow.Step, how event.Kind, err error) // of the n-th; "" none
	tell func(event.Event)

	mu sync.Mutex // guards n
	n  int
}

func (f *fakes) Register(context.Context, []byte) (string, error) {
	f.mu.Lock()
	f.n++
	n := f.n
	f.mu.Unlock()
	stop, how, err := f.fate(n)
	if err != nil {
		return "", err
	}
	ref := fmt.Sprintf("flow-%d", n)
	for _, s := range Steps() {
		if s != stop {
			f.tell(event.Event{Ref: ref, Step: s, Kind: event.Done})
			continue
		}
		if how != "" {
			f.tell(event.Event{Ref: ref, Step: s, Kind: how})
		}
		break
	}
	return ref, nil
}

var errFull = errors.New("full")

// fated makes the 3rd flow fail, the 5th stick and the 7th get lost.
func fated(n int) (flow.Step, event.Kind, error) {
	switch n {
	case 3:
		return "", "", errFull
	case 5:
		return flow.Order, event.Refused, nil
	case 7:
		return flow.Settle, "", nil
	}
	return "", "", nil
}

// TestSlowIsNotLost: flows are waited for as long as something goes on.
func TestSlowIsNotLost(t *testing.T) {
	c, tr := &still{at: noon}, newTracker()
	tr.begin("slow", noon)
	slow, left := c.clock(), Steps()
	pass := slow.sleep
	slow.sleep = func(ctx context.Context, d time.Duration) error {
		if len(left) > 0 && slow.now().Sub(noon) >= time.Duration(7-len(left))*20*time.Second {
			tr.saw(told("slow", event.Done, left[0])[0], slow.now())
			left = left[1:]
		}
		return pass(ctx, d)
	}
	over := make(chan struct{})
	close(over)
	l := &load{clock: slow, tracker: tr}
	if lost := l.settled(t.Context(), over, 30*time.Second); lost != 0 {
		t.Errorf("%d flows are lost that took 20 s for a step", lost)
	}
	if took := slow.now().Sub(noon); took < 2*time.Minute || took > 3*time.Minute {
		t.Errorf("it waited for %s", took)
	}
}

// TestLoadCountsWhatGoesWrong in both loops (R10.2): what was not taken, what is
// stuck and what is lost, and nothing else.
func TestLoadCountsWhatGoesWrong(t *testing.T) {
	for name, rate := range map[string]float64{"closed": 0, "open": 100} {
		t.Run(name, func(t *testing.T) {
			tr, enough := newTracker(), make(chan struct{})
			over := sync.OnceFunc(func() { close(enough) })
			l := &load{
				clock: (&still{at: noon}).clock(), inFlight: 4, rate: rate, tracker: tr,
				target: &fakes{fate: fated, tell: func(e event.Event) { tr.saw(e, noon) }},
				record: func(i int) []byte {
					if i >= 60 {
						over()
					}
					return nil
				},
			}
			ctx, giveUp := context.WithCancel(t.Context())
			defer giveUp()
			done := make(chan struct{})
			go func() {
				defer close(done)
				l.run(ctx, enough)
			}()
			<-enough
			if rate == 0 { // one of the loop's places waits for the flow that is lost
				giveUp()
			}
			<-done
			c, lost := tr.tally(), l.settled(t.Context(), done, time.Minute)
			if lost != 1 || c.Failed != 1 || c.Stuck != 1 || c.Twice != 0 || c.Begun < 50 || c.Begun-c.Ended != 1 {
				t.Errorf("lost %d, %+v", lost, c)
			}
		})
	}
}
