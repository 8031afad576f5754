package chain

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// appendLeaf stages a leaf and the log hashes it completes (RFC 6962), and
// gives its index.
func (o *overlay) appendLeaf(size int64, leaf []byte) error {
	hashes, err := tlog.StoredHashes(size, leaf, o)
	if err != nil {
		return fmt.Errorf("appending leaf %d: %w", size, err)
	}
	first := tlog.StoredHashIndex(0, size)
	for i, h := range hashes {
		o.set(hashKey(first+int64(i)), h[:])
	}
	o.set(leafKey(size), leaf)
	return nil
}

// ReadHashes implements tlog.HashReader over staged and committed hashes.
func (o *overlay) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		b, err := o.get(hashKey(x))
		if err != nil {
			return nil, err
		}
		if len(b) != tlog.HashSize {
			return nil, fmt.Errorf("log hash %d is missing or damaged", x)
		}
		out[i] = tlog.Hash(b)
	}
	return out, nil
}

// root is the log's root at the given size.
func (o *overlay) root(size int64) (tlog.Hash, error) { return tlog.TreeHash(size, o) }
