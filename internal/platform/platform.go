package platform

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/authorise"
	"signalbox.dev/signalbox/internal/platform/event"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/internal/platform/payment"
	"signalbox.dev/signalbox/internal/platform/process"
	"signalbox.dev/signalbox/internal/platform/reconcile"
	"signalbox.dev/signalbox/internal/platform/review"
	"signalbox.dev/signalbox/internal/platform/sealing"
	"signalbox.dev/signalbox/internal/store"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/profile"
)

// Config says what a platform is made of.
type Config struct {
	// Keys are the platform's names, keys and what it trusts. Business is taken
	// from Profile and need not be set.
	Keys      sealing.Config
	Profile   profile.Profile
	Store     *store.Store // the caller closes it, after Run
	Ledger    ledger.Ledger
	Transport outbox.Transport
	Producers process.Producers
	Prices    process.Prices // nil: every record names its prices
	Provider  payment.Provider

	Clock     func() time.Time // nil: time.Now
	Logger    *slog.Logger     // nil: none
	Pace      outbox.Pace      // the zero value is a sensible one
	Reconcile reconcile.Pace   // likewise
	Watch     time.Duration    // between two looks at open payments; 0: 5 s
}

// Validate says what is missing or unfit.
func (c Config) Validate() error {
	switch {
	case c.Profile == nil:
		return errors.New("profile: missing")
	case c.Store == nil:
		return errors.New("store: missing")
	case c.Ledger == nil:
		return errors.New("ledger: missing")
	case c.Transport == nil:
		return errors.New("transport: missing")
	case c.Producers == nil:
		return errors.New("producers: missing")
	case c.Provider == nil:
		return errors.New("payment provider: missing")
	}
	if n := c.Ledger.Capabilities().Network; n != c.Keys.Network {
		return fmt.Errorf("ledger: it is network %q, the platform's is %q", n, c.Keys.Network)
	}
	return c.keys().Validate()
}

func (c Config) keys() sealing.Config {
	k := c.Keys
	k.Business = c.Profile.Business()
	return k
}

// Platform is one platform, for one kind of business. Its methods are safe for
// concurrent use.
type Platform struct {
	Authorise *authorise.Module
	Review    *review.Module
	Process   *process.Module
	Reconcile *reconcile.Reconciler

	store  *store.Store
	events *event.Log
	outbox *outbox.Outbox
}

// New puts a platform together. It starts nothing; Run does.
func New(cfg Config) (*Platform, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring platform: %w", err)
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	keys := cfg.keys()
	var err error
	if keys.Log, err = trusted(context.Background(), cfg.Store, keys.Log); err != nil {
		return nil, fmt.Errorf("configuring platform: %w", err)
	}
	keys.Keep = keeping(cfg.Store, cfg.Clock, cfg.Logger)
	sealer, err := sealing.New(keys)
	if err != nil {
		return nil, fmt.Errorf("configuring platform: %w", err)
	}
	events := event.NewLog(cfg.Store)
	box, err := outbox.New(outbox.Config{
		Store: cfg.Store, Events: events, Sealer: sealer, Ledger: cfg.Ledger, Transport: cfg.Transport,
		Business: cfg.Profile.Business(), Clock: cfg.Clock, Logger: cfg.Logger, Pace: cfg.Pace,
	})
	if err != nil {
		return nil, fmt.Errorf("configuring platform: %w", err)
	}
	reconciler, err := reconcile.New(reconcile.Config{
		Store: cfg.Store, Outbox: box, Ledger: cfg.Ledger, Sealer: sealer, Platform: cfg.Keys.Platform,
		Clock: cfg.Clock, Logger: cfg.Logger, Pace: cfg.Reconcile,
	})
	if err != nil {
		return nil, fmt.Errorf("configuring platform: %w", err)
	}
	box.Stray(reconciler.Stray)
	return &Platform{
		Authorise: authorise.New(authorise.Config{
			Store: cfg.Store, Outbox: box, Sealer: sealer, Profile: cfg.Profile, Clock: cfg.Clock,
		}),
		Review: review.New(review.Config{
			Store: cfg.Store, Outbox: box, Sealer: sealer, Ledger: cfg.Ledger, Clock: cfg.Clock,
		}),
		Process: process.New(process.Config{
			Store: cfg.Store, Events: events, Outbox: box, Sealer: sealer, Ledger: cfg.Ledger,
			Profile: cfg.Profile, Producers: cfg.Producers, Prices: cfg.Prices, Provider: cfg.Provider,
			Clock: cfg.Clock, Logger: cfg.Logger, Watch: cfg.Watch,
		}),
		Reconcile: reconciler,

		store: cfg.Store, events: events, outbox: box,
	}, nil
}

// Run carries what was intended until ctx ends, and returns its error. It begins
// with what an earlier process left undone. When it has returned, nothing of the
// platform touches the database any more.
func (p *Platform) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.outbox.Run(ctx) })
	g.Go(func() error { return p.Process.Run(ctx) })
	g.Go(func() error { return p.Reconcile.Run(ctx) })
	return g.Wait()
}

// Wait blocks until a submission is decided for good, and on the business chain
// where it leaves a record, or is held for an officer. When ctx ends first it
// gives what is known so far, and ctx's error.
func (p *Platform) Wait(ctx context.Context, id flow.ID) (outbox.Outcome, error) {
	return p.outbox.Wait(ctx, id)
}

// Counts counts the steps that have not come to their end, and how long they wait.
func (p *Platform) Counts(ctx context.Context) (outbox.Counts, error) { return p.outbox.Counts(ctx) }

// Events calls fn for every event after the one numbered after, in order, and
// goes on with new ones until ctx ends or fn fails; it returns that error.
func (p *Platform) Events(ctx context.Context, after int64, fn func(event.Event) error) error {
	return p.events.Follow(ctx, after, fn)
}
