// Package loop runs work in a closed loop for measurement: so many pieces are
// under way all the time, each next one begins when one has ended, and what is
// counted lies between two moments at which the loop was full.
//
// A closed loop finds how much can be done. It says nothing of how long callers
// wait who come when they come: whoever wants that needs an open loop.
package loop

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Config says what runs and for how long.
type Config struct {
	InFlight int           // pieces under way at once
	Warm     time.Duration // before what is measured
	Measure  time.Duration
	Done     func() int64 // how many units are done so far; it grows
	// One does the i-th piece, from 0. It is not told to end early: ctx is the
	// caller's own.
	One func(ctx context.Context, i int) error
}

// Result is what lay between the two moments.
type Result struct {
	Done int64         // units
	Took time.Duration // by the clock
	CPU  time.Duration // of the whole process, in the kernel too
}

// PerSecond is the rate of units.
func (r Result) PerSecond() float64 { return float64(r.Done) / r.Took.Seconds() }

// CPUPer is the processor time of a unit; 0 when nothing was done.
func (r Result) CPUPer() time.Duration {
	if r.Done == 0 {
		return 0
	}
	return r.CPU / time.Duration(r.Done)
}

// Run measures. It ends when the time is over and what was begun has ended, or
// with the first error of a piece, or ctx's.
func Run(ctx context.Context, c Config) (Result, error) {
	if c.InFlight < 1 || c.Measure <= 0 || c.Done == nil || c.One == nil {
		return Result{}, errors.New("measuring: want pieces in flight, a duration, and what to do and count")
	}
	var (
		next  atomic.Int64
		over  = make(chan struct{})
		fault = make(chan error, c.InFlight)
		all   sync.WaitGroup
	)
	for range c.InFlight {
		all.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				if err := c.One(ctx, int(next.Add(1)-1)); err != nil {
					fault <- err
					return
				}
			}
		})
	}
	r, err := c.watch(ctx, fault)
	close(over)
	all.Wait()
	if err == nil && len(fault) > 0 {
		err = <-fault
	}
	if err != nil {
		return Result{}, fmt.Errorf("measuring: %w", err)
	}
	return r, nil
}

// watch waits for the two moments.
func (c Config) watch(ctx context.Context, fault <-chan error) (Result, error) {
	if err := wait(ctx, c.Warm, fault); err != nil {
		return Result{}, err
	}
	done, cpu, began := c.Done(), CPU(), time.Now()
	if err := wait(ctx, c.Measure, fault); err != nil {
		return Result{}, err
	}
	return Result{Done: c.Done() - done, Took: time.Since(began), CPU: CPU() - cpu}, nil
}

func wait(ctx context.Context, d time.Duration, fault <-chan error) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-fault:
		return err
	case <-t.C:
		return nil
	}
}

// CPU is the processor time that this process has used, in the kernel too.
func CPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // it fails for addresses that are none
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
