package fusion

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/link"
)

// Defaults of NodeConfig, and the grace that Run gives at its end.
const (
	defaultRedeliver   = 6 * time.Second
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
	Platform string `json:"platform"` // the platform's identity, by flow.CheckName
	Business string `json:"business"` // kind of business such as "prescription", by flow.CheckName
}

// NodeConfig says what a node is. Zero values of the optional fields stand for
// the defaults given with them.
type NodeConfig struct {
	Name   string  // the node's name, by flow.CheckName
	Dir    string  // the node's own folder, made with mode 0700; one node alone may use it at a time
	Routes []Route // what the node serves; it takes nothing else (R1.3)

	Listen   string        // host:port for parties elsewhere, port 0 for any; "": in this process only
	Identity link.Identity // needed to listen: a transport certificate for role node and this name
	Trust    Trust         // needed to listen: whose list of admissions counts

	External *External // the cluster that keeps the streams; nil: the node's own disk

	Logger      *slog.Logger  // nil: no log
	Redeliver   time.Duration // how long a taken message may stay without any sign of life before it is given out again, as when its taker was killed; 6 s
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
	if err := checkRoutes(c.Routes); err != nil {
		return err
	}
	switch {
	case c.Redeliver < 0 || c.MaxWaiting < 0 || c.DecisionAge < 0 || c.Rate < 0 || c.Tries < 0:
		return errors.New("redeliver, max waiting, decision age, rate, tries: not below zero")
	case c.MaxBytes != 0 && c.MaxBytes < minBytes:
		return fmt.Errorf("max bytes: want at least %d, or 0 for the default", minBytes)
	}
	if c.External != nil {
		if err := c.External.Validate(); err != nil {
			return err
		}
	}
	return c.validateDoor()
}

func checkRoutes(routes []Route) error {
	if len(routes) == 0 {
		return errors.New("routes: name at least one platform and kind of business for the node to serve")
	}
	seen := map[Route]bool{}
	for _, r := range routes {
		if err := errors.Join(flow.CheckName("platform", r.Platform), flow.CheckName("business", r.Business)); err != nil {
			return fmt.Errorf("routes: %w", err)
		}
		if seen[r] {
			return fmt.Errorf("routes: %s of platform %s is named twice", r.Business, r.Platform)
		}
		seen[r] = true
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
	if c.External != nil {
		e := *c.External
		if e.Replicas == 0 {
			e.Replicas = defaultReplicas
		}
		c.External = &e
	}
	if c.Tries == 0 {
		c.Tries = defaultTries
	}
	return c
}

// Node is one fusion node. It is used through a Directory.
type Node struct {
	*site
	cfg    NodeConfig
	powers powers
	door   *door

	gates map[string]*client // written before ready is closed, read after; by platform
	relay *client            // likewise; the authority's, nil when the node does not listen

	broken chan string // gets why a stream's disk could not be written
}

// NewNode checks cfg and starts nothing.
func NewNode(cfg NodeConfig) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring fusion node %q: %w", cfg.Name, err)
	}
	cfg = cfg.withDefaults()
	cfg.Dir = filepath.Clean(cfg.Dir)
	n := &Node{cfg: cfg, site: &site{
		name: cfg.Name, dir: cfg.Dir, routes: cfg.Routes, redeliver: cfg.Redeliver, tries: cfg.Tries,
		log: cfg.Logger.With("node", cfg.Name),

		ready:    make(chan struct{}),
		stopping: make(chan struct{}),
	}}
	n.broken = make(chan string, 1)
	n.door = newDoor(cfg, n.log)
	n.take = func(data []byte) error {
		if cfg.Listen == "" {
			return nil
		}
		return n.door.take(data)
	}
	return n, nil
}

// Run starts the node and blocks until ctx ends, then returns nil. An error is
// one of starting, or ErrDisk. A Node runs once: make another on the same folder to start
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
	n.door.recall()
	srv, err := startServer(n.cfg, n.door, n.log, n.broken)
	if err == nil {
		err = n.powers.read(n.cfg)
	}
	if err == nil {
		err = n.open(ctx, srv)
	}
	if err == nil {
		err = n.door.open(ctx)
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
	var watching sync.WaitGroup
	watch, stopWatching := context.WithCancel(ctx)
	if n.cfg.Listen != "" {
		watching.Go(func() { n.giveOutAgain(watch) })
	}
	n.log.Info("fusion node is running", "routes", len(n.cfg.Routes), "address", n.Addr())

	select {
	case <-ctx.Done():
	case why := <-n.broken:
		err = fmt.Errorf("running fusion node %s: %w: %s; it goes on when it is started again and there is room", n.cfg.Name, ErrDisk, why)
	}
	n.refuse()
	stopWatching()
	watching.Wait()
	n.awaitCalls(stopGrace)
	n.closeLinks()
	n.door.front.close()
	stopServer(srv)
	n.door.front.serving.Wait()
	n.log.Info("fusion node has stopped")
	return err
}
