package bench

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// target is where flows are brought in.
type target interface {
	// Register takes a record in and gives what its flow is called until it has a
	// name. What becomes of it the platform's events tell.
	Register(ctx context.Context, record []byte) (ref string, err error)
}

// load brings flows into a target.
type load struct {
	clock
	target   target
	record   func(i int) []byte
	inFlight int     // closed loop: so many flows at once
	rate     float64 // open loop: flows a second; 0: closed
	tracker  *tracker

	next atomic.Int64
}

// one brings one flow in, and waits for its end when wait is set.
func (l *load) one(ctx context.Context, due time.Time, wait bool) {
	ref, err := l.target.Register(ctx, l.record(int(l.next.Add(1))))
	if err != nil {
		if ctx.Err() == nil {
			l.tracker.failed()
			_ = l.sleep(ctx, failPause)
		}
		return
	}
	ended := l.tracker.begin(ref, due)
	if wait {
		select {
		case <-ended:
		case <-ctx.Done():
		}
	}
}

// failPause keeps a closed loop from asking again at once where everything fails.
const failPause = 20 * time.Millisecond

// run brings flows in until enough is closed, and returns when all whom it asked
// have answered. In the closed loop that is when the last flow has ended, or ctx.
func (l *load) run(ctx context.Context, enough <-chan struct{}) {
	if l.rate > 0 {
		l.open(ctx, enough)
		return
	}
	var all sync.WaitGroup
	for range l.inFlight {
		all.Go(func() {
			for ctx.Err() == nil && !isClosed(enough) {
				l.one(ctx, l.now(), true)
			}
		})
	}
	all.Wait()
}

// open lets flows come by schedule.
func (l *load) open(ctx context.Context, enough <-chan struct{}) {
	coming, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-enough:
			stop()
		case <-coming.Done():
		}
	}()
	var all sync.WaitGroup
	s := schedule{clock: l.clock, begin: l.now(), rate: l.rate}
	s.run(coming, func(_ int, due time.Time) {
		all.Go(func() { l.one(ctx, due, false) })
	})
	all.Wait()
}

// settled waits until run is over and every flow that was brought in has ended, or
// until nothing has happened for d, and says how many have not. A slow flow is not
// lost as long as something goes on.
func (l *load) settled(ctx context.Context, over <-chan struct{}, d time.Duration) (lost int64) {
	var last tally
	since := l.now()
	for {
		c := l.tracker.tally()
		if c != last {
			last, since = c, l.now()
		}
		lost = c.Begun - c.Ended
		if lost == 0 && isClosed(over) || l.now().Sub(since) >= d || l.sleep(ctx, settlePoll) != nil {
			return lost
		}
	}
}

const settlePoll = 50 * time.Millisecond

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
