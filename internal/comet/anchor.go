package comet

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cometbft/cometbft/consensus"
	"github.com/cometbft/cometbft/libs/log"
	cmtstate "github.com/cometbft/cometbft/proto/tendermint/state"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	sm "github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/store"
	"github.com/cometbft/cometbft/types"
	"github.com/cometbft/cometbft/version"
)

// Anchor is what consensus goes on from after a block, for a node that has none of
// the blocks before: who validates, the application's hash, and the votes that prove
// both. It can't be changed, and holds no transaction.
type Anchor struct {
	state  sm.State           // after the block
	last   types.Header       // of the block
	commit *types.Commit      // the votes for it
	next   types.SignedHeader // of the block after, which names what the block came to
}

// anchored is an Anchor as it is stored: CometBFT's own messages.
type anchored struct {
	State  []byte `json:"state"`
	Last   []byte `json:"last"`
	Commit []byte `json:"commit"`
	Next   []byte `json:"next"`
}

// Anchor gives the chain's at a height. ErrNoBlock says that the block after is not
// there yet, whose header tells what this one came to, or that this one is no more.
func (n *Node) Anchor(height int64) (_ *Anchor, err error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.state != running {
		return nil, ErrStopped
	}
	defer recovered(&err, fmt.Sprintf("block %d", height))
	blocks, states := n.inner.BlockStore(), sm.NewStore(n.states, sm.StoreOptions{})
	last, next := blocks.LoadBlockMeta(height), blocks.LoadBlockMeta(height+1)
	if last == nil || next == nil {
		return nil, fmt.Errorf("anchor at block %d: %w", height, ErrNoBlock)
	}
	a := &Anchor{last: last.Header, commit: blocks.LoadBlockCommit(height)}
	a.next = types.SignedHeader{Header: &next.Header, Commit: blocks.LoadBlockCommit(height + 1)}
	if a.next.Commit == nil {
		a.next.Commit = blocks.LoadSeenCommit(height + 1) // no block carries them yet
	}
	a.state = sm.State{
		ChainID: last.Header.ChainID, InitialHeight: n.inner.GenesisDoc().InitialHeight,
		LastBlockHeight: height, LastBlockID: next.Header.LastBlockID, LastBlockTime: last.Header.Time,
		AppHash: next.Header.AppHash, LastResultsHash: next.Header.LastResultsHash,
		LastHeightValidatorsChanged: height + 2, LastHeightConsensusParamsChanged: height + 1,
	}
	a.state.Version.Consensus = next.Header.Version
	for at, set := range map[int64]**types.ValidatorSet{height: &a.state.LastValidators, height + 1: &a.state.Validators, height + 2: &a.state.NextValidators} {
		if *set, err = states.LoadValidators(at); err != nil {
			return nil, fmt.Errorf("anchor at block %d: reading validators: %w", height, err)
		}
	}
	if a.state.ConsensusParams, err = states.LoadConsensusParams(height + 1); err != nil {
		return nil, fmt.Errorf("anchor at block %d: reading the consensus parameters: %w", height, err)
	}
	return a, a.check()
}

// ParseAnchor reads an anchor and checks that its parts are what its two headers and
// the votes on them say. Whether that is the chain's history and not one that its
// validators of once have made up, Fingerprint alone tells.
func ParseAnchor(raw []byte) (_ *Anchor, err error) {
	defer recovered(&err, "anchor")
	var in anchored
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, fmt.Errorf("reading anchor: %w", err)
	}
	var state cmtstate.State
	var last cmtproto.Header
	var commit cmtproto.Commit
	var next cmtproto.SignedHeader
	if err := errors.Join(state.Unmarshal(in.State), last.Unmarshal(in.Last), commit.Unmarshal(in.Commit), next.Unmarshal(in.Next)); err != nil {
		return nil, fmt.Errorf("reading anchor: %w", err)
	}
	a := &Anchor{}
	s, err := sm.FromProto(&state)
	if err != nil {
		return nil, fmt.Errorf("reading anchor: %w", err)
	}
	a.state = *s
	if a.last, err = types.HeaderFromProto(&last); err != nil {
		return nil, fmt.Errorf("reading anchor: %w", err)
	}
	if a.commit, err = types.CommitFromProto(&commit); err != nil {
		return nil, fmt.Errorf("reading anchor: %w", err)
	}
	signed, err := types.SignedHeaderFromProto(&next)
	if err != nil {
		return nil, fmt.Errorf("reading anchor: %w", err)
	}
	a.next = *signed
	return a, a.check()
}

// check says what does not fit.
func (a *Anchor) check() error {
	s, last, next := a.state, a.last, a.next.Header
	if err := a.next.ValidateBasic(s.ChainID); err != nil {
		return fmt.Errorf("anchor: header after the block: %s", short(err))
	}
	for _, set := range []*types.ValidatorSet{s.LastValidators, s.Validators, s.NextValidators} {
		if err := set.ValidateBasic(); err != nil {
			return fmt.Errorf("anchor: validators: %s", short(err))
		}
	}
	for _, c := range []struct {
		what string
		fits bool
	}{
		{"the block's header", last.ChainID == s.ChainID && last.Height == s.LastBlockHeight && bytes.Equal(last.Hash(), s.LastBlockID.Hash)},
		{"the header after it", next.Height == s.LastBlockHeight+1 && next.LastBlockID.Equals(s.LastBlockID) && next.Version == s.Version.Consensus},
		{"the time", last.Time.Equal(s.LastBlockTime)},
		{"the validators", bytes.Equal(last.ValidatorsHash, s.LastValidators.Hash()) && bytes.Equal(next.ValidatorsHash, s.Validators.Hash())},
		{"the next validators", bytes.Equal(last.NextValidatorsHash, next.ValidatorsHash) && bytes.Equal(next.NextValidatorsHash, s.NextValidators.Hash())},
		{"the application's hash", bytes.Equal(next.AppHash, s.AppHash) && bytes.Equal(next.LastResultsHash, s.LastResultsHash)},
		{"the consensus parameters", bytes.Equal(next.ConsensusHash, s.ConsensusParams.Hash())},
		{"the votes", bytes.Equal(next.LastCommitHash, a.commit.Hash())},
		{"a height", s.LastHeightValidatorsChanged == s.LastBlockHeight+2 && s.LastHeightConsensusParamsChanged == s.LastBlockHeight+1 && s.InitialHeight > 0 && s.LastBlockHeight >= s.InitialHeight},
	} {
		if !c.fits {
			return fmt.Errorf("anchor: %s is not what the headers say", c.what)
		}
	}
	if err := types.VerifyCommit(s.ChainID, s.LastValidators, s.LastBlockID, s.LastBlockHeight, a.commit); err != nil {
		return fmt.Errorf("anchor: the block is not signed by its validators: %s", short(err))
	}
	id := types.BlockID{Hash: next.Hash(), PartSetHeader: a.next.Commit.BlockID.PartSetHeader}
	if err := types.VerifyCommit(s.ChainID, s.Validators, id, next.Height, a.next.Commit); err != nil {
		return fmt.Errorf("anchor: the header after the block is not signed by its validators: %s", short(err))
	}
	return nil
}

// Encode gives the anchor as ParseAnchor reads it.
func (a *Anchor) Encode() (_ []byte, err error) {
	defer recovered(&err, "anchor")
	state, err := a.state.ToProto()
	if err != nil {
		return nil, fmt.Errorf("encoding anchor: %w", err)
	}
	var out anchored
	for to, m := range map[*[]byte]interface{ Marshal() ([]byte, error) }{
		&out.State: state, &out.Last: a.last.ToProto(), &out.Commit: a.commit.ToProto(), &out.Next: a.next.ToProto(),
	} {
		if *to, err = m.Marshal(); err != nil {
			return nil, fmt.Errorf("encoding anchor: %w", err)
		}
	}
	return json.Marshal(out)
}

// Fingerprint covers all that consensus goes on from, and comes out the same on
// every node of the chain at that height.
func (a *Anchor) Fingerprint() [sha256.Size]byte {
	return sha256.Sum256(append([]byte("signalbox/anchor/v1\n"), a.state.Bytes()...))
}

// Height is the block's.
func (a *Anchor) Height() int64 { return a.state.LastBlockHeight }

// ChainID names the chain.
func (a *Anchor) ChainID() string { return a.state.ChainID }

// AppHash is the application's after the block.
func (a *Anchor) AppHash() []byte { return a.state.AppHash }

// After is the hash of the header after the block, which names what the block came to.
func (a *Anchor) After() []byte { return a.next.Header.Hash() }

// Begin lets a node's directory, which has no blocks, go on from the anchor. Keys
// that are there stay. What it writes is not synced.
func (a *Anchor) Begin(dir string) error {
	if err := makeDirs(dir, dataDir(dir)); err != nil {
		return err
	}
	state := a.state
	state.Version.Software = version.TMCoreSemVer
	if err := writing(dataDir(dir)+"/state", func(kv KV) error { return sm.NewStore(kv, sm.StoreOptions{}).Bootstrap(state) }); err != nil {
		return fmt.Errorf("beginning at block %d: %w", a.Height(), err)
	}
	if err := writing(dataDir(dir)+"/blockstore", func(kv KV) error { return store.NewBlockStore(kv).SaveSeenCommit(a.Height(), a.commit) }); err != nil {
		return fmt.Errorf("beginning at block %d: %w", a.Height(), err)
	}
	if err := beginLog(walFile(dir), a.Height()); err != nil {
		return fmt.Errorf("beginning the write-ahead log at block %d: %w", a.Height(), err)
	}
	return nil
}

func writing(path string, fn func(KV) error) (err error) {
	defer recovered(&err, path)
	kv, err := OpenKV(path)
	if err != nil {
		return err
	}
	return errors.Join(fn(kv), kv.Close())
}

// beginLog makes a write-ahead log that ends with a height, as it would here.
func beginLog(file string, height int64) error {
	wal, err := consensus.NewWAL(file)
	if err != nil {
		return err
	}
	wal.SetLogger(log.NewNopLogger())
	if err := wal.Start(); err != nil {
		return err
	}
	err = wal.WriteSync(consensus.EndHeightMessage{Height: height})
	err = errors.Join(err, wal.Stop())
	wal.Wait()
	return err
}

// goesOn tells CometBFT that blocks which are not there need not be, until the first
// has followed on an anchor. CometBFT itself forgets at its first start.
func goesOn(blocks, states KV) (err error) {
	defer recovered(&err, "state")
	b, s := store.NewBlockStore(blocks), sm.NewStore(states, sm.StoreOptions{})
	if b.Height() > 0 {
		return nil
	}
	state, err := s.Load()
	if err != nil || state.IsEmpty() || b.LoadSeenCommit(state.LastBlockHeight) == nil {
		return err
	}
	return s.SetOfflineStateSyncHeight(state.LastBlockHeight)
}
