package chain

import (
	"errors"
	"fmt"
	"io"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
)

// Kind is what a transaction does.
type Kind uint8

// The kinds.
const (
	KindDecide Kind = 1 // asks for the decision on a submission
	KindAnchor Kind = 2 // notes where granted records stand on business chains
	KindOrder  Kind = 3 // an officer's order (R9.6)
	KindTick   Kind = 4 // lets deadlines and times come where nothing else happens
	KindReady  Kind = 5 // a candidate for a seat follows the chain (R8.1)

	KindArchive Kind = 9 // the authority has archived decisions, and what blocks held of them (R10.1)
)

// Transaction is what the authority puts on its chain, or, of KindReady, a node.
// Body is kept as signed.
type Transaction struct {
	_ struct{} `cbor:",toarray"`

	Kind      Kind
	Body      []byte // encoded Decide, Anchors, SignedOrder, Tick, Ready or ArchivedTo
	Signature []byte // by the authority's signing key, or the node's, over signingInput
}

// Decide is the body of KindDecide: the submission as received and the facts
// that the authority derived from it.
type Decide struct {
	_ struct{} `cbor:",toarray"`

	Submission  flow.Submission
	Facts       []byte // encoded contract.Facts; the leaf holds their hash
	Certificate []byte // DER, for an enrolment alone
}

// Anchors is the body of KindAnchor.
type Anchors struct {
	_ struct{} `cbor:",toarray"`

	Platform string
	Anchors  []flow.Anchor
}

// SignedOrder is the body of KindOrder: an officer's order with the officer's
// signature and, where policy asks for it, a second officer's (R9.6).
type SignedOrder struct {
	_ struct{} `cbor:",toarray"`

	Order           []byte // encoded contract.Order, as signed
	Signature       []byte // by the officer that the order names, over OrderInput
	Second          string // the second officer's identity; empty for none
	SecondSignature []byte // over the same
}

// OrderInput is what officers sign.
func OrderInput(id string, order []byte) []byte {
	return flow.Frame("signalbox/order/v1\n", []byte(id), order)
}

// Tick is the body of KindTick. Now makes each one another transaction.
type Tick struct {
	_ struct{} `cbor:",toarray"`

	Now int64 // Unix seconds, by the authority's clock; it has no effect
}

// MaxTx is the largest transaction, in bytes.
const MaxTx = flow.MaxMessage

// TxHash is a transaction's hash: the txhash of the method when the transaction
// is a granted registration (R1.4).
func TxHash(tx []byte) flow.Hash { return flow.SumHash(tx) }

// Compose encodes body and signs the transaction for the chain named id.
func Compose(id string, kind Kind, body any, suite envelope.Suite, key envelope.PrivateKey, random io.Reader) ([]byte, error) {
	b, err := flow.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("composing transaction: %w", err)
	}
	sig, err := suite.Sign(random, key, signingInput(id, kind, b))
	if err != nil {
		return nil, fmt.Errorf("composing transaction: %w", err)
	}
	tx, err := flow.Marshal(Transaction{Kind: kind, Body: b, Signature: sig})
	if err != nil {
		return nil, fmt.Errorf("composing transaction: %w", err)
	}
	if len(tx) > MaxTx {
		return nil, fmt.Errorf("composing transaction: %d bytes, at most %d", len(tx), MaxTx)
	}
	return tx, nil
}

func signingInput(id string, kind Kind, body []byte) []byte {
	return flow.Frame("signalbox/transaction/v1\n", []byte(id), []byte{byte(kind)}, body)
}

var errTransaction = errors.New("transaction is malformed")

func parseTransaction(tx []byte) (Transaction, error) {
	var t Transaction
	if len(tx) > MaxTx {
		return t, fmt.Errorf("%w: %d bytes, at most %d", errTransaction, len(tx), MaxTx)
	}
	if err := flow.Unmarshal(tx, &t); err != nil {
		return t, fmt.Errorf("%w: %w", errTransaction, err)
	}
	return t, nil
}

func parseBody(t Transaction, v any) error {
	if err := flow.Unmarshal(t.Body, v); err != nil {
		return fmt.Errorf("%w: body: %w", errTransaction, err)
	}
	return nil
}
