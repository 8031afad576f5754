package authority

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/fault"
	"signalbox.dev/signalbox/internal/fusion"
	"signalbox.dev/signalbox/profile"
)

// Fusion is the authority's side of the fusion nodes.
type Fusion interface {
	Submissions(ctx context.Context, most int, fn func(context.Context, []fusion.Delivery) []error) error
	PublishAgain(ctx context.Context, round string, decisions ...flow.Decision) error
	Anchors(ctx context.Context, most int, fn func(context.Context, []fusion.AnchorDelivery) []error) error
	Nodes() []string
	Admit(ctx context.Context, node string, list flow.SignedAdmissions) error
}

// Register is the licence register that an enrolment is checked against (R2.1):
// nil means that the licence is the named person's and valid.
type Register interface {
	CheckLicence(ctx context.Context, a flow.Application) error
}

// Config is what an authority runs with. Its keys never leave it.
type Config struct {
	Suite        envelope.Suite
	Signing      envelope.PrivateKey   // signs transactions
	Sealing      []envelope.PrivateKey // open submissions; the first is current, the others only open
	PseudonymKey []byte                // PseudonymKeySize bytes
	SubjectKey   SubjectKeyMode        // zero: hmac
	CA           []byte                // DER certificate of the authority's CA
	Profiles     []profile.Profile
	Register     Register
	InFlight     int           // submissions of one platform that are in hand at once, when it is alone; 0: 512
	Remind       time.Duration // how long a granted record may go without an anchor before its platform is reminded; 0: 1 min
	Random       io.Reader
	Clock        func() time.Time
	Logger       *slog.Logger
}

// Validate says what is missing.
func (c Config) Validate() error {
	switch {
	case c.Suite == nil:
		return errors.New("authority: suite is missing")
	case len(c.Sealing) == 0:
		return errors.New("authority: sealing key is missing")
	case len(c.Profiles) == 0:
		return errors.New("authority: no kind of business")
	case c.InFlight < 0:
		return errors.New("authority: submissions in flight: not below zero")
	case c.Register == nil || c.Random == nil || c.Clock == nil || c.Logger == nil:
		return errors.New("authority: register, randomness, clock or logger is missing")
	}
	return nil
}

// Authority is the regulator's running half. Make one with New.
type Authority struct {
	cfg      Config
	chain    *chain.Chain
	fusion   Fusion
	name     profile.Pseudonym
	profiles map[string]profile.Profile
	cpu      *turns // bounds opening and proving to the cores
	flights  singleflight.Group
	notes    chain.Notes // what it has done so far, in its node
	findings sync.Mutex  // guards the notes under noteFinding and noteFindings
}

// New prepares an authority on its node of the chain; nothing runs before Run.
func New(cfg Config, c *chain.Chain, f Fusion) (*Authority, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	name, err := pseudonyms(cfg.Suite, cfg.PseudonymKey, cfg.SubjectKey)
	if err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	if cfg.SubjectKey == SubjectKeySHA256 {
		cfg.Logger.Warn("subject keys are plain SHA-256 of id numbers: they can be found by trial", "requirement", "R1.2")
	}
	if cfg.InFlight == 0 {
		cfg.InFlight = defaultInFlight
	}
	if cfg.Remind <= 0 {
		cfg.Remind = defaultRemind
	}
	a := &Authority{
		cfg: cfg, chain: c, fusion: f, name: name, profiles: map[string]profile.Profile{}, notes: c.Notes("authority"),
		cpu: newTurns(runtime.GOMAXPROCS(0)),
	}
	for _, p := range cfg.Profiles {
		a.profiles[p.Business()] = p
	}
	return a, nil
}

const (
	defaultInFlight = 512 // submissions of one platform
	batchAnchors    = 64  // most messages of anchors that are taken from a stream at once
	consumers       = 2   // so that a batch is opened while another waits for its block
)

// Run serves until ctx ends. What it has taken and not answered goes back to
// the stream and is answered after a restart, from the chain if it got there.
func (a *Authority) Run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	serve := func(what string, f func(context.Context) error) {
		wg.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				stop(fmt.Errorf("authority: %s: %w", what, err))
			}
		})
	}
	for range consumers {
		serve("submissions", func(ctx context.Context) error {
			return a.fusion.Submissions(ctx, max(1, a.cfg.InFlight/consumers), a.serve)
		})
	}
	serve("anchors", func(ctx context.Context) error { return a.fusion.Anchors(ctx, batchAnchors, a.anchors) })
	serve("resolved holds", a.resolve)
	serve("reminders", a.remind)
	serve("deadlines", a.tick)
	serve("admissions", a.admit)
	wg.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// serve answers one batch: each submission on its own, so that one that fails
// is delivered again alone.
func (a *Authority) serve(ctx context.Context, batch []fusion.Delivery) []error {
	replies := make([]reply, len(batch))
	errs := make([]error, len(batch))
	var wg sync.WaitGroup
	for i, d := range batch {
		wg.Go(func() { replies[i], errs[i] = a.once(ctx, d) })
	}
	wg.Wait()
	err := a.reply(ctx, replies)
	if err == nil {
		return errs
	}
	// One that can't be published keeps only itself from being done with.
	alone := errors.Is(err, fusion.ErrNoRoute) || errors.Is(err, fusion.ErrMalformed)
	for i, r := range replies {
		switch {
		case r.decision == nil:
		case alone:
			errs[i] = a.reply(ctx, replies[i:i+1])
		default:
			errs[i] = err
		}
	}
	return errs
}

// publish is the fourth write of the order of writes. A round that is not empty
// makes messages of their own of decisions that were published before.
func (a *Authority) publish(ctx context.Context, round string, answers ...flow.Decision) error {
	if len(answers) == 0 {
		return nil
	}
	if err := fault.Before(fault.Answer); err != nil {
		return err
	}
	if err := a.fusion.PublishAgain(ctx, round, answers...); err != nil {
		return err
	}
	return fault.After(fault.Answer)
}
