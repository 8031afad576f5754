package comet

import (
	"fmt"
	"path/filepath"
	"sync/atomic"

	db "github.com/cometbft/cometbft-db"
	"github.com/syndtr/goleveldb/leveldb/filter"
	"github.com/syndtr/goleveldb/leveldb/opt"
)

// KV is an ordered key-value store for an application's state. Get of a key
// that does not exist is nil; keys can't be empty and values can't be nil. A
// Batch with WriteSync is atomic and durable. Safe for concurrent use.
type KV = db.DB

// Iterator walks a part of a KV as it was when the Iterator was made. Close it.
type Iterator = db.Iterator

// Batch collects writes to a KV. Close it in any case.
type Batch = db.Batch

// OpenKV opens the store at path, a directory, and makes it when it does not
// exist. A store that is open already is ErrInUse.
func OpenKV(path string) (KV, error) { return openKV(path, &opt.Options{}) }

// OpenKVReadOnly opens an existing store for reading and changes nothing on disk.
func OpenKVReadOnly(path string) (KV, error) {
	return openKV(path, &opt.Options{ReadOnly: true, ErrorIfMissing: true})
}

// NewMemKV gives an empty store in memory. Writing to it inside Scan's fn deadlocks.
func NewMemKV() KV { return db.NewMemDB() }

// extension is what goleveldb's adapter adds to every name.
const extension = ".db"

// Most reads of a decision ask for keys that are not there (is this subject on a
// list?), and the filter answers those from memory: with a million entries it
// took the decision on an order from about 450 to 140-220 µs on a busy machine.
const (
	bloomBits  = 10       // for each key; one in a hundred misses goes to the disk
	blockCache = 32 << 20 // bytes
)

func openKV(path string, o *opt.Options) (KV, error) {
	if !o.ReadOnly {
		if err := makeDirs(path + extension); err != nil {
			return nil, fmt.Errorf("opening store %s: %w", path, err)
		}
	}
	o.Filter, o.BlockCacheCapacity = filter.NewBloomFilter(bloomBits), blockCache
	kv, err := db.NewGoLevelDBWithOpts(filepath.Base(path), filepath.Dir(path), o)
	if err != nil {
		return nil, fmt.Errorf("opening store %s: %w", path, inUse(err))
	}
	return kv, nil
}

// Scan calls fn for every key that begins with prefix, in order, until fn fails,
// and returns that error; an empty prefix is every key. On disk it sees the store
// as it was at the call. Key and value are fn's to read until it returns.
func Scan(kv KV, prefix []byte, fn func(key, value []byte) error) error {
	return ScanFrom(kv, prefix, prefix, fn)
}

// ScanFrom is Scan that begins at from, a key that has the prefix.
func ScanFrom(kv KV, prefix, from []byte, fn func(key, value []byte) error) error {
	if len(from) == 0 {
		from = nil // the store's word for the first key
	}
	it, err := kv.Iterator(from, prefixEnd(prefix))
	if err != nil {
		return fmt.Errorf("reading store: %w", err)
	}
	defer it.Close()
	for ; it.Valid(); it.Next() {
		if err := fn(it.Key(), it.Value()); err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("reading store: %w", err)
	}
	return nil
}

// prefixEnd is the first key after all that begin with prefix; nil is no end.
func prefixEnd(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			end := append([]byte(nil), prefix[:i+1]...)
			end[i]++
			return end
		}
	}
	return nil
}

// keptOpen is a store whose Close does nothing: CometBFT closes its databases
// while the last of its goroutines may still read them, and panics. The node
// closes them itself when all has stopped. Nearly all: what CometBFT runs for each
// peer ends a moment after the peer, waited for by nobody. What it still reads
// once the store is gone, it finds missing.
type keptOpen struct {
	KV
	gone *atomic.Bool // set before the store is closed
}

// Get implements KV.
func (k keptOpen) Get(key []byte) ([]byte, error) {
	v, err := k.KV.Get(key)
	if err != nil && k.gone.Load() {
		return nil, nil
	}
	return v, err
}

// Has implements KV.
func (k keptOpen) Has(key []byte) (bool, error) {
	ok, err := k.KV.Has(key)
	if err != nil && k.gone.Load() {
		return false, nil
	}
	return ok, err
}

// Close implements KV.
func (keptOpen) Close() error { return nil }
