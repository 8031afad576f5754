package ledger

import (
	"log/slog"
	"time"

	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/ledger/embedded"
)

// Parts are what a business chain is put together from.
type Parts struct {
	Dir     string // of the chain's node
	Genesis embedded.Genesis
	Clock   func() time.Time
	Logger  *slog.Logger
}

// Party is a node of an embedded business chain, wired. Its layers run it.
type Party struct{ Ledger *embedded.Ledger }

// New opens the chain. It starts nothing.
func New(p Parts) (*Party, error) {
	l, err := embedded.Open(embedded.Config{
		Dir: p.Dir, Genesis: p.Genesis, Logger: p.Logger.With("part", "business chain"), Now: p.Clock,
	})
	if err != nil {
		return nil, err
	}
	return &Party{Ledger: l}, nil
}

// Layers is the chain's node.
func (p *Party) Layers() []party.Layer {
	return []party.Layer{{Name: "business chain", Run: p.Ledger.Run, Ready: p.Ledger.Running()}}
}

// Close releases what was opened and is not to run.
func (p *Party) Close() error { return p.Ledger.Close() }
