package fusion

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox.dev/signalbox/flow"
)

// R10.2: batches hold what is there, at most what was asked for.
func TestBatches(t *testing.T) {
	n := start(t, NodeConfig{})
	d := directory(t, n)
	const count, limit = 100, 40
	for i := range uint64(count) {
		if err := d.Platform(north).Submit(t.Context(), submissionOf(t, north, rx, i, 100)); err != nil {
			t.Fatal(err)
		}
	}
	var sizes []int
	got := make(chan int, count)
	background(t, func(ctx context.Context) error {
		return d.Authority().Submissions(ctx, limit, func(_ context.Context, batch []Delivery) []error {
			got <- len(batch)
			return nil
		})
	})
	for sum := 0; sum < count; {
		size := next(t, got)
		sizes, sum = append(sizes, size), sum+size
	}
	if slices.Max(sizes) > limit {
		t.Errorf("batches of %v, over the limit of %d", sizes, limit)
	}
	if len(sizes) > count/4 {
		t.Errorf("%d submissions that were all there came in %d batches: %v", count, len(sizes), sizes)
	}
	for _, limit := range []int{0, -1} {
		if err := d.Authority().Submissions(t.Context(), limit, nil); err == nil {
			t.Errorf("batches of at most %d are made", limit)
		}
	}
}

// A reader's fn ends with its context, and what it had comes again at once.
func TestReaderEndsWithItsContext(t *testing.T) {
	n := start(t, NodeConfig{Redeliver: time.Hour})
	d := directory(t, n)
	hand := make(chan struct{})
	stop := background(t, func(ctx context.Context) error {
		return d.Authority().Submissions(ctx, 1, func(ctx context.Context, _ []Delivery) []error {
			close(hand)
			<-ctx.Done()
			return []error{ctx.Err()}
		})
	})
	const count = 10
	for i := range uint64(count) {
		if err := d.Platform(north).Submit(t.Context(), submissionOf(t, north, rx, i, 100)); err != nil {
			t.Fatal(err)
		}
	}
	next(t, hand)
	stop()
	from, _ := takeSubmissions(t, d)
	for range count {
		next(t, from)
	}
}

// A node that stops ends its readers with ErrStopped, once their fn is through
// and what it took is acknowledged.
func TestReaderEndsWithItsNode(t *testing.T) {
	dir := t.TempDir()
	n := start(t, NodeConfig{Dir: dir})
	d := directory(t, n)
	hand, ended := make(chan struct{}), make(chan error, 2)
	go func() {
		ended <- d.Authority().Submissions(context.Background(), 1, func(context.Context, []Delivery) []error {
			close(hand)
			<-n.stopping
			time.Sleep(200 * time.Millisecond) // a slow end: longer than the node's own
			return nil
		})
	}()
	go func() {
		ended <- d.Platform(north).Decisions(context.Background(), func(context.Context, flow.Decision) error { return nil })
	}()
	if err := d.Platform(north).Submit(t.Context(), submissionOf(t, north, rx, 1, 100)); err != nil {
		t.Fatal(err)
	}
	next(t, hand)
	n.stop(t)
	for range 2 {
		if err := next(t, ended); !errors.Is(err, ErrStopped) {
			t.Errorf("a reader ended with %v", err)
		}
	}
	if left := health(t, start(t, NodeConfig{Dir: dir}).Node).Backlog[0].Submissions; left != 0 {
		t.Error("the node stopped before the reader's fn was through")
	}
}

// A feed whose request came to nothing asks again after a while.
func TestFeedMendsItself(t *testing.T) {
	n := start(t, NodeConfig{})
	d := directory(t, n)
	if err := d.Platform(north).Submit(t.Context(), submissionOf(t, north, rx, 1, 100)); err != nil {
		t.Fatal(err)
	}
	got := make(chan taken, 10)
	at := tapsOf(n.site, n.authority, submissions, north)[flow.Register.Code()-1]
	f, err := openFeed(tap{consumer{submissions, north, "nobody"}, n.site, n.authority}, 1, func(m taken) { got <- m })
	if err != nil {
		t.Fatal(err)
	}
	lost := func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.asked.IsZero()
	}
	for end := time.Now().Add(waitLong); !lost(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the feed does not notice that its request came to nothing")
		}
	}
	f.mu.Lock()
	f.subject = strings.Replace(f.subject, "nobody", at.name(), 1) // the consumer is there now
	f.mu.Unlock()
	f.mend()
	f.mend()
	f.mu.Lock()
	number := f.number
	f.mu.Unlock()
	if number > 3 {
		t.Errorf("%d requests; want the lost one, its replacement, and at most one that follows", number)
	}
	if err := next(t, got).Ack(); err != nil {
		t.Error(err)
	}
	f.close()
	next(t, f.closed)
}

// Requests end for good reasons, and for others after which asking at once
// would only spin.
func TestSpentRequests(t *testing.T) {
	for _, c := range []struct {
		status, description string
		want                bool
	}{
		{"408", "Request Timeout", true},
		{"409", "Message Size Exceeds MaxBytes", true},
		{"409", "Batch Completed", true},
		{"409", "Consumer Deleted", false},
		{"409", "Exceeded MaxWaiting", false},
		{"503", "", false},
	} {
		if got := spent(c.status, c.description); got != c.want {
			t.Errorf("%s %s: %v", c.status, c.description, got)
		}
	}
}
