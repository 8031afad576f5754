package chain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/internal/comet"
)

// Snapshots says when the state is given out as a whole, so that a node can go on from
// there without the blocks before.
type Snapshots struct {
	Every int64 // blocks from one to the next, the same on every node; 0 for none
	// Take gets one snapshot at a time. Meanwhile the chain goes on; one that falls due
	// before Take has returned is left out. An error is logged.
	Take func(context.Context, *Snapshot) error
}

// Snapshot is the state as it stood after a block.
type Snapshot struct {
	Height  int64
	Size    int64 // of the log
	AppHash []byte

	chain     *Chain
	forgotten int64          // leaves that are not in the state any more
	hashes    comet.Iterator // of the log, over those leaves
	entries   comet.Iterator // of the state
}

// snapshot notes the state of a block that is just committed, where one is due.
func (c *Chain) snapshot(at meta) error {
	every := c.cfg.Snapshots.Every
	if every == 0 || at.Height%every != 0 || !c.copying.CompareAndSwap(false, true) {
		return nil
	}
	s := &Snapshot{Height: at.Height, Size: at.Size, AppHash: at.AppHash, chain: c}
	if err := s.open(); err != nil {
		return errors.Join(fmt.Errorf("beginning a snapshot of block %d: %w", at.Height, err), s.close())
	}
	c.copies <- s // has room: one at a time
	return nil
}

// open fixes the moment: an iterator sees the database as it is when it is made, and
// nothing is written before a commit has returned.
func (s *Snapshot) open() (err error) {
	if s.forgotten, err = forgotten(s.chain.get); err != nil {
		return err
	}
	if s.hashes, err = s.chain.db.Iterator([]byte(hashKey(0)), []byte(hashKey(tlog.StoredHashIndex(0, s.forgotten)+1))); err != nil {
		return err
	}
	s.entries, err = s.chain.db.Iterator([]byte(statePrefix), []byte(prefixEnd(statePrefix)))
	return err
}

func (s *Snapshot) close() error {
	var errs []error
	for _, it := range []comet.Iterator{s.hashes, s.entries} {
		if it != nil {
			errs = append(errs, it.Close())
		}
	}
	return errors.Join(errs...)
}

// snapshots has them taken, until ctx ends.
func (c *Chain) snapshots(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			select {
			case s := <-c.copies:
				s.close()
			default:
			}
			return
		case s := <-c.copies:
			err := c.cfg.Snapshots.Take(ctx, s)
			err = errors.Join(err, s.close())
			if err != nil && ctx.Err() == nil {
				c.cfg.Logger.Error("taking a snapshot", "height", s.Height, "error", err)
			}
			c.copying.Store(false)
		}
	}
}

// Each gives fn what Whole takes in, once: the log's hashes of what the state has
// forgotten, then the entries of the state. Key and value are fn's until it returns.
func (s *Snapshot) Each(ctx context.Context, fn func(key, value []byte) error) error {
	if err := walk(ctx, s.hashes, func(key, value []byte) error {
		level, n := tlog.SplitStoredHashIndex(ordinalOf(key[len(hashPrefix):]))
		tiles := s.forgotten >> tileLevel
		if level == tileLevel && n < tiles || level == 0 && n >= tiles<<tileLevel && n < s.forgotten {
			return fn(key, value)
		}
		return nil
	}); err != nil {
		return err
	}
	return walk(ctx, s.entries, fn)
}

func walk(ctx context.Context, it comet.Iterator, fn func(key, value []byte) error) error {
	for ; it.Valid(); it.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(it.Key(), it.Value()); err != nil {
			return err
		}
	}
	return it.Error()
}

// anchorEvery is how often it is looked whether the block after is there.
const anchorEvery = 100 * time.Millisecond

// Anchor waits for the block after, whose header says what this one came to, and gives
// what consensus goes on from.
func (s *Snapshot) Anchor(ctx context.Context) (*comet.Anchor, error) {
	tick := time.NewTicker(anchorEvery)
	defer tick.Stop()
	for {
		a, err := s.chain.node.Anchor(s.Height)
		if !errors.Is(err, comet.ErrNoBlock) {
			return a, err
		}
		if base := s.chain.node.Base(); base > s.Height {
			return nil, fmt.Errorf("block %d was pruned before the one after it came: keep more blocks", s.Height)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}
