package plain

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"signalbox.dev/signalbox/internal/bench/loop"
	"signalbox.dev/signalbox/internal/platform/event"
	"signalbox.dev/signalbox/internal/platform/payment"
	"signalbox.dev/signalbox/internal/store"
	"signalbox.dev/signalbox/profile"
	"signalbox.dev/signalbox/profile/prescription"
)

// Config says what is played.
type Config struct {
	Dir      string          // a new directory, on the disk that is to be measured
	Profile  profile.Profile // nil: prescriptions
	InFlight int             // flows under way at once
	Duration time.Duration   // of what is measured; a tenth of it, at most 2 s, goes before
	// Record gives the i-th record as an originator sends it; each must be another.
	// It is called from several goroutines.
	Record func(i int) []byte
}

// Result is what the measured time came to.
type Result struct {
	Steps          int64
	StepsPerSecond float64
	CPUPerStep     time.Duration // of this process: platform, chain, database and participants
	P50, P99       time.Duration // from a step's intent to its end, as the product counts it; of all steps, those around the measured time too
}

// Run plays flows for the duration and ends those that it began. An error of any
// of them ends it.
func Run(ctx context.Context, c Config) (_ Result, err error) {
	if c.Record == nil {
		return Result{}, errors.New("playing unsupervised flows: records are missing")
	}
	if c.Profile == nil {
		if c.Profile, err = prescription.New(prescription.Config{}); err != nil {
			return Result{}, fmt.Errorf("playing unsupervised flows: %w", err)
		}
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return Result{}, fmt.Errorf("playing unsupervised flows: %w", err)
	}
	db, err := store.Open(ctx, filepath.Join(c.Dir, "platform.db"))
	if err != nil {
		return Result{}, fmt.Errorf("playing unsupervised flows: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	node, err := openChain(ctx, filepath.Join(c.Dir, "chain"))
	if err != nil {
		return Result{}, fmt.Errorf("playing unsupervised flows: %w", err)
	}
	defer func() { err = errors.Join(err, node.close()) }()

	var all taken
	p := &platform{
		store: db, events: event.NewLog(db), profile: c.Profile, chain: node,
		pay: payment.NewSandbox(db, "http://127.0.0.1", time.Now), ended: all.add,
	}
	r, err := p.measure(ctx, c, &all)
	if err != nil {
		return Result{}, fmt.Errorf("playing unsupervised flows: %w", err)
	}
	out := Result{Steps: r.Done, StepsPerSecond: r.PerSecond(), CPUPerStep: r.CPUPer()}
	out.P50, out.P99 = all.quantile(0.5), all.quantile(0.99)
	return out, nil
}

// measure plays while somebody follows the events, as participants do.
func (p *platform) measure(ctx context.Context, c Config, all *taken) (loop.Result, error) {
	following, stop := context.WithCancel(ctx)
	followed := make(chan error, 1)
	go func() {
		followed <- p.events.Follow(following, 0, func(event.Event) error { return nil })
	}()
	r, err := loop.Run(ctx, loop.Config{
		InFlight: c.InFlight, Warm: min(c.Duration/10, 2*time.Second), Measure: c.Duration, Done: all.count,
		One: func(ctx context.Context, i int) error { return p.play(ctx, c.Record(i)) },
	})
	stop()
	if end := <-followed; !errors.Is(end, context.Canceled) {
		err = errors.Join(err, fmt.Errorf("following events: %w", end))
	}
	return r, err
}

// taken is how long each step took.
type taken struct {
	mu  sync.Mutex // guards all
	all []time.Duration
}

func (t *taken) add(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, d)
}

func (t *taken) count() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return int64(len(t.all))
}

// quantile is exact; 0 when there is nothing.
func (t *taken) quantile(q float64) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.all) == 0 {
		return 0
	}
	slices.Sort(t.all)
	return t.all[min(int(q*float64(len(t.all))), len(t.all)-1)]
}
