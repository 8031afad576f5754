package comet

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	wire "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"
)

// What nodes sign besides with the key that they vote with ends in a line feed (a
// checkpoint's text). Nothing that CometBFT signs does: all of it ends in the
// chain's id, which has none. docs/adr/0034 relies on it.
func TestVotesEndInTheChainID(t *testing.T) {
	id := types.BlockID{Hash: bytes.Repeat([]byte{'\n'}, 32), PartSetHeader: types.PartSetHeader{Total: 1, Hash: bytes.Repeat([]byte{'\n'}, 32)}}
	block := id.ToProto()
	at := time.Unix(1700000000, 0).UTC()
	for _, chain := range []string{"c", "supervision-test", "rx-network-1"} {
		end := []byte(chain)
		for _, kind := range []wire.SignedMsgType{wire.PrevoteType, wire.PrecommitType} {
			v := &wire.Vote{Type: kind, Height: 10, Round: 10, BlockID: block, Timestamp: at, Extension: []byte("supervision-test\n10\nroot\n")}
			if !bytes.HasSuffix(types.VoteSignBytes(chain, v), end) {
				t.Errorf("a vote of chain %s ends in something else", chain)
			}
			if !bytes.HasSuffix(types.VoteExtensionSignBytes(chain, v), end) {
				t.Errorf("a vote's extension of chain %s ends in something else", chain)
			}
		}
		p := &wire.Proposal{Type: wire.ProposalType, Height: 10, Round: 10, PolRound: -1, BlockID: block, Timestamp: at}
		if !bytes.HasSuffix(types.ProposalSignBytes(chain, p), end) {
			t.Errorf("a proposal of chain %s ends in something else", chain)
		}
	}
}

// marked is a register whose votes carry a mark.
type marked struct {
	*register
	own, liar string

	mu   sync.Mutex
	told map[string]int // guarded by mu; marks of final blocks' votes
}

func (m *marked) Extend() []byte { return []byte(m.own) }

func (m *marked) CheckExtension(e Extension) error {
	if string(e.Data) == m.liar && m.own != m.liar {
		return errors.New("not so")
	}
	return nil
}

func (m *marked) Extended(all []Extension) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range all {
		m.told[string(e.Data)]++
	}
}

// A validator whose votes carry what the others don't take loses those votes, and one
// that adds nothing doesn't. The chain goes on either way.
func TestWhatVotesCarry(t *testing.T) {
	c := &council{seats: 4, barred: map[string]bool{}, marks: []string{"one", "two", "", "a lie"}}
	c.begin(t, 4)
	for i := range 10 {
		c.members[i%4].put(t, fmt.Sprintf("tx %d", i))
	}
	for i, m := range c.marked[:3] {
		m.mu.Lock()
		if m.told["a lie"] > 0 || m.told["one"] == 0 || m.told["two"] == 0 {
			t.Errorf("node %d was told %v", i+1, m.told)
		}
		m.mu.Unlock()
	}
}
