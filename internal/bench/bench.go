package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"signalbox.dev/signalbox/internal/platform"
	"signalbox.dev/signalbox/internal/platform/authorise"
	"signalbox.dev/signalbox/internal/platform/event"
	"signalbox.dev/signalbox/internal/system"
	"signalbox.dev/signalbox/profile/prescription/samples"
)

// Prescription is the one kind of business that an all-in-one system has.
const Prescription = "prescription"

// Config says what to measure.
type Config struct {
	Dir      string        // data directory of the system; made when it is new
	Scratch  string        // an empty directory for what is measured beside it, on the same disk
	Suite    string        // "gm" or "intl"
	Profile  string        // kind of business: Prescription
	WarmUp   time.Duration // before measuring
	Duration time.Duration // of measuring; what is measured beside takes a fifth of it each
	InFlight int           // closed loop: flows at once
	OpenLoop float64       // open loop: steps that are due a second; 0: closed loop
	Drain    time.Duration // flows are lost when nothing has happened for so long afterwards; 0: 30 s
	Beside   Beside
	Progress func(Progress) // called by one goroutine; nil: nobody
	Logger   *slog.Logger   // nil: none
}

// Beside are measured after the system was stopped; those that are nil are not.
type Beside struct {
	// Floor gives the processor time of one step's cryptography alone, where so many
	// blocks of both chains and so many checkpoints fall to a step.
	Floor func(ctx context.Context, suite string, blocks, checkpoints float64, d time.Duration) (time.Duration, error)
	// Baseline measures the same flows on a business chain without supervision.
	Baseline func(ctx context.Context, dir string, inFlight int, d time.Duration, record func(int) []byte) (Baseline, error)
	// Engine gives the transactions a second of as many bytes, through consensus alone.
	Engine func(ctx context.Context, dir string, bytes, inFlight int, d time.Duration) (float64, error)
}

// Baseline is what the same flows cost without supervision.
type Baseline struct {
	StepsPerSecond  float64
	CPUPerStep, P50 time.Duration
}

// Validate says what is missing or unfit.
func (c Config) Validate() error {
	switch {
	case c.Dir == "" || c.Scratch == "":
		return errors.New("bench: Dir or Scratch is missing")
	case c.Profile != Prescription:
		return fmt.Errorf("bench: there is no profile %q; there is %s", c.Profile, Prescription)
	case c.Duration <= 0 || c.WarmUp < 0 || c.Drain < 0:
		return errors.New("bench: durations: above zero, and nothing below")
	case c.OpenLoop < 0 || c.OpenLoop == 0 && c.InFlight < 1:
		return errors.New("bench: flows in flight, or the open loop's rate: above zero")
	}
	return nil
}

// Phase is what a run is about.
type Phase string

// The phases, in their order.
const (
	Opening   Phase = "opening"
	WarmingUp Phase = "warming up"
	Measuring Phase = "measuring"
	Draining  Phase = "draining"
	Beneath   Phase = "floor"
	Without   Phase = "baseline"
	Alone     Phase = "engine"
)

// Progress is how far a run is.
type Progress struct {
	Phase    Phase
	For      time.Duration // since the phase began
	Of       time.Duration // that it takes; 0: unknown
	Steps    int64         // done since the beginning
	InFlight int64         // flows
}

const (
	defaultDrain = 30 * time.Second
	firstFlow    = 2 * time.Minute // that it may take: people enrol before it
	tick         = 5 * time.Second // between two words about progress
	sampled      = 60              // decisions whose size is looked at
)

// Run measures. Nothing of the system runs any more when it returns. A flow that
// failed is no error of Run but counted.
func Run(ctx context.Context, cfg Config) (Result, error) {
	if err := cfg.Validate(); err != nil {
		return Result{}, err
	}
	if cfg.Drain == 0 {
		cfg.Drain = defaultDrain
	}
	if cfg.Progress == nil {
		cfg.Progress = func(Progress) {}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	r := &run{cfg: cfg, tracker: newTracker()}
	if err := r.supervised(ctx); err != nil {
		return Result{}, fmt.Errorf("measuring: %w", err)
	}
	if err := r.beside(ctx); err != nil {
		return Result{}, fmt.Errorf("measuring beside: %w", err)
	}
	return r.result, nil
}

// run is one measurement.
type run struct {
	cfg     Config
	tracker *tracker
	record  func(int) []byte
	blocks  func() blocks // of both chains
	result  Result
}

// supervised opens a system, measures it and stops it again.
func (r *run) supervised(ctx context.Context) (err error) {
	r.phase(Opening, 0)
	// Numbers of records are new in a directory that was used before, too.
	if r.record, err = samples.Series("B" + strconv.FormatInt(time.Now().Unix(), 36) + "-"); err != nil {
		return err
	}
	s, err := system.Open(ctx, system.Config{Dir: r.cfg.Dir, Suite: r.cfg.Suite, BaseURL: "http://127.0.0.1", Logger: r.cfg.Logger})
	if err != nil {
		return err
	}
	if r.result.Machine, err = machine(r.cfg.Dir); err != nil {
		return errors.Join(err, s.Close())
	}
	r.blocks = func() blocks { return blocks{s.Chain.Size(), s.Chain.Height(), s.Ledger.Height()} }
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(running) }()
	measured := make(chan error, 1)
	go func() { measured <- r.measure(running, s) }()
	select {
	case err = <-measured:
		stop()
		return errors.Join(err, <-ended)
	case err = <-ended:
		stop()
		return errors.Join(errors.New("the system ended early"), err, <-measured)
	}
}

// measure has flows come in, and looks at what they cost meanwhile.
func (r *run) measure(ctx context.Context, s *system.System) error {
	select {
	case <-s.Ready():
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	told := make(chan error, 1)
	go func() {
		told <- s.Platform.Events(ctx, 0, func(e event.Event) error {
			r.tracker.saw(e, time.Now())
			return nil
		})
	}()
	l := &load{
		clock: wallClock(), target: modules{s.Platform}, record: r.record, tracker: r.tracker, inFlight: r.cfg.InFlight,
		rate: r.cfg.OpenLoop / float64(len(Steps())),
	}
	if err := r.first(ctx, l); err != nil {
		return err
	}
	from, to, err := r.window(ctx, l)
	if err != nil {
		return err
	}
	source := s.Chain.Source()
	if r.result.EngineBytes, err = transactionBytes(source, sampled); err != nil {
		return err
	}
	if r.result.Checkpoints, err = checkpoints(source, from.decisions, to.decisions); err != nil {
		return err
	}
	r.result.SupervisionBlocks, r.result.BusinessBlocks = to.supervision-from.supervision, to.business-from.business
	stop()
	if err := <-told; !errors.Is(err, context.Canceled) {
		return fmt.Errorf("following the flows: %w", err)
	}
	return nil
}

// first plays one flow to its end: the people have enrolled then, and the events
// of before are read.
func (r *run) first(ctx context.Context, l *load) error {
	ctx, stop := context.WithTimeout(ctx, firstFlow)
	defer stop()
	l.one(ctx, time.Now(), true)
	if c := r.tracker.tally(); c.Ended != 1 || c.Stuck > 0 {
		return fmt.Errorf("the first flow did not come to its end within %s (%d of %d steps done)", firstFlow, c.Steps, len(Steps()))
	}
	return nil
}

// beside measures what the system is compared with.
func (r *run) beside(ctx context.Context) error {
	short := r.cfg.Duration / 5
	var floor *time.Duration
	var base *Baseline
	var engine *float64
	if f := r.cfg.Beside.Floor; f != nil {
		r.phase(Beneath, short)
		steps := float64(max(r.result.Steps, 1))
		blocks := float64(r.result.SupervisionBlocks+r.result.BusinessBlocks) / steps
		d, err := f(ctx, r.cfg.Suite, blocks, float64(r.result.Checkpoints)/steps, short)
		if err != nil {
			return fmt.Errorf("the cryptography alone: %w", err)
		}
		floor = &d
	}
	inFlight := max(r.cfg.InFlight, 1) // the open loop may have none
	if f := r.cfg.Beside.Baseline; f != nil {
		r.phase(Without, short)
		b, err := f(ctx, r.cfg.Scratch, inFlight, short, r.record)
		if err != nil {
			return fmt.Errorf("without supervision: %w", err)
		}
		base = &b
	}
	if f := r.cfg.Beside.Engine; f != nil {
		r.phase(Alone, short)
		e, err := f(ctx, r.cfg.Scratch, r.result.EngineBytes, inFlight, short)
		if err != nil {
			return fmt.Errorf("consensus alone: %w", err)
		}
		engine = &e
	}
	r.result.beside(floor, base, engine)
	return nil
}

func (r *run) phase(p Phase, of time.Duration) { r.tell(p, 0, of) }

func (r *run) tell(p Phase, since, of time.Duration) {
	c := r.tracker.tally()
	r.cfg.Progress(Progress{Phase: p, For: since, Of: of, Steps: c.Steps, InFlight: c.Begun - c.Ended})
}

// wait lets time pass, and tells of it.
func (r *run) wait(ctx context.Context, p Phase, d time.Duration) error {
	begun := time.Now()
	for since := time.Duration(0); since < d; since = time.Since(begun) {
		r.tell(p, since.Round(time.Second), d)
		if err := sleep(ctx, min(tick, d-since)); err != nil {
			return err
		}
	}
	return nil
}

// modules is a platform where its own programs call it.
type modules struct{ *platform.Platform }

// Register implements target.
func (m modules) Register(ctx context.Context, record []byte) (string, error) {
	r, err := m.Authorise.Register(ctx, authorise.Input{Data: record})
	return r.Ref.String(), err
}
