package fusion

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/link"
)

// sealedSize is what a prescription takes, sealed, in bytes.
const sealedSize = 1500

// BenchmarkRoundTrip takes a submission to the authority and its decision back
// to the platform (R10.2), with 1 or 256 of them under way.
func BenchmarkRoundTrip(b *testing.B) {
	for _, inFlight := range []int{1, 256} {
		b.Run(fmt.Sprintf("in-flight=%d", inFlight), func(b *testing.B) {
			d := directory(b, start(b, NodeConfig{}))
			roundTrips(b, d, d, inFlight)
		})
	}
}

// BenchmarkRemoteRoundTrip is the same with authority and platform elsewhere,
// over TLS 1.3 on loopback.
func BenchmarkRemoteRoundTrip(b *testing.B) {
	p := newParties(b, envelope.GM())
	n := p.node(b, NodeConfig{})
	authority := p.settled(b, n)
	platform := sidesOf(b, p.remote(b, n, link.RolePlatform, north))
	for _, inFlight := range []int{1, 256} {
		b.Run(fmt.Sprintf("in-flight=%d", inFlight), func(b *testing.B) { roundTrips(b, authority, platform, inFlight) })
	}
}

func roundTrips(b *testing.B, authority, d *Directory, inFlight int) {
	var waiting sync.Map // submission id -> chan struct{}
	background(b, func(ctx context.Context) error { return grantAll(ctx, authority.Authority()) })
	background(b, func(ctx context.Context) error {
		return d.Platform(north).Decisions(ctx, func(_ context.Context, one flow.Decision) error {
			if done, found := waiting.LoadAndDelete(one.ID); found {
				close(done.(chan struct{}))
			}
			return nil
		})
	})
	trip := func() {
		id, err := flow.NewID(rand.Reader)
		if err != nil {
			b.Error(err)
			return
		}
		head, err := flow.Marshal(header(north, rx, id))
		if err != nil {
			b.Error(err)
			return
		}
		done := make(chan struct{})
		waiting.Store(id, done)
		s := flow.Submission{Header: head, Sealed: make([]byte, sealedSize), Signature: make([]byte, 64)}
		if err := d.Platform(north).Submit(b.Context(), s); err != nil {
			b.Error(err)
			return
		}
		<-done
	}
	b.ReportAllocs()
	if inFlight == 1 {
		for b.Loop() {
			trip()
		}
		return
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	var clients sync.WaitGroup
	b.ResetTimer()
	for range inFlight {
		clients.Go(func() {
			for left.Add(-1) >= 0 {
				trip()
			}
		})
	}
	clients.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "trips/s")
}

// grantAll is an authority that decides without looking.
func grantAll(ctx context.Context, a *AuthoritySide) error {
	return a.Submissions(ctx, 256, func(ctx context.Context, batch []Delivery) []error {
		decisions := make([]flow.Decision, 0, len(batch))
		for _, one := range batch {
			h, err := one.Submission.Open()
			if err != nil {
				return []error{err}
			}
			decisions = append(decisions, flow.Decision{ID: h.ID, Platform: one.Platform, Business: one.Business, Verdict: flow.Granted, Receipt: make([]byte, 900)})
		}
		return every(len(batch), a.Publish(ctx, decisions...))
	})
}
