package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

func TestBackoffGrowsToItsLimit(t *testing.T) {
	const base, longest = 100 * time.Millisecond, 10 * time.Second
	for _, c := range []struct {
		attempt int
		about   time.Duration
	}{{0, base}, {1, base}, {2, 2 * base}, {5, 16 * base}, {8, longest}, {64, longest}, {1 << 20, longest}} {
		for range 100 {
			got := backoff(base, longest, c.attempt)
			if got < c.about*4/5 || got > c.about*6/5+1 {
				t.Fatalf("attempt %d waits %v, want about %v", c.attempt, got, c.about)
			}
		}
	}
}

// A pump keeps to its workers, never has one row twice in hand, does everything,
// and ends with its context after the work that it began.
func TestPump(t *testing.T) {
	const rows, workers = 50, 4
	var mu sync.Mutex
	done, busy, most := map[string]int{}, map[string]bool{}, 0
	all := make(chan struct{})
	p := pump{
		workers: workers, poll: time.Millisecond,
		due: func(_ context.Context, limit int) ([]string, error) {
			mu.Lock()
			defer mu.Unlock()
			var ids []string
			for i := range rows {
				if id := fmt.Sprint(i); done[id] == 0 && len(ids) < limit {
					ids = append(ids, id)
				}
			}
			return ids, nil
		},
		work: func(_ context.Context, id string, _ bool) {
			mu.Lock()
			if busy[id] {
				t.Errorf("row %s twice in hand", id)
			}
			busy[id] = true
			most = max(most, len(busy))
			mu.Unlock()
			time.Sleep(time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			delete(busy, id)
			if done[id]++; len(done) == rows {
				close(all)
			}
		},
		failed: func(err error) { t.Error(err) },
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx) }()
	<-all
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if len(busy) != 0 {
		t.Errorf("ended with %d rows in hand", len(busy))
	}
	if most > workers {
		t.Errorf("%d rows in hand at once", most)
	}
	for id, n := range done {
		if n != 1 {
			t.Errorf("row %s done %d times", id, n)
		}
	}
}

// A look that fails is told of, and tried again.
func TestPumpGoesOnAfterAFailure(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	looks, told := 0, 0
	p := pump{
		workers: 1, poll: time.Millisecond,
		due: func(context.Context, int) ([]string, error) {
			if looks++; looks < 3 {
				return nil, errors.New("no database")
			}
			cancel()
			return nil, nil
		},
		failed: func(error) { told++ },
	}
	if err := p.run(ctx); !errors.Is(err, context.Canceled) || told != 2 {
		t.Errorf("%v, told %d times", err, told)
	}
}
