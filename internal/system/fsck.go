package system

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"signalbox.dev/signalbox/internal/audit"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/ledger/embedded"
	"signalbox.dev/signalbox/receipt"
)

// Checked is what Fsck found.
type Checked struct {
	SupervisionBlocks int64 `json:"supervision_blocks"`
	BusinessBlocks    int64 `json:"business_blocks"`
	Checkpoints       int   `json:"checkpoints"`
	audit.Report
}

// Fsck re-checks a data directory that is not in use: both chains from their
// first block, the log against every checkpoint, every business record against
// its decision, and the other way round (R7.2, R8.1). Only public keys are read.
// say is told what is being done.
func Fsck(ctx context.Context, dir string, now time.Time, say func(string)) (Checked, error) {
	s, err := LoadSettings(dir)
	if err != nil {
		return Checked{}, err
	}
	l := dataDir(dir)
	text, err := os.ReadFile(l.published())
	if err != nil {
		return Checked{}, fmt.Errorf("reading the authority's keys: %w", err)
	}
	keys, err := receipt.ParseKeys(string(text))
	if err != nil {
		return Checked{}, err
	}
	var out Checked
	a := audit.New(keys, s.Chain, s.Network, now)
	say("supervision chain")
	supervision, err := chain.Replay(ctx, l.chain(), keys, func(d chain.Decided) error {
		a.Decision(d.Leaf, d.Anchor)
		return nil
	})
	if errors.Is(err, os.ErrNotExist) {
		out.Report = a.Report()
		return out, nil // founded and never run
	}
	if err != nil {
		return Checked{}, err
	}
	say("business chain")
	business, err := embedded.Replay(ctx, l.ledger(), func(r ledger.Stored, _ time.Time) error {
		a.Record(r)
		return nil
	})
	problems := business.Differences
	switch {
	case ctx.Err() != nil, errors.Is(err, comet.ErrInUse):
		return Checked{}, err
	case err != nil:
		problems = append(problems, "business chain: "+err.Error())
	}
	out.SupervisionBlocks, out.BusinessBlocks, out.Checkpoints = supervision.Blocks, business.Blocks, supervision.Checkpoints
	out.Report = a.Report()
	out.Inconsistencies = append(append(supervision.Problems, problems...), out.Inconsistencies...)
	if out.Inconsistencies == nil {
		out.Inconsistencies = []string{}
	}
	return out, nil
}
