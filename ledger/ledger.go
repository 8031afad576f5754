// Package ledger is the port to a business chain: the ledger that the companies
// of a network share and in which the authority takes no part (R8.2).
//
// Implementations translate to one chain's SDK and decide nothing; package
// ledgertest holds them all to the same behaviour. memory is the reference,
// embedded runs a CometBFT chain of its own.
package ledger

import (
	"context"
	"errors"
	"fmt"

	"signalbox.dev/signalbox/flow"
)

// Ledger is a business chain as Signalbox needs it. All methods are safe for
// concurrent use.
type Ledger interface {
	// Put stores rec under rec.Key. When it returns nil the record is final: it
	// survives the crash of any minority of the chain's nodes. Putting the same
	// record again returns the same TxID; another record under the same key is
	// ErrConflict. The chain itself checks the receipt (R1.7): without a valid
	// one for this very network, platform, key, step and content the error
	// wraps ErrRefused and says why. Any other error leaves the outcome unknown
	// and Put must be called again.
	Put(ctx context.Context, rec Record) (TxID, error)
	// Get returns what is stored under key, or ErrNotFound.
	Get(ctx context.Context, key Key) (Stored, error)
	// List returns a flow's records in the order in which they were stored;
	// none is an empty list.
	List(ctx context.Context, id flow.Hash) ([]Stored, error)
	// Follow calls fn for every stored record after position from, in order and
	// without gaps, and goes on with new ones until ctx ends or fn fails; it
	// returns that error. Position 0 is before the first record.
	Follow(ctx context.Context, from uint64, fn func(Stored) error) error
	// Capabilities says what this chain offers beyond the above.
	Capabilities() Capabilities
}

// Key names a record: the flow's txhash (R1.6), and the transaction hash of the
// decision that let it in, which for a registration is the same (R1.5, R2.7, R4.6).
type Key struct {
	Flow flow.Hash
	Tx   flow.Hash
}

// Record is what a platform stores on the business chain.
type Record struct {
	Key     Key
	Step    flow.Step
	Value   []byte // sealed; the chain never reads it. Its SHA-256 stands in the receipt
	Receipt []byte // tlog-proof of the decision that permits it
}

// TxID is the business chain's own name for a transaction, as its tools print it.
type TxID string

// Stored is a record with its place on the chain.
type Stored struct {
	Record
	TxID     TxID
	Position uint64 // counts records from 1, in the chain's order
	Height   uint64 // block height; 0 on a ledger without blocks
}

// Capabilities are honest differences between chains.
type Capabilities struct {
	Name     string // "memory", "embedded", ...
	Network  string // the network id that receipts must name
	Durable  bool   // records survive a restart of the process
	Blocks   bool   // Stored.Height is meaningful
	MaxValue int    // largest Value, in bytes
}

// Errors of every implementation.
var (
	ErrNotFound = errors.New("no such record on the business chain")
	ErrConflict = errors.New("another record stands under this key on the business chain")
	ErrRefused  = errors.New("refused by the business chain")
	// ErrExpired is the refusal, an ErrRefused, that is about the chain's time and
	// not about the record: to the chain the decision has expired.
	ErrExpired = fmt.Errorf("%w: its clock says that the decision has expired", ErrRefused)
)
