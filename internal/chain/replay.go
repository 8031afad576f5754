package chain

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/receipt"
)

// Replayed is what an audit of a stopped chain found.
type Replayed struct {
	Chain       string
	Blocks      int64
	Decisions   int64
	Checkpoints int
	Pruned      int64    // blocks that are not there any more; with any, nothing was re-executed
	Forgotten   int64    // decisions that the state has no more, since they are archived
	Problems    []string // each says what, where
}

// Replay re-executes a stopped node's chain from its first block into fresh
// state (R8.1, R10.1): it checks that blocks link and are signed by the
// validators, that every application hash is what execution gives, that every
// signed checkpoint's root is the log's at its size, and that the node's own
// database is what execution gives. fn sees every decision in order, but for those that
// the state has forgotten. An error says that the audit could not be made; what it
// found wrong is in Problems.
func Replay(ctx context.Context, dir string, keys receipt.Keys, fn func(Decided) error) (Replayed, error) {
	return ReplayArchived(ctx, dir, keys, nil, fn)
}

// ReplayArchived is Replay that reads from the archive what the state has forgotten.
func ReplayArchived(ctx context.Context, dir string, keys receipt.Keys, archive Archived, fn func(Decided) error) (Replayed, error) {
	blocks, app, err := again(dir)
	if err != nil {
		return Replayed{}, err
	}
	defer blocks.Close()
	db, err := comet.OpenKVReadOnly(filepath.Join(dir, "decisions"))
	if err != nil {
		return Replayed{}, fmt.Errorf("opening the supervision chain's state: %w", err)
	}
	defer db.Close()
	r := &replay{blocks: blocks, app: app, fresh: app.db, stored: db, archive: archive}
	run := r.run
	if blocks.Base() > 1 {
		run = r.runPruned
	}
	if err := run(ctx); err != nil {
		return r.Replayed, err
	}
	if err := r.roots(keys); err != nil {
		return r.Replayed, err
	}
	if r.Forgotten, err = forgotten(func(key string) ([]byte, error) { return r.fresh.Get([]byte(key)) }); err != nil {
		return r.Replayed, err
	}
	return r.Replayed, r.decisions(fn)
}

type replay struct {
	Replayed
	blocks *comet.Blocks
	app    *application
	fresh  comet.KV
	stored comet.KV

	archive Archived // nil: none
}

func (r *replay) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// run executes every block, as far as the stored blocks hold. At the block that
// the node's database is of, it compares the two. A crash between a block and
// its execution leaves the database one block behind, which the next start makes
// up for; further behind it must not be.
func (r *replay) run(ctx context.Context) error {
	r.Chain = r.blocks.Genesis().ChainID
	var at meta
	if _, err := load(func(key string) ([]byte, error) { return r.stored.Get([]byte(key)) }, metaName, &at); err != nil {
		return err
	}
	var broken error
	done, err := r.blocks.Replay(ctx, r.app, func(b comet.Stored, _ []comet.Result) error {
		if b.Height == at.Height {
			broken = r.compare()
		}
		return broken
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case broken != nil:
		return broken
	case err != nil:
		r.problem("supervision chain: %v", err)
	case at.Height != r.blocks.Height() && at.Height != r.blocks.Height()-1:
		r.problem("supervision chain's database is of block %d, the chain ends at %d", at.Height, r.blocks.Height())
	}
	r.Blocks, r.Decisions = done.Blocks, r.app.position().Size
	return nil
}

// compare finds what differs between the node's database and the replayed one.
func (r *replay) compare() error {
	for _, prefix := range []string{statePrefix, hashPrefix, metaName} {
		if err := r.comparePrefix(prefix); err != nil {
			return err
		}
	}
	return nil
}

func (r *replay) comparePrefix(prefix string) error {
	want, err := r.fresh.Iterator([]byte(prefix), []byte(prefixEnd(prefix)))
	if err != nil {
		return err
	}
	defer want.Close()
	have, err := r.stored.Iterator([]byte(prefix), []byte(prefixEnd(prefix)))
	if err != nil {
		return err
	}
	defer have.Close()
	for want.Valid() || have.Valid() {
		order := 0
		switch {
		case !have.Valid():
			order = -1
		case !want.Valid():
			order = 1
		default:
			order = bytes.Compare(want.Key(), have.Key())
		}
		switch {
		case order < 0:
			r.problem("supervision chain's database lacks %q, which its blocks give", want.Key())
			want.Next()
		case order > 0:
			r.problem("supervision chain's database holds %q, which its blocks don't give", have.Key())
			have.Next()
		default:
			if !bytes.Equal(want.Value(), have.Value()) {
				r.problem("supervision chain's database holds another value under %q than its blocks give", have.Key())
			}
			want.Next()
			have.Next()
		}
	}
	if err := want.Error(); err != nil {
		return err
	}
	return have.Error()
}

// runPruned checks what can be checked without the first blocks: that those that
// are left link and are signed, that the log's hashes are those of its leaves, and
// that log and state are those that the validators have signed the hash of. What
// the decisions followed from is not re-executed.
func (r *replay) runPruned(ctx context.Context) error {
	r.Chain, r.Pruned = r.blocks.Genesis().ChainID, r.blocks.Base()-1
	var at meta
	if _, err := load(func(key string) ([]byte, error) { return r.stored.Get([]byte(key)) }, metaName, &at); err != nil {
		return err
	}
	err := r.blocks.Verify(ctx, func(b comet.Stored) error {
		r.Blocks++
		if b.Height == at.Height+1 && !bytes.Equal(b.AppHash, at.AppHash) {
			r.problem("block %d: header gives another app hash for what came before than the database", b.Height)
		}
		return nil
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		r.problem("supervision chain: %v", err)
	case at.Height != r.blocks.Height() && at.Height != r.blocks.Height()-1:
		r.problem("supervision chain's database is of block %d, the chain ends at %d", at.Height, r.blocks.Height())
	}
	if err := r.upper(); err != nil {
		return err
	}
	if err := r.relog(ctx, at.Size); err != nil {
		return err
	}
	root, err := newOverlay(r.fresh).root(r.Decisions)
	if err != nil {
		return err
	}
	state, err := sumOf(ctx, r.stored)
	if err != nil {
		return err
	}
	if !bytes.Equal(appHash(at.Size, root, state), at.AppHash) {
		r.problem("supervision chain's database: its leaves and its state don't give the app hash of block %d", at.Height)
	}
	if err := r.comparePrefix(hashPrefix); err != nil {
		return err
	}
	r.fresh = r.stored // for what decisions say beside the leaves
	r.app.at = at
	return nil
}

// upper takes over the hashes of what the state has forgotten, whole tiles of the log.
// That they are right the application hash says, and each checkpoint.
func (r *replay) upper() error {
	to, err := forgotten(func(key string) ([]byte, error) { return r.stored.Get([]byte(key)) })
	if err != nil || to == 0 {
		return err
	}
	r.Decisions = to
	it, err := r.stored.Iterator([]byte(hashKey(0)), []byte(hashKey(tlog.StoredHashIndex(0, to))))
	if err != nil {
		return err
	}
	defer it.Close()
	for ; it.Valid(); it.Next() {
		if err := r.fresh.Set(bytes.Clone(it.Key()), bytes.Clone(it.Value())); err != nil {
			return err
		}
	}
	return it.Error()
}

// relog makes the log again from the database's leaves.
func (r *replay) relog(ctx context.Context, size int64) error {
	o := newOverlay(r.fresh)
	for ; r.Decisions < size && ctx.Err() == nil; r.Decisions++ {
		leaf, err := r.stored.Get([]byte(leafKey(r.Decisions)))
		if err != nil {
			return err
		}
		if leaf == nil {
			r.problem("supervision chain's database lacks leaf %d", r.Decisions)
			return nil
		}
		if err := o.appendLeaf(r.Decisions, leaf); err != nil {
			return err
		}
	}
	for key, v := range o.changes {
		if err := r.fresh.Set([]byte(key), v); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// roots checks every stored checkpoint against the replayed log.
func (r *replay) roots(keys receipt.Keys) error {
	it, err := r.stored.Iterator([]byte(cpPrefix), []byte(prefixEnd(cpPrefix)))
	if err != nil {
		return err
	}
	defer it.Close()
	log := newOverlay(r.fresh)
	for ; it.Valid(); it.Next() {
		size := ordinalOf(it.Key()[len(cpPrefix):])
		r.Checkpoints++
		cp, err := receipt.VerifyCheckpoint(it.Value(), keys, r.Chain)
		if err != nil {
			r.problem("checkpoint of size %d: %v", size, err)
			continue
		}
		if size > r.Decisions {
			r.problem("checkpoint of size %d: the log has %d decisions", size, r.Decisions)
			continue
		}
		root, err := tlog.TreeHash(size, log)
		if err != nil {
			return err
		}
		if cp.Size != size || cp.Root != root {
			r.problem("checkpoint of size %d: its root is not the log's", size)
		}
	}
	return it.Error()
}

// decisions gives every replayed decision that stands to fn, in the log's order.
func (r *replay) decisions(fn func(Decided) error) error {
	c := &Chain{db: r.fresh, app: r.app, id: r.Chain}
	c.cfg.Archive = r.archive
	for i := range r.Decisions {
		if i < r.Forgotten && r.archive == nil {
			continue
		}
		d, err := c.byIndex(i)
		if err != nil {
			return err
		}
		if d.Index != i {
			continue // a later decision on the transaction took its place
		}
		if err := fn(d); err != nil {
			return err
		}
	}
	return nil
}
