package chain

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Whole takes in all of the state, entry by entry, and says what application hash it
// has: that of the block whose state it is, or it is no chain's. Before the state come
// the log's hashes of the leaves that the state has forgotten: of each whole tile its
// root, and of each leaf after these its own. The zero value has taken in nothing.
type Whole struct {
	sum       sum
	forgotten int64 // leaves that came as hashes
	size      int64
	edge      []tlog.Hash // roots of the complete trees that the leaves so far consist of, from the largest on
	last      string
}

const leafPrefix = "s/leaf/"

// Put takes in the next entry; entries come in the order of their keys.
func (w *Whole) Put(key, value []byte) error {
	if _, _, err := w.put(string(key), value); err != nil {
		return fmt.Errorf("%w: %w", ErrForged, err)
	}
	return nil
}

// put gives the log's hashes that an entry completes, and the index of the first as
// they are stored.
func (w *Whole) put(key string, value []byte) (first int64, completed []tlog.Hash, err error) {
	if key <= w.last {
		return 0, nil, fmt.Errorf("entry %q is out of order", key)
	}
	w.last = key
	if strings.HasPrefix(key, hashPrefix) {
		return w.hashed(key, value)
	}
	if !strings.HasPrefix(key, statePrefix) {
		return 0, nil, fmt.Errorf("entry %q is no state", key)
	}
	w.sum.add(key, value)
	if !strings.HasPrefix(key, leafPrefix) || key < leafKey(w.forgotten) { // one that waits still, and whose hash came before
		return 0, nil, nil
	}
	if key != leafKey(w.size) {
		return 0, nil, fmt.Errorf("entry %q is not leaf %d, which is next", key, w.size)
	}
	return tlog.StoredHashIndex(0, w.size), w.join(0, tlog.RecordHash(value)), nil
}

// hashed takes in the hash of a forgotten tile or leaf.
func (w *Whole) hashed(key string, value []byte) (first int64, completed []tlog.Hash, err error) {
	if len(key) != len(hashKey(0)) || len(value) != tlog.HashSize {
		return 0, nil, fmt.Errorf("entry %q is no hash of the log", key)
	}
	for _, level := range []int{tileLevel, 0} {
		if w.size&(1<<level-1) != 0 {
			continue
		}
		if first = tlog.StoredHashIndex(level, w.size>>level); key == hashKey(first) {
			completed = w.join(level, tlog.Hash(value))
			w.forgotten = w.size
			return first, completed, nil
		}
	}
	return 0, nil, fmt.Errorf("entry %q is not the log's next hash", key)
}

// join adds a complete tree of so many levels to the log.
func (w *Whole) join(level int, h tlog.Hash) (completed []tlog.Hash) {
	completed = append(completed, h)
	for n := w.size >> level; n&1 == 1; n >>= 1 {
		end := len(w.edge) - 1
		h = tlog.NodeHash(w.edge[end], h)
		w.edge = w.edge[:end]
		completed = append(completed, h)
	}
	w.edge = append(w.edge, h)
	w.size += 1 << level
	return completed
}

// Size is the number of leaves so far.
func (w *Whole) Size() int64 { return w.size }

// Root is the log's.
func (w *Whole) Root() (tlog.Hash, error) {
	root, err := tlog.TreeHash(0, nil)
	for i, h := range slices.Backward(w.edge) {
		if i == len(w.edge)-1 {
			root = h
			continue
		}
		root = tlog.NodeHash(h, root)
	}
	return root, err
}

// AppHash is the application hash of what was taken in.
func (w *Whole) AppHash() ([]byte, error) {
	root, err := w.Root()
	return appHash(w.size, root, w.sum.encode()), err
}
