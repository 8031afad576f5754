package comet

import (
	"context"
	"fmt"
	"sync"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/store"
	"github.com/cometbft/cometbft/types"
)

// abciApp presents an Application to CometBFT, and adds the clock.
type abciApp struct {
	abci.BaseApplication
	app   Application
	now   func() time.Time
	admit func(id string) error // nil: nobody
	keep  func() int64          // the height below which blocks may go, 0 for none; nil: 0
	rest  *time.Duration        // CometBFT's pause after a commit, which it reads after each; nil: not to be set
	// carried gives what the votes of a final block carried; nil: nothing.
	carried func(height int64) []Extension

	mu   sync.Mutex
	last time.Time // guarded by mu; time of the last block with transactions
	err  error     // guarded by mu; the first error of the application
}

// codeClock refuses transactions that look like a clock.
const codeClock = 1

func (a *abciApp) Info(context.Context, *abci.RequestInfo) (*abci.ResponseInfo, error) {
	p, err := a.app.Last()
	if err != nil {
		return nil, a.failed("reading the last position", err)
	}
	return &abci.ResponseInfo{LastBlockHeight: p.Height, LastBlockAppHash: p.AppHash}, nil
}

func (a *abciApp) InitChain(_ context.Context, r *abci.RequestInitChain) (*abci.ResponseInitChain, error) {
	hash, err := a.app.Init(Genesis{ChainID: r.ChainId, Time: r.Time.UTC(), AppState: r.AppStateBytes})
	if err != nil {
		return nil, a.failed("genesis", err)
	}
	return &abci.ResponseInitChain{AppHash: hash}, nil
}

func (a *abciApp) CheckTx(_ context.Context, r *abci.RequestCheckTx) (*abci.ResponseCheckTx, error) {
	if isClock(r.Tx) {
		return &abci.ResponseCheckTx{Code: codeClock, Log: "reserved for the proposer"}, nil
	}
	if no := a.app.Check(r.Tx); no != nil {
		return &abci.ResponseCheckTx{Code: max(no.Code, 1), Log: no.Log}, nil
	}
	return &abci.ResponseCheckTx{}, nil
}

// PrepareProposal puts the clock before the transactions, and leaves the last
// of them for the next block where there is no room.
func (a *abciApp) PrepareProposal(_ context.Context, r *abci.RequestPrepareProposal) (*abci.ResponsePrepareProposal, error) {
	if len(r.Txs) == 0 {
		return &abci.ResponsePrepareProposal{}, nil
	}
	a.mu.Lock()
	now := a.now()
	if after := earliest(a.app, a.last, now); !now.After(after) {
		now = after.Add(time.Millisecond)
	}
	a.mu.Unlock()

	out := [][]byte{clockTx(now)}
	room := r.MaxTxBytes - protoSize(out[0])
	for _, tx := range r.Txs {
		if room -= protoSize(tx); room < 0 {
			break
		}
		out = append(out, tx)
	}
	if len(out) == 1 {
		return nil, fmt.Errorf("a transaction of %d bytes does not fit into a block", len(r.Txs[0]))
	}
	return &abci.ResponsePrepareProposal{Txs: out}, nil
}

func protoSize(tx []byte) int64 { return types.ComputeProtoSizeForTxs([]types.Tx{tx}) }

// ProcessProposal is every validator's check of the clock.
func (a *abciApp) ProcessProposal(_ context.Context, r *abci.RequestProcessProposal) (*abci.ResponseProcessProposal, error) {
	status := abci.ResponseProcessProposal_REJECT
	at, _, err := splitClock(r.Txs)
	if err == nil && (len(r.Txs) == 0 || a.acceptable(at)) {
		status = abci.ResponseProcessProposal_ACCEPT
	}
	return &abci.ResponseProcessProposal{Status: status}, nil
}

func (a *abciApp) acceptable(at time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	// A clock that was set back leaves this node behind the last block; it goes on from there.
	latest := a.now()
	after := earliest(a.app, a.last, latest)
	if latest.Before(after) {
		latest = after
	}
	return at.After(after) && !at.After(latest.Add(clockTolerance))
}

func (a *abciApp) FinalizeBlock(_ context.Context, r *abci.RequestFinalizeBlock) (*abci.ResponseFinalizeBlock, error) {
	if x, ok := a.app.(Extender); ok && a.carried != nil {
		if all := a.carried(r.Height); len(all) > 0 {
			x.Extended(all)
		}
	}
	done, err := execute(a.app, r.Height, r.Txs, votes(r.DecidedLastCommit))
	if err != nil {
		return nil, a.failed(fmt.Sprintf("block %d", r.Height), err)
	}
	if at, _, _ := splitClock(r.Txs); !at.IsZero() {
		a.mu.Lock()
		a.last = at
		a.mu.Unlock()
	}
	if a.rest != nil {
		*a.rest = pace(len(r.Txs))
	}
	return &abci.ResponseFinalizeBlock{TxResults: done.results, AppHash: done.hash, ValidatorUpdates: done.updates}, nil
}

// A block costs a dozen writes to the disk, whatever it holds. So under load the
// next one gathers for as long as this one held transactions, and a lone
// transaction waits for nothing.
const (
	pacePerTx = 6 * time.Millisecond
	paceMost  = 60 * time.Millisecond
)

// pace is the pause after a block of so many transactions, the clock among them.
func pace(txs int) time.Duration {
	if txs <= 2 {
		return 0
	}
	return min(time.Duration(txs-1)*pacePerTx, paceMost)
}

func (a *abciApp) Commit(context.Context, *abci.RequestCommit) (*abci.ResponseCommit, error) {
	if err := a.app.Commit(); err != nil {
		return nil, a.failed("commit", err)
	}
	var out abci.ResponseCommit
	if a.keep != nil {
		out.RetainHeight = a.keep()
	}
	return &out, nil
}

// resume finds the time of the last block with transactions, so that a clock that was
// set back while the node was down makes no block go back. Few blocks are empty.
func (a *abciApp) resume(s *store.BlockStore) error {
	for h := s.Height(); h > 0 && h >= s.Base(); h-- {
		b, err := loadStored(s, h)
		if err != nil {
			return err
		}
		if !b.Time.IsZero() {
			a.mu.Lock()
			a.last = b.Time
			a.mu.Unlock()
			return nil
		}
	}
	return nil
}

// failed keeps the application's first error for Node.Run, since CometBFT turns
// it into a panic of its own.
func (a *abciApp) failed(doing string, err error) error {
	err = fmt.Errorf("application: %s: %w", doing, err)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil {
		a.err = err
	}
	return err
}

func (a *abciApp) failure() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// executed is what a block came to, as CometBFT takes it.
type executed struct {
	results []*abci.ExecTxResult // of all the block's transactions, clock included
	hash    []byte
	updates []abci.ValidatorUpdate
}

// execute gives a block to the application, clock taken off.
func execute(app Application, height int64, txs [][]byte, voted []Voted) (executed, error) {
	at, own, err := splitClock(txs)
	if err != nil {
		return executed{}, err
	}
	out, err := app.Finalize(Block{Height: height, Time: at, Txs: own, Voted: voted})
	if err != nil {
		return executed{}, err
	}
	if len(out.Results) != len(own) {
		return executed{}, fmt.Errorf("%d results for %d transactions", len(out.Results), len(own))
	}
	results := make([]*abci.ExecTxResult, 0, len(txs))
	if len(txs) > 0 {
		results = append(results, &abci.ExecTxResult{})
	}
	for _, r := range out.Results {
		results = append(results, &abci.ExecTxResult{Code: r.Code, Log: r.Log, Data: r.Data})
	}
	return executed{results, out.AppHash, updates(out.Validators)}, nil
}
