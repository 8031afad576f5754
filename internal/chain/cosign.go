package chain

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/receipt"
)

// Witnesses' lines are kept with the checkpoint that they are for, so that every
// receipt under it carries them. Which checkpoints have some is noted under
// cosignedPrefix, since by far not every one is offered to witnesses.

const (
	maxCosigned = 90 // lines that are kept with one checkpoint; a signed note has at most 100
	lookAhead   = 8  // cosigned checkpoints among which a receipt takes the best
)

// Checkpoint is the newest signed checkpoint, with what cosignatures it has, and
// its size; nil while the log is empty. It implements witness.Log and witness.Public.
func (c *Chain) Checkpoint() ([]byte, int64, error) {
	it, err := c.db.ReverseIterator([]byte(cpPrefix), []byte(prefixEnd(cpPrefix)))
	if err != nil {
		return nil, 0, fmt.Errorf("looking for the newest checkpoint: %w", err)
	}
	defer it.Close()
	if !it.Valid() {
		return nil, 0, it.Error()
	}
	return bytes.Clone(it.Value()), ordinalOf(it.Key()[len(cpPrefix):]), it.Error()
}

// Consistency proves that the log of size from, at least 1, is the beginning of
// that of size to.
func (c *Chain) Consistency(from, to int64) (tlog.TreeProof, error) {
	if from < 1 || from > to || to > c.Size() {
		return nil, fmt.Errorf("proving consistency: no sizes %d and %d in a log of %d", from, to, c.Size())
	}
	p, err := tlog.ProveTree(to, from, c.hashes())
	if err != nil {
		return nil, fmt.Errorf("proving consistency of sizes %d and %d: %w", from, to, err)
	}
	return p, nil
}

// Tile gives the log's hashes of a tile that it is large enough for.
func (c *Chain) Tile(t tlog.Tile) ([]byte, error) {
	b, err := tlog.ReadTileData(t, c.hashes())
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", t.Path(), err)
	}
	return b, nil
}

// Cosigned keeps a witness's line with the checkpoint of that size. The line was
// verified; a second one of the same key changes nothing.
func (c *Chain) Cosigned(size int64, line []byte) error {
	return c.keepLines(size, cosignedKey(size), [][]byte{line})
}

// signedByMembers keeps lines of members of the committee, likewise.
func (c *Chain) signedByMembers(size int64, lines [][]byte) error {
	return c.keepLines(size, memberedKey(size), lines)
}

// keepLines adds lines to a checkpoint, and notes how many it has under the key.
func (c *Chain) keepLines(size int64, key string, add [][]byte) error {
	c.cosigning.Lock()
	defer c.cosigning.Unlock()
	signed, err := c.get(checkpointKey(size))
	if err != nil {
		return err
	}
	head, err := receipt.ReadHead(signed)
	if err != nil || head.Size != size {
		return fmt.Errorf("keeping a cosignature: no checkpoint of size %d", size)
	}
	_, lines, _ := bytes.Cut(signed, []byte("\n\n"))
	have, before := map[string]bool{}, len(signed)
	for line := range bytes.Lines(lines) {
		have[keyOf(line)] = true
	}
	count := bytes.Count(lines, []byte("\n"))
	for _, line := range add {
		if bytes.Count(line, []byte("\n")) != 1 || !bytes.HasPrefix(line, []byte("— ")) || !bytes.HasSuffix(line, []byte("\n")) {
			return errors.New("keeping a cosignature: it is not one line")
		}
		if keyOf(line) == "" || count >= maxCosigned {
			return fmt.Errorf("keeping a cosignature: malformed, or the checkpoint has %d lines already", maxCosigned)
		}
		if have[keyOf(line)] {
			continue
		}
		have[keyOf(line)] = true
		signed, count = append(signed, line...), count+1
	}
	if len(signed) == before {
		return nil
	}
	b := c.db.NewBatch()
	defer b.Close()
	if err := errors.Join(b.Set([]byte(checkpointKey(size)), signed), b.Set([]byte(key), []byte{byte(count)}), b.Write()); err != nil {
		return fmt.Errorf("keeping a cosignature: %w", err)
	}
	return nil
}

// keyOf is what of a signature line names its key: the name, and the key id, which is
// in the first four bytes and so in the first five characters of the signature.
func keyOf(line []byte) string {
	i := bytes.LastIndexByte(line, ' ')
	if i < 0 || len(line) < i+6 {
		return ""
	}
	return string(line[:i+6])
}

// best gives the checkpoint that a receipt of the leaf is made under: of the first
// few that witnesses have cosigned, the one with most lines; without any, of the
// first few that members of the committee have signed; or else the first that covers
// the leaf.
func (c checkpoints) best(index int64) ([]byte, int64, error) {
	for _, prefix := range []string{cosignedPrefix, memberedPrefix} {
		size, err := c.most(prefix, index)
		if err != nil {
			return nil, 0, err
		}
		if size == 0 {
			continue
		}
		if signed, err := c.db.Get([]byte(checkpointKey(size))); err == nil && signed != nil {
			return signed, size, nil
		}
	}
	return c.covering(index)
}

// most looks among the first few checkpoints beyond a leaf that are noted under a
// prefix; 0 where there is none.
func (c checkpoints) most(prefix string, index int64) (size int64, err error) {
	it, err := c.db.Iterator([]byte(prefix+ordinal(index+1)), []byte(prefixEnd(prefix)))
	if err != nil {
		return 0, fmt.Errorf("looking for a cosigned checkpoint: %w", err)
	}
	defer it.Close()
	var most byte
	for n := 0; it.Valid() && n < lookAhead; n++ {
		if v := it.Value(); len(v) == 1 && v[0] > most {
			most, size = v[0], ordinalOf(it.Key()[len(prefix):])
		}
		it.Next()
	}
	return size, it.Error()
}
