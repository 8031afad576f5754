package bench

import (
	"context"
	"errors"

	"signalbox.dev/signalbox/internal/chain"
)

// blocks is how far both chains are.
type blocks struct{ decisions, supervision, business int64 }

// window is warm-up, what is measured, and the drain. It gives where both chains
// were when measuring began and ended.
func (r *run) window(ctx context.Context, l *load) (from, to blocks, err error) {
	enough, over := make(chan struct{}), make(chan struct{})
	coming, stop := context.WithCancel(ctx)
	defer func() {
		stop()
		<-over
	}()
	go func() {
		defer close(over)
		l.run(coming, enough)
	}()
	if err := r.wait(ctx, WarmingUp, r.cfg.WarmUp); err != nil {
		return from, to, err
	}
	m, err := r.begin()
	if err != nil {
		return from, to, err
	}
	from = r.blocks()
	waited := r.wait(ctx, Measuring, r.cfg.Duration)
	to = r.blocks()
	if err := errors.Join(waited, m.end()); err != nil {
		return from, to, err
	}
	close(enough)
	r.phase(Draining, 0)
	return from, to, m.finish(l.settled(ctx, over, r.cfg.Drain))
}

// measurement is of what happens from begin to end.
type measurement struct {
	r        *run
	disk     int64
	steps    int64 // done before
	profile  profiling
	from, to cost
	parts    map[Part]float64
}

func (r *run) begin() (m *measurement, err error) {
	m = &measurement{r: r}
	if m.disk, err = onDisk(r.cfg.Dir); err != nil {
		return nil, err
	}
	if err = m.profile.start(); err != nil {
		return nil, err
	}
	if m.from, err = costs(); err != nil {
		return nil, errors.Join(err, m.end())
	}
	r.tracker.measure(m.from.at)
	m.steps = r.tracker.tally().Steps
	return m, nil
}

func (m *measurement) end() (err error) {
	to, costErr := costs()
	m.to = to
	m.r.tracker.enough(to.at)
	m.parts, err = m.profile.stop()
	return errors.Join(costErr, err)
}

// finish writes the result, when no flow comes any more.
func (m *measurement) finish(lost int64) error {
	r := m.r
	res := &r.result
	res.Suite, res.Profile, res.WarmUpS = r.cfg.Suite, Prescription, r.cfg.WarmUp.Seconds()
	res.Mode, res.InFlight, res.OpenLoop = "closed", r.cfg.InFlight, r.cfg.OpenLoop
	if r.cfg.OpenLoop > 0 {
		res.Mode, res.InFlight = "open", 0
	}
	res.flows(r.tracker, m.to.at.Sub(m.from.at), lost)
	res.costs(m.from, m.to, m.parts)
	disk, err := onDisk(r.cfg.Dir)
	if n := r.tracker.tally().Steps - m.steps; n > 0 {
		res.BytesPerStep = round(float64(disk-m.disk)/float64(n), 0)
	}
	return err
}

// transactionBytes is how large the last transactions of the supervision chain are
// on average.
func transactionBytes(s *chain.Source, last int64) (int, error) {
	size, err := s.Size()
	if err != nil || size == 0 {
		return 0, err
	}
	from, sum := max(0, size-last), 0
	for i := from; i < size; i++ {
		d, _, err := s.Decision(i)
		if err != nil {
			return 0, err
		}
		raw, err := s.Transaction(d)
		if err != nil {
			return 0, err
		}
		sum += len(raw)
	}
	return sum / int(size-from), nil
}

// checkpoints counts those that were signed while the log grew so.
func checkpoints(s *chain.Source, from, to int64) (n int64, err error) {
	for at := from; at < to; n++ {
		next, _, err := s.Checkpoint(at + 1)
		if err != nil {
			return n, err
		}
		if next == 0 { // the last is not signed yet
			return n, nil
		}
		at = next
	}
	return n, nil
}
