package outbox

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// pump does work on what is due, on several rows at once and never twice at once
// on one.
type pump struct {
	workers int
	poll    time.Duration
	offered chan string                                            // ids to work on that are not due yet
	due     func(ctx context.Context, limit int) ([]string, error) // ids, longest due first
	work    func(ctx context.Context, id string, offered bool)
	failed  func(error) // told when due fails
}

// run ends with ctx, after the work that it began.
func (p pump) run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	busy := map[string]bool{}
	done := make(chan string, p.workers)
	start := func(id string, offered bool) {
		if busy[id] {
			return
		}
		busy[id] = true
		wg.Go(func() {
			p.work(ctx, id, offered)
			done <- id
		})
	}
	tick := time.NewTicker(p.poll)
	defer tick.Stop()
	for look, more := true, false; ; {
		if look {
			look, more = false, p.begin(ctx, busy, start)
		}
		offered := p.offered
		if len(busy) >= p.workers {
			offered = nil // they wait for a worker
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case id := <-done:
			delete(busy, id)
			look = more
		case id := <-offered:
			start(id, true)
		case <-tick.C:
			look = true
		}
	}
}

// begin starts work on what is due, and says whether some had to wait for a
// worker.
func (p pump) begin(ctx context.Context, busy map[string]bool, start func(string, bool)) (more bool) {
	// Rows at work are still due, so they take room in the answer.
	ids, err := p.due(ctx, p.workers+len(busy))
	if err != nil && ctx.Err() == nil {
		p.failed(err)
	}
	for _, id := range ids {
		if busy[id] {
			continue
		}
		if len(busy) >= p.workers {
			return true
		}
		start(id, false)
	}
	return false
}

// backoff is base doubled for every attempt after the first, at most longest,
// give or take a fifth, so that many do not come back at once.
func backoff(base, longest time.Duration, attempt int) time.Duration {
	d := longest
	if shift := max(attempt-1, 0); shift < 20 && base<<shift < longest {
		d = base << shift
	}
	return d*4/5 + rand.N(d*2/5+1)
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
