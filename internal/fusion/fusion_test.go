package fusion

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"signalbox.dev/signalbox/flow"
)

// The network of most tests: two platforms, two kinds of business.
const (
	north = "platform.north"
	south = "platform-south"
	rx    = "prescription"
	lab   = "lab.report"
)

// waitLong bounds what a test waits for; no test takes that long unless it fails.
const waitLong = 20 * time.Second

// number gives the same id for the same number.
func number(n uint64) flow.ID {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, n))
	return flow.ID(sum[:16])
}

func header(platform, business string, id flow.ID) flow.Header {
	return flow.Header{
		Version: 1, Suite: "intl", Chain: "chain", Network: "network",
		Platform: platform, Business: business, Step: flow.Register, ID: id,
		Recipients: make([]flow.KeyID, 1),
		Commitment: flow.SumHash(id[:]), Record: flow.SumHash(id[:], id[:]),
	}
}

// submit makes a submission with sealed bytes of the given size.
func submissionOf(t testing.TB, platform, business string, n uint64, sealed int) flow.Submission {
	t.Helper()
	h, err := flow.Marshal(header(platform, business, number(n)))
	if err != nil {
		t.Fatal(err)
	}
	return flow.Submission{Header: h, Sealed: make([]byte, sealed), Signature: make([]byte, 64)}
}

func decisionOf(platform, business string, n uint64) flow.Decision {
	id := number(n)
	tx := flow.SumHash(id[:])
	return flow.Decision{ID: id, Platform: platform, Business: business, Flow: tx, Tx: tx, Verdict: flow.Granted, Receipt: make([]byte, 900)}
}

// running is a node that runs until stop or the test's end.
type running struct {
	*Node
	cancel context.CancelFunc
	done   chan error
}

func (r *running) stop(t testing.TB) {
	t.Helper()
	r.cancel()
	select {
	case err := <-r.done:
		if err != nil {
			t.Errorf("node %s: %v", r.cfg.Name, err)
		}
		r.done <- nil
	case <-time.After(waitLong):
		t.Errorf("node %s does not stop", r.cfg.Name)
	}
}

// readyIn is how long a node may take to start: a cluster elects leaders first.
func readyIn(cfg NodeConfig) time.Duration {
	if cfg.External != nil {
		return 6 * waitLong
	}
	return waitLong
}

// start runs a node; fields of cfg that are not set get values for tests.
func start(t testing.TB, cfg NodeConfig) *running {
	t.Helper()
	if cfg.Name == "" {
		cfg.Name = "node"
	}
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.Routes == nil {
		cfg.Routes = []Route{{north, rx}, {south, rx}}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	n, err := NewNode(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Node: n, cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- n.Run(ctx) }()
	t.Cleanup(func() { r.stop(t) })
	select {
	case <-n.Ready():
	case err := <-r.done:
		r.done <- nil
		t.Fatalf("node does not start: %v", err)
	case <-time.After(readyIn(cfg)):
		t.Fatal("node is not ready")
	}
	return r
}

func directory(t testing.TB, nodes ...*running) *Directory {
	t.Helper()
	var list []Endpoint
	for _, n := range nodes {
		list = append(list, n.Node)
	}
	d, err := NewDirectory(list...)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// background runs a reader until the test's end and checks that it ends by its context.
func background(t testing.TB, read func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- read(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-done:
				if !errors.Is(err, context.Canceled) {
					t.Errorf("reader ended with %v", err)
				}
			case <-time.After(waitLong):
				t.Error("reader does not end with its context")
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// takeSubmissions sends what the authority gets to a channel.
func takeSubmissions(t testing.TB, d *Directory) (<-chan Delivery, func()) {
	got := make(chan Delivery, 1024)
	return got, background(t, func(ctx context.Context) error {
		return d.Authority().Submissions(ctx, 64, func(_ context.Context, batch []Delivery) []error {
			for _, one := range batch {
				got <- one
			}
			return nil
		})
	})
}

func takeDecisions(t testing.TB, d *Directory, platform string) (<-chan flow.Decision, func()) {
	got := make(chan flow.Decision, 1024)
	return got, background(t, func(ctx context.Context) error {
		return d.Platform(platform).Decisions(ctx, func(_ context.Context, one flow.Decision) error {
			got <- one
			return nil
		})
	})
}

func next[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(waitLong):
		t.Fatal("nothing came")
		panic("not reached")
	}
}

// idle waits until nothing of a node's backlog is left.
func idle(t testing.TB, n *Node) {
	t.Helper()
	for end := time.Now().Add(waitLong); ; time.Sleep(5 * time.Millisecond) {
		var left uint64
		for _, b := range health(t, n).Backlog {
			left += b.Submissions + b.Decisions + b.Anchors
		}
		if left == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d messages are still there", left)
		}
	}
}

func health(t testing.TB, n *Node) Health {
	t.Helper()
	h, err := n.Health(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func idOf(t testing.TB, s flow.Submission) flow.ID {
	t.Helper()
	h, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	return h.ID
}

// every is one outcome for all messages of a batch.
func every(n int, err error) []error {
	if err == nil {
		return nil
	}
	return slices.Repeat([]error{err}, n)
}
