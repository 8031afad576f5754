package chain

import (
	"log/slog"

	"signalbox.dev/signalbox/contract"
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
