package fusion

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"signalbox.dev/signalbox/flow"
)

// publishWindow is how many decisions Publish has under way at once. The server
// takes 10,000 before it turns publishers away.
const publishWindow = 512

// AuthoritySide is what the authority may do at all fusion nodes: take
// submissions and anchors, and publish decisions. Safe for concurrent use.
type AuthoritySide struct {
	directory *Directory
}

// Delivery is one submission with the route that it came by. Its header can be
// opened and names that platform and kind of business; nothing else about it
// has been checked.
type Delivery struct {
	Platform   string
	Business   string
	Submission flow.Submission
}

// AnchorDelivery is what one platform anchored at once, MaxAnchors at most.
type AnchorDelivery struct {
	Platform string
	Business string
	Anchors  []flow.Anchor
}

// Submissions calls fn with batches of 1 to limit submissions, over all nodes, in
// no promised order. A batch is what is there: it waits for more, a millisecond
// or so, only when more is known to be coming. When fn gives nil the batch is
// done with. Otherwise all of it comes again after a growing pause of up to
// 5 s, in other batches perhaps, and submissions behind it go on. While fn runs
// nothing of its batch is given out again. At least once: fn may see a
// submission twice.
//
// It blocks until ctx ends, and gives ctx's error then; ErrStopped when a node
// stops before. Several calls share the submissions among them.
func (a *AuthoritySide) Submissions(ctx context.Context, limit int, fn func(context.Context, []Delivery) error) error {
	return read(ctx, a.source(submissions, limit), submission, fn)
}

// Anchors is Submissions for anchors: batches of 1 to limit deliveries, of up to
// MaxAnchors anchors each.
func (a *AuthoritySide) Anchors(ctx context.Context, limit int, fn func(context.Context, []AnchorDelivery) error) error {
	return read(ctx, a.source(anchors, limit), anchorBatch, fn)
}

func (a *AuthoritySide) source(stream string, limit int) source {
	return source{
		stream: stream, consumer: authorityConsumer,
		nodes: a.directory.nodes,
		link:  func(n *Node) *link { return n.authority },
		batch: limit, ahead: max(1, min(limit, maxAhead)),
	}
}

func submission(r Route, data []byte) (Delivery, error) {
	d := Delivery{Platform: r.Platform, Business: r.Business}
	if err := flow.Unmarshal(data, &d.Submission); err != nil {
		return d, err
	}
	h, err := d.Submission.Open()
	if err != nil {
		return d, err
	}
	if h.Platform != r.Platform || h.Business != r.Business {
		return d, errors.New("the submission is of another route")
	}
	return d, nil
}

func anchorBatch(r Route, data []byte) (AnchorDelivery, error) {
	d := AnchorDelivery{Platform: r.Platform, Business: r.Business}
	return d, flow.Unmarshal(data, &d.Anchors)
}

// Publish sends each decision to the node that serves its platform and kind of
// business. nil means that the nodes' streams have them all; a decision (by
// submission id, transaction and verdict) that was published within DuplicateWindow is
// not stored twice.
//
// ErrNoRoute or ErrMalformed (over flow.MaxMessage) means that some decisions
// can't be published, ever, and that all others are stored. After any other
// error it is unknown which are stored: publish all again.
func (a *AuthoritySide) Publish(ctx context.Context, list ...flow.Decision) error {
	return a.PublishAgain(ctx, "", list...)
}

// PublishAgain is Publish for decisions that were published before and that
// their platform lacks, as it seems: what was published under another round is no
// repetition, whatever DuplicateWindow says. Round "" is Publish.
func (a *AuthoritySide) PublishAgain(ctx context.Context, round string, list ...flow.Decision) error {
	var unfit error
	for part := range slices.Chunk(list, publishWindow) {
		err := a.publish(ctx, round, part)
		if err != nil && !final(err) {
			return fmt.Errorf("publishing decisions: %w", err)
		}
		unfit = cmp.Or(unfit, err)
	}
	if unfit != nil {
		return fmt.Errorf("publishing decisions: %w", unfit)
	}
	return nil
}

func final(err error) bool { return errors.Is(err, ErrNoRoute) || errors.Is(err, ErrMalformed) }

// publish sends them all, then waits for all.
func (a *AuthoritySide) publish(ctx context.Context, round string, list []flow.Decision) error {
	var unfit error
	var acks []jetstream.PubAckFuture
	for _, d := range list {
		ack, leave, err := a.send(ctx, round, d)
		if final(err) {
			unfit = err
			continue
		}
		if err != nil {
			return err
		}
		defer leave() // no node closes its connection before its acknowledgements are here
		acks = append(acks, ack)
	}
	for _, ack := range acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			return stored(err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return unfit
}

// send hands d to its node and does not wait for its stream.
func (a *AuthoritySide) send(ctx context.Context, round string, d flow.Decision) (ack jetstream.PubAckFuture, leave func(), err error) {
	r := Route{Platform: d.Platform, Business: d.Business}
	n, err := a.directory.node(r)
	if err != nil {
		return nil, nil, fmt.Errorf("decision on %s: %w", d.ID, err)
	}
	data, err := encode(d)
	if err != nil {
		return nil, nil, fmt.Errorf("decision on %s: %w", d.ID, err)
	}
	if leave, err = n.enter(ctx); err != nil {
		return nil, nil, err
	}
	m := &nats.Msg{Subject: subject(decisions, r), Data: data}
	id := d.ID.String() + "/" + d.Tx.String() + "/" + string(d.Verdict)
	if round != "" {
		id += "/" + round
	}
	ack, err = n.authority.js.PublishMsgAsync(m, jetstream.WithMsgID(id))
	if err != nil {
		leave()
		return nil, nil, fmt.Errorf("decision on %s: %w", d.ID, err)
	}
	return ack, leave, nil
}
