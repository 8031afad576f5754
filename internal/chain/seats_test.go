package chain_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"signalbox.dev/signalbox/committee"
	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/chain/chaintest"
)

// patience is what a test waits for nodes to find each other, on a busy machine.
const patience = 2 * time.Minute

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// sitting names the members, as a node knows them.
func sitting(t *testing.T, c *chain.Chain) []string {
	t.Helper()
	board, err := c.Committee()
	must(t, err)
	var ids []string
	for _, o := range board.Candidates {
		if o.Seated {
			ids = append(ids, o.ID)
		}
	}
	return ids
}

// agree waits until all have come to the same log and the same root.
func agree(t *testing.T, all ...*chaintest.Member) {
	t.Helper()
	eventually(t, "all nodes agree", func() bool {
		return !slices.ContainsFunc(all, func(m *chaintest.Member) bool {
			return m.Chain.Height() != all[0].Chain.Height() || !bytes.Equal(m.Chain.AppHash(), all[0].Chain.AppHash())
		})
	})
}

// R8.1: several nodes decide, seats rotate among those that are there, and the
// whole chain replays from every node's folder.
func TestSeatsRotate(t *testing.T) {
	c := chaintest.Convene(t, envelope.GM(), committee.Terms{Seats: 3, Epoch: 2}, 5)
	for _, m := range c.Members {
		m.Start(t)
	}
	first := c.Members[0].Chain
	served := map[string]bool{}
	for i := range 60 {
		if d := c.Fixture.Register(t, first, chaintest.Numbered(i)); d.Leaf.Verdict != flow.Granted {
			t.Fatalf("record %d: %s", i, d.Leaf.Verdict)
		}
		for _, id := range sitting(t, first) {
			served[id] = true
		}
		if len(served) == 5 && i > 10 {
			break
		}
		time.Sleep(50 * time.Millisecond) // for those who wait to give their word
	}
	if len(served) != 5 {
		t.Errorf("only %v had a seat", served)
	}
	agree(t, c.Members...)
	for _, m := range c.Members {
		dir := m.Dir()
		m.Stop()
		checked, err := chain.Replay(t.Context(), dir, c.Fixture.Keys, func(chain.Decided) error { return nil })
		if err != nil || len(checked.Problems) > 0 {
			t.Errorf("replaying %s: %v %v", m.ID, err, checked.Problems)
		}
	}
}

// R8.1: with three seats all three must agree, so a candidate that is gone is given
// none, however lately it was there; decisions go on. It is back in turn.
func TestGoneCandidateIsNotSeated(t *testing.T) {
	c := chaintest.Convene(t, envelope.GM(), committee.Terms{Seats: 3, Epoch: 3}, 5)
	for _, m := range c.Members {
		m.Start(t)
	}
	f, first := c.Fixture, c.Members[0].Chain
	n := 0
	decide := func() { f.Register(t, first, chaintest.Numbered(n)); n++ }
	epoch := func() uint64 {
		board, err := first.Committee()
		must(t, err)
		return board.Epoch
	}
	var gone *chaintest.Member
	for epoch() < 2 || gone == nil {
		decide()
		gone = waiting(t, first, c.Members[1:])
	}
	gone.Stop()
	for until := epoch() + 4; epoch() < until; {
		decide()
		if slices.Contains(sitting(t, first), gone.ID) {
			t.Fatalf("%s has a seat and is gone", gone.ID)
		}
	}
	gone.Start(t)
	eventually(t, "the candidate that is back has a seat", func() bool {
		decide()
		return slices.Contains(sitting(t, first), gone.ID)
	})
	agree(t, c.Members...)
}

// R8.1: with one of four down decisions go on, with two down there is none; back
// again, nothing is lost.
func TestNodesDown(t *testing.T) {
	c := chaintest.Convene(t, envelope.GM(), committee.Terms{Seats: 4}, 4)
	for _, m := range c.Members {
		m.Start(t)
	}
	f, first := c.Fixture, c.Members[0].Chain
	f.Register(t, first, "RX-1")
	c.Members[3].Stop()
	f.Register(t, first, "RX-2")
	c.Members[2].Stop()
	sub, h, facts := f.Registration(t, "RX-3")
	tx := f.Compose(t, sub, facts)
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
	defer stop()
	if _, err := first.Decide(ctx, h.ID, tx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("two of four decided: %v", err)
	}
	c.Members[2].Start(t)
	d, err := first.Decide(t.Context(), h.ID, tx)
	must(t, err)
	if d.Leaf.Verdict != flow.Granted {
		t.Errorf("three again: %s", d.Leaf.Verdict)
	}
	c.Members[3].Start(t)
	agree(t, c.Members...)
	if first.Size() != 3 {
		t.Errorf("%d decisions, want 3", first.Size())
	}
}

// R7.1: a node that the chain does not know, or whose identity may not act, is not
// connected; one that is suspended is cut off while it is connected, and comes
// back when it is active again.
func TestNodeAdmission(t *testing.T) {
	c := chaintest.Convene(t, envelope.GM(), committee.Terms{Seats: 3}, 3)
	for _, m := range c.Members {
		m.Start(t)
	}
	f, first := c.Fixture, c.Members[0].Chain
	f.Register(t, first, "RX-1")
	// The newcomer names the others as its peers; none of them knows it.
	newcomer, identity := c.Join(t, "node-9")
	newcomer.Start(t)
	connected := func() bool { return slices.Contains(first.Connected(), newcomer.Keys.ID) }
	time.Sleep(3 * time.Second) // it dials again and again
	if connected() || newcomer.Chain.Height() > 0 {
		t.Fatal("a node that the chain does not know is connected")
	}
	give(t, f, first, contract.IdentityAdmit, identity)
	seat := newcomer.Seat
	seat.Weight = 0
	give(t, f, first, contract.NodeAdmit, seat)
	eventually(t, "the observer follows the chain", func() bool { return connected() && newcomer.Chain.Size() == first.Size() })
	if slices.Contains(sitting(t, first), "node-9") {
		t.Error("an observer has a seat")
	}
	give(t, f, first, contract.IdentityStatus, contract.StatusChange{ID: "node-9", Status: contract.Suspended})
	eventually(t, "the suspended node is cut off by all", func() bool { return !connected() && len(newcomer.Chain.Connected()) == 0 })
	d := f.Register(t, first, "RX-2")
	if _, err := newcomer.Chain.ByTx(d.Leaf.Tx); !errors.Is(err, chain.ErrNotFound) {
		t.Errorf("a suspended node has the new decision: %v", err)
	}
	give(t, f, first, contract.IdentityStatus, contract.StatusChange{ID: "node-9", Status: contract.Active})
	eventually(t, "the node is back", func() bool { return connected() && newcomer.Chain.Size() == first.Size() })
}

// A word that is not the candidate's own, or not needed, does not enter the
// mempool.
func TestForgedReadiness(t *testing.T) {
	c := chaintest.Convene(t, envelope.GM(), committee.Terms{Seats: 1}, 2)
	c.Members[0].Start(t)
	f, first := c.Fixture, c.Members[0].Chain
	f.Register(t, first, "RX-1")
	for name, ready := range map[string]chain.Ready{
		"a stranger's":        {ID: "node-7", Height: 1},
		"a platform's":        {ID: chaintest.Platform, Height: 1},
		"a member's":          {ID: "node-1", Height: 1},
		"by the authority":    {ID: "node-2", Height: 1},
		"by the authority, 2": {ID: "node-2", Height: 2},
	} {
		tx, err := chain.Compose(chaintest.Chain, chain.KindReady, ready, f.Suite, f.Signing, nil)
		must(t, err)
		if err := first.Submit(t.Context(), tx); err == nil {
			t.Errorf("%s word is taken", name)
		}
	}
	if board, err := first.Committee(); err != nil || board.Candidates[1].Ready != 0 {
		t.Errorf("the candidate counts as ready: %v", err)
	}
}
