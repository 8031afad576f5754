package comet

import (
	"bytes"
	"context"
	"fmt"

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
	err = b.verify(ctx, func(block *types.Block) error {
		h := block.Height
		if !bytes.Equal(block.AppHash, done.AppHash) {
			return fmt.Errorf("block %d: header gives app hash %X for what came before, executing it again gives %X", h, []byte(block.AppHash), done.AppHash)
		}
		if !bytes.Equal(block.LastResultsHash, results) {
			return fmt.Errorf("block %d: header gives other results for the block before than executing it again", h)
		}
		done.Confirmed = h - 1
		outcome, all, err := again(app, block)
		if err != nil {
			return fmt.Errorf("executing block %d again: %w", h, err)
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

type hashes struct{ hash, results []byte }

func again(app Application, block *types.Block) ([]Result, hashes, error) {
	all, hash, err := execute(app, block.Height, block.Txs.ToSliceOfBytes())
	if err != nil {
		return nil, hashes{}, err
	}
	if err := app.Commit(); err != nil {
		return nil, hashes{}, err
	}
	var own []Result
	for _, r := range all[min(1, len(all)):] {
		own = append(own, Result{Code: r.Code, Log: r.Log, Data: r.Data})
	}
	return own, hashes{hash: hash, results: types.NewResults(all).Hash()}, nil
}
