package party

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"signalbox.dev/signalbox/internal/ops"
)

// Process is one role, wired to run by itself.
type Process struct {
	Role    string
	Layers  []Layer
	Unready func() string // what it lacks to do its work, beside running; "" nothing; nil: always nothing
	Sources []ops.Source
	Close   func() error // after its layers, or instead of them
	// Listening gives addresses once it runs, for the one who started it.
	Listening func() map[string]string
}

// Serving is how a process is run.
type Serving struct {
	Ops     Ops
	Drain   time.Duration
	Version string
	Logger  *slog.Logger
	Up      func(listening map[string]string) // called once, when it runs; may be nil
}

// ErrDrain says that a process did not stop within its time.
var ErrDrain = errors.New("it did not stop in time; what was under way is taken up at the next start")

// Serve runs p until ctx ends. The operators' listener starts first and ends
// last; from the moment that ctx ends it says that the process is not ready. The
// layers then stop from the top, within s.Drain.
func (p *Process) Serve(ctx context.Context, s Serving) error {
	var up atomic.Bool
	layers := p.Layers
	watch, err := p.watched(ctx, s, &up)
	if err != nil {
		return errors.Join(err, p.Close())
	}
	if watch != nil {
		layers = append([]Layer{{Name: "operators' listener", Run: watch.Run, Ready: watch.Bound()}}, layers...)
	}
	ended := make(chan error, 1)
	go func() {
		err := Run(ctx, layers, func() {
			up.Store(true)
			s.Logger.Info("running")
			if s.Up != nil {
				s.Up(p.listening(watch))
			}
		})
		ended <- errors.Join(err, p.Close())
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	s.Logger.Info("draining", "at_most", s.Drain)
	select {
	case err := <-ended:
		return err
	case <-time.After(s.Drain):
		return fmt.Errorf("stopping the %s: %w", p.Role, ErrDrain)
	}
}

// watched makes the operators' listener, nil where none is asked for.
func (p *Process) watched(ctx context.Context, s Serving, up *atomic.Bool) (*ops.Server, error) {
	ready := func() (bool, string) { return p.ready(ctx, up.Load()) }
	return s.Ops.Server(s.Version, ready, s.Logger.With("part", "ops"), p.Sources...)
}

func (p *Process) ready(ctx context.Context, up bool) (bool, string) {
	switch {
	case ctx.Err() != nil:
		return false, "stopping"
	case !up:
		return false, "starting"
	case p.Unready == nil:
		return true, ""
	}
	why := p.Unready()
	return why == "", why
}

func (p *Process) listening(watch *ops.Server) map[string]string {
	out := map[string]string{}
	if p.Listening != nil {
		out = p.Listening()
	}
	if watch != nil {
		out["ops"] = watch.Addr().String()
	}
	return out
}
