package comet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// CometBFT stamps a block with the median time of the votes for the block
// before it. Where no empty blocks are made, that is when the chain last had
// something to do: after a quiet night the morning's first block would carry
// yesterday's date, and tokens (R2.3) and expiries would be judged by it.
//
// So the proposer puts its own clock into the block, as a transaction in front
// of the others. It stands there for every later replay. Validators refuse a
// proposal whose clock goes back or runs ahead of theirs by more than
// clockTolerance. It may go back where the last block's ran ahead by more than
// that, as their own clocks say, and the application knows how far at most
// (ClockFloor). They don't refuse one that is late: after a crash the same
// proposal is replayed, perhaps hours later.

// clockMark begins a clock transaction; eight bytes of Unix nanoseconds follow.
var clockMark = []byte("\x00clock\x00\x01")

// clockTolerance is how far a proposer's clock may run ahead of a validator's.
const clockTolerance = time.Minute

// earliest is what a block must be dated after, when the block before was dated
// last and this node's clock says now.
func earliest(app Application, last, now time.Time) time.Time {
	f, ok := app.(ClockFloor)
	if !ok || !last.After(now.Add(clockTolerance)) {
		return last
	}
	if floor := f.ClockFloor(); floor.Before(last) {
		return floor
	}
	return last
}

// isClock says whether tx claims to be a clock: no such thing enters the mempool.
func isClock(tx []byte) bool { return bytes.HasPrefix(tx, clockMark) }

func clockTx(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(bytes.Clone(clockMark), uint64(t.UnixNano()))
}

// splitClock takes a block's transactions apart: its time, and what the
// application is to see. A block without transactions has neither.
func splitClock(txs [][]byte) (time.Time, [][]byte, error) {
	if len(txs) == 0 {
		return time.Time{}, nil, nil
	}
	if !isClock(txs[0]) || len(txs[0]) != len(clockMark)+8 {
		return time.Time{}, nil, errors.New("block has transactions and no clock")
	}
	for i, tx := range txs[1:] {
		if isClock(tx) {
			return time.Time{}, nil, fmt.Errorf("transaction %d is a second clock", i+1)
		}
	}
	nanos := int64(binary.BigEndian.Uint64(txs[0][len(clockMark):]))
	return time.Unix(0, nanos).UTC(), txs[1:], nil
}
