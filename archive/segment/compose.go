package segment

import (
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/receipt"
)

// Content is what a segment is composed of.
type Content struct {
	Chain        string
	Number       int64
	From, To     int64 // leaves
	Blocks       int64 // see Manifest
	Seen         int64 // likewise
	Previous     flow.Hash
	Leaves       [][]byte // from From to before the size of the last checkpoint
	Hashes       tlog.HashReader
	Decisions    []Decision // one for each leaf from From to before To
	Transactions []Transaction
	Erased       []Erasure // of transactions that were erased before this is composed; After is left out
	Orders       []Order
	Checkpoints  []Signed // over the leaves, in order; the last is the first that covers all
}

// Named is a file with its name.
type Named struct {
	Name string
	Data []byte
}

// Compose gives the files of a segment, and its manifest, which is to be written
// after them.
func Compose(c Content) ([]Named, Manifest, error) {
	m, err := c.manifest()
	if err != nil {
		return nil, m, fmt.Errorf("composing segment %d: %w", c.Number, err)
	}
	files, err := c.tiles(m.Size)
	if err != nil {
		return nil, m, fmt.Errorf("composing segment %d: %w", c.Number, err)
	}
	more, err := c.parts()
	if err != nil {
		return nil, m, fmt.Errorf("composing segment %d: %w", c.Number, err)
	}
	files = append(files, more...)
	for _, f := range files {
		m.Files = append(m.Files, File{Name: f.Name, Size: int64(len(f.Data)), SHA256: flow.SumHash(f.Data)})
	}
	return files, m, nil
}

func (c Content) manifest() (Manifest, error) {
	m := Manifest{
		Format: format, Chain: c.Chain, Number: c.Number, From: c.From, To: c.To, Blocks: c.Blocks, Seen: c.Seen, Previous: c.Previous,
	}
	if len(c.Checkpoints) == 0 {
		return m, errors.New("no checkpoint covers it")
	}
	last := c.Checkpoints[len(c.Checkpoints)-1]
	m.Size, m.Checkpoint = last.Size, string(last.Note)
	if c.From%Width != 0 || c.To%Width != 0 || c.To <= c.From || m.Size < c.To ||
		int64(len(c.Leaves)) != m.Size-c.From || int64(len(c.Decisions)) != c.To-c.From {
		return m, errors.New("its numbers don't fit together")
	}
	var err error
	m.Root, err = tlog.TreeHash(m.Size, c.Hashes)
	return m, err
}

// tiles are the log's new ones, of hashes and leaves.
func (c Content) tiles(size int64) ([]Named, error) {
	var out []Named
	for _, t := range tiles(c.From, size) {
		var data []byte
		var err error
		if t.L < 0 {
			data, err = bundle(c.Leaves[t.N<<tileHeight-c.From:][:t.W])
		} else {
			data, err = tlog.ReadTileData(t, c.Hashes)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", tileName(t), err)
		}
		out = append(out, Named{tileName(t), data})
	}
	return out, nil
}

func (c Content) parts() ([]Named, error) {
	leaves, err := decodeLeaves(c.Leaves[:c.To-c.From])
	if err != nil {
		return nil, err
	}
	transactions, err := EncodeTransactions(c.Transactions)
	if err != nil {
		return nil, err
	}
	decisions, err := encode(c.Decisions, nil)
	if err != nil {
		return nil, err
	}
	orders, err := encode(c.Orders, func(o Order) []byte { return o.Raw })
	if err != nil {
		return nil, err
	}
	checkpoints, err := encode(c.Checkpoints, nil)
	if err != nil {
		return nil, err
	}
	return []Named{
		{Name(c.Number, Transactions), transactions},
		{Name(c.Number, Decisions), decisions},
		{Name(c.Number, Orders), orders},
		{Name(c.Number, Checkpoints), checkpoints},
		{Name(c.Number, Index), index(c.Decisions, leaves)},
	}, nil
}

func decodeLeaves(all [][]byte) ([]receipt.Leaf, error) {
	out := make([]receipt.Leaf, len(all))
	for i, raw := range all {
		var err error
		if out[i], err = receipt.DecodeLeaf(raw); err != nil {
			return nil, fmt.Errorf("leaf %d: %w", i, err)
		}
	}
	return out, nil
}

// Erasures gives the file that says what the segment's transactions lack from the
// beginning; false when that is nothing. It belongs to no manifest, since it grows.
func (c Content) Erasures() (Named, bool, error) {
	if len(c.Erased) == 0 {
		return Named{}, false, nil
	}
	transactions, err := EncodeTransactions(c.Transactions)
	if err != nil {
		return Named{}, false, err
	}
	for i := range c.Erased {
		c.Erased[i].After = flow.SumHash(transactions)
	}
	data, err := EncodeErased(c.Erased)
	return Named{Name(c.Number, Erased), data}, true, err
}
