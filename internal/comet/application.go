package comet

import (
	"encoding/json"
	"fmt"
	"time"
)

// Application is a deterministic state machine on a chain: from the same genesis
// and the same blocks, every instance comes to the same results and hashes.
//
// Init, Finalize and Commit are called one at a time. Check runs beside
// Finalize, but never beside Commit, and reads committed state. An error of Init,
// Finalize or Commit stops the node (see Node.Run): it is for what a retry can't
// mend, such as a full disk, never for a bad transaction.
type Application interface {
	// Last says up to which block state is durable and what its app hash is; the
	// zero Position when nothing was committed yet. It is asked once at start, and
	// the blocks that follow are then given to Finalize again.
	Last() (Position, error)
	// Init stages the state of the genesis, to be made durable with the first
	// block, and returns its app hash. It is called again when the process ended
	// before that, and must then do the same.
	Init(g Genesis) (appHash []byte, err error)
	// Check says early whether tx has a chance; nil lets it into the mempool. It is
	// advice to one node: Finalize judges every transaction again.
	Check(tx []byte) *Refusal
	// Finalize executes a block on top of committed state and stages the outcome.
	// It may use nothing but b and that state. In a block without transactions
	// nothing may change, or empty blocks never end.
	Finalize(b Block) (Outcome, error)
	// Commit makes what Finalize staged durable in one atomic write, height and app
	// hash with it. When it returns, whoever waits for a transaction may be told.
	Commit() error
}

// Extender is an Application whose validators put something of their own into their
// votes, which CometBFT calls vote extensions (Config.Extensions). It is no part of
// blocks and has no effect on state: each node sees the votes of more than two
// thirds, and which ones differs from node to node.
type Extender interface {
	Application
	// Extend gives what this node's vote on the next block carries, about committed
	// state; nil for nothing.
	Extend() []byte
	// CheckExtension judges what another validator's vote carries, by committed
	// state; it is not asked about nothing. An error costs that validator its vote on
	// the block, so it must be the same on every node.
	CheckExtension(e Extension) error
	// Extended is told what the votes of a final block carried, before Finalize of
	// that block. What it was not told of, because the process ended, doesn't come again.
	Extended(all []Extension)
}

// Extension is what a validator's vote carries.
type Extension struct {
	Address []byte // of the validator, 20 bytes
	Data    []byte
}

// ClockFloor is an Application that can tell, of its committed state, a time that
// has surely passed. Its chain's time comes back when the clock of who proposed
// had run ahead and the validators see it, but to no time before the floor.
// Without one a chain waits until its time has come.
type ClockFloor interface {
	ClockFloor() time.Time
}

// Position is how far an application has come.
type Position struct {
	Height  int64 // the block's number, from 1; 0 is before the first
	AppHash []byte
}

// Genesis is what a chain begins with.
type Genesis struct {
	ChainID  string
	Time     time.Time
	AppState json.RawMessage // as given in Config, with white space taken out
}

// Block is a block as the application sees it.
type Block struct {
	Height int64
	// Time is when the block was proposed (see clock.go), in UTC. It never goes back
	// from one block with transactions to the next, save to what ClockFloor allows. It is zero in a block without
	// transactions, since nothing may happen in one.
	Time time.Time
	Txs  [][]byte
	// Voted are the validators of the block before, in the order of its set, and
	// whether this block carries their votes; none in the first block.
	Voted []Voted
}

// Outcome is what a block's execution came to.
type Outcome struct {
	Results []Result // one for each of Block.Txs, in order
	AppHash []byte   // of the whole state; the same as before when nothing changed
	// Validators whose power changes, of the block after the next on. Only
	// changes, and never all to 0.
	Validators []Validator
}

// Result is a transaction's outcome. Code and Data are part of the next block's
// header and so must be deterministic; Log is for people.
type Result struct {
	Code uint32 // 0 when the transaction took effect
	Log  string
	Data []byte
}

// Refusal is an application's no to a transaction.
type Refusal struct {
	Code uint32 // the application's own; never 0
	Log  string // for people; holds nothing personal
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("transaction refused with code %d: %s", r.Code, r.Log)
}
