package fusion

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"signalbox.dev/signalbox/flow"
)

const (
	// blockTime is what the benchmark's chain takes for a batch, whatever is in it.
	blockTime = 5 * time.Millisecond
	// floods is how many submissions the other platform has under way at once.
	floods = 64
)

// BenchmarkQuietPlatform takes one platform's submissions to their decisions, one
// at a time, through a chain of constant cost, while the other platform does its
// worst (R10.2). It reports the quiet one's latency; the flood's throughput says
// that it was one.
func BenchmarkQuietPlatform(b *testing.B) {
	valid := func(b *testing.B, d *Directory, _ *running) {
		err := d.Platform(south).Submit(b.Context(), fresh(b, south))
		var wait *Refused
		switch {
		case errors.As(err, &wait):
			time.Sleep(max(wait.RetryAfter, time.Millisecond)) // as its outbox does
		case err != nil && b.Context().Err() == nil:
			b.Error(err)
		}
	}
	noise := make([]byte, sealedSize)
	garbage := func(b *testing.B, _ *Directory, n *running) {
		at := address{submissions, Route{south, rx}, flow.Register}
		if err := n.platforms[south].store(b.Context(), &nats.Msg{Subject: at.subject(), Data: noise}); !errors.Is(err, ErrMalformed) && b.Context().Err() == nil {
			b.Error(err)
		}
	}
	// Past the gate, as if a disk had spoilt them: every one goes to quarantine.
	spoilt := func(b *testing.B, _ *Directory, n *running) {
		at := address{submissions, Route{south, rx}, flow.Register}
		if _, err := n.authority.js.PublishMsg(b.Context(), &nats.Msg{Subject: at.kept(), Data: noise}); err != nil && !errors.Is(stored(err), ErrBusy) && b.Context().Err() == nil {
			b.Error(err)
		}
	}
	for _, c := range []struct {
		name  string
		rate  float64
		other func(*testing.B, *Directory, *running)
	}{
		{"alone", 0, nil},
		{"beside-valid-flood", 0, valid},
		{"beside-valid-flood-of-bounded-rate", 400, valid},
		{"beside-garbage", 0, garbage},
		{"beside-spoilt-messages", 0, spoilt},
	} {
		b.Run(c.name, func(b *testing.B) { quiet(b, c.rate, c.other) })
	}
}

func fresh(b *testing.B, platform string) flow.Submission {
	id, err := flow.NewID(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	head, err := flow.Marshal(header(platform, rx, id))
	if err != nil {
		b.Fatal(err)
	}
	return flow.Submission{Header: head, Sealed: make([]byte, sealedSize), Signature: make([]byte, 64)}
}

func quiet(b *testing.B, rate float64, other func(*testing.B, *Directory, *running)) {
	n := start(b, NodeConfig{MaxWaiting: 2000, Rate: rate, Logger: slog.New(slog.DiscardHandler)})
	d := directory(b, n)
	a := d.Authority()
	for range 2 {
		background(b, func(ctx context.Context) error {
			return a.Submissions(ctx, 256, func(ctx context.Context, batch []Delivery) []error {
				time.Sleep(blockTime)
				return every(len(batch), a.Publish(ctx, grants(batch)...))
			})
		})
	}
	decided, _ := takeDecisions(b, d, north)
	background(b, func(ctx context.Context) error {
		return d.Platform(south).Decisions(ctx, func(context.Context, flow.Decision) error { return nil })
	})
	var flood sync.WaitGroup
	stop := make(chan struct{})
	for range floods {
		if other == nil {
			break
		}
		flood.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					other(b, d, n)
				}
			}
		})
	}
	var took []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		s := fresh(b, north)
		from := time.Now()
		if err := d.Platform(north).Submit(b.Context(), s); err != nil {
			b.Fatal(err)
		}
		next(b, decided)
		took = append(took, time.Since(from))
	}
	close(stop)
	flood.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

func grants(batch []Delivery) []flow.Decision {
	var all []flow.Decision
	for _, one := range batch {
		if h, err := one.Submission.Open(); err == nil {
			all = append(all, flow.Decision{ID: h.ID, Platform: one.Platform, Business: one.Business, Verdict: flow.Granted, Receipt: make([]byte, 900)})
		}
	}
	return all
}
