package fusion

import (
	"context"
	"errors"
	"sync"
	"testing"

	"signalbox.dev/signalbox/flow"
)

// fill pushes submissions from first on, count of them.
func fill(t testing.TB, d *Directory, platform string, first, count uint64) {
	t.Helper()
	for i := range count {
		if err := d.Platform(platform).Submit(t.Context(), submissionOf(t, platform, rx, first+i, 100)); err != nil {
			t.Fatal(err)
		}
	}
}

// R10.2: a platform's submissions never wait for a batch of another's, and who
// floods gets less room in a batch as soon as others are there.
func TestNoPlatformWaitsForAnother(t *testing.T) {
	d := directory(t, start(t, NodeConfig{}))
	const limit = 8
	fill(t, d, north, 0, 3*limit)
	hand, release := make(chan int, 100), make(chan struct{})
	other := make(chan int, 100)
	background(t, func(ctx context.Context) error {
		return d.Authority().Submissions(ctx, limit, func(_ context.Context, batch []Delivery) []error {
			if batch[0].Platform == south {
				other <- len(batch)
				return nil
			}
			for _, one := range batch {
				if one.Platform != north {
					t.Errorf("a batch of %s holds a submission of %s", north, one.Platform)
				}
			}
			hand <- len(batch)
			<-release
			return nil
		})
	})
	next(t, hand)
	fill(t, d, south, 1000, 5*limit) // while north's batch stays in hand
	for got := 0; got < 5*limit; {
		size := next(t, other)
		if got += size; size > limit/2 {
			t.Errorf("%d submissions in a batch beside another platform's; want at most half of %d", size, limit)
		}
	}
	if len(hand) > 0 {
		t.Error("a platform has two batches in hand")
	}
	close(release)
}

// One that fails comes again alone, and those of its batch are done with.
func TestFailingSubmissionComesAgainAlone(t *testing.T) {
	n := start(t, NodeConfig{})
	d := directory(t, n)
	const count, failures = 20, 3
	fill(t, d, north, 0, count)
	var mu sync.Mutex
	tries := map[flow.ID]int{}
	background(t, func(ctx context.Context) error {
		return d.Authority().Submissions(ctx, count, func(_ context.Context, batch []Delivery) []error {
			mu.Lock()
			defer mu.Unlock()
			errs := make([]error, len(batch))
			for i, one := range batch {
				id := idOf(t, one.Submission)
				if tries[id]++; id == number(0) && tries[id] <= failures {
					errs[i] = errors.New("not this one")
				}
			}
			return errs
		})
	})
	idle(t, n.Node)
	mu.Lock()
	defer mu.Unlock()
	for i := range uint64(count) {
		want := 1
		if i == 0 {
			want = failures + 1
		}
		if tries[number(i)] != want {
			t.Errorf("submission %d was given out %d times, want %d", i, tries[number(i)], want)
		}
	}
}

// R10.2: what comes faster than the platform's rate is refused with a hint, and
// the other platform's is not.
func TestRateBound(t *testing.T) {
	n := start(t, NodeConfig{Rate: 0.001}) // a burst of one, and then nothing for long
	d := directory(t, n)
	fill(t, d, north, 0, 1)
	err := d.Platform(north).Submit(t.Context(), submissionOf(t, north, rx, 1, 100))
	var refused *Refused
	if !errors.Is(err, ErrBusy) || !errors.As(err, &refused) || refused.RetryAfter <= 0 {
		t.Errorf("a second submission at once: %v", err)
	}
	fill(t, d, south, 2, 1)
	if b := health(t, n.Node).Backlog; b[0].Submissions != 1 || b[1].Submissions != 1 {
		t.Errorf("backlog %+v", b)
	}
}

// An outage fails everything and says nothing about a message; one that fails
// while others go through is at fault itself.
func TestFailuresCountOnlyWhileOthersGoThrough(t *testing.T) {
	tr := newTrials()
	bad, good := key{"n", "s", 1}, key{"n", "s", 2}
	for i := range 100 {
		if got := tr.failed(bad); got != 1 {
			t.Fatalf("failure %d of an outage counts as number %d", i, got)
		}
	}
	for want := 2; want < 10; want++ {
		tr.succeeded(good)
		if got := tr.failed(bad); got != want {
			t.Errorf("counted %d, want %d", got, want)
		}
	}
	tr.succeeded(bad)
	if got := tr.failed(bad); got != 1 {
		t.Errorf("after it went through, a failure counts as number %d", got)
	}
	for i := range uint64(2 * maxTrials) {
		tr.failed(key{"n", "s", 10 + i})
	}
	if len(tr.counts) > maxTrials {
		t.Errorf("%d messages counted, over the bound of %d", len(tr.counts), maxTrials)
	}
}
