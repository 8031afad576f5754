package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/ledger"
)

// Report says what a replay covered and what it found.
type Report struct {
	ChainID   string
	Genesis   Genesis
	Blocks    int64
	Txs       int64
	Records   uint64
	Confirmed int64 // highest block whose outcome a later signed header repeats
	// Differences are places where the stored state is not what the chain's
	// blocks make it; none on a sound ledger.
	Differences []string
}

// maxDifferences bounds a report; a wholly wrong state would repeat itself.
const maxDifferences = 100

// Replay checks the chain of a ledger that is not running, from its first block:
// every block's hashes and signatures, every receipt and every app hash by
// executing all of it again, and the stored state, key by key, against the state
// that results. It calls fn with each record, in order, and the time of its block.
// It changes nothing on disk, and holds the replayed state in memory.
//
// The error is for a chain that does not hold together or can't be read, or fn's own;
// a stored state that was altered is reported in Differences. A ledger in use is
// comet.ErrInUse.
func Replay(ctx context.Context, dir string, fn func(ledger.Stored, time.Time) error) (Report, error) {
	blocks, err := comet.OpenBlocks(nodeDir(dir))
	if err != nil {
		return Report{}, fmt.Errorf("replaying business chain: %w", err)
	}
	defer blocks.Close()
	disk, err := comet.OpenKVReadOnly(stateDir(dir))
	if err != nil {
		return Report{}, fmt.Errorf("replaying business chain: %w", err)
	}
	defer disk.Close()
	r := &replay{blocks: blocks, disk: disk, again: comet.NewMemKV(), fn: fn}
	if err := r.run(ctx); err != nil {
		return r.report, fmt.Errorf("replaying business chain: %w", err)
	}
	return r.report, nil
}

type replay struct {
	blocks *comet.Blocks
	disk   comet.KV
	again  comet.KV
	fn     func(ledger.Stored, time.Time) error
	report Report
}

func (r *replay) run(ctx context.Context) error {
	app, err := newContract(r.again, nil, Genesis{})
	if err != nil {
		return err
	}
	at, err := r.compareAt()
	if err != nil {
		return err
	}
	done, err := r.blocks.Replay(ctx, app, func(b comet.Stored, _ []comet.Result) error {
		for _, s := range app.staged.stored {
			r.report.Records++
			if err := r.fn(s, b.Time); err != nil {
				return err
			}
		}
		if b.Height == at {
			return r.compare()
		}
		return nil
	})
	r.report.ChainID = r.blocks.Genesis().ChainID
	r.report.Genesis, _ = app.terms()
	r.report.Blocks, r.report.Txs, r.report.Confirmed = done.Blocks, done.Txs, done.Confirmed
	return err
}

// compareAt is the block after which the stored state is compared. A crash may
// leave it one block behind the chain, which the next start makes up for; then it
// is compared as it was. 0 is never: nothing was stored yet.
func (r *replay) compareAt() (int64, error) {
	end := r.blocks.Height()
	m, err := readMeta(r.disk)
	switch {
	case err != nil:
		r.differs("height of the state: " + err.Error())
		return end, nil
	case m.Height == end, m.Height == end-1 && m.Height > 0:
		return m.Height, nil
	case m.Height == end-1: // before the first block was executed
		empty, err := isEmpty(r.disk)
		if err != nil || empty {
			return 0, err
		}
	}
	r.differs(fmt.Sprintf("the stored state is of block %d, the chain ends at %d", m.Height, end))
	if m.Height > 0 && m.Height < end {
		return m.Height, nil
	}
	return end, nil
}

func isEmpty(kv comet.KV) (bool, error) {
	it, err := kv.Iterator(nil, nil)
	if err != nil {
		return false, fmt.Errorf("reading stored state: %w", err)
	}
	defer it.Close()
	return !it.Valid(), it.Error()
}

// compare walks both states in the order of keys.
func (r *replay) compare() error {
	want, err := r.again.Iterator(nil, nil)
	if err != nil {
		return fmt.Errorf("reading replayed state: %w", err)
	}
	defer want.Close()
	have, err := r.disk.Iterator(nil, nil)
	if err != nil {
		return fmt.Errorf("reading stored state: %w", err)
	}
	defer have.Close()
	for want.Valid() || have.Valid() {
		switch order(want, have) {
		case -1:
			r.differs("missing: " + describe(want.Key(), want.Value()))
			want.Next()
		case 1:
			r.differs("not from any block: " + describe(have.Key(), nil))
			have.Next()
		default:
			if !bytes.Equal(want.Value(), have.Value()) {
				r.differs("altered: " + describe(want.Key(), want.Value()))
			}
			want.Next()
			have.Next()
		}
	}
	if err := errors.Join(want.Error(), have.Error()); err != nil {
		r.differs("the stored state can't be read to its end: " + err.Error())
	}
	return nil
}

type iterator interface {
	Valid() bool
	Key() []byte
}

// order compares the keys at which two iterators stand; an ended one comes last.
func order(a, b iterator) int {
	switch {
	case !b.Valid():
		return -1
	case !a.Valid():
		return 1
	}
	return bytes.Compare(a.Key(), b.Key())
}

func (r *replay) differs(what string) {
	switch n := len(r.report.Differences); {
	case n < maxDifferences:
		r.report.Differences = append(r.report.Differences, what)
	case n == maxDifferences:
		r.report.Differences = append(r.report.Differences, "and more")
	}
}

// describe names an entry of the state for people; value is the sound one where
// there is one.
func describe(key, value []byte) string {
	switch {
	case string(key) == metaKey:
		return "height, app hash and count of the state"
	case string(key) == keysKey:
		return "the authority's keys"
	case string(key) == genesisKey:
		return "the genesis"
	case key[0] == positionPrefix && len(key) == 9:
		return fmt.Sprintf("index of position %d", binary.BigEndian.Uint64(key[1:]))
	case key[0] == recordPrefix:
		k, err := parseKey(key[1:])
		if err != nil {
			break
		}
		name := fmt.Sprintf("record of flow %s, transaction %s", k.Flow, k.Tx)
		if s, err := decodeEntry(value, k); err == nil {
			name += fmt.Sprintf(", step %s, position %d, block %d", s.Step, s.Position, s.Height)
		}
		return name
	}
	return fmt.Sprintf("entry %x", key[:min(len(key), 65)])
}
