package fusion

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go"

	"signalbox.dev/signalbox/flow"
)

// MaxAnchors is the most anchors in one message; Anchor splits what is longer.
const MaxAnchors = 256

// decisionsAhead is how many decisions one reader takes ahead of its fn.
const decisionsAhead = 32

// PlatformSide is what one platform may do at the fusion nodes: push its own
// submissions and anchors, and read its own decisions. Safe for concurrent use.
type PlatformSide struct {
	id        string
	directory *Directory
	trials    *trials
}

// Submit pushes s to the node that serves its platform and kind of business,
// which it reads from s's header (R1.3). nil means that the node's stream has it;
// see the package's comment for how durable that is and for what repeating does.
//
// ErrMalformed, ErrNotYours and ErrNoRoute are final, and nothing reached a
// stream. ErrBusy and ErrDraining say try later; nothing reached a stream, and
// their *Refused says when. After any other error it is unknown whether the
// stream has s: submit it again.
func (p *PlatformSide) Submit(ctx context.Context, s flow.Submission) error {
	return p.Resubmit(ctx, s, 0)
}

// Resubmit is Submit for a submission that nodes took attempt times before and
// that has no decision all the same. Each attempt after the first is a message of
// its own, so that DuplicateWindow swallows a repetition of the same attempt and
// never one that is needed; that a submission counts once is the supervision
// chain's to see to. Attempt 0 is Submit.
func (p *PlatformSide) Resubmit(ctx context.Context, s flow.Submission, attempt int) error {
	h, err := s.Open()
	if err != nil {
		return fmt.Errorf("submitting: %w: %w; the platform must make the submission anew", ErrMalformed, err)
	}
	if h.Platform != p.id {
		return fmt.Errorf("submitting %s: %w: %s, not %s", h.ID, ErrNotYours, h.Platform, p.id)
	}
	id := h.ID.String()
	if attempt > 0 {
		id += "/" + strconv.Itoa(attempt)
	}
	if err := p.push(ctx, address{submissions, Route{p.id, h.Business}, h.Step}, id, s); err != nil {
		return fmt.Errorf("submitting %s: %w", h.ID, err)
	}
	return nil
}

// Anchor tells the supervision chain where granted steps of this kind of
// business stand on the business chain. Errors are those of Submit; as anchors
// may be repeated, an error says that some may be stored.
func (p *PlatformSide) Anchor(ctx context.Context, business string, list []flow.Anchor) error {
	for part := range slices.Chunk(list, MaxAnchors) {
		if err := p.push(ctx, address{kind: anchors, Route: Route{p.id, business}}, "", part); err != nil {
			return fmt.Errorf("anchoring %d records of %s: %w", len(part), business, err)
		}
	}
	return nil
}

// push brings message to the gate of its node and waits for the stream's answer.
// The gate finds the id of anchors by itself.
func (p *PlatformSide) push(ctx context.Context, to address, id string, message any) error {
	n, err := p.directory.node(to.Route)
	if err != nil {
		return err
	}
	data, err := encode(message)
	if err != nil {
		return err
	}
	leave, err := n.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	by, err := n.platformLink(p.id)
	if err != nil {
		return err
	}
	m := &nats.Msg{Subject: to.subject(), Data: data}
	if id != "" {
		m.Header = nats.Header{nats.MsgIdHdr: {id}}
	}
	return by.store(ctx, m)
}

// encode is flow.Marshal within the limit of what the other side's flow.Unmarshal takes.
func encode(message any) ([]byte, error) {
	data, err := flow.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(data) > flow.MaxMessage {
		return nil, fmt.Errorf("%w: %d bytes, over the limit of %d", ErrMalformed, len(data), flow.MaxMessage)
	}
	return data, nil
}

// Decisions calls fn for each decision to this platform, of every node that
// serves it, one after the other, in no promised order. A decision comes again,
// after a growing pause of up to 5 s, until fn gives nil for it; one that fails
// does not hold up the others. At least once: fn may see a decision twice.
//
// It blocks until ctx ends, and gives ctx's error then; ErrStopped when a node
// stops before; ErrNoRoute when no node serves the platform. Several calls
// share the decisions among them.
func (p *PlatformSide) Decisions(ctx context.Context, fn func(context.Context, flow.Decision) error) error {
	from := source{kind: decisions, batch: 1, ahead: decisionsAhead, trials: p.trials, taps: func(n *site) ([]tap, error) {
		l, err := n.platformLink(p.id)
		return tapsOf(n, l, decisions, p.id), err
	}}
	for _, n := range p.directory.nodes {
		if slices.Contains(platforms(n.routes), p.id) {
			from.nodes = append(from.nodes, n)
		}
	}
	if len(from.nodes) == 0 {
		return fmt.Errorf("reading decisions: %w: platform %s", ErrNoRoute, p.id)
	}
	return read(ctx, from, decision, func(ctx context.Context, one []flow.Decision) []error {
		return []error{fn(ctx, one[0])}
	})
}

func decision(a address, data []byte) (flow.Decision, error) {
	var d flow.Decision
	if err := flow.Unmarshal(data, &d); err != nil {
		return d, err
	}
	if d.Platform != a.Platform || d.Business != a.Business {
		return d, errors.New("the decision is for another route")
	}
	return d, nil
}
