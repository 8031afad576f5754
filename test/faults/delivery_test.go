package faults

import (
	"context"
	"crypto/rand"
	"database/sql"
	"log/slog"
	mrand "math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/fault"
	"signalbox.dev/signalbox/internal/fusion"
	"signalbox.dev/signalbox/internal/party"
)

// The authority gets what the platform pushed three times more, in another
// order, and in front of it submissions that can't be answered or opened. Each
// submission is decided once, and nothing waits behind the bad ones (R1.4, R7.1).
func TestDelivery(t *testing.T) {
	needFull(t)
	c := newCluster(t)
	table := newTable(t)
	for _, k := range []struct {
		name string
		push func(context.Context, *double, []flow.Submission)
	}{
		{"duplicate and reordered delivery", func(ctx context.Context, d *double, all []flow.Submission) {
			d.again(ctx, all)
		}},
		{"poison submissions in front of good ones", func(ctx context.Context, d *double, all []flow.Submission) {
			for _, s := range all {
				d.poison(ctx, s)
			}
			d.again(ctx, all) // the good ones come behind the bad ones, whatever came before
		}},
	} {
		hold := make(chan struct{})
		c.control.every(func(m moment) func() string {
			if m.stage != before || m.point != fault.Transaction {
				return nil
			}
			return func() string {
				<-hold
				return goOn
			}
		})
		refs := c.register(t.Context(), perCase, perCase)
		d := c.double(t.Context())
		all := d.pending(t.Context(), refs)
		k.push(t.Context(), d, all)
		r := row{fault: k.name, injected: d.pushed, inFlight: len(all)}
		at := time.Now()
		c.control.quiet()
		close(hold)
		r.took = c.settle(perCase, 60*time.Second).Sub(at)
		d.leave()
		table.add(r)
	}
	c.finish(table)
}

// double is a second pair of hands of the platform, with its keys and its link.
type double struct {
	*testing.T
	side    *fusion.PlatformSide
	suite   envelope.Suite
	signing envelope.PrivateKey
	file    string // the platform's database
	pushed  int
	leave   func()
}

func (c *cluster) double(ctx context.Context) *double {
	c.Helper()
	dir := c.folder(platform_)
	log := slog.New(slog.DiscardHandler)
	a, err := party.OpenAdmitted(party.Dir(dir), "platform", filepath.Join(dir, "passphrase"), filepath.Join(dir, "admission.json"), time.Now, log)
	must(c.T, err)
	nodes, err := party.Reach(fusion.RemoteConfig{
		Name: nodeID, Addr: c.node, Routes: []fusion.Route{{Platform: platformID, Business: "prescription"}},
		Identity: a.Identity, Side: platformID, Logger: log,
	})
	must(c.T, err)
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- nodes.Layers()[0].Run(ctx) }()
	for deadline := time.Now().Add(20 * time.Second); nodes.Unready() != ""; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.Fatal(nodes.Unready())
		}
	}
	return &double{
		T: c.T, side: nodes.Directory.Platform(platformID), suite: a.Suite, signing: a.Signing,
		file: filepath.Join(dir, "platform.db"),
		leave: func() {
			stop()
			must(c.T, <-ended)
		},
	}
}

// pending reads the submissions of registrations that are on their way.
func (d *double) pending(ctx context.Context, refs []string) []flow.Submission {
	d.Helper()
	db, err := sql.Open("sqlite", "file:"+d.file+"?mode=ro")
	must(d.T, err)
	defer db.Close()
	var out []flow.Submission
	for _, ref := range refs {
		var raw []byte
		must(d.T, db.QueryRowContext(ctx, "SELECT submission FROM outbox WHERE id = ?", ref).Scan(&raw))
		var s flow.Submission
		must(d.T, flow.Unmarshal(raw, &s))
		out = append(out, s)
	}
	return out
}

// again pushes each submission three times more, as messages of their own, in a
// random order.
func (d *double) again(ctx context.Context, all []flow.Submission) {
	d.Helper()
	const times = 3
	order := mrand.Perm(times * len(all))
	for _, i := range order {
		must(d.T, d.side.Resubmit(ctx, all[i%len(all)], 1000+i/len(all)))
		d.pushed++
	}
}

// poison pushes what an authority can't answer well, made from a good submission
// under ids of its own: with another's signature, with a seal that nobody can
// open, with a seal that is none.
func (d *double) poison(ctx context.Context, s flow.Submission) {
	d.Helper()
	h, err := s.Open()
	must(d.T, err)
	for kind, spoil := range []func(*flow.Submission){
		func(s *flow.Submission) { s.Sealed = slices.Clone(s.Sealed); s.Sealed[len(s.Sealed)-1] ^= 1 },
		func(s *flow.Submission) { s.Sealed = []byte("this is no seal") },
		nil, // signed before its id was changed
	} {
		_, err := rand.Read(h.ID[:])
		must(d.T, err)
		bad := s
		bad.Header, err = flow.Marshal(h)
		must(d.T, err)
		if spoil != nil {
			spoil(&bad)
			bad.Signature, err = d.suite.Sign(rand.Reader, d.signing, bad.SigningInput())
			must(d.T, err)
		}
		if err := d.side.Submit(ctx, bad); err != nil {
			d.Fatalf("pushing poison %d: %v", kind, err)
		}
		d.pushed++
	}
}
