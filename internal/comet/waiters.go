package comet

import (
	"context"
	"sync"
	"time"
)

// Waiters let callers wait for what a later block does under a key, such as a
// transaction's hash. The order that misses nothing is: Register, look whether
// it has happened already, Submit, Wait. The zero value is ready. Safe for
// concurrent use.
type Waiters[K comparable, V any] struct {
	mu      sync.Mutex
	waiting map[K]map[*Waiter[K, V]]struct{} // guarded by mu
}

// Waiter is one caller's wait. Cancel it in any case.
type Waiter[K comparable, V any] struct {
	of   *Waiters[K, V]
	key  K
	done chan V
}

// Register begins to wait for key.
func (w *Waiters[K, V]) Register(key K) *Waiter[K, V] {
	one := &Waiter[K, V]{of: w, key: key, done: make(chan V, 1)}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting == nil {
		w.waiting = make(map[K]map[*Waiter[K, V]]struct{})
	}
	if w.waiting[key] == nil {
		w.waiting[key] = make(map[*Waiter[K, V]]struct{})
	}
	w.waiting[key][one] = struct{}{}
	return one
}

// Deliver gives v to everyone who waits for key now. It never blocks.
func (w *Waiters[K, V]) Deliver(key K, v V) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.waiting[key] {
		one.done <- v // room for the only value it ever gets
	}
	delete(w.waiting, key)
}

// Len is how many wait.
func (w *Waiters[K, V]) Len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, ones := range w.waiting {
		n += len(ones)
	}
	return n
}

// Done gives the value once, when there is one.
func (w *Waiter[K, V]) Done() <-chan V { return w.done }

// Cancel ends the wait; it may be called at any time and more than once.
func (w *Waiter[K, V]) Cancel() {
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	ones := w.of.waiting[w.key]
	delete(ones, w)
	if len(ones) == 0 {
		delete(w.of.waiting, w.key)
	}
}

// resubmitAfter is when Await offers a transaction again. A transaction that
// found the mempool full at the last moment is dropped without a word, and so is
// one by other nodes that are not ready for it (see spread).
const resubmitAfter = time.Second

// Await submits tx and waits until the application delivers to w, which the
// caller registered before and cancels after. It returns the application's
// *Refusal, ErrStopped when the node stops first, or ctx's error; after the last
// two the outcome is unknown.
func Await[K comparable, V any](ctx context.Context, n *Node, tx []byte, w *Waiter[K, V]) (V, error) {
	var none V
	again := time.NewTicker(resubmitAfter)
	defer again.Stop()
	for {
		err := n.Submit(ctx, tx)
		select {
		case v := <-w.Done(): // a block may have been quicker than a second Submit's refusal
			return v, nil
		default:
		}
		if err != nil {
			return none, err
		}
		select {
		case v := <-w.Done():
			return v, nil
		case <-again.C:
		case <-n.stopped:
			return none, ErrStopped
		case <-n.failed:
			return none, ErrStopped
		case <-ctx.Done():
			return none, ctx.Err()
		}
	}
}
