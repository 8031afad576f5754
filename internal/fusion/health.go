package fusion

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Health is how a node does.
type Health struct {
	Node     string    `json:"node"`
	Running  bool      `json:"running"`   // when false, Backlog and Waiting are empty
	SetAside uint64    `json:"set_aside"` // messages that were put into quarantine, since the node was made
	Orders   Orders    `json:"orders"`
	Backlog  []Backlog `json:"backlog"` // by route, in the order of NodeConfig.Routes
	Waiting  []Waiting `json:"waiting"` // by platform and direction, quarantine too, in order of platforms
}

// Backlog counts the messages of one route that nobody has done with yet.
type Backlog struct {
	Route
	Submissions uint64 `json:"submissions"`
	Decisions   uint64 `json:"decisions"`
	Anchors     uint64 `json:"anchors"` // messages, of up to MaxAnchors anchors
}

// Waiting is what one platform has in one direction.
type Waiting struct {
	Platform  string    `json:"platform"`
	Direction string    `json:"direction"` // submissions, anchors, decisions or quarantine
	Messages  uint64    `json:"messages"`
	Bytes     uint64    `json:"bytes"`
	Oldest    time.Time `json:"oldest,omitzero"` // when the oldest was stored; zero when there is none
}

// Health gives the node's figures. The error is one of asking a node that runs.
func (n *Node) Health(ctx context.Context) (Health, error) {
	h := Health{Node: n.cfg.Name, SetAside: n.setAside.Load(), Orders: n.powers.now()}
	select {
	case <-n.ready:
	default:
		return h, nil
	}
	leave, err := n.enter(ctx)
	if err != nil {
		return h, nil // it stops or has stopped, which Running says
	}
	defer leave()
	counts := map[address]uint64{}
	for _, p := range platforms(n.cfg.Routes) {
		for _, kind := range []string{submissions, anchors, decisions, quarantine} {
			w, err := n.waiting(ctx, kind, p, counts)
			if err != nil {
				return h, fmt.Errorf("asking fusion node %s for its backlog: %w", n.cfg.Name, err)
			}
			h.Waiting = append(h.Waiting, w)
		}
	}
	h.Running = true
	for _, r := range n.cfg.Routes {
		h.Backlog = append(h.Backlog, Backlog{
			Route:       r,
			Submissions: counts[address{kind: submissions, Route: r}],
			Decisions:   counts[address{kind: decisions, Route: r}],
			Anchors:     counts[address{kind: anchors, Route: r}],
		})
	}
	return h, nil
}

// waiting describes a stream, and adds its messages to counts, by route.
func (n *Node) waiting(ctx context.Context, kind, platform string, counts map[address]uint64) (Waiting, error) {
	s, err := n.authority.js.Stream(ctx, streamOf(kind, platform))
	if err != nil {
		return Waiting{}, err
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(">"))
	if err != nil {
		return Waiting{}, err
	}
	state := info.State
	w := Waiting{Platform: platform, Direction: kind, Messages: state.Msgs, Bytes: state.Bytes}
	if state.Msgs > 0 {
		w.Oldest = state.FirstTime
	}
	if kind == quarantine {
		return w, nil
	}
	for subject, messages := range state.Subjects {
		if a, err := addressOf(subject); err == nil {
			a.step = ""
			counts[a] += messages
		}
	}
	return w, nil
}

// Ready is closed when the node runs and may be used. Calls before that wait.
func (n *Node) Ready() <-chan struct{} { return n.ready }
