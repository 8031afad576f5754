package bench

import (
	"context"
	"time"
)

// clock is time as the load sees it; tests hold it still.
type clock struct {
	now   func() time.Time
	sleep func(ctx context.Context, d time.Duration) error // ctx's error when that ends first
}

func wallClock() clock { return clock{time.Now, sleep} }

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// schedule says when flows are due, whatever becomes of them.
type schedule struct {
	clock
	begin time.Time
	rate  float64 // flows a second
}

// due is when the i-th flow ought to begin.
func (s schedule) due(i int) time.Time {
	return s.begin.Add(time.Duration(float64(i) * float64(time.Second) / s.rate))
}

// run calls fn for each flow once it is due, until ctx ends. When it is behind,
// as after a stall of the machine, it leaves none out: they begin at once, and are
// still due when they were.
func (s schedule) run(ctx context.Context, fn func(i int, due time.Time)) {
	for i := 0; ; i++ {
		due := s.due(i)
		if s.sleep(ctx, due.Sub(s.now())) != nil {
			return
		}
		fn(i, due)
	}
}
