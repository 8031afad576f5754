package fusion

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// maxAhead and aheadBytes bound what one reader takes from each consumer
	// ahead of its fn.
	maxAhead   = 512
	aheadBytes = 4 * maxPayload
	// closeWait bounds how long a reader waits for what is on its way to it
	// when it ends. What comes later is given out again after Redeliver.
	closeWait = 2 * time.Second
)

// source says what a reader reads, from where, and in which portions.
type source struct {
	kind   string // submissions, anchors or decisions
	nodes  []*site
	taps   func(*site) ([]tap, error) // asked once the node is entered
	batch  int                        // most messages to a batch
	ahead  int                        // most messages taken from each consumer ahead of need
	trials *trials                    // shared by all readers of one side
	hands  *hands                     // likewise; nil: what is in hand is not noted
}

// tap is one consumer at one node, by the connection that reads it.
type tap struct {
	consumer
	node *site
	link *client
}

// tapsOf are the taps of a kind for one platform at one node.
func tapsOf(n *site, l *client, kind, platform string) []tap {
	var all []tap
	for _, c := range consumersOf(kind, platform) {
		all = append(all, tap{consumer: c, node: n, link: l})
	}
	return all
}

// taken is a message with the node that it came from.
type taken struct {
	*nats.Msg
	node *site
	link *client
}

// reader takes messages from all taps of its source, each platform's into a
// lane of its own, and makes batches from there. It keeps alive what it holds,
// so that a message is given out again only when its reader is gone or fn failed.
type reader[T any] struct {
	source
	decode func(address, []byte) (T, error)
	fn     func(context.Context, []T) []error

	all   []tap
	lanes map[string]*lane
	ended chan struct{} // closed when no more batches are made

	mu   sync.Mutex // guards held
	held map[taken]struct{}
}

// read calls fn with batches from the source until ctx ends, and gives ctx's
// error then, or ErrStopped when a node stops before. It leaves no goroutine.
// fn runs for several platforms at once, for one platform never.
//
// fn gives an error for each message of its batch, in order, or nothing when all
// are done with.
func read[T any](ctx context.Context, from source, decode func(address, []byte) (T, error), fn func(context.Context, []T) []error) error {
	if from.batch < 1 {
		return fmt.Errorf("reading %s: batches of at most %d messages; want at least 1", from.kind, from.batch)
	}
	r := &reader[T]{
		source: from, decode: decode, fn: fn,
		lanes: map[string]*lane{},
		ended: make(chan struct{}),
		held:  map[taken]struct{}{},
	}
	for _, n := range r.nodes {
		leave, err := n.enter(ctx)
		if err != nil {
			return fmt.Errorf("reading %s: %w", from.kind, err)
		}
		defer leave()
		taps, err := r.taps(n)
		if err != nil {
			return fmt.Errorf("reading %s: %w", from.kind, err)
		}
		r.all = append(r.all, taps...)
	}
	for _, t := range r.all {
		if r.lanes[t.platform] == nil {
			r.lanes[t.platform] = newLane(r.ahead)
		}
	}
	if err := r.run(ctx); err != nil {
		return fmt.Errorf("reading %s: %w", from.kind, err)
	}
	return nil
}

func (r *reader[T]) run(ctx context.Context) error {
	reading, stop := context.WithCancelCause(ctx)
	background, dismiss := context.WithCancel(context.WithoutCancel(ctx))
	var goroutines, handling sync.WaitGroup
	var feeds []*feed
	defer func() {
		stop(nil)
		handling.Wait()
		r.end(feeds)
		dismiss()
		goroutines.Wait()
	}()

	goroutines.Go(func() { r.keepAlive(background) })
	for _, t := range r.all {
		f, err := openFeed(t, r.ahead, func(m taken) { r.take(t.platform, m) })
		if err != nil {
			return err
		}
		feeds = append(feeds, f)
	}
	for _, n := range r.nodes {
		goroutines.Go(func() { watch(reading, n, feeds, stop) })
	}
	for _, l := range r.lanes {
		handling.Go(func() { r.serve(ctx, reading, l) })
	}
	handling.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return context.Cause(reading)
}

// watch keeps the node's feeds in order, and stops the reader when the node stops.
func watch(ctx context.Context, n *site, feeds []*feed, stop context.CancelCauseFunc) {
	tick := time.NewTicker(mendEvery)
	defer tick.Stop()
	for {
		select {
		case <-n.stopping:
			stop(fmt.Errorf("%w: %s", ErrStopped, n.name))
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, f := range feeds {
			if f.node == n {
				f.mend()
			}
		}
	}
}

// serve makes and handles one lane's batches, one after the other.
func (r *reader[T]) serve(ctx, reading context.Context, l *lane) {
	for reading.Err() == nil {
		batch := l.gather(reading, r.share)
		if ctx.Err() != nil {
			r.giveBack(batch)
			return
		}
		r.handle(ctx, batch)
		l.rest()
	}
}

// share is how many messages a lane may put into its next batch: all of them
// when it is alone, and the less the more others are about their business, so
// that none fills the room that they share.
func (r *reader[T]) share() int {
	busy := 0
	now := time.Now()
	for _, l := range r.lanes {
		if l.busy(now) {
			busy++
		}
	}
	return max(1, r.batch/max(1, busy))
}

// take makes a message wait for its batch, which slows down its feed alone.
func (r *reader[T]) take(platform string, t taken) {
	r.hold(t)
	select {
	case r.lanes[platform].arrived <- t:
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
	late, tooLate := context.WithTimeout(context.Background(), closeWait)
	defer tooLate()
	for _, f := range feeds {
		select {
		case <-f.closed:
		case <-late.Done():
		}
	}
	for _, l := range r.lanes {
		r.giveBack(l.left())
	}
}

// giveBack makes the node give messages out again at once.
func (r *reader[T]) giveBack(batch []taken) {
	for _, t := range batch {
		r.settle(t, func() error { return t.again() })
	}
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
		t.node.log.Debug("answering for a message", "kind", r.kind, "error", err)
	}
}

// keepAlive tells the nodes, well before Redeliver has passed, that what this
// reader holds is still in hand.
func (r *reader[T]) keepAlive(ctx context.Context) {
	every := defaultRedeliver
	for _, n := range r.nodes {
		every = min(every, n.redeliver)
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
			if err := t.inHand(); err != nil {
				t.node.log.Debug("keeping a message in hand", "kind", r.kind, "error", err)
			}
		}
		r.mu.Unlock()
	}
}
