package authority

import (
	"context"
	"fmt"
	"sync"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/ops"
	"signalbox.dev/signalbox/internal/party"
)

// What one look at the figures reads at most.
const (
	maxLeaves = 100_000
	maxHolds  = 1_000
)

// Figures are the supervision chain's for operators. Decisions are counted from
// the call on. node is the identity of the chain's node among others; empty for one alone.
func Figures(c *chain.Chain, node string) ops.Source {
	v := verdicts{chain: c, next: c.Size(), counts: map[flow.Verdict]int64{flow.Granted: 0, flow.Refused: 0, flow.Held: 0}}
	return ops.Source{Part: "supervision chain", Read: func(ctx context.Context, emit ops.Emit) error {
		emit(ops.ChainHeight, float64(c.Height()))
		emit(ops.ChainDecisions, float64(c.Size()))
		if node != "" {
			if err := party.SeatFigures(c, node, emit); err != nil {
				return err
			}
		}
		if err := v.read(ctx, emit); err != nil {
			return err
		}
		open, err := openHolds(c.State())
		if err != nil {
			return err
		}
		emit(ops.HoldsOpen, float64(open))
		return nil
	}}
}

// verdicts counts the log's decisions as it grows.
type verdicts struct {
	chain *chain.Chain

	mu     sync.Mutex // guards what follows
	next   int64      // index of the first leaf that was not counted
	counts map[flow.Verdict]int64
}

func (v *verdicts) read(ctx context.Context, emit ops.Emit) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for end := min(v.chain.Size(), v.next+maxLeaves); v.next < end && ctx.Err() == nil; v.next++ {
		leaf, err := v.chain.Leaf(v.next)
		if err != nil {
			return fmt.Errorf("counting decisions: %w", err)
		}
		v.counts[leaf.Verdict]++
	}
	for verdict, n := range v.counts {
		emit(ops.Decisions, float64(n), string(verdict))
	}
	return ctx.Err()
}

// openHolds counts holds without a verdict, up to maxHolds.
func openHolds(s contract.State) (int, error) {
	first, last, err := contract.Holds(s)
	if err != nil {
		return 0, fmt.Errorf("counting holds: %w", err)
	}
	open := 0
	for n := max(first, 1); n <= last && open < maxHolds; n++ {
		tx, ok, err := contract.HoldNumber(s, n)
		if err != nil {
			return 0, fmt.Errorf("counting holds: %w", err)
		}
		if !ok {
			continue
		}
		h, ok, err := contract.HoldOf(s, tx)
		if err != nil {
			return 0, fmt.Errorf("counting holds: %w", err)
		}
		if ok && h.Verdict == flow.Held {
			open++
		}
	}
	return open, nil
}
