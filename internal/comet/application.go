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
	// from one block with transactions to the next. It is zero in a block without
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
