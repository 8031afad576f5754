package comet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	cmtjson "github.com/cometbft/cometbft/libs/json"
	sm "github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/store"
	"github.com/cometbft/cometbft/types"
)

// Stored is a block as the node keeps it.
type Stored struct {
	Block
	ChainID    string
	Hash       []byte    // of the header
	HeaderTime time.Time // CometBFT's own, see clock.go
	AppHash    []byte    // of the state before this block
}

// Blocks are the blocks of a node that is not running, for checking a chain from
// its first block (fsck). Nothing on disk is changed. Not safe for concurrent use.
type Blocks struct {
	store   *store.BlockStore
	state   sm.Store // of the validators at each height
	genesis *types.GenesisDoc
	dbs     []KV
	lock    *os.File
}

// OpenBlocks opens a node's directory for reading. A directory in use is
// ErrInUse; one where no chain was ever started is os.ErrNotExist.
func OpenBlocks(dir string) (*Blocks, error) {
	if _, err := os.Stat(dataDir(dir)); err != nil {
		return nil, fmt.Errorf("opening blocks of %s: %w", dir, err)
	}
	b := &Blocks{}
	if err := b.open(dir); err != nil {
		b.Close()
		return nil, fmt.Errorf("opening blocks: %w", err)
	}
	return b, nil
}

func (b *Blocks) open(dir string) (err error) {
	defer recovered(&err, "block store")
	if b.lock, err = lockDir(dir, true); err != nil {
		return err
	}
	for _, name := range []string{"blockstore", "state"} {
		kv, err := OpenKVReadOnly(dataDir(dir) + "/" + name)
		if err != nil {
			return err
		}
		b.dbs = append(b.dbs, kv)
	}
	raw, err := b.dbs[1].Get([]byte("genesisDoc")) // where CometBFT keeps it
	if err != nil {
		return fmt.Errorf("reading genesis: %w", err)
	}
	if len(raw) == 0 {
		return fmt.Errorf("reading genesis: %w", os.ErrNotExist)
	}
	if err := cmtjson.Unmarshal(raw, &b.genesis); err != nil {
		return fmt.Errorf("reading genesis: %w", err)
	}
	b.store = store.NewBlockStore(b.dbs[0])
	b.state = sm.NewStore(b.dbs[1], sm.StoreOptions{})
	return nil
}

// Close releases the directory.
func (b *Blocks) Close() error {
	var errs []error
	for _, kv := range b.dbs {
		errs = append(errs, kv.Close())
	}
	if b.lock != nil {
		errs = append(errs, b.lock.Close())
	}
	b.dbs, b.lock = nil, nil
	return errors.Join(errs...)
}

// Genesis is what the chain began with.
func (b *Blocks) Genesis() Genesis {
	return Genesis{ChainID: b.genesis.ChainID, Time: b.genesis.GenesisTime.UTC(), AppState: json.RawMessage(b.genesis.AppState)}
}

// Base is the lowest stored height: 1 unless older blocks were pruned, 0 when there is none.
func (b *Blocks) Base() int64 { return b.store.Base() }

// Height is the highest stored height, 0 when there is none.
func (b *Blocks) Height() int64 { return b.store.Height() }

// Verify checks every stored block, from the lowest on, and calls visit for each
// that holds: its parts and transactions against its header, its header against
// the block before, and the validators' signatures on it. The first validators
// are those of the genesis; every change of them stands in the header before it,
// which those before have signed. It stops at the first that does not hold, or when visit
// fails, and returns that.
func (b *Blocks) Verify(ctx context.Context, visit func(Stored) error) error {
	return b.verify(ctx, nil, func(raw *types.Block, _ *types.ValidatorSet) error {
		s, err := stored(raw)
		if err != nil {
			return fmt.Errorf("block %d: %w", raw.Height, err)
		}
		return visit(s)
	})
}

// verify calls visit with each block and the validators who signed the one before.
// app, where there is one, is at the block before the one that comes next.
func (b *Blocks) verify(ctx context.Context, app Application, visit func(*types.Block, *types.ValidatorSet) error) error {
	set, err := b.validators()
	if err != nil {
		return err
	}
	var before *types.BlockID
	var last time.Time
	next := set.Hash()
	if b.Base() > b.genesis.InitialHeight { // pruned: the oldest header is where belief begins
		if next, err = b.oldest(); err != nil {
			return err
		}
	}
	for h := b.Base(); h > 0 && h <= b.Height(); h++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		signed := set
		if set, err = b.validatorsAt(h, next, set); err != nil {
			return fmt.Errorf("block %d: %w", h, err)
		}
		block, id, err := b.check(h, set, before)
		if err != nil {
			return fmt.Errorf("block %d: %w", h, err)
		}
		next = block.NextValidatorsHash
		if at, _, _ := splitClock(block.Txs.ToSliceOfBytes()); !at.IsZero() {
			if f, ok := app.(ClockFloor); !at.After(last) && !(ok && at.After(f.ClockFloor())) {
				return fmt.Errorf("block %d: its clock goes back", h)
			}
			last = at
		}
		before = &id
		if err := visit(block, signed); err != nil {
			return err
		}
	}
	return nil
}

// validatorsAt finds the validators with a hash among those that were there
// before and those that the node keeps for the height.
func (b *Blocks) validatorsAt(h int64, hash []byte, before *types.ValidatorSet) (*types.ValidatorSet, error) {
	if bytes.Equal(before.Hash(), hash) {
		return before, nil
	}
	set, err := b.state.LoadValidators(h)
	if err != nil {
		return nil, fmt.Errorf("reading its validators: %w", err)
	}
	if !bytes.Equal(set.Hash(), hash) {
		return nil, errors.New("the validators that the node keeps for it are others than the header before names")
	}
	return set, nil
}

// oldest is the hash of the validators of the oldest stored block.
func (b *Blocks) oldest() (hash []byte, err error) {
	defer recovered(&err, "oldest block")
	m := b.store.LoadBlockMeta(b.Base())
	if m == nil {
		return nil, ErrNoBlock
	}
	return m.Header.ValidatorsHash, nil
}

func (b *Blocks) validators() (*types.ValidatorSet, error) {
	if len(b.genesis.Validators) == 0 {
		return nil, errors.New("genesis names no validators")
	}
	list := make([]*types.Validator, len(b.genesis.Validators))
	for i, v := range b.genesis.Validators {
		list[i] = types.NewValidator(v.PubKey, v.Power)
	}
	return types.NewValidatorSet(list), nil
}

// check reads the block at h and everything that its header and its commit say of it.
func (b *Blocks) check(h int64, set *types.ValidatorSet, before *types.BlockID) (_ *types.Block, _ types.BlockID, err error) {
	defer recovered(&err, "stored block")
	block := b.store.LoadBlock(h)
	if block == nil {
		return nil, types.BlockID{}, ErrNoBlock
	}
	if err := block.ValidateBasic(); err != nil { // includes the hash of the transactions
		return nil, types.BlockID{}, fmt.Errorf("does not fit its own header: %s", short(err))
	}
	parts, err := block.MakePartSet(types.BlockPartSizeBytes)
	if err != nil {
		return nil, types.BlockID{}, fmt.Errorf("encoding: %w", err)
	}
	id := types.BlockID{Hash: block.Hash(), PartSetHeader: parts.Header()}
	switch {
	case block.Height != h:
		return nil, id, fmt.Errorf("header says height %d", block.Height)
	case block.ChainID != b.genesis.ChainID:
		return nil, id, errors.New("header names another chain")
	case !bytes.Equal(block.ValidatorsHash, set.Hash()):
		return nil, id, errors.New("header names other validators than the genesis or the block before")
	case before != nil && !block.LastBlockID.Equals(*before):
		return nil, id, fmt.Errorf("does not follow on the stored block %d", h-1)
	case h == b.genesis.InitialHeight && !block.LastBlockID.IsZero():
		return nil, id, errors.New("the first block names one before it")
	}
	commit := b.store.LoadBlockCommit(h)
	if commit == nil {
		commit = b.store.LoadSeenCommit(h) // of the last block no later one carries the votes
	}
	if commit == nil {
		return nil, id, errors.New("no votes are stored for it")
	}
	if err := types.VerifyCommit(b.genesis.ChainID, set, id, h, commit); err != nil {
		return nil, id, fmt.Errorf("not signed by the chain's validators: %s", short(err))
	}
	return block, id, nil
}

// loadStored reads a block; CometBFT's store panics on what it can't read.
func loadStored(s *store.BlockStore, height int64) (_ Stored, err error) {
	defer recovered(&err, fmt.Sprintf("block %d", height))
	raw := s.LoadBlock(height)
	if raw == nil {
		return Stored{}, fmt.Errorf("block %d: %w", height, ErrNoBlock)
	}
	return stored(raw)
}

func stored(raw *types.Block) (Stored, error) {
	at, txs, err := splitClock(raw.Txs.ToSliceOfBytes())
	if err != nil {
		return Stored{}, err
	}
	return Stored{
		Block:      Block{Height: raw.Height, Time: at, Txs: txs},
		ChainID:    raw.ChainID,
		Hash:       raw.Hash(),
		HeaderTime: raw.Time.UTC(),
		AppHash:    raw.AppHash,
	}, nil
}

// recovered turns CometBFT's panics on unreadable data into an error.
func recovered(err *error, what string) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%s can't be read: %s", what, short(p))
	}
}

// At reads the block at a height. One that is not stored is ErrNoBlock.
func (b *Blocks) At(height int64) (Stored, error) { return loadStored(b.store, height) }
