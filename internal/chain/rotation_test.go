package chain_test

import (
	"flag"
	"slices"
	"testing"
	"time"

	"signalbox.dev/signalbox/committee"
	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/chain/chaintest"
)

var epochs = flag.Uint64("epochs", 0, "how many epochs TestRotation rotates; 0: not at all. 500 take a few minutes")

// R8.1: three of five seats rotate over many epochs, while a candidate goes and
// comes back, and a sixth node is admitted and removed again; every folder replays
// to the same application hashes. `make rotation` runs it.
func TestRotation(t *testing.T) {
	if *epochs == 0 {
		t.Skip("long: make rotation")
	}
	c := chaintest.Convene(t, envelope.GM(), committee.Terms{Seats: 3, Epoch: 1}, 5)
	for _, m := range c.Members {
		m.Start(t)
	}
	f, first := c.Fixture, c.Members[0].Chain
	sixth, identity := c.Join(t, "node-6")
	give(t, f, first, contract.IdentityAdmit, identity)
	sixth.Start(t)
	member := false
	for i := 0; ; i++ {
		f.Register(t, first, chaintest.Numbered(i))
		board, err := first.Committee()
		must(t, err)
		if board.Epoch >= *epochs {
			break
		}
		switch i % 40 {
		case 10: // one who waits goes and comes back; should a seat fall to it meanwhile, three of three wait for it
			if m := waiting(t, first, c.Members[1:5]); m != nil {
				m.Stop()
				m.Start(t)
			}
		case 20:
			if !member {
				give(t, f, first, contract.NodeAdmit, sixth.Seat)
			} else if !slices.Contains(sitting(t, first), "node-6") {
				give(t, f, first, contract.NodeRemove, contract.NodeRef{ID: "node-6"})
			} else {
				continue
			}
			member = !member
		}
		if i%100 == 0 {
			t.Logf("epoch %d at height %d: %v", board.Epoch, first.Height(), sitting(t, first))
		}
		time.Sleep(20 * time.Millisecond)
	}
	agree(t, c.Members[:5]...)
	for _, m := range c.Members[:5] {
		dir := m.Dir()
		m.Stop()
		checked, err := chain.Replay(t.Context(), dir, f.Keys, func(chain.Decided) error { return nil })
		if err != nil || len(checked.Problems) > 0 {
			t.Errorf("replaying %s: %v %v", m.ID, err, checked.Problems)
		}
	}
}

// waiting finds a candidate without a seat whose last vote is over, which it is two
// blocks after the one that took the seat; nil for none.
func waiting(t *testing.T, c *chain.Chain, all []*chaintest.Member) *chaintest.Member {
	t.Helper()
	board, err := c.Committee()
	must(t, err)
	for _, o := range board.Candidates {
		i := slices.IndexFunc(all, func(m *chaintest.Member) bool { return m.ID == o.ID })
		if i >= 0 && !o.Seated && o.Since < c.Height()-2 {
			return all[i]
		}
	}
	return nil
}
