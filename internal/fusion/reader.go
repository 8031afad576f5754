package fusion

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// gatherWait is how long a batch waits for messages known to be coming.
	gatherWait = time.Millisecond
	// firstRetry and lastRetry bound the pause before a message whose fn failed
	// is given out again; it doubles each time.
	firstRetry = 50 * time.Millisecond
	lastRetry  = 5 * time.Second
	// maxAhead and aheadBytes bound what one reader takes from each node ahead
	// of its fn.
	maxAhead   = 512
	aheadBytes = 32 << 20
	// closeWait bounds how long a reader waits for what is on its way to it
	// when it ends. What comes later is given out again after Redeliver.
	closeWait = 2 * time.Second
)

// source says what a reader reads, from where, and in which portions.
type source struct {
	stream   string
	consumer string
	nodes    []*Node
	link     func(*Node) *link
	batch    int // most messages to a batch
	ahead    int // most messages taken from each node ahead of need
}

// taken is a message with the node that it came from.
type taken struct {
	*nats.Msg
	node *Node
}

// reader takes messages from all nodes of its source into one channel and makes
// batches from there. It keeps alive what it holds, so that a message is given
// out again only when its reader is gone or fn failed.
type reader[T any] struct {
	source
	decode func(Route, []byte) (T, error)
	fn     func(context.Context, []T) error

	arrived chan taken
	ended   chan struct{} // closed when no more batches are made

	mu   sync.Mutex // guards held
	held map[taken]struct{}
}

// read calls fn with batches from the source until ctx ends, and gives ctx's
// error then, or ErrStopped when a node stops before. It leaves no goroutine.
func read[T any](ctx context.Context, from source, decode func(Route, []byte) (T, error), fn func(context.Context, []T) error) error {
	if from.batch < 1 {
		return fmt.Errorf("reading %s: batches of at most %d messages; want at least 1", from.stream, from.batch)
	}
	r := &reader[T]{
		source: from, decode: decode, fn: fn,
		arrived: make(chan taken, from.ahead),
		ended:   make(chan struct{}),
		held:    map[taken]struct{}{},
	}
	for _, n := range r.nodes {
		leave, err := n.enter(ctx)
		if err != nil {
			return fmt.Errorf("reading %s: %w", from.stream, err)
		}
		defer leave()
	}
	if err := r.run(ctx); err != nil {
		return fmt.Errorf("reading %s: %w", from.stream, err)
	}
	return nil
}

func (r *reader[T]) run(ctx context.Context) error {
	reading, stop := context.WithCancelCause(ctx)
	background, dismiss := context.WithCancel(context.WithoutCancel(ctx))
	var goroutines sync.WaitGroup
	var feeds []*feed
	defer func() {
		stop(nil)
		r.end(feeds)
		dismiss()
		goroutines.Wait()
	}()

	goroutines.Go(func() { r.keepAlive(background) })
	for _, n := range r.nodes {
		f, err := openFeed(n, r.link(n), r.stream, r.consumer, r.ahead, r.take)
		if err != nil {
			return err
		}
		feeds = append(feeds, f)
		goroutines.Go(func() { watch(reading, f, stop) })
	}
	for reading.Err() == nil {
		batch := r.gather(reading)
		if ctx.Err() != nil {
			r.giveBack(batch)
			break
		}
		r.handle(ctx, batch)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return context.Cause(reading)
}

// watch keeps f in order, and stops the reader when f's node stops.
func watch(ctx context.Context, f *feed, stop context.CancelCauseFunc) {
	tick := time.NewTicker(mendEvery)
	defer tick.Stop()
	for {
		select {
		case <-f.node.stopping:
			stop(fmt.Errorf("%w: %s", ErrStopped, f.node.cfg.Name))
			return
		case <-ctx.Done():
			return
		case <-tick.C:
			f.mend()
		}
	}
}

// take makes a message wait for its batch, which slows down its feed alone.
func (r *reader[T]) take(t taken) {
	r.hold(t)
	select {
	case r.arrived <- t:
	case <-r.ended:
		r.giveBack([]taken{t})
	}
}

// end gives back what has been taken and not handled.
func (r *reader[T]) end(feeds []*feed) {
	close(r.ended)
	for _, f := range feeds {
		f.close()
	}
	late := time.NewTimer(closeWait)
	defer late.Stop()
	for _, f := range feeds {
		select {
		case <-f.closed:
		case <-late.C:
		}
	}
	for {
		select {
		case t := <-r.arrived:
			r.giveBack([]taken{t})
		default:
			return
		}
	}
}

// giveBack makes the node give messages out again at once.
func (r *reader[T]) giveBack(batch []taken) {
	for _, t := range batch {
		r.settle(t, func() error { return t.Nak() })
	}
}

// gather waits for a message and makes a batch of it and what else is there,
// waiting a little when the node says that there is more to come. It gives
// nothing when ctx ends first.
func (r *reader[T]) gather(ctx context.Context) []taken {
	var batch []taken
	select {
	case t := <-r.arrived:
		batch = append(batch, t)
	case <-ctx.Done():
		return nil
	}
	var patience <-chan time.Time
	for len(batch) < r.batch {
		select {
		case t := <-r.arrived:
			batch = append(batch, t)
			continue
		default:
		}
		if m, err := batch[len(batch)-1].Metadata(); err != nil || m.NumPending == 0 {
			break
		}
		if patience == nil {
			patience = time.After(gatherWait)
		}
		select {
		case t := <-r.arrived:
			batch = append(batch, t)
		case <-patience:
			return batch
		case <-ctx.Done():
			return batch
		}
	}
	return batch
}

// handle decodes a batch, calls fn and answers the node for every message.
func (r *reader[T]) handle(ctx context.Context, batch []taken) {
	var values []T
	var good []taken
	for _, t := range batch {
		v, err := r.open(t)
		if err != nil {
			r.discard(t, err)
			continue
		}
		values, good = append(values, v), append(good, t)
	}
	if len(values) == 0 {
		return
	}
	err := r.fn(ctx, values)
	if err != nil && ctx.Err() == nil {
		good[0].node.log.Warn("messages will be given out again: whoever took them failed",
			"stream", r.stream, "messages", len(good), "error", err)
	}
	if err != nil && ctx.Err() != nil {
		r.giveBack(good)
		return
	}
	for _, t := range good {
		if err == nil {
			r.settle(t, func() error { return t.Ack() })
		} else {
			r.settle(t, func() error { return t.NakWithDelay(pause(t)) })
		}
	}
}

func (r *reader[T]) open(t taken) (T, error) {
	route, err := routeOf(t.Subject)
	if err != nil {
		var none T
		return none, err
	}
	return r.decode(route, t.Data)
}

// discard takes a message that can't be read out of its stream for good.
func (r *reader[T]) discard(t taken, reason error) {
	t.node.malformed.Add(1)
	var sequence uint64
	if m, err := t.Metadata(); err == nil {
		sequence = m.Sequence.Stream
	}
	t.node.log.Error("a stored message can't be read and is discarded",
		"stream", r.stream, "sequence", sequence, "error", reason)
	r.settle(t, func() error { return t.Term() })
}

// pause doubles with each time that a message was given out.
func pause(t taken) time.Duration {
	m, err := t.Metadata()
	if err != nil {
		return lastRetry
	}
	d := firstRetry
	for range min(m.NumDelivered-1, 16) {
		d = min(2*d, lastRetry)
	}
	return d
}

func (r *reader[T]) hold(t taken) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held[t] = struct{}{}
}

// settle answers the node for t. An answer that gets lost makes the node give
// the message out again, which at-least-once allows.
func (r *reader[T]) settle(t taken, answer func() error) {
	r.mu.Lock()
	delete(r.held, t)
	r.mu.Unlock()
	if err := answer(); err != nil {
		t.node.log.Debug("answering for a message", "stream", r.stream, "error", err)
	}
}

// keepAlive tells the nodes, well before Redeliver has passed, that what this
// reader holds is still in hand.
func (r *reader[T]) keepAlive(ctx context.Context) {
	every := r.nodes[0].cfg.Redeliver
	for _, n := range r.nodes {
		every = min(every, n.cfg.Redeliver)
	}
	tick := time.NewTicker(max(every/3, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r.mu.Lock()
		for t := range r.held {
			if err := t.InProgress(); err != nil {
				t.node.log.Debug("keeping a message in hand", "stream", r.stream, "error", err)
			}
		}
		r.mu.Unlock()
	}
}
