package comet

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

func TestWaiters(t *testing.T) {
	var all Waiters[string, int]
	a, b, other := all.Register("k"), all.Register("k"), all.Register("other")
	all.Deliver("k", 7)
	all.Deliver("nobody", 1)
	for _, w := range []*Waiter[string, int]{a, b} {
		select {
		case v := <-w.Done():
			if v != 7 {
				t.Errorf("delivered %d, want 7", v)
			}
		default:
			t.Error("nothing was delivered")
		}
	}
	select {
	case <-other.Done():
		t.Error("a waiter got another key's value")
	default:
	}
	other.Cancel()
	other.Cancel()
	a.Cancel() // after delivery
	if n := all.Len(); n != 0 {
		t.Errorf("%d waiters stay behind", n)
	}
}

func TestCancelLeavesOthersWaiting(t *testing.T) {
	var all Waiters[string, int]
	a, b := all.Register("k"), all.Register("k")
	a.Cancel()
	all.Deliver("k", 7)
	if v := <-b.Done(); v != 7 {
		t.Errorf("delivered %d, want 7", v)
	}
	// A cancelled waiter of a delivered key must not take away a newer one.
	c := all.Register("k")
	b.Cancel()
	all.Deliver("k", 8)
	if v := <-c.Done(); v != 8 {
		t.Errorf("delivered %d, want 8", v)
	}
}

func TestWaitersConcurrently(t *testing.T) {
	var all Waiters[int, int]
	var wg sync.WaitGroup
	for k := range 200 {
		w := all.Register(k)
		wg.Go(func() {
			defer w.Cancel()
			if v := <-w.Done(); v != k {
				t.Errorf("delivered %d, want %d", v, k)
			}
		})
		wg.Go(func() { all.Deliver(k, k) })
	}
	wg.Wait()
	if n := all.Len(); n != 0 {
		t.Errorf("%d waiters stay behind", n)
	}
}

func TestAwaitEndsWithContext(t *testing.T) {
	n, app, _ := open(t, t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	w := app.waiters.Register("never delivered")
	defer w.Cancel()
	if _, err := Await(ctx, n, []byte("something else"), w); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("await: %v, want the context's error", err)
	}
}

func TestAwaitEndsWithNode(t *testing.T) {
	n, app, shut := open(t, t.TempDir())
	w := app.waiters.Register("never delivered")
	defer w.Cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := Await(t.Context(), n, []byte("something else"), w)
		ended <- err
	}()
	time.Sleep(20 * time.Millisecond)
	shut()
	if err := <-ended; !errors.Is(err, ErrStopped) {
		t.Errorf("await: %v, want ErrStopped", err)
	}
}
