// Package witnesstest has logs for tests: honest ones, and ones that fork.
package witnesstest

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/receipt"
)

// Log is a log in memory with a signing key. It implements witness.Log and
// witness.Public. Safe for concurrent use.
type Log struct {
	Keys receipt.Keys
	VKey string

	signer note.Signer  // not changed while others use the log
	now    receipt.Keys // likewise; Keys with hand-overs
	origin string

	mu     sync.Mutex // guards what follows
	size   int64
	hashes []tlog.Hash
	shown  int64            // checkpoints are given of this size; 0: of all
	lines  map[int64][]byte // cosignatures by size
	signed map[int64][]byte
}

// New makes a log of no leaves.
func New(t testing.TB, origin string) *Log {
	t.Helper()
	secret, vkey, err := receipt.NewLogKey(rand.Reader, origin)
	must(t, err)
	keys, err := receipt.ParseKeys(vkey)
	must(t, err)
	signer, err := note.NewSigner(secret)
	must(t, err)
	return &Log{Keys: keys, now: keys, VKey: vkey, signer: signer, origin: origin, lines: map[int64][]byte{}, signed: map[int64][]byte{}}
}

// Fork is another log of the same key that begins with this one's first size leaves.
func (l *Log) Fork(t testing.TB, size int64) *Log {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	return &Log{
		Keys: l.Keys, now: l.now, VKey: l.VKey, signer: l.signer, origin: l.origin, size: size,
		hashes: slices.Clone(l.hashes[:tlog.StoredHashCount(size)]), lines: map[int64][]byte{}, signed: map[int64][]byte{},
	}
}

// Grow appends leaves; logs that grow by the same word stay the same.
func (l *Log) Grow(t testing.TB, count int, word string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for range count {
		more, err := tlog.StoredHashes(l.size, fmt.Appendf(nil, "%s %d", word, l.size), tlog.HashReaderFunc(l.read))
		must(t, err)
		l.hashes = append(l.hashes, more...)
		l.size++
	}
}

// Show gives checkpoints of a smaller size from now on, as a log that was set back.
func (l *Log) Show(size int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shown = size
}

func (l *Log) read(x []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(x))
	for i := range x {
		if x[i] >= int64(len(l.hashes)) {
			return nil, fmt.Errorf("no hash %d", x[i])
		}
		out[i] = l.hashes[x[i]]
	}
	return out, nil
}

// Root is the log's root at a size.
func (l *Log) Root(t testing.TB, size int64) tlog.Hash {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	h, err := tlog.TreeHash(size, tlog.HashReaderFunc(l.read))
	must(t, err)
	return h
}

// At is the signed checkpoint of a size, without cosignatures.
func (l *Log) At(t testing.TB, size int64) []byte {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	b, err := l.at(size)
	must(t, err)
	return b
}

func (l *Log) at(size int64) ([]byte, error) {
	if b := l.signed[size]; b != nil {
		return b, nil
	}
	root, err := tlog.TreeHash(size, tlog.HashReaderFunc(l.read))
	if err != nil {
		return nil, err
	}
	b, err := receipt.SignCheckpoint(l.origin, size, root, l.signer)
	b = append(b, l.now.Carry()...)
	l.signed[size] = b
	return b, err
}

// HandOver hands the log's key over to a new one, for sizes beyond the present.
func (l *Log) HandOver(t testing.TB) {
	t.Helper()
	secret, vkey, err := receipt.NewLogKey(rand.Reader, l.origin)
	must(t, err)
	next, err := note.NewSigner(secret)
	must(t, err)
	s, err := receipt.SignHandover(receipt.Handover{
		Origin: l.origin, Generation: max(l.now.Generation(), 1) + 1, Size: l.size, Old: l.now.Current(), New: []string{vkey},
	}, l.signer, next)
	must(t, err)
	l.now, err = l.now.Follow(s)
	must(t, err)
	l.signer = next
}

// Sign signs any head in the log's name.
func (l *Log) Sign(t testing.TB, size int64, root tlog.Hash) []byte {
	t.Helper()
	b, err := receipt.SignCheckpoint(l.origin, size, root, l.signer)
	must(t, err)
	return b
}

// Checkpoint implements witness.Log and witness.Public.
func (l *Log) Checkpoint() ([]byte, int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	size := l.size
	if l.shown > 0 {
		size = l.shown
	}
	if size == 0 {
		return nil, 0, nil
	}
	b, err := l.at(size)
	return append(bytes.Clone(b), l.lines[size]...), size, err
}

// Consistency implements witness.Log.
func (l *Log) Consistency(from, to int64) (tlog.TreeProof, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return tlog.ProveTree(to, from, tlog.HashReaderFunc(l.read))
}

// Tile implements witness.Public.
func (l *Log) Tile(t tlog.Tile) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return tlog.ReadTileData(t, tlog.HashReaderFunc(l.read))
}

// Cosigned implements witness.Log.
func (l *Log) Cosigned(size int64, line []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines[size] = append(l.lines[size], line...)
	return nil
}

// Lines are the cosignatures that were kept with a size.
func (l *Log) Lines(size int64) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.lines[size])
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// SignText signs any text in the log's name.
func (l *Log) SignText(t testing.TB, text string) []byte {
	t.Helper()
	b, err := note.Sign(&note.Note{Text: text}, l.signer)
	must(t, err)
	return b
}
