package loop_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"signalbox.dev/signalbox/internal/bench/loop"
)

// So many are under way at once and no more, none is begun twice, and what was
// begun has ended when Run returns.
func TestRunKeepsSoManyUnderWay(t *testing.T) {
	var begun, ended, under, most atomic.Int64
	r, err := loop.Run(t.Context(), loop.Config{
		InFlight: 3, Warm: time.Millisecond, Measure: 20 * time.Millisecond, Done: ended.Load,
		One: func(_ context.Context, i int) error {
			begun.Add(1)
			now := under.Add(1)
			for {
				high := most.Load()
				if now <= high || most.CompareAndSwap(high, now) {
					break
				}
			}
			time.Sleep(time.Millisecond)
			under.Add(-1)
			ended.Add(1)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if begun.Load() != ended.Load() || most.Load() > 3 {
		t.Errorf("%d begun, %d ended, %d at once", begun.Load(), ended.Load(), most.Load())
	}
	if r.Done < 0 || r.Done > ended.Load() || r.Took < 20*time.Millisecond {
		t.Errorf("%d done in %v", r.Done, r.Took)
	}
}

// A piece that fails ends the measurement, and so does the context.
func TestRunEndsEarly(t *testing.T) {
	broken := errors.New("broken")
	none := func() int64 { return 0 }
	_, err := loop.Run(t.Context(), loop.Config{
		InFlight: 2, Measure: time.Hour, Done: none,
		One: func(context.Context, int) error { return broken },
	})
	if !errors.Is(err, broken) {
		t.Errorf("a failing piece: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = loop.Run(ctx, loop.Config{
		InFlight: 2, Measure: time.Hour, Done: none,
		One: func(context.Context, int) error { cancel(); return nil },
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
	if _, err := loop.Run(t.Context(), loop.Config{}); err == nil {
		t.Error("nothing to do is no error")
	}
}
