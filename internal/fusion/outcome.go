package fusion

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// firstRetry and lastRetry bound the pause before a message whose fn failed is
// given out again; it doubles each time.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// handle deals with a batch: all of it together, but for messages with which the
// process has ended before.
func (r *reader[T]) handle(ctx context.Context, batch []taken) {
	if r.hands == nil {
		r.hand(ctx, batch)
		return
	}
	rest, alone := r.sort(ctx, batch)
	if len(rest) > 0 {
		done := r.hands.take(rest, false)
		r.hand(ctx, rest)
		done()
	}
	for _, t := range alone {
		done := r.hands.take([]taken{t}, true)
		r.hand(ctx, []taken{t})
		done()
	}
}

// sort parts what may be in hand together from what is to be alone, the least
// suspect first. What is for later or for the quarantine goes there.
func (r *reader[T]) sort(ctx context.Context, batch []taken) (rest, alone []taken) {
	marks := map[taken]mark{}
	now := time.Now()
	for _, t := range batch {
		v, m := r.hands.judge(t, now)
		marks[t] = m
		switch v {
		case together:
			rest = append(rest, t)
		case apart:
			alone = append(alone, t)
		case later:
			r.settle(t, func() error { return t.againAfter(aloneLater) })
		case aside:
			r.setAside(ctx, t, fmt.Errorf("the authority ended %d times while it had this, %d of them with nothing else in hand",
				m.Together+m.Alone, m.Alone), m.Together+m.Alone)
		}
	}
	slices.SortStableFunc(alone, func(x, y taken) int {
		return cmp.Or(cmp.Compare(marks[x].Alone, marks[y].Alone), cmp.Compare(marks[x].Together, marks[y].Together))
	})
	for len(alone) > aloneAtOnce {
		t := alone[len(alone)-1]
		alone = alone[:len(alone)-1]
		r.settle(t, func() error { return t.againAfter(aloneLater) })
	}
	return rest, alone
}

// hand decodes messages, calls fn and answers the node for every one.
func (r *reader[T]) hand(ctx context.Context, batch []taken) {
	var values []T
	var good []taken
	for _, t := range batch {
		v, err := r.open(t)
		if err != nil {
			r.setAside(ctx, t, fmt.Errorf("can't be read: %w", err), 1)
			continue
		}
		values, good = append(values, v), append(good, t)
	}
	if len(values) == 0 {
		return
	}
	errs := r.fn(ctx, values)
	var through []taken
	for i, t := range good {
		if outcome(errs, i) == nil {
			r.trials.succeeded(keyOf(t))
			r.settle(t, func() error { return t.done() })
			through = append(through, t)
		}
	}
	if r.hands != nil {
		r.hands.cleared(through)
	}
	failed := len(good) - len(through)
	if failed == 0 {
		return
	}
	if ctx.Err() == nil {
		good[0].node.log.Warn("messages will be given out again: whoever took them failed",
			"kind", r.kind, "messages", failed, "of", len(good), "error", errors.Join(errs...))
	}
	for i, t := range good {
		if err := outcome(errs, i); err != nil {
			r.fail(ctx, t, err)
		}
	}
}

// outcome is the error of message i.
func outcome(errs []error, i int) error {
	if i < len(errs) {
		return errs[i]
	}
	return nil
}

// fail lets a message come again, or sets it aside when it has failed too often.
func (r *reader[T]) fail(ctx context.Context, t taken, err error) {
	if ctx.Err() != nil { // who gives up takes nothing back
		r.giveBack([]taken{t})
		return
	}
	if n := r.trials.failed(keyOf(t)); n >= t.node.tries {
		r.setAside(ctx, t, fmt.Errorf("failed while others went through: %w", err), n)
		return
	}
	r.settle(t, func() error { return t.againAfter(pause(t)) })
}

func (r *reader[T]) open(t taken) (T, error) {
	a, err := addressOf(t.Subject)
	if err != nil {
		var none T
		return none, err
	}
	return r.decode(a, t.Data)
}

// setAside moves a message to the quarantine: first there, then out of its
// stream. When the quarantine does not take it, it comes again.
func (r *reader[T]) setAside(ctx context.Context, t taken, reason error, count int) {
	t.node.setAside.Add(1)
	k := keyOf(t)
	if err := t.quarantine(ctx, k, reason, count); err != nil {
		t.node.log.Error("a message can't be set aside and will be given out again", "kind", r.kind, "sequence", k.sequence, "error", err)
		r.settle(t, func() error { return t.againAfter(pause(t)) })
		return
	}
	t.node.log.Error("a message was set aside in the quarantine: signalbox fusion quarantine list shows it",
		"kind", r.kind, "stream", k.stream, "sequence", k.sequence, "error", reason)
	r.trials.forget(k)
	r.settle(t, func() error { return t.done() })
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

// key is which message it is, of all nodes.
type key struct {
	node     string
	stream   string
	sequence uint64
}

func keyOf(t taken) key {
	k := key{node: t.node.name}
	if m, err := t.Metadata(); err == nil {
		k.stream, k.sequence = m.Stream, m.Sequence.Stream
	}
	return k
}

// maxTrials bounds how many failing messages are counted at once.
const maxTrials = 65_536

// trials counts how often messages failed, for telling one that will always
// fail from an outage in which everything does: a failure counts only when
// something else went through since the message's last. Counts begin anew when
// their side of the node starts anew.
type trials struct {
	mu      sync.Mutex // guards what follows
	success uint64     // messages that went through
	counts  map[key]trial
}

type trial struct {
	failures int
	success  uint64 // trials.success at the last failure that counted
}

func newTrials() *trials { return &trials{counts: map[key]trial{}} }

func (t *trials) succeeded(k key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.success++
	delete(t.counts, k)
}

func (t *trials) forget(k key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.counts, k)
}

// failed counts a failure and gives how many there were.
func (t *trials) failed(k key) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, known := t.counts[k]
	if !known && len(t.counts) >= maxTrials {
		return 1 // an outage: nothing would be learnt
	}
	if !known || t.success > c.success {
		c = trial{c.failures + 1, t.success}
		t.counts[k] = c
	}
	return c.failures
}
