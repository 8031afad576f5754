package snapshot_test

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"signalbox.dev/signalbox/archive"
	"signalbox.dev/signalbox/archive/blob"
	"signalbox.dev/signalbox/committee"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/chain/chaintest"
	"signalbox.dev/signalbox/internal/snapshot"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until something holds, on a busy machine.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

const (
	every = 10          // blocks from one snapshot to the next
	keep  = 2*every + 4 // blocks, so that those after the newest snapshot are there
)

// council is three nodes that agree, keep few blocks and take snapshots, and a fourth
// that is away.
type council struct {
	*chaintest.Council
	places map[string]string
	given  int
}

func convene(t *testing.T) *council {
	t.Helper()
	c := &council{Council: chaintest.Convene(t, envelope.GM(), committee.Terms{Seats: 3, Epoch: 6}, 4), places: map[string]string{}}
	for _, m := range c.Members {
		c.places[m.ID] = filepath.Join(t.TempDir(), "snapshots")
	}
	c.Adjust = func(m *chaintest.Member, cfg *chain.Config) {
		taker := &snapshot.Taker{Store: opened(t, c.places[m.ID]), Keep: 2, Chunk: 2048, Logger: slog.New(slog.DiscardHandler)}
		cfg.Keep, cfg.Snapshots = keep, chain.Snapshots{Every: every, Take: taker.Take}
	}
	for _, m := range c.Members[:3] {
		m.Start(t)
	}
	return c
}

func opened(t testing.TB, place string) archive.Store {
	t.Helper()
	s, err := blob.Open(context.Background(), place)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// read opens a node's snapshots, which it may be writing to.
func (c *council) read(t *testing.T, id string) archive.Store {
	t.Helper()
	s, err := blob.OpenReadOnly(t.Context(), c.places[id])
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func (c *council) first() *chain.Chain { return c.Members[0].Chain }

func (c *council) register(t *testing.T, count int) {
	t.Helper()
	for range count {
		c.Fixture.Register(t, c.first(), chaintest.Numbered(c.given))
		c.given++
	}
}

// prune lets blocks go on all nodes that run, until none has the one at height.
func (c *council) prune(t *testing.T, height int64) {
	t.Helper()
	c.register(t, keep)
	at := chain.ArchivedTo{Leaves: c.first().Size(), Blocks: c.first().Height()}
	must(t, c.Fixture.Announce(c.first())(t.Context(), at))
	eventually(t, "blocks are pruned", func() bool {
		c.register(t, 1)
		return !slices.ContainsFunc(c.Members, func(m *chaintest.Member) bool { return m.Chain != nil && m.Chain.Base() <= height })
	})
}

func agree(t *testing.T, all ...*chaintest.Member) {
	t.Helper()
	eventually(t, "all nodes agree", func() bool {
		return !slices.ContainsFunc(all, func(m *chaintest.Member) bool {
			return m.Chain.Height() != all[0].Chain.Height() || !bytes.Equal(m.Chain.AppHash(), all[0].Chain.AppHash())
		})
	})
}

// newest gives the newest snapshot that both stores have: another's place, and what
// the first one's operator reads out.
func (c *council) newest(t *testing.T, of, told string) (height int64, from archive.Store, fingerprint flow.Hash) {
	t.Helper()
	from = c.read(t, of)
	by := c.read(t, told)
	eventually(t, "both nodes have a snapshot of one block", func() bool {
		a, _, err := snapshot.Heights(t.Context(), from)
		must(t, err)
		b, _, err := snapshot.Heights(t.Context(), by)
		must(t, err)
		for _, h := range slices.Backward(a) {
			if slices.Contains(b, h) {
				height = h
				return true
			}
		}
		c.register(t, 1)
		return false
	})
	m, err := snapshot.Read(t.Context(), by, height)
	must(t, err)
	fingerprint, err = flow.ParseHash(m.Fingerprint)
	must(t, err)
	return height, from, fingerprint
}

func quiet(int, int) {}

// R8.1, R10.1: a node joins a chain whose blocks are pruned from another node's
// snapshot, follows it, takes a seat, and comes to what all come to. Then it is away
// for so long that what it missed is pruned, and comes back in the same way.
func TestJoin(t *testing.T) {
	c := convene(t)
	late := c.Members[3]
	c.prune(t, 1)
	late.Start(t)
	time.Sleep(3 * time.Second) // it asks the others for the first block, which nobody has
	if h := late.Chain.Height(); h != 0 {
		t.Fatalf("without a snapshot a new node came to block %d of a pruned chain", h)
	}
	late.Stop()
	c.join(t, late)
	eventually(t, "the node that joined has a seat", func() bool {
		c.register(t, 1)
		board, err := c.first().Committee()
		must(t, err)
		return slices.ContainsFunc(board.Candidates, func(o committee.Candidate) bool { return o.ID == late.ID && o.Seated })
	})
	agree(t, c.Members...)
	// Its own snapshots are those of the others.
	height, _, fingerprint := c.newest(t, late.ID, "node-1")
	m, err := snapshot.Check(t.Context(), c.read(t, late.ID), height)
	must(t, err)
	if m.Fingerprint != fingerprint.String() {
		t.Errorf("block %d: the node that joined has the fingerprint %s, another %s", height, m.Fingerprint, fingerprint)
	}
	away := waits(t, c)
	behind := away.Chain.Height()
	away.Stop()
	c.prune(t, behind+1)
	c.join(t, away)
	for _, m := range c.Members {
		m.Stop()
		found, err := chain.Replay(t.Context(), m.Dir(), c.Fixture.Keys, func(chain.Decided) error { return nil })
		must(t, err)
		if len(found.Problems) > 0 || found.Pruned < 1 || found.Decisions < int64(c.given) {
			t.Errorf("%s: %+v", m.ID, found)
		}
	}
}

// waits finds a node that runs and is not the authority's, without a seat and a vote.
func waits(t *testing.T, c *council) (found *chaintest.Member) {
	t.Helper()
	eventually(t, "somebody waits", func() bool {
		c.register(t, 1)
		board, err := c.first().Committee()
		must(t, err)
		for _, o := range board.Candidates {
			i := slices.IndexFunc(c.Members, func(m *chaintest.Member) bool { return m.ID == o.ID })
			if i > 0 && !o.Seated && o.Since < c.first().Height()-2 {
				found = c.Members[i]
			}
		}
		return found != nil
	})
	return found
}

// join restores a stopped node from a snapshot and starts it.
func (c *council) join(t *testing.T, m *chaintest.Member) {
	t.Helper()
	of := "node-2"
	if m.ID == of {
		of = "node-3"
	}
	height, from, fingerprint := c.newest(t, of, "node-1")
	done, err := snapshot.Restore(t.Context(), from, height, fingerprint, m.Dir(), c.Fixture.Genesis, quiet)
	must(t, err)
	if len(done.Chunks) < 2 {
		t.Errorf("the snapshot has %d chunks: want more, to see that they work", len(done.Chunks))
	}
	m.Start(t)
	c.register(t, 2)
	agree(t, c.Members[0], m)
	have, err := m.Chain.Unanchored(0, time.Now().Add(time.Hour), 1000)
	must(t, err)
	want, err := c.first().Unanchored(0, time.Now().Add(time.Hour), 1000)
	must(t, err)
	if len(have) != len(want) || len(want) == 0 {
		t.Errorf("%d records wait for their anchor on the node that joined, %d elsewhere", len(have), len(want))
	}
	if _, err := snapshot.Restore(t.Context(), from, height, fingerprint, m.Dir(), c.Fixture.Genesis, quiet); err == nil {
		t.Error("a running node is restored")
	}
}
