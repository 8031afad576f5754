package fusion

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Health is how a node does.
type Health struct {
	Node      string
	Running   bool      // when false, Backlog is empty
	Malformed uint64    // stored messages that could not be read and were discarded, since the node was made
	Backlog   []Backlog // by route, in the order of NodeConfig.Routes
}

// Backlog counts the messages of one route that nobody has done with yet.
type Backlog struct {
	Route
	Submissions uint64
	Decisions   uint64
	Anchors     uint64 // messages, of up to MaxAnchors anchors
}

// Health gives the node's figures. The error is one of asking a node that runs.
func (n *Node) Health(ctx context.Context) (Health, error) {
	h := Health{Node: n.cfg.Name, Malformed: n.malformed.Load()}
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
	counts := map[string]uint64{}
	for _, name := range []string{submissions, decisions, anchors} {
		if err := n.count(ctx, name, counts); err != nil {
			return h, fmt.Errorf("asking fusion node %s for its backlog: %w", n.cfg.Name, err)
		}
	}
	h.Running = true
	for _, r := range n.cfg.Routes {
		h.Backlog = append(h.Backlog, Backlog{
			Route:       r,
			Submissions: counts[subject(submissions, r)],
			Decisions:   counts[subject(decisions, r)],
			Anchors:     counts[subject(anchors, r)],
		})
	}
	return h, nil
}

// count adds a stream's messages to counts, by subject.
func (n *Node) count(ctx context.Context, name string, counts map[string]uint64) error {
	s, err := n.authority.js.Stream(ctx, name)
	if err != nil {
		return err
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(prefix(name)+".>"))
	if err != nil {
		return err
	}
	for subject, messages := range info.State.Subjects {
		counts[subject] += messages
	}
	return nil
}

// Ready is closed when the node runs and may be used. Calls before that wait.
func (n *Node) Ready() <-chan struct{} { return n.ready }
