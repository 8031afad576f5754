package chain

import (
	"log/slog"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/comet"
)

// Keys of the database, for tests that tamper with it.
var (
	LeafKey       = leafKey
	HashKey       = hashKey
	CheckpointKey = checkpointKey
)

// Application is the chain's application without a node, for tests that execute
// blocks themselves.
func Application(kv comet.KV) (comet.Application, error) {
	return newApplication(kv, slog.New(slog.DiscardHandler))
}

// State is the contract's part of the state in kv.
func State(kv comet.KV) contract.State { return readState{kv} }

// StepBack makes a database of one block earlier, where the last block was empty.
func StepBack(kv comet.KV, by int64) error {
	raw, err := kv.Get([]byte(metaName))
	if err != nil {
		return err
	}
	var m meta
	if err := flow.Unmarshal(raw, &m); err != nil {
		return err
	}
	m.Height -= by
	if raw, err = flow.Marshal(m); err != nil {
		return err
	}
	return kv.SetSync([]byte(metaName), raw)
}

// CheckExtension judges what a member's vote carries, as consensus does.
func (c *Chain) CheckExtension(address, data []byte) error {
	return c.app.CheckExtension(comet.Extension{Address: address, Data: data})
}
