package oversight

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
)

// Chain is what is read of the supervision chain. *chain.Chain is one.
type Chain interface {
	State() contract.State
	Identities(role contract.Role) ([]contract.Identity, error)
	ByTx(tx flow.Hash) (chain.Decided, error)
	Explain(tx flow.Hash) (contract.Explanation, error)
	Past(ctx context.Context, from, to time.Time, fn func(chain.Past) error) error
	Erasures(fn func(chain.Erasure) error) error
	Payload(tx flow.Hash) (contract.Payload, error) // as an order names it
	Base() int64                                    // the lowest height whose block is kept
	Size() int64
	Height() int64
	Connected() []string // network ids of the nodes that this one is connected to
}

// Authority takes orders and makes pseudonyms. *authority.Authority is one.
type Authority interface {
	// Order carries out a signed order and says what it brought about. A
	// *contract.OrderRefused, or an error that wraps chain.ErrRefused or
	// chain.ErrSender, means that it was not; after any other, who knows.
	Order(ctx context.Context, o chain.SignedOrder) (contract.OrderOutcome, error)
	// Pseudonym is the pseudonym under which the chain knows an id of a kind:
	// "subject", "item", "originator", "prescriber".
	Pseudonym(kind, id string) string
	// Unanchored lists up to limit granted records without an anchor after their
	// time, by leaf, from the leaf of that index on.
	Unanchored(from int64, limit int) ([]chain.Unanchored, error)
	// Findings lists up to limit anchors that can't stand, from a cursor on, and
	// gives the cursor of the next page; it is empty at the beginning and the end.
	Findings(from string, limit int) (list []chain.AnchorFinding, next string, err error)
}

// Config is what a Handler runs with.
type Config struct {
	Chain     Chain
	Authority Authority
	CA        []byte           // DER certificate of the authority's CA
	Keys      LogKeys          // nil: the log's keys are elsewhere
	Node      string           // identity of the chain's own node, one of several; empty: alone
	Clock     func() time.Time // nil: time.Now
	Logger    *slog.Logger     // nil: discard
}

// Validate says what is missing.
func (c Config) Validate() error {
	if c.Chain == nil || c.Authority == nil {
		return errors.New("oversight: chain or authority is missing")
	}
	return nil
}
