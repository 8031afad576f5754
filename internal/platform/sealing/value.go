package sealing

import (
	"errors"
	"fmt"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/receipt"
)

// Purposes of contexts, besides "submission".
const (
	purposeRecord = "record"
	purposeDraft  = "draft"
)

// ErrValue is what errors about a business chain's value wrap.
var ErrValue = errors.New("the business record does not hold")

// Value is what a business chain stores for a step: the sealed copy, the context
// it is bound to, and the platform's signature over both. The same bytes serve
// every reader; only the key that it is sealed to opens it.
type Value struct {
	_ struct{} `cbor:",toarray"`

	Version   uint8  // 1
	Context   []byte // encoded envelope.Context, as signed
	Sealed    []byte // CMS AuthEnvelopedData
	Signature []byte // by the platform, over SigningInput
}

// SigningInput is what the platform signs.
func (v Value) SigningInput() []byte {
	return flow.Frame("signalbox/record/v1\n", v.Context, v.Sealed)
}

// OpenValue opens a business chain's value for whoever holds key. leaf is the
// proven decision that let the value in: the context is compared with it, never
// believed. sender is the platform's signing key. The payload comes back only
// when signature, context, commitment and the leaf's record hash all agree.
// A value that is for another key is envelope.ErrNotRecipient.
func OpenValue(suite envelope.Suite, raw []byte, leaf receipt.Leaf, sender envelope.PublicKey, key envelope.PrivateKey) ([]byte, error) {
	if leaf.Record != flow.SumHash(raw) {
		return nil, fmt.Errorf("%w: the decision is for other content", ErrValue)
	}
	var v Value
	if err := flow.Unmarshal(raw, &v); err != nil || v.Version != 1 {
		return nil, fmt.Errorf("%w: not a value of version 1", ErrValue)
	}
	if err := suite.Verify(sender, v.SigningInput(), v.Signature); err != nil {
		return nil, fmt.Errorf("%w: the platform's signature: %w", ErrValue, err)
	}
	var c envelope.Context
	if err := flow.Unmarshal(v.Context, &c); err != nil {
		return nil, fmt.Errorf("%w: context is malformed", ErrValue)
	}
	want := recordContext(leaf, sender.ID(), c.Recipients)
	if !sameContext(c, want) {
		return nil, fmt.Errorf("%w: its context is not that of decision %s", ErrValue, leaf.Tx)
	}
	m, err := suite.Open(want, v.Sealed, key)
	if err != nil {
		return nil, fmt.Errorf("opening business record %s: %w", leaf.Tx, err)
	}
	if envelope.Commit(suite, m) != leaf.Commitment {
		return nil, fmt.Errorf("%w: the content is not what decision %s is for", ErrValue, leaf.Tx)
	}
	return m.Payload, nil
}

// recordContext rebuilds a record's context from the proven decision.
func recordContext(l receipt.Leaf, sender flow.KeyID, recipients []flow.KeyID) envelope.Context {
	return envelope.Context{
		Purpose: purposeRecord, Suite: l.Suite, Chain: l.Chain, Network: l.Network,
		Platform: l.Platform, Business: l.Business, Step: l.Step, ID: l.Submission,
		Actor: l.Actor, Sender: sender, Recipients: recipients, Commitment: l.Commitment,
	}
}

func sameContext(a, b envelope.Context) bool {
	x, errX := flow.Marshal(a)
	y, errY := flow.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}
