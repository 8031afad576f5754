package sealing

import (
	"fmt"
	"slices"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
)

// SealDraft seals data that the platform keeps for itself between two steps of a
// flow, bound to the flow and to the reference id.
func (s *Sealer) SealDraft(id flow.ID, flowID flow.Hash, data []byte) ([]byte, error) {
	m := envelope.Message{Payload: data}
	if err := s.salt(&m); err != nil {
		return nil, err
	}
	c := s.draftContext(id, flowID, s.Own().ID(), envelope.Commit(s.cfg.Suite, m))
	sealed, err := s.cfg.Suite.Seal(s.cfg.Random, c, m, s.Own())
	if err != nil {
		return nil, fmt.Errorf("sealing a draft: %w", err)
	}
	key := s.Own().ID()
	return slices.Concat(key[:], c.Commitment[:], sealed), nil
}

// OpenDraft is the inverse of SealDraft.
func (s *Sealer) OpenDraft(id flow.ID, flowID flow.Hash, draft []byte) ([]byte, error) {
	var key flow.KeyID
	var commitment flow.Hash
	if len(draft) < len(key)+len(commitment) {
		return nil, fmt.Errorf("opening a draft: %w", envelope.ErrMalformed)
	}
	n := copy(key[:], draft)
	n += copy(commitment[:], draft[n:])
	for _, k := range append([]envelope.PrivateKey{s.cfg.Sealing}, s.cfg.OldSealing...) {
		if k.Public().ID() != key {
			continue
		}
		m, err := s.cfg.Suite.Open(s.draftContext(id, flowID, key, commitment), draft[n:], k)
		if err != nil {
			return nil, fmt.Errorf("opening a draft: %w", err)
		}
		return m.Payload, nil
	}
	return nil, fmt.Errorf("opening a draft: %w", envelope.ErrNotRecipient)
}

func (s *Sealer) draftContext(id flow.ID, flowID flow.Hash, key flow.KeyID, commitment flow.Hash) envelope.Context {
	return envelope.Context{
		Purpose: purposeDraft, Suite: s.cfg.Suite.Name(), Chain: s.cfg.Chain, Network: s.cfg.Network,
		Platform: s.cfg.Platform, Business: s.cfg.Business, Step: flow.Settle, Flow: flowID, ID: id,
		Sender: key, Recipients: []flow.KeyID{key}, Commitment: commitment,
	}
}
