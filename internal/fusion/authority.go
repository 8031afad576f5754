package fusion

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	trials    *trials
	hands     *hands // set by Remember alone, before anything is read; nil: none
}

// Remember has what is in hand noted in a folder of the process's own, before
// anything is read. A message with which the process has ended three times is
// then handed over alone, with nothing else in hand at all, once the process has
// run for a while; and when it has ended with it alone five times, the message is
// set aside in its node's quarantine. A copy of it, pushed again by its platform,
// goes there untried until the node's operator releases one. That a process ends
// for other reasons, be it every few seconds, sets nothing aside.
func (a *AuthoritySide) Remember(folder string, log *slog.Logger) (err error) {
	a.hands, err = openHands(folder, log)
	return err
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

// Submissions calls fn with batches of 1 to limit submissions, each batch of one
// platform, over all nodes, in no promised order. fn runs for several platforms
// at once, for one platform not: so no platform waits behind another's batch.
// One that is alone gets all of limit; the more platforms are about their
// business, the smaller the share of each.
//
// A batch is what is there: it waits for more, a millisecond or so, only when
// more is known to be coming. fn gives an error for each submission, in order,
// or nothing at all when it is done with every one. One that failed comes again
// after a growing pause of up to 5 s, and those behind it go on; one that keeps
// failing while others go through is set aside in the node's quarantine
// (NodeConfig.Tries). While fn runs nothing of its batch is given out again. At
// least once: fn may see a submission twice.
//
// It blocks until ctx ends, and gives ctx's error then; ErrStopped when a node
// stops before. Several calls share the submissions among them.
func (a *AuthoritySide) Submissions(ctx context.Context, limit int, fn func(context.Context, []Delivery) []error) error {
	return read(ctx, a.source(submissions, limit), submission, fn)
}

// Anchors is Submissions for anchors: batches of 1 to limit deliveries, of up to
// MaxAnchors anchors each.
func (a *AuthoritySide) Anchors(ctx context.Context, limit int, fn func(context.Context, []AnchorDelivery) []error) error {
	return read(ctx, a.source(anchors, limit), anchorBatch, fn)
}

func (a *AuthoritySide) source(kind string, limit int) source {
	taps := func(n *site) (all []tap, err error) {
		l, err := n.authorityLink()
		if err != nil {
			return nil, err
		}
		for _, p := range platforms(n.routes) {
			all = append(all, tapsOf(n, l, kind, p)...)
		}
		return all, nil
	}
	return source{
		kind: kind, nodes: a.directory.nodes, taps: taps,
		batch: limit, ahead: max(1, min(limit, maxAhead)), trials: a.trials, hands: a.hands,
	}
}

// errOtherRoute says that a message's content names another route or step than
// its subject.
var errOtherRoute = errors.New("the message names another route or step than its subject")

func submission(a address, data []byte) (Delivery, error) {
	d, _, err := openSubmission(a, data)
	return d, err
}

func openSubmission(a address, data []byte) (Delivery, flow.Header, error) {
	d := Delivery{Platform: a.Platform, Business: a.Business}
	if err := flow.Unmarshal(data, &d.Submission); err != nil {
		return d, flow.Header{}, err
	}
	h, err := d.Submission.Open()
	if err != nil {
		return d, h, err
	}
	if h.Platform != a.Platform || h.Business != a.Business || h.Step != a.step {
		return d, h, errOtherRoute
	}
	return d, h, nil
}

func anchorBatch(a address, data []byte) (AnchorDelivery, error) {
	d := AnchorDelivery{Platform: a.Platform, Business: a.Business}
	if err := flow.Unmarshal(data, &d.Anchors); err != nil {
		return d, err
	}
	if len(d.Anchors) > MaxAnchors {
		return d, fmt.Errorf("%d anchors in one message, over the limit of %d", len(d.Anchors), MaxAnchors)
	}
	return d, nil
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
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var unfit error
	var under []sent
	for _, d := range list {
		s, err := a.send(ctx, fail, round, d)
		if final(err) {
			unfit = err
			continue
		}
		if err != nil {
			return err
		}
		defer s.leave() // no node closes its connection before its acknowledgements are here
		under = append(under, s)
	}
	for _, s := range under {
		select {
		case <-s.ack.Ok():
		case err := <-s.ack.Err():
			return s.by.explain(ctx, err)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return unfit
}

// sent is a decision on its way to a node's stream.
type sent struct {
	by    *client
	ack   jetstream.PubAckFuture
	leave func()
}

// send hands d to its node and does not wait for its stream. What happens to the
// link until leave is called goes to fail.
func (a *AuthoritySide) send(ctx context.Context, fail context.CancelCauseFunc, round string, d flow.Decision) (sent, error) {
	r := Route{Platform: d.Platform, Business: d.Business}
	n, err := a.directory.node(r)
	if err != nil {
		return sent{}, fmt.Errorf("decision on %s: %w", d.ID, err)
	}
	data, err := encode(d)
	if err != nil {
		return sent{}, fmt.Errorf("decision on %s: %w", d.ID, err)
	}
	leave, err := n.enter(ctx)
	if err != nil {
		return sent{}, err
	}
	id := d.ID.String() + "/" + d.Tx.String() + "/" + string(d.Verdict)
	if round != "" {
		id += "/" + round
	}
	s, err := publishDecision(n, fail, r, data, id)
	if err != nil {
		leave()
		return sent{}, fmt.Errorf("decision on %s: %w", d.ID, err)
	}
	stop := s.leave
	s.leave = func() {
		stop()
		leave()
	}
	return s, nil
}

func publishDecision(n *site, fail context.CancelCauseFunc, r Route, data []byte, id string) (sent, error) {
	by, err := n.authorityLink()
	if err != nil {
		return sent{}, err
	}
	m := &nats.Msg{Subject: by.puts(address{kind: decisions, Route: r}.subject()), Data: data}
	stop, err := by.watch(m.Subject, fail)
	if err != nil {
		return sent{}, err
	}
	ack, err := by.js.PublishMsgAsync(m, jetstream.WithMsgID(id))
	if err != nil {
		stop()
		return sent{}, by.explain(context.Background(), err)
	}
	return sent{by, ack, stop}, nil
}
