package sealing

import (
	"fmt"
	"slices"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/receipt"
)

// OpenStored opens a record of the business chain that is sealed to the
// platform's own key, after verifying the receipt that it stands with (R2.4). A
// record for anybody else is envelope.ErrNotRecipient.
func (s *Sealer) OpenStored(rec ledger.Stored) ([]byte, error) {
	leaf, err := s.Prove(rec.Receipt)
	if err != nil {
		return nil, fmt.Errorf("opening record %s: %w", rec.Key.Tx, err)
	}
	if err := standsUnder(rec, leaf); err != nil {
		return nil, err
	}
	sender, key, err := s.keysOf(rec.Value)
	if err != nil {
		return nil, fmt.Errorf("opening record %s: %w", rec.Key.Tx, err)
	}
	return OpenValue(s.cfg.Suite, rec.Value, leaf, sender, key)
}

// standsUnder says whether a record stands under the decision that its receipt proves.
func standsUnder(rec ledger.Stored, leaf receipt.Leaf) error {
	if leaf.Verdict != flow.Granted || leaf.Flow != rec.Key.Flow || leaf.Tx != rec.Key.Tx || leaf.Step != rec.Step {
		return fmt.Errorf("%w: record %s stands under another decision", ErrValue, rec.Key.Tx)
	}
	return nil
}

// keysOf finds which of the platform's keys, present or former, signed a value
// and open it. The wrapper's word for it is safe: OpenValue checks both.
func (s *Sealer) keysOf(raw []byte) (envelope.PublicKey, envelope.PrivateKey, error) {
	var v Value
	var c envelope.Context
	if flow.Unmarshal(raw, &v) != nil || flow.Unmarshal(v.Context, &c) != nil {
		return envelope.PublicKey{}, envelope.PrivateKey{}, fmt.Errorf("%w: not a value of version 1", ErrValue)
	}
	sender := s.cfg.Signing.Public()
	for _, k := range s.cfg.OldSigning {
		if k.ID() == c.Sender {
			sender = k
		}
	}
	for _, k := range slices.Concat([]envelope.PrivateKey{s.cfg.Sealing}, s.cfg.OldSealing) {
		if slices.Contains(c.Recipients, k.Public().ID()) {
			return sender, k, nil
		}
	}
	return envelope.PublicKey{}, envelope.PrivateKey{}, envelope.ErrNotRecipient
}

// Reader is what someone who is not the platform needs to read what is sealed to
// them on the business chain: a producer, with its own key, on its own machine.
type Reader struct {
	Suite  envelope.Suite
	Chain  string             // supervision chain id
	Log    receipt.Keys       // the authority's log keys
	Sender envelope.PublicKey // the platform's signing key
}

// Open verifies the record's receipt and opens the record with key. What is
// sealed to others is envelope.ErrNotRecipient.
func (r Reader) Open(rec ledger.Stored, key envelope.PrivateKey) ([]byte, error) {
	p, err := receipt.Verify(rec.Receipt, r.Log, r.Chain)
	if err != nil {
		return nil, fmt.Errorf("opening record %s: %w", rec.Key.Tx, err)
	}
	if err := standsUnder(rec, p.Leaf); err != nil {
		return nil, err
	}
	return OpenValue(r.Suite, rec.Value, p.Leaf, r.Sender, key)
}
