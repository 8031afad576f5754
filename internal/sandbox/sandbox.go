// Package sandbox plays the people of a network for demonstration and trial:
// reviewers who approve what they are shown, subjects who order and pay,
// producers who make up and deliver. Each acts through the platform's modules
// as a real one would, and with its own keys; nothing here is privileged.
//
// What to do next always follows from where a flow stands, never from memory:
// after a restart everyone goes on where the flow is.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform"
	"signalbox.dev/signalbox/internal/platform/event"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/internal/platform/review"
	"signalbox.dev/signalbox/internal/platform/sealing"
)

// Reviewer is a reviewer with what it enrols with (R2.1).
type Reviewer struct {
	ID          string
	Application flow.Application
}

// Producer is a producer with its own private key (R4.2, R7.3).
type Producer struct {
	ID  string
	Key envelope.PrivateKey
}

// Config says who takes part.
type Config struct {
	Platform  *platform.Platform
	Reviewers []Reviewer
	Producers []Producer
	Reader    sealing.Reader                             // what producers check orders with
	Pay       func(ctx context.Context, id string) error // the button behind a payment link
	Workers   int                                        // flows attended to at once; 0: 64
	Logger    *slog.Logger
}

// Validate says what is missing.
func (c Config) Validate() error {
	if c.Platform == nil || c.Pay == nil || c.Logger == nil || len(c.Reviewers) == 0 || len(c.Producers) == 0 {
		return errors.New("sandbox: platform, pay, logger, reviewers or producers missing")
	}
	return nil
}

// Sandbox plays all of them. Make one with New.
type Sandbox struct {
	cfg Config

	mu      sync.Mutex // guards what follows
	work    *sync.Cond // queue has something, or Run ends
	queue   []string
	waiting map[string]bool // to be looked at
	busy    map[string]bool // being looked at
}

// New starts nothing; Run does.
func New(cfg Config) (*Sandbox, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Workers == 0 {
		cfg.Workers = 64
	}
	s := &Sandbox{cfg: cfg, waiting: map[string]bool{}, busy: map[string]bool{}}
	s.work = sync.NewCond(&s.mu)
	return s, nil
}

// retryAfter is when a flow on which something failed is looked at again.
const retryAfter = 2 * time.Second

// Run enrols the reviewers, then attends to every flow until ctx ends.
func (s *Sandbox) Run(ctx context.Context) error {
	if err := s.enrol(ctx); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return s.cfg.Platform.Events(ctx, 0, func(e event.Event) error {
			if e.Kind != event.Submitted && e.Ref != "" {
				s.attend(e.Ref)
			}
			return nil
		})
	})
	for range s.cfg.Workers {
		g.Go(func() error { return s.serve(ctx) })
	}
	defer context.AfterFunc(ctx, s.work.Broadcast)()
	return g.Wait()
}

// attend queues a flow, once.
func (s *Sandbox) attend(ref string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting[ref] {
		return
	}
	s.waiting[ref] = true
	if !s.busy[ref] {
		s.enqueue(ref)
	}
}

// enqueue needs mu.
func (s *Sandbox) enqueue(ref string) {
	s.queue = append(s.queue, ref)
	s.work.Signal()
}

// serve looks at queued flows, no flow by two at a time.
func (s *Sandbox) serve(ctx context.Context) error {
	for {
		ref, ok := s.take(ctx)
		if !ok {
			return ctx.Err()
		}
		s.look(ctx, ref)
		s.done(ref)
	}
}

func (s *Sandbox) take(ctx context.Context) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) == 0 && ctx.Err() == nil {
		s.work.Wait()
	}
	if ctx.Err() != nil {
		return "", false
	}
	ref := s.queue[0]
	s.queue = s.queue[1:]
	s.busy[ref] = true
	delete(s.waiting, ref)
	return ref, true
}

func (s *Sandbox) done(ref string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.busy, ref)
	if s.waiting[ref] {
		s.enqueue(ref)
	}
}

func (s *Sandbox) look(ctx context.Context, ref string) {
	err := s.act(ctx, ref)
	if err == nil || ctx.Err() != nil {
		return
	}
	if errors.Is(err, outbox.ErrFull) { // whoever is told to come back later does so
		select {
		case <-ctx.Done():
		case <-time.After(retryAfter):
		}
		s.attend(ref)
		return
	}
	s.cfg.Logger.Warn("sandbox: will try again", "flow", ref, "error", err)
	time.AfterFunc(retryAfter, func() {
		if ctx.Err() == nil {
			s.attend(ref)
		}
	})
}

// enrol has every reviewer enrolled who is not active yet.
func (s *Sandbox) enrol(ctx context.Context) error {
	for _, r := range s.cfg.Reviewers {
		for {
			done, err := s.enrolOne(ctx, r)
			if err != nil {
				return fmt.Errorf("sandbox: enrolling %s: %w", r.ID, err)
			}
			if done {
				break
			}
			select { // an enrolment of before a restart is still on its way
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(enrolPoll):
			}
		}
	}
	return nil
}

const enrolPoll = 50 * time.Millisecond

// enrolOne says whether the reviewer is active now.
func (s *Sandbox) enrolOne(ctx context.Context, r Reviewer) (bool, error) {
	have, err := s.cfg.Platform.Review.Reviewers(ctx)
	if err != nil {
		return false, err
	}
	if slices.Contains(have, review.Enrolment{Reviewer: r.ID, State: "active"}) {
		return true, nil
	}
	id, err := s.cfg.Platform.Review.Enrol(ctx, review.Application{ID: r.ID, Application: r.Application})
	if errors.Is(err, outbox.ErrInFlight) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	o, err := s.cfg.Platform.Wait(ctx, id)
	if err != nil {
		return false, err
	}
	if o.Verdict != flow.Granted && !already(o.Reasons) {
		return false, fmt.Errorf("%s: %v", o.Verdict, o.Reasons)
	}
	return true, nil
}

// already says whether an enrolment was refused because it stands.
func already(reasons []flow.Reason) bool {
	return len(reasons) == 1 && reasons[0].Code == "already_enrolled"
}

// pick chooses one of n by the flow's id, the same one every time.
func pick(ref string, n int) int {
	h := fnv.New32a()
	h.Write([]byte(ref))
	return int(h.Sum32() % uint32(n))
}
