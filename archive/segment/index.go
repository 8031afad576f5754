package segment

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/receipt"
)

// By is what leaves are found by.
type By byte

// The kinds.
const (
	ByTx      By = 't'
	ByFlow    By = 'f'
	BySubject By = 's'
)

// Key is what stands in an index for a transaction's or flow's hash.
func Key(by By, h flow.Hash) []byte { return append([]byte{byte(by)}, h[:]...) }

// SubjectKey is what stands in an index for a subject key.
func SubjectKey(key string) []byte { return Key(BySubject, flow.SumHash([]byte(key))) }

// entrySize: a key and the index of a leaf, big endian.
const entrySize = 1 + len(flow.Hash{}) + 8

// index composes the index of a segment's leaves, sorted.
func index(decisions []Decision, leaves []receipt.Leaf) []byte {
	var all [][]byte
	for i, d := range decisions {
		add := func(key []byte) {
			all = append(all, binary.BigEndian.AppendUint64(key, uint64(d.Index)))
		}
		add(Key(ByTx, d.Tx))
		if !leaves[i].Flow.IsZero() {
			add(Key(ByFlow, leaves[i].Flow))
		}
		if d.Subject != "" {
			add(SubjectKey(d.Subject))
		}
	}
	slices.SortFunc(all, bytes.Compare)
	return bytes.Join(all, nil)
}

// Find gives the leaves that an index has under a key, in order.
func Find(index, key []byte) ([]int64, error) {
	if len(index)%entrySize != 0 {
		return nil, fmt.Errorf("%w: index of %d bytes", ErrDamaged, len(index))
	}
	count := len(index) / entrySize
	at := func(i int) []byte { return index[i*entrySize:][:entrySize] }
	var out []int64
	for i := sort.Search(count, func(i int) bool { return bytes.Compare(at(i)[:len(key)], key) >= 0 }); i < count && bytes.HasPrefix(at(i), key); i++ {
		out = append(out, int64(binary.BigEndian.Uint64(at(i)[entrySize-8:])))
	}
	return out, nil
}
