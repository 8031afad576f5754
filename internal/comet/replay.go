package comet

import (
	"bytes"
	"context"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"
	sm "github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/types"
)

// Replayed says what a replay covered.
type Replayed struct {
	Blocks int64
	Txs    int64 // clocks not counted
	// Confirmed is the highest block whose outcome a later signed header repeats.
	// It is the last block but one; what the last block did no header says yet.
	Confirmed int64
	AppHash   []byte // after the last block
}

// Replay verifies every block as Verify does and executes it again with app,
// which must be new, from the genesis on. It compares the app hash and the hash of the
// results after each block with what the next header says, and calls visit with
// each block and its results. It stops at the first difference, or when visit
// fails, and returns that. A chain whose first blocks were pruned can't be replayed.
func (b *Blocks) Replay(ctx context.Context, app Application, visit func(Stored, []Result) error) (Replayed, error) {
	var done Replayed
	if b.Height() > 0 && b.Base() != b.genesis.InitialHeight {
		return done, fmt.Errorf("replaying: blocks below %d were pruned", b.Base())
	}
	hash, err := app.Init(b.Genesis())
	if err != nil {
		return done, fmt.Errorf("replaying genesis: %w", err)
	}
	done.AppHash = hash
	results := types.NewResults(nil).Hash()
	next, err := b.validators()
	if err != nil {
		return done, err
	}
	err = b.verify(ctx, app, func(block *types.Block, signed *types.ValidatorSet) error {
		h := block.Height
		if !bytes.Equal(block.AppHash, done.AppHash) {
			return fmt.Errorf("block %d: header gives app hash %X for what came before, executing it again gives %X", h, []byte(block.AppHash), done.AppHash)
		}
		if !bytes.Equal(block.LastResultsHash, results) {
			return fmt.Errorf("block %d: header gives other results for the block before than executing it again", h)
		}
		if !bytes.Equal(block.NextValidatorsHash, next.Hash()) {
			return fmt.Errorf("block %d: header names other next validators than executing the block before it again", h)
		}
		done.Confirmed = h - 1
		outcome, all, err := again(app, block, votes(sm.BuildLastCommitInfo(block, signed, b.genesis.InitialHeight)))
		if err != nil {
			return fmt.Errorf("executing block %d again: %w", h, err)
		}
		if next, err = updated(next, all.updates); err != nil {
			return fmt.Errorf("block %d: changing the validators: %w", h, err)
		}
		done.AppHash, results = all.hash, all.results
		done.Blocks++
		done.Txs += int64(len(outcome))
		s, err := stored(block)
		if err != nil {
			return fmt.Errorf("block %d: %w", h, err)
		}
		return visit(s, outcome)
	})
	return done, err
}

// updated is a set of validators after a block's changes.
func updated(set *types.ValidatorSet, changes []abci.ValidatorUpdate) (*types.ValidatorSet, error) {
	if len(changes) == 0 {
		return set, nil
	}
	list, err := types.PB2TM.ValidatorUpdates(changes)
	if err != nil {
		return nil, err
	}
	set = set.Copy()
	return set, set.UpdateWithChangeSet(list)
}

type hashes struct {
	hash, results []byte
	updates       []abci.ValidatorUpdate
}

func again(app Application, block *types.Block, voted []Voted) ([]Result, hashes, error) {
	all, err := execute(app, block.Height, block.Txs.ToSliceOfBytes(), voted)
	if err != nil {
		return nil, hashes{}, err
	}
	if err := app.Commit(); err != nil {
		return nil, hashes{}, err
	}
	var own []Result
	for _, r := range all.results[min(1, len(all.results)):] {
		own = append(own, Result{Code: r.Code, Log: r.Log, Data: r.Data})
	}
	return own, hashes{hash: all.hash, results: types.NewResults(all.results).Hash(), updates: all.updates}, nil
}
