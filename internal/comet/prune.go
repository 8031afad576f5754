package comet

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	// pruneStep is how many blocks one commit gives up at most, so that consensus
	// does not stand still when there are many.
	pruneStep = 500
	// keptLogs is how many full files of CometBFT's write-ahead log are kept beside
	// the one being written. It begins another when it finds one over 10 MB, looking
	// every 5 s. At a commit the end of the block is in the one being written or the
	// last full one, and a start reads from there.
	keptLogs = 2
	// trimEvery is after how many commits old ones are taken away.
	trimEvery = 16
	// evidenceBlocks and evidenceTime are how long CometBFT keeps headers and votes
	// of pruned blocks, to judge validators by. Nothing of ours judges by them.
	// Both must have passed.
	evidenceBlocks = 1000
	evidenceTime   = time.Minute
)

// retain is the height below which blocks may go, told CometBFT with a commit; 0
// for none. CometBFT prunes the states of those heights as well.
func (n *Node) retain() int64 {
	if n.inner == nil { // blocks are being executed again at the start
		return 0
	}
	if n.commits++; n.commits%trimEvery == 0 {
		if err := trimLog(n.cfg.Dir); err != nil {
			n.cfg.Logger.Warn("trimming the write-ahead log", "error", err)
		}
	}
	if n.cfg.Retain == nil {
		return 0
	}
	s := n.inner.BlockStore()
	base := s.Base()
	height := min(n.cfg.Retain(base, s.Height()), base+pruneStep, s.Height())
	if base == 0 || height <= base {
		return 0
	}
	return height
}

// trimLog takes away old files of the write-ahead log. It is read from its last
// finished height on, which is in the newest.
func trimLog(dir string) error {
	old, err := filepath.Glob(walFile(dir) + ".[0-9]*")
	if err != nil {
		return err
	}
	slices.SortFunc(old, func(a, b string) int { // numbers grow longer with time
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return slices.Compare([]byte(a), []byte(b))
	})
	for _, f := range old[:max(0, len(old)-keptLogs)] {
		if err := os.Remove(f); err != nil {
			return fmt.Errorf("removing %s: %w", filepath.Base(f), err)
		}
	}
	return nil
}

// Base is the lowest height whose block is kept; 0 before the first.
func (n *Node) Base() int64 {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.state != running {
		return 0
	}
	return n.inner.BlockStore().Base()
}

// Compact has the node's stores write themselves anew, so that what was deleted is
// not on disk any more. The node goes on meanwhile.
func (n *Node) Compact() error {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.state != running {
		return ErrStopped
	}
	for _, kv := range n.dbs {
		if err := kv.Compact(nil, nil); err != nil {
			return fmt.Errorf("compacting a store: %w", err)
		}
	}
	return nil
}
