package system

import (
	"context"
	"fmt"
	"path/filepath"

	"signalbox.dev/signalbox/archive"
	"signalbox.dev/signalbox/archive/blob"
	"signalbox.dev/signalbox/internal/archiving"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/snapshot"
	"signalbox.dev/signalbox/internal/witness"
	"signalbox.dev/signalbox/receipt"
)

// Beside is what is checked with the chains where it is named.
type Beside struct {
	Archive   string             // the archive's place
	Witnesses []string           // folders of witnesses' memory
	Cosigners []receipt.Cosigner // whose lines under the stored checkpoints are checked
	Snapshots string             // place of the snapshots of the chain's state
}

func (b Beside) any() bool {
	return b.Archive+b.Snapshots != "" || len(b.Witnesses)+len(b.Cosigners) > 0
}

// older is the archive as a chain reads it; none is named, or it has been opened.
type older struct {
	archived chain.Archived
	store    archive.Store
}

func (b Beside) older(ctx context.Context, keys receipt.Keys) (older, error) {
	if b.Archive == "" {
		return older{}, nil
	}
	store, err := blob.OpenReadOnly(ctx, b.Archive)
	if err != nil {
		return older{}, err
	}
	return older{archiving.NewReader(store, keys).Archived(), store}, nil
}

func (o older) close() {
	if o.store != nil {
		o.store.Close()
	}
}

// beside checks them against a supervision chain that does not run.
func (c *Checked) beside(ctx context.Context, b Beside, dir string, keys receipt.Keys, old older, say func(string)) error {
	if !b.any() {
		return nil
	}
	source, err := chain.OpenSource(dir)
	if err != nil {
		return err
	}
	defer source.Close()
	if old.archived != nil {
		source.Archive = old.archived
	}
	if b.Snapshots != "" {
		say("snapshots")
		if err := c.snapshots(ctx, b.Snapshots, source); err != nil {
			return err
		}
	}
	if b.Archive != "" {
		say("archive")
		if err := c.archive(ctx, old.store, source, keys); err != nil {
			return err
		}
	}
	if len(b.Witnesses)+len(b.Cosigners) > 0 {
		say("witnesses")
	}
	for _, folder := range b.Witnesses {
		if err := c.witness(folder, source, keys); err != nil {
			return err
		}
	}
	if len(b.Cosigners) == 0 {
		return nil
	}
	return source.Cosigned(func(size int64, signed []byte) error {
		_, who, err := receipt.Cosignatures(signed, b.Cosigners...)
		if err != nil {
			c.inconsistent("checkpoint of size %d: %v", size, err)
		}
		c.Cosignatures += len(who)
		return nil
	})
}

func (c *Checked) inconsistent(format string, args ...any) {
	c.Inconsistencies = append(c.Inconsistencies, fmt.Sprintf(format, args...))
}

func (c *Checked) archive(ctx context.Context, store archive.Store, source *chain.Source, keys receipt.Keys) error {
	found, err := archiving.Check(ctx, store, keys, func(int64, int64) {})
	if err != nil {
		return err
	}
	c.Archive = &found
	for _, f := range found.Faults {
		c.inconsistent("archive: %s", f)
	}
	if len(found.Faults) > 0 {
		return nil // what it says can't be compared
	}
	compared, err := archiving.Compare(ctx, store, source)
	c.ErasuresWaiting = compared.Waiting
	c.Inconsistencies = append(c.Inconsistencies, compared.Problems...)
	return err
}

// witness compares what a witness remembers with the log: it has signed one history,
// and that must be this one.
func (c *Checked) witness(folder string, source *chain.Source, keys receipt.Keys) error {
	r, err := witness.Recall(folder, keys.Origin())
	if err != nil {
		c.inconsistent("witness %s: %v", folder, err)
		return nil
	}
	for _, file := range r.Evidence {
		c.inconsistent("witness %s has evidence that the log has signed two histories: %s", folder, filepath.Base(file))
	}
	if r.Head == nil {
		c.inconsistent("witness %s remembers nothing of log %s", folder, keys.Origin())
		return nil
	}
	cp, err := receipt.VerifyCheckpoint(r.Head, keys, keys.Origin())
	if err != nil {
		c.inconsistent("witness %s: %v", folder, err)
		return nil
	}
	size, err := source.Size()
	if err != nil {
		return err
	}
	if cp.Size > size {
		c.inconsistent("witness %s has cosigned a log of %d decisions, this one has %d: it was set back", folder, cp.Size, size)
		return nil
	}
	root, err := source.Root(cp.Size)
	if err != nil {
		return err
	}
	if root != cp.Root {
		c.inconsistent("witness %s has cosigned another root for %d decisions than the log has: there are two histories", folder, cp.Size)
		return nil
	}
	c.Witnesses++
	return nil
}

// snapshots checks each in itself and against the chain.
func (c *Checked) snapshots(ctx context.Context, place string, source *chain.Source) error {
	store, err := blob.OpenReadOnly(ctx, place)
	if err != nil {
		return err
	}
	defer store.Close()
	found, err := snapshot.Against(ctx, store, source)
	c.Snapshots = found.Snapshots
	c.Inconsistencies = append(c.Inconsistencies, found.Problems...)
	return err
}
