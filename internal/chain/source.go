package chain

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/receipt"
)

// Source reads what an archive is made of: the log, its checkpoints, decisions,
// and the transactions in blocks (R10.1). It changes nothing.
type Source struct {
	id    string
	db    comet.KV
	size  func() (int64, error)
	block func(height int64) (comet.Stored, error)
	base  func() int64
	close func() error
	last  comet.Stored // that was read

	// Archive gives the log's hashes that the chain has forgotten; nil: none.
	Archive tlog.HashReader
}

// Source reads the running chain. One Source is for one goroutine.
func (c *Chain) Source() *Source {
	return &Source{
		id: c.id, db: c.db, block: c.node.Block, base: c.node.Base, close: func() error { return nil },
		size: func() (int64, error) { return c.Size(), nil },
	}
}

// OpenSource reads a stopped chain. A directory in use is comet.ErrInUse.
func OpenSource(dir string) (*Source, error) {
	blocks, err := comet.OpenBlocks(nodeDir(dir))
	if err != nil {
		return nil, fmt.Errorf("opening the supervision chain's blocks: %w", err)
	}
	db, err := comet.OpenKVReadOnly(filepath.Join(dir, "decisions"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the supervision chain's state: %w", err), blocks.Close())
	}
	s := &Source{id: blocks.Genesis().ChainID, db: db, block: blocks.At, base: blocks.Base}
	s.close = func() error { return errors.Join(db.Close(), blocks.Close()) }
	s.size = func() (int64, error) {
		var at meta
		_, err := load(s.get, metaName, &at)
		return at.Size, err
	}
	return s, nil
}

func (s *Source) get(key string) ([]byte, error) { return s.db.Get([]byte(key)) }

// Close releases what OpenSource opened.
func (s *Source) Close() error { return s.close() }

// ID is the chain's id.
func (s *Source) ID() string { return s.id }

// Size is the number of leaves in the log.
func (s *Source) Size() (int64, error) { return s.size() }

// Root is the log's at a size that it has come to.
func (s *Source) Root(size int64) (tlog.Hash, error) { return tlog.TreeHash(size, s) }

// Height is the chain's last committed block.
func (s *Source) Height() (int64, error) {
	var at meta
	_, err := load(s.get, metaName, &at)
	return at.Height, err
}

// Base is the lowest height whose block is kept; 0 for none.
func (s *Source) Base() int64 { return s.base() }

// Archived is what the authority has said last of its archive.
func (s *Source) Archived() (ArchivedTo, error) { return archivedTo(s.get) }

// Cosigned gives fn the checkpoints that have witnesses' lines, with their sizes, in order.
func (s *Source) Cosigned(fn func(size int64, signed []byte) error) error {
	return comet.Scan(s.db, []byte(cosignedPrefix), func(key, _ []byte) error {
		size := ordinalOf(key[len(cosignedPrefix):])
		signed, err := s.get(checkpointKey(size))
		if err != nil {
			return err
		}
		return fn(size, signed)
	})
}

// ReadHashes implements tlog.HashReader.
func (s *Source) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	return hashes{newOverlay(s.db), s.Archive}.ReadHashes(indexes)
}

// Header gives the hash of a block's header. One that is not stored is comet.ErrNoBlock.
func (s *Source) Header(height int64) ([]byte, error) {
	b, err := s.read(height)
	return b.Hash, err
}

// LeafBytes are those of the leaf at an index.
func (s *Source) LeafBytes(index int64) ([]byte, error) {
	b, err := s.get(leafKey(index))
	if err == nil && b == nil {
		err = fmt.Errorf("leaf %d is missing", index)
	}
	return b, err
}

// Decision is the decision on the transaction of a leaf as it stands now, which
// may be by a later leaf, and whether the leaf is the transaction's first.
func (s *Source) Decision(index int64) (d Decided, first bool, err error) {
	raw, err := s.LeafBytes(index)
	if err != nil {
		return Decided{}, false, err
	}
	leaf, err := receipt.DecodeLeaf(raw)
	if err != nil {
		return Decided{}, false, fmt.Errorf("reading leaf %d: %w", index, err)
	}
	if d, err = (&Chain{db: s.db}).ByTx(leaf.Tx); err != nil {
		return Decided{}, false, err
	}
	later, err := s.db.Has([]byte(resolvedKey(index)))
	return d, !later, err
}

// Checkpoint gives the first signed checkpoint of a size of at least that many
// leaves; nil when there is none yet.
func (s *Source) Checkpoint(size int64) (at int64, signed []byte, err error) {
	signed, at, err = checkpoints{db: s.db}.covering(size - 1)
	if errors.Is(err, errNoCheckpoint) {
		return 0, nil, nil
	}
	return at, signed, err
}

// Transaction reads a decided transaction from its block. One that was erased is an
// *ErasedError, also while the block is still there.
func (s *Source) Transaction(d Decided) ([]byte, error) {
	if err := erasure(s.db, d.Leaf.Tx); err != nil {
		return nil, err
	}
	b, err := s.read(d.Height)
	if err != nil {
		return nil, err
	}
	if d.Slot >= len(b.Txs) || TxHash(b.Txs[d.Slot]) != d.Leaf.Tx {
		return nil, fmt.Errorf("block %d does not hold transaction %s", d.Height, d.Leaf.Tx)
	}
	return b.Txs[d.Slot], nil
}

// Order is a transaction that is no submission's: officers' orders and anchors.
type Order struct {
	Slot int
	Raw  []byte
}

// Orders lists the officers' orders and the anchors of a block, also those that
// came to nothing.
func (s *Source) Orders(height int64) ([]Order, error) {
	b, err := s.read(height)
	if err != nil {
		return nil, err
	}
	var out []Order
	for i, raw := range b.Txs {
		if tx, err := parseTransaction(raw); err == nil && (tx.Kind == KindOrder || tx.Kind == KindAnchor) {
			out = append(out, Order{i, raw})
		}
	}
	return out, nil
}

// read keeps the last block: what is asked for next is mostly in it.
func (s *Source) read(height int64) (comet.Stored, error) {
	if s.last.Height == height && height > 0 {
		return s.last, nil
	}
	b, err := s.block(height)
	if err != nil {
		return comet.Stored{}, fmt.Errorf("reading block %d: %w", height, err)
	}
	s.last = b
	return b, nil
}

// OpenTransaction reads from a decided transaction who sent it, when it has not
// been erased: the submission's header.
func OpenTransaction(raw []byte) (flow.Submission, error) {
	sub, _, err := openDecide(raw)
	return sub, err
}
