package segment

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/receipt"
)

// Fetch gives a file of the archive.
type Fetch func(name string) ([]byte, error)

// Log is the log as it was at one segment's checkpoint, read from tiles. Not safe
// for concurrent use.
type Log struct {
	Size  int64
	Fetch Fetch
	tiles map[string][]byte // that were read

	bundle string // that was read last
	leaves [][]byte
}

var _ tlog.HashReader = (*Log)(nil)

// ReadHashes implements tlog.HashReader.
func (l *Log) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		t := tlog.TileForIndex(tileHeight, x)
		t = wide(t.L, t.N, l.Size)
		data, err := l.tile(t)
		if err != nil {
			return nil, err
		}
		if out[i], err = tlog.HashFromTile(t, data, x); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, tileName(t), err)
		}
	}
	return out, nil
}

func (l *Log) tile(t tlog.Tile) ([]byte, error) {
	name := tileName(t)
	if data, ok := l.tiles[name]; ok {
		return data, nil
	}
	data, err := l.Fetch(name)
	if err != nil {
		return nil, err
	}
	if len(data) != t.W*tlog.HashSize {
		return nil, fmt.Errorf("%w: %s has %d bytes", ErrDamaged, name, len(data))
	}
	if l.tiles == nil {
		l.tiles = map[string][]byte{}
	}
	l.tiles[name] = data
	return data, nil
}

// Leaf gives the bytes of a leaf.
func (l *Log) Leaf(index int64) ([]byte, error) {
	t := wide(-1, index>>tileHeight, l.Size)
	if l.bundle == tileName(t) {
		return l.leaves[index%Width], nil
	}
	data, err := l.Fetch(tileName(t))
	if err != nil {
		return nil, err
	}
	leaves, err := unbundle(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tileName(t), err)
	}
	if len(leaves) != t.W {
		return nil, fmt.Errorf("%w: %s has %d leaves", ErrDamaged, tileName(t), len(leaves))
	}
	l.bundle, l.leaves = tileName(t), leaves
	return leaves[index%Width], nil
}

// Receipt makes a decision's receipt under the first of the checkpoints that
// covers its leaf (R2.3). It is for the caller to verify.
func (l *Log) Receipt(index int64, checkpoints []Signed) ([]byte, error) {
	for _, cp := range checkpoints {
		if cp.Size <= index || cp.Size > l.Size {
			continue
		}
		leaf, err := l.Leaf(index)
		if err != nil {
			return nil, err
		}
		inclusion, err := tlog.ProveRecord(cp.Size, index, l)
		if err != nil {
			return nil, fmt.Errorf("proving leaf %d: %w", index, err)
		}
		return receipt.New(leaf, index, inclusion, cp.Note), nil
	}
	return nil, fmt.Errorf("%w: no checkpoint of the segment covers leaf %d", ErrDamaged, index)
}
