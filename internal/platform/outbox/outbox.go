package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/uptrace/bun"
	"golang.org/x/sync/errgroup"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/event"
	"signalbox.dev/signalbox/internal/platform/sealing"
	"signalbox.dev/signalbox/internal/store"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/receipt"
)

// Transport is the platform's side of the fusion node (R1.3). Implementations
// are safe for concurrent use.
type Transport interface {
	// Resubmit pushes s, which nodes took attempt times before. When it returns
	// nil the node has it; it may still be lost, so it is pushed again until
	// decided. The same attempt twice may be stored once, a later attempt never
	// counts as a repetition; the supervision chain decides an id once.
	Resubmit(ctx context.Context, s flow.Submission, attempt int) error
	// Anchor reports where granted records stand. Repeating it is harmless.
	Anchor(ctx context.Context, business string, anchors []flow.Anchor) error
	// Decisions calls fn for each decision, at least once, and again until fn
	// gives nil. It blocks until ctx ends or the connection fails. Several calls
	// share the decisions among them.
	Decisions(ctx context.Context, fn func(context.Context, flow.Decision) error) error
}

// Handler changes a module's state when an intent ends, or is held. It runs in
// the transaction that notes the end, so exactly once for each of o.State.
type Handler func(ctx context.Context, tx bun.Tx, o Outcome) error

// Config says what an Outbox works with.
type Config struct {
	Store     *store.Store
	Events    *event.Log
	Sealer    *sealing.Sealer
	Ledger    ledger.Ledger
	Transport Transport
	Business  string           // kind of business, for anchors
	Clock     func() time.Time // nil: time.Now
	Logger    *slog.Logger     // nil: none
	Pace      Pace
}

// Pace says how much and how often. The zero value is a sensible one.
type Pace struct {
	Backlog     int           // intents that may wait for a decision or for the business chain, nine tenths of them such as begin a flow; 0: 10,000
	Workers     int           // pushes, and puts, in flight at once; 0: 128
	Retry       time.Duration // before repeating what failed, doubling; 0: 200 ms
	Resend      time.Duration // before pushing again what was pushed and not decided, doubling; 0: 5 s
	Turn        time.Duration // how much later that is for each step that waits besides; 0: 5 ms, as if 200 a second were answered
	Longest     time.Duration // between two attempts; 0: 5 min
	Poll        time.Duration // between two looks for what is due; 0: 250 ms
	AnchorEvery time.Duration // at most one batch of anchors in this time; 0: 1 s
}

// Validate says what is missing.
func (c Config) Validate() error {
	switch {
	case c.Store == nil:
		return errors.New("store: missing")
	case c.Events == nil:
		return errors.New("events: missing")
	case c.Sealer == nil:
		return errors.New("sealer: missing")
	case c.Ledger == nil:
		return errors.New("ledger: missing")
	case c.Transport == nil:
		return errors.New("transport: missing")
	}
	return flow.CheckName("business", c.Business)
}

func (p Pace) withDefaults() Pace {
	if p.Workers <= 0 {
		p.Workers = 128
	}
	if p.Backlog <= 0 {
		p.Backlog = 10_000
	}
	for _, d := range []struct {
		value *time.Duration
		usual time.Duration
	}{
		{&p.Retry, 200 * time.Millisecond},
		{&p.Resend, 5 * time.Second}, // docs/adr/0027
		{&p.Turn, 5 * time.Millisecond},
		{&p.Longest, 5 * time.Minute},
		{&p.Poll, 250 * time.Millisecond},
		{&p.AnchorEvery, time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.usual
		}
	}
	return p
}

// Outbox carries intents. Its methods are safe for concurrent use.
type Outbox struct {
	cfg      Config
	handlers map[flow.Step]Handler                     // written by Handle alone, before Run
	stray    func(context.Context, receipt.Leaf) error // written by Stray alone, before Run

	live    *live
	fresh   chan string // intended, to be pushed for the first time
	granted chan string // decided, to be stored
	anchors nudge

	mu      sync.Mutex // guards waiting
	waiting map[string][]chan struct{}
}

// New starts nothing. Register handlers with Handle, then Run.
func New(cfg Config) (*Outbox, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring outbox: %w", err)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Pace = cfg.Pace.withDefaults()
	return &Outbox{
		cfg: cfg, handlers: map[flow.Step]Handler{},
		anchors: newNudge(),
		live:    newLive(), fresh: make(chan string, maxLive), granted: make(chan string, maxLive),
		waiting: map[string][]chan struct{}{},
	}, nil
}

// Handle registers the handler of a step, before Run and once.
func (o *Outbox) Handle(step flow.Step, h Handler) { o.handlers[step] = h }

// Stray registers what is told of proven decisions to this platform on
// submissions that the database knows nothing of, before Run and once. A
// decision comes again until fn gives nil.
func (o *Outbox) Stray(fn func(context.Context, receipt.Leaf) error) { o.stray = fn }

// Run carries intents until ctx ends, and returns its error. It begins with what
// an earlier process left undone.
func (o *Outbox) Run(ctx context.Context) error {
	if err := o.resume(ctx); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return o.pusher().run(ctx) })
	g.Go(func() error { return o.keeper().run(ctx) })
	for range receivers {
		g.Go(func() error { return o.receive(ctx) })
	}
	g.Go(func() error { return o.anchor(ctx) })
	return g.Wait()
}

// resume makes everything undecided due at once.
func (o *Outbox) resume(ctx context.Context) error {
	now := o.cfg.Clock().UnixMilli()
	return o.cfg.Store.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Model((*row)(nil)).Set("next_at = ?", now).
			Where("state IN (?, ?, ?)", Pending, Held, Granted).Exec(ctx)
		return err
	})
}

func (o *Outbox) now() time.Time { return o.cfg.Clock() }

// nudge makes a loop look again. Nudges that come while it looks are one.
type nudge chan struct{}

func newNudge() nudge { return make(nudge, 1) }

func (n nudge) give() {
	select {
	case n <- struct{}{}:
	default: // one is waiting
	}
}
