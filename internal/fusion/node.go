package fusion

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"signalbox.dev/signalbox/flow"
)

// Defaults of NodeConfig, and the grace that Run gives at its end.
const (
	defaultRedeliver   = 30 * time.Second
	defaultMaxWaiting  = 65_536
	defaultMaxBytes    = 1 << 30
	defaultDecisionAge = 7 * 24 * time.Hour
	defaultTries       = 20
	stopGrace          = 5 * time.Second
)

// minBytes leaves room for a few messages of the largest size.
const minBytes = 8 * maxPayload

// Route is one kind of business of one platform, the unit that a node serves (R1.3).
type Route struct {
	Platform string // the platform's identity, by flow.CheckName
	Business string // kind of business such as "prescription", by flow.CheckName
}

// NodeConfig says what a node is. Zero values of the optional fields stand for
// the defaults given with them.
type NodeConfig struct {
	Name   string  // the node's name, by flow.CheckName
	Dir    string  // the node's own folder, made with mode 0700; one node alone may use it at a time
	Routes []Route // what the node serves; it takes nothing else (R1.3)

	Logger      *slog.Logger  // nil: no log
	Redeliver   time.Duration // how long a taken message may stay without any sign of life before it is given out again; 30 s
	MaxWaiting  int           // messages that may wait on one route (of submissions: in each step) and direction; 65,536
	MaxBytes    int64         // bytes on disk that each of a platform's four streams may take; 1 GiB
	DecisionAge time.Duration // how long a decision waits for its platform; 7 days
	Rate        float64       // messages that each platform may push in a second, in bursts of a second's worth; 0: no bound
	Tries       int           // times that a message may fail, while others go through, before it is quarantined; 20
}

// Validate says what is wrong with c, naming the field.
func (c NodeConfig) Validate() error {
	if err := flow.CheckName("name", c.Name); err != nil {
		return err
	}
	if c.Dir == "" {
		return errors.New("dir: name a folder for the node's streams")
	}
	if len(c.Routes) == 0 {
		return errors.New("routes: name at least one platform and kind of business for the node to serve")
	}
	seen := map[Route]bool{}
	for _, r := range c.Routes {
		if err := errors.Join(flow.CheckName("platform", r.Platform), flow.CheckName("business", r.Business)); err != nil {
			return fmt.Errorf("routes: %w", err)
		}
		if seen[r] {
			return fmt.Errorf("routes: %s of platform %s is named twice", r.Business, r.Platform)
		}
		seen[r] = true
	}
	switch {
	case c.Redeliver < 0 || c.MaxWaiting < 0 || c.DecisionAge < 0 || c.Rate < 0 || c.Tries < 0:
		return errors.New("redeliver, max waiting, decision age, rate, tries: not below zero")
	case c.MaxBytes != 0 && c.MaxBytes < minBytes:
		return fmt.Errorf("max bytes: want at least %d, or 0 for the default", minBytes)
	}
	return nil
}

func (c NodeConfig) withDefaults() NodeConfig {
	c.Routes = slices.Clone(c.Routes)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Redeliver == 0 {
		c.Redeliver = defaultRedeliver
	}
	if c.MaxWaiting == 0 {
		c.MaxWaiting = defaultMaxWaiting
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = defaultMaxBytes
	}
	if c.DecisionAge == 0 {
		c.DecisionAge = defaultDecisionAge
	}
	if c.Tries == 0 {
		c.Tries = defaultTries
	}
	return c
}

// Node is one fusion node. It is used through a Directory.
type Node struct {
	cfg      NodeConfig
	log      *slog.Logger
	setAside atomic.Uint64
	powers   powers

	ready    chan struct{} // closed when links may be used
	stopping chan struct{} // closed when no new call may begin

	authority *link            // written before ready is closed, read after
	platforms map[string]*link // likewise; by platform
	gates     map[string]*link // likewise

	mu    sync.Mutex // guards began, and calls against growing while Run waits for it
	began bool
	calls sync.WaitGroup // calls that use a link
}

// link is one client's connection to the node's server.
type link struct {
	conn *nats.Conn
	js   jetstream.JetStream
}

// NewNode checks cfg and starts nothing.
func NewNode(cfg NodeConfig) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring fusion node %q: %w", cfg.Name, err)
	}
	cfg = cfg.withDefaults()
	cfg.Dir = filepath.Clean(cfg.Dir)
	return &Node{
		cfg: cfg,
		log: cfg.Logger.With("node", cfg.Name),

		ready:    make(chan struct{}),
		stopping: make(chan struct{}),
	}, nil
}

// Run starts the node and blocks until ctx ends, then returns nil; any error is
// one of starting. A Node runs once: make another on the same folder to start
// again. What was taken and not acknowledged before is then given out at once.
//
// It stops in this order:
//  1. no new call begins: Submit and the like give ErrStopped, and readers
//     (Submissions, Decisions, Anchors) take nothing more;
//  2. calls under way finish, a reader's fn among them, for 5 s at most; stop
//     what reads from the node first, or at the same time, for a clean end;
//  3. connections send what they still hold, acknowledgements above all, and close;
//  4. the server closes its streams. Run returns when it has.
func (n *Node) Run(ctx context.Context) error {
	if err := n.begin(); err != nil {
		return err
	}
	srv, err := startServer(n.cfg, n.log)
	if err == nil {
		err = n.powers.read(n.cfg)
	}
	if err == nil {
		err = n.open(ctx, srv)
	}
	if err != nil {
		n.refuse()
		n.closeLinks()
		stopServer(srv)
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("starting fusion node %s: %w", n.cfg.Name, err)
	}
	close(n.ready)
	n.log.Info("fusion node is running", "routes", len(n.cfg.Routes))

	<-ctx.Done()
	n.refuse()
	n.awaitCalls(stopGrace)
	n.closeLinks()
	stopServer(srv)
	n.log.Info("fusion node has stopped")
	return nil
}

func (n *Node) begin() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.began {
		return fmt.Errorf("starting fusion node %s: it has run before; make a new one on the same folder", n.cfg.Name)
	}
	n.began = true
	return nil
}

// refuse lets no new call begin.
func (n *Node) refuse() {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.stopping)
}

// enter waits until the node runs and holds it open until the caller calls leave.
func (n *Node) enter(ctx context.Context) (leave func(), err error) {
	select {
	case <-n.ready:
	case <-n.stopping:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case <-n.stopping:
		return nil, fmt.Errorf("%w: %s", ErrStopped, n.cfg.Name)
	default:
		n.calls.Add(1)
		return n.calls.Done, nil
	}
}

func (n *Node) awaitCalls(grace time.Duration) {
	done := make(chan struct{})
	go func() {
		n.calls.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(grace):
		n.log.Warn("fusion node stops although calls are under way; their messages will be given out again", "grace", grace)
	}
}
