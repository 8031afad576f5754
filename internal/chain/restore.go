package chain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/receipt"
)

// Errors of restoring.
var (
	// ErrForged: what the snapshot holds is not what the chain's validators signed.
	ErrForged = errors.New("the snapshot is not of this chain's state")
	// ErrAhead: the node has come as far as the snapshot, or further.
	ErrAhead = errors.New("the node is not behind the snapshot")
)

// Restoring makes a node's folder go on from a snapshot. It works beside the folder's
// own data; they are replaced at the end, when all was found right, or not at all. What
// a process leaves that ended before is thrown away by the next Restore. A process that
// ends while data are replaced leaves that to Open.
type Restoring struct {
	dir     string
	anchor  *comet.Anchor
	genesis []byte
	lock    io.Closer
	db      comet.KV
	batch   comet.Batch
	staged  int // bytes in batch
	whole   Whole
}

// Folders beside the node's data.
func restoringDir(dir string) string { return filepath.Join(dir, "restoring") } // not verified yet
func restoredDir(dir string) string  { return filepath.Join(dir, "restored") }  // verified and durable

// stageBytes is how much is written to the database at a time.
const stageBytes = 4 << 20

// Restore begins. anchor is what the caller trusts; dir is a node's folder, whose keys
// stay. A running node's is comet.ErrInUse.
func Restore(dir string, g Genesis, anchor *comet.Anchor) (*Restoring, error) {
	if anchor.ChainID() != g.Contract.Chain {
		return nil, fmt.Errorf("%w: it is of chain %s, genesis of %s", ErrForged, anchor.ChainID(), g.Contract.Chain)
	}
	genesis, err := g.Encode()
	if err != nil {
		return nil, err
	}
	if genesis, err = json.Marshal(genesis); err != nil { // as the chain keeps it
		return nil, fmt.Errorf("encoding genesis: %w", err)
	}
	if err := settle(dir); err != nil {
		return nil, err
	}
	r := &Restoring{dir: dir, anchor: anchor, genesis: genesis}
	if r.lock, err = comet.Lock(nodeDir(dir)); err != nil {
		return nil, fmt.Errorf("restoring %s: %w", dir, err)
	}
	if err := r.begin(); err != nil {
		return nil, errors.Join(fmt.Errorf("restoring %s: %w", dir, err), r.Close())
	}
	return r, nil
}

func (r *Restoring) begin() error {
	at, err := heightOf(r.dir)
	if err != nil {
		return err
	}
	if at >= r.anchor.Height() {
		return fmt.Errorf("%w: it is at block %d, the snapshot of %d", ErrAhead, at, r.anchor.Height())
	}
	if err := os.RemoveAll(restoringDir(r.dir)); err != nil {
		return err
	}
	if err := os.MkdirAll(restoringDir(r.dir), 0o700); err != nil {
		return err
	}
	if r.db, err = comet.OpenKV(filepath.Join(restoringDir(r.dir), "decisions")); err != nil {
		return err
	}
	r.batch = r.db.NewBatch()
	return nil
}

// heightOf is how far a stopped node has come; 0 for a new one.
func heightOf(dir string) (int64, error) {
	path := filepath.Join(dir, "decisions")
	if _, err := os.Stat(path + ".db"); errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	kv, err := comet.OpenKVReadOnly(path)
	if err != nil {
		return 0, err
	}
	defer kv.Close()
	var at meta
	_, err = load(func(key string) ([]byte, error) { return kv.Get([]byte(key)) }, metaName, &at)
	return at.Height, err
}

// Put takes the next entry, in the order of Snapshot.Each.
func (r *Restoring) Put(key, value []byte) error {
	first, completed, err := r.whole.put(string(key), value)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForged, err)
	}
	if err := r.stage(string(key), value); err != nil {
		return err
	}
	for i, h := range completed {
		if err := r.stage(hashKey(first+int64(i)), h[:]); err != nil {
			return err
		}
	}
	return nil
}

func (r *Restoring) stage(key string, value []byte) error {
	if err := r.batch.Set([]byte(key), value); err != nil {
		return fmt.Errorf("restoring %q: %w", key, err)
	}
	if r.staged += len(key) + len(value); r.staged >= stageBytes {
		return r.flush()
	}
	return nil
}

func (r *Restoring) flush() error {
	if err := r.batch.Write(); err != nil {
		return fmt.Errorf("restoring: %w", err)
	}
	r.staged = 0
	if err := r.batch.Close(); err != nil {
		return fmt.Errorf("restoring: %w", err)
	}
	r.batch = r.db.NewBatch()
	return nil
}

// Finish checks that the state is that of the anchor and puts it in the place of what
// the node had.
func (r *Restoring) Finish() error {
	if err := r.verify(); err != nil {
		return err
	}
	if err := r.derive(); err != nil {
		return err
	}
	at, err := flow.Marshal(meta{Height: r.anchor.Height(), AppHash: r.anchor.AppHash(), Size: r.whole.Size(), State: r.whole.sum.encode()})
	if err != nil {
		return err
	}
	if err := r.stage(metaName, at); err != nil {
		return err
	}
	if err := r.flush(); err != nil {
		return err
	}
	err = errors.Join(r.batch.Close(), r.db.Close())
	r.batch, r.db = nil, nil
	if err != nil {
		return fmt.Errorf("restoring: %w", err)
	}
	if err := r.anchor.Begin(nodeDir(restoringDir(r.dir))); err != nil {
		return err
	}
	if err := syncTree(restoringDir(r.dir)); err != nil {
		return err
	}
	if err := os.Rename(restoringDir(r.dir), restoredDir(r.dir)); err != nil {
		return fmt.Errorf("restoring: %w", err)
	}
	if err := syncDir(r.dir); err != nil {
		return err
	}
	return replace(r.dir)
}

func (r *Restoring) verify() error {
	if err := r.flush(); err != nil {
		return err
	}
	is, err := r.whole.AppHash()
	if err != nil {
		return err
	}
	if !bytes.Equal(is, r.anchor.AppHash()) {
		return fmt.Errorf("%w: its application hash is %X, that of block %d is %X", ErrForged, is, r.anchor.Height(), r.anchor.AppHash())
	}
	genesis, err := r.db.Get([]byte(genesisKey()))
	if err != nil {
		return err
	}
	if !bytes.Equal(genesis, r.genesis) {
		return fmt.Errorf("%w: it began with another genesis than this node's", ErrForged)
	}
	return nil
}

// derive writes what a node keeps beside the state and could work out from it:
// which granted records wait for their anchor, and which leaves are later decisions.
func (r *Restoring) derive() error {
	for i := range r.whole.Size() {
		raw, err := r.db.Get([]byte(leafKey(i)))
		if err != nil {
			return err
		}
		if raw == nil && i < r.whole.forgotten {
			continue
		}
		leaf, err := receipt.DecodeLeaf(raw)
		if err != nil {
			return fmt.Errorf("reading leaf %d: %w", i, err)
		}
		var at located
		if _, err := load(func(key string) ([]byte, error) { return r.db.Get([]byte(key)) }, txKey(leaf.Tx), &at); err != nil {
			return err
		}
		if at.Index != i {
			if err := r.stage(resolvedKey(at.Index), leaf.Tx[:]); err != nil {
				return err
			}
		}
		if leaf.Verdict != flow.Granted || !leaf.Step.Recorded() {
			continue
		}
		anchored, err := r.db.Has([]byte(anchorKey(leaf.Tx)))
		if err != nil {
			return err
		}
		if !anchored {
			if err := r.stage(openKey(i), leaf.Tx[:]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close releases the folder. Before Finish it leaves it as it was.
func (r *Restoring) Close() error {
	var errs []error
	if r.batch != nil {
		errs = append(errs, r.batch.Close())
	}
	if r.db != nil {
		errs = append(errs, r.db.Close())
	}
	r.batch, r.db = nil, nil
	errs = append(errs, os.RemoveAll(restoringDir(r.dir)))
	if r.lock != nil {
		errs = append(errs, r.lock.Close())
		r.lock = nil
	}
	return errors.Join(errs...)
}

// settle finishes a restore whose process ended while it replaced data.
func settle(dir string) error {
	if _, err := os.Stat(restoredDir(dir)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	lock, err := comet.Lock(nodeDir(dir))
	if err != nil {
		return fmt.Errorf("restoring %s: %w", dir, err)
	}
	return errors.Join(replace(dir), lock.Close())
}

// replace moves restored data into place. However often it is ended, the next one goes
// on: what has been moved is not there to be moved.
func replace(dir string) error {
	from := restoredDir(dir)
	moves := map[string]string{filepath.Join(from, "decisions.db"): filepath.Join(dir, "decisions.db")}
	for _, name := range []string{"state.db", "blockstore.db", "cs.wal"} {
		moves[filepath.Join(nodeDir(from), "data", name)] = filepath.Join(nodeDir(dir), "data", name)
	}
	if err := os.RemoveAll(filepath.Join(nodeDir(dir), "data", "evidence.db")); err != nil { // about blocks that are no more
		return fmt.Errorf("putting restored data in place: %w", err)
	}
	for src, dst := range moves {
		if _, err := os.Stat(src); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.RemoveAll(dst); err != nil {
			return fmt.Errorf("putting restored data in place: %w", err)
		}
		if err := os.Rename(src, dst); err != nil {
			return fmt.Errorf("putting restored data in place: %w", err)
		}
	}
	for _, d := range []string{filepath.Join(nodeDir(dir), "data"), dir} {
		if err := syncDir(d); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(from); err != nil {
		return fmt.Errorf("putting restored data in place: %w", err)
	}
	return nil
}

// syncTree makes a folder durable with all that is in it.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncDir(path)
	})
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("syncing %s: %w", path, err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("syncing %s: %w", path, err)
	}
	return nil
}
