package fusion

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/durable"
)

// ErrNoPower says that an operator's order does not fit: it names what the node
// doesn't serve, or ends what never began.
var ErrNoPower = errors.New("the order does not fit this node")

// Scope is what an operator's order is about. The empty scope is everything.
type Scope struct {
	Platform string    `json:"platform,omitempty"` // "": every platform
	Step     flow.Step `json:"step,omitempty"`     // "": every step, and anchors
}

func (s Scope) String() string {
	text := "every platform"
	if s.Platform != "" {
		text = "platform " + s.Platform
	}
	if s.Step != "" {
		text += ", step " + string(s.Step)
	}
	return text
}

// Orders are what an operator has ordered and not ended: they survive the
// node's restart.
type Orders struct {
	Paused   []Scope  `json:"paused"`   // nothing of it is given to the authority
	Draining []string `json:"draining"` // platforms whose new submissions are refused; "": every platform's
}

func (o Orders) clone() Orders {
	return Orders{Paused: slices.Clone(o.Paused), Draining: slices.Clone(o.Draining)}
}

// holds says whether a consumer is paused.
func (o Orders) holds(c consumer) bool {
	if c.kind == decisions {
		return false
	}
	return slices.ContainsFunc(o.Paused, func(s Scope) bool {
		return (s.Platform == "" || s.Platform == c.platform) && (s.Step == "" || s.Step == c.step)
	})
}

// powers are a node's standing orders and their file.
type powers struct {
	ordering sync.Mutex // one order at a time, from file to consumers

	mu     sync.RWMutex // guards orders
	orders Orders
}

// powersFile is in the node's folder.
func powersFile(dir string) string { return filepath.Join(dir, "orders.json") }

// read takes the orders of the node's last run. A file that can't be read is an
// error: a node that forgets a pause would let pass what was stopped.
func (p *powers) read(cfg NodeConfig) error {
	data, err := os.ReadFile(powersFile(cfg.Dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var o Orders
	if err == nil {
		err = json.Unmarshal(data, &o)
	}
	if err != nil {
		return fmt.Errorf("reading the operator's orders: %w: mend %s, or delete it to end all pauses and drains", err, powersFile(cfg.Dir))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.orders = o
	return nil
}

func (p *powers) now() Orders {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.orders.clone()
}

func (p *powers) draining(platform string) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return slices.Contains(p.orders.Draining, platform) || slices.Contains(p.orders.Draining, "")
}

// keep makes the orders durable, and then those that count.
func (p *powers) keep(dir string, o Orders) error {
	data, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.WriteFile(powersFile(dir), data); err != nil {
		return fmt.Errorf("keeping the order: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.orders = o
	return nil
}

// Pause makes what it names wait: new submissions are still taken, as far as
// there is room, and nothing is given to the authority. What the authority has
// taken already, it finishes. A pause of a platform, or of all, holds its
// anchors too. Decisions always go on.
func (n *Node) Pause(ctx context.Context, s Scope) error {
	return n.order(ctx, "pausing", s, func(o *Orders) error {
		if !slices.Contains(o.Paused, s) {
			o.Paused = append(o.Paused, s)
		}
		return nil
	})
}

// Resume ends exactly the pause of s, and the drain of its platform when s names
// no step. ErrNoPower when there is neither.
func (n *Node) Resume(ctx context.Context, s Scope) error {
	return n.order(ctx, "resuming", s, func(o *Orders) error {
		before := len(o.Paused) + len(o.Draining)
		o.Paused = slices.DeleteFunc(o.Paused, func(p Scope) bool { return p == s })
		if s.Step == "" {
			o.Draining = slices.DeleteFunc(o.Draining, func(p string) bool { return p == s.Platform })
		}
		if len(o.Paused)+len(o.Draining) == before {
			return fmt.Errorf("%w: nothing was ordered for exactly %s", ErrNoPower, s)
		}
		return nil
	})
}

// Drain refuses a platform's new submissions with ErrDraining ("": every
// platform's), and lets what waits be worked off. Anchors are still taken: they
// belong to steps that were granted.
func (n *Node) Drain(ctx context.Context, platform string) error {
	return n.order(ctx, "draining", Scope{Platform: platform}, func(o *Orders) error {
		if !slices.Contains(o.Draining, platform) {
			o.Draining = append(o.Draining, platform)
		}
		return nil
	})
}

// order changes the orders, on disk first, and then what the consumers do.
func (n *Node) order(ctx context.Context, doing string, s Scope, change func(*Orders) error) error {
	leave, err := n.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if s.Platform != "" && !slices.Contains(platforms(n.cfg.Routes), s.Platform) {
		return fmt.Errorf("%s %s: %w: it serves no such platform", doing, s, ErrNoPower)
	}
	if s.Step != "" && !s.Step.Known() {
		return fmt.Errorf("%s %s: %w: there is no such step", doing, s, ErrNoPower)
	}
	n.powers.ordering.Lock()
	defer n.powers.ordering.Unlock()
	o := n.powers.now()
	if err := change(&o); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if err := n.powers.keep(n.cfg.Dir, o); err != nil {
		return fmt.Errorf("%s %s: %w", doing, s, err)
	}
	n.log.Info("operator's order", "order", doing, "platform", s.Platform, "step", s.Step)
	if err := n.applyPowers(ctx); err != nil {
		return fmt.Errorf("%s %s: %w; the order stands and counts from the node's next start at the latest", doing, s, err)
	}
	return nil
}

const (
	// pausedFor is longer than any node runs: a pause ends by an order.
	pausedFor = 100 * 365 * 24 * time.Hour
	// resumeIn lets a pause run out instead of taking it away: server v2.15.2
	// wakes a consumer for the first and forgets to for the second, and what
	// waits would go on waiting for the next request.
	resumeIn = 250 * time.Millisecond
)

// applyPowers makes the consumers do what the orders say.
func (n *Node) applyPowers(ctx context.Context) error {
	o := n.powers.now()
	js := n.authority.js
	for _, p := range platforms(n.cfg.Routes) {
		for _, c := range consumers(p) {
			at, err := js.Consumer(ctx, c.stream(), c.name())
			if err != nil {
				return fmt.Errorf("finding the readers of %s: %w", c.stream(), err)
			}
			paused := at.CachedInfo().Paused
			switch hold := o.holds(c); {
			case hold && !paused:
				_, err = js.PauseConsumer(ctx, c.stream(), c.name(), time.Now().Add(pausedFor))
			case !hold && paused:
				_, err = js.PauseConsumer(ctx, c.stream(), c.name(), time.Now().Add(resumeIn))
			}
			if err != nil {
				return fmt.Errorf("pausing or resuming the readers of %s: %w", c.stream(), err)
			}
		}
	}
	return nil
}
