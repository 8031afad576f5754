package chain_test

import (
	"crypto/rand"
	"errors"
	"testing"

	"signalbox.dev/signalbox/committee"
	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/chain/chaintest"
)

// R10.1: every node gives up the block of an erased payload, whatever it keeps
// otherwise, once the authority has said that the rest of it is archived, and not before.
func TestErasureReachesEveryNode(t *testing.T) {
	c := chaintest.Convene(t, envelope.GM(), committee.Terms{Seats: 3}, 3)
	for _, m := range c.Members {
		m.Start(t)
	}
	first := c.Members[0].Chain
	d := c.Fixture.Register(t, first, "RX-1")
	_, err := c.Fixture.GiveTwo(t, first, contract.PayloadErase, contract.Erasure{
		Ground: contract.ByLaw, Basis: "judgment 17", Payloads: []contract.Payload{{Tx: d.Leaf.Tx}},
	})
	must(t, err)
	c.Fixture.Register(t, first, "RX-2")
	agree(t, c.Members...)
	for _, m := range c.Members {
		if base := m.Chain.Base(); base != 1 {
			t.Errorf("%s: blocks below %d are gone, and nobody has said that they are archived", m.ID, base)
		}
		_, _, err := m.Chain.Submission(d)
		var gone *chain.ErasedError
		if !errors.As(err, &gone) || gone.Order != 1 {
			t.Errorf("%s: reading an erased payload: %v", m.ID, err)
		}
	}
	must(t, c.Fixture.Announce(first)(t.Context(), chain.ArchivedTo{Leaves: 1, Blocks: d.Height + 1}))
	c.Fixture.Register(t, first, "RX-3")
	eventually(t, "the block is gone on every node", func() bool {
		for _, m := range c.Members {
			if m.Chain.Base() != d.Height+1 {
				return false
			}
		}
		return true
	})
}

// R10.1: the authority's word on its archive never goes back and never ahead of the
// chain, and it is nobody else's to give.
func TestArchivedToRefused(t *testing.T) {
	f := chaintest.New(t, envelope.GM())
	c, _ := f.Open(t, t.TempDir())
	d := f.Register(t, c, "RX-1")
	announce := f.Announce(c)
	must(t, announce(t.Context(), chain.ArchivedTo{Leaves: 1, Blocks: d.Height}))
	for what, to := range map[string]chain.ArchivedTo{
		"fewer leaves": {Leaves: 0, Blocks: d.Height}, "lower blocks": {Leaves: 1, Blocks: d.Height - 1},
		"leaves that are not there": {Leaves: 2, Blocks: d.Height}, "blocks that are not there": {Leaves: 1, Blocks: d.Height + 1000},
		"nothing known": {Leaves: -1},
	} {
		if err := announce(t.Context(), to); !errors.Is(err, chain.ErrRefused) {
			t.Errorf("%s: %v, want ErrRefused", what, err)
		}
	}
	forged, err := chain.Compose(chaintest.Chain, chain.KindArchive, chain.ArchivedTo{Leaves: 1, Blocks: d.Height + 1}, f.Suite, f.Platform, rand.Reader)
	must(t, err)
	if err := c.Submit(t.Context(), forged); !errors.Is(err, chain.ErrRefused) {
		t.Errorf("signed by a platform: %v, want ErrRefused", err)
	}
	if has, err := c.Archived(); err != nil || has != (chain.ArchivedTo{Leaves: 1, Blocks: d.Height}) {
		t.Errorf("the chain has %+v, %v", has, err)
	}
}
