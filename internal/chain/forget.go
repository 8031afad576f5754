package chain

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/receipt"
)

// What the authority has archived, the chain's state forgets: every validator the same,
// in the same block (R10.1). Read again it is from the archive, see older.go. What later
// decisions are judged by stays: the log's upper hashes, the ids of submissions, records'
// numbers, flows that go on.

const (
	// forgetStep is how many leaves one block forgets at most, so that consensus does
	// not stand still when there are many: two tiles.
	forgetStep = 2 * tileLeaves
	tileLeaves = 1 << tileLevel
	tileLevel  = 8
	// maxSpans is how many statements may wait to be forgotten by.
	maxSpans = 256
)

// span is one statement's part of the log.
type span struct {
	_ struct{} `cbor:",toarray"`

	To   int64 // leaves below this
	Seen int64 // anchors of blocks up to this height are archived with their decisions
}

// forget takes out of the state what is due.
func (b *block) forget() error {
	var at archived
	if _, err := b.load(archivedName, &at); err != nil || len(at.Spans) == 0 {
		return err
	}
	from := at.Forgotten
	for at.Forgotten < at.Spans[0].To && at.Forgotten < from+forgetStep {
		if err := b.forgetLeaf(at.Forgotten, at.Spans[0].Seen); err != nil {
			return fmt.Errorf("forgetting leaf %d: %w", at.Forgotten, err)
		}
		if at.Forgotten++; at.Forgotten%tileLeaves == 0 {
			b.forgetTile(at.Forgotten/tileLeaves - 1)
		}
	}
	if at.Forgotten == at.Spans[0].To {
		at.Spans = at.Spans[1:]
	}
	if err := b.forgetCheckpoints(from, at.Forgotten); err != nil {
		return err
	}
	return b.store(archivedName, at)
}

// forgetLeaf takes a leaf's decision out of the state. A hold that waits and a granted
// record that is not anchored yet stay until they are done with.
func (b *block) forgetLeaf(index, seen int64) error {
	raw, err := b.get(leafKey(index))
	if err != nil || raw == nil {
		return err
	}
	leaf, err := receipt.DecodeLeaf(raw)
	if err != nil {
		return err
	}
	var at located
	var more decided
	if _, err := b.load(txKey(leaf.Tx), &at); err != nil {
		return err
	}
	if _, err := b.load(decisionKey(leaf.Tx), &more); err != nil {
		return err
	}
	if at.Index != index { // a later leaf took its place
		b.dropLeaf(index, leaf, more.Subject)
		return nil
	}
	var n noted
	anchored, err := b.load(anchorKey(leaf.Tx), &n)
	if err != nil {
		return err
	}
	if leaf.Verdict == flow.Held || leaf.Verdict == flow.Granted && leaf.Step.Recorded() && !anchored {
		return nil
	}
	b.dropLeaf(index, leaf, more.Subject)
	b.set(txKey(leaf.Tx), nil)
	b.set(decisionKey(leaf.Tx), nil)
	if anchored && n.Height <= seen { // or the archive doesn't know it
		b.set(anchorKey(leaf.Tx), nil)
	}
	b.set(subKey(leaf.Submission), nil)
	b.set(idKey(leaf.Submission), binary.AppendUvarint(nil, uint64(index)))
	done, err := contract.DoneWith(contractState{b.overlay}, leaf.Tx, leaf.Flow, b.now)
	for _, key := range done {
		b.set(contractPrefix+string(key), nil)
	}
	return err
}

func (b *block) dropLeaf(index int64, leaf receipt.Leaf, subject string) {
	b.set(leafKey(index), nil)
	if subject != "" {
		b.set(subjectPrefix(subject)+ordinal(index), nil)
	}
	if !leaf.Flow.IsZero() {
		b.set(flowPrefix(leaf.Flow)+ordinal(index), nil)
	}
}

// forgetTile takes out the hashes below a whole tile's own root: what is proven from
// then on needs those above.
func (b *block) forgetTile(n int64) {
	for level := range tileLevel {
		count := int64(tileLeaves >> level)
		for i := n * count; i < (n+1)*count; i++ {
			b.set(hashKey(tlog.StoredHashIndex(level, i)), nil)
		}
	}
}

// forgetCheckpoints takes out those that only forgotten leaves were proven under.
func (b *block) forgetCheckpoints(from, to int64) error {
	for _, prefix := range []string{cpPrefix, cosignedPrefix, memberedPrefix} {
		it, err := b.db.Iterator([]byte(prefix+ordinal(max(from-forgetStep, 0))), []byte(prefix+ordinal(to)))
		if err != nil {
			return fmt.Errorf("looking for checkpoints: %w", err)
		}
		for ; it.Valid(); it.Next() {
			b.set(string(it.Key()), nil)
		}
		if err := it.Error(); err != nil {
			it.Close()
			return err
		}
		if err := it.Close(); err != nil {
			return err
		}
	}
	return nil
}

// forgotten is the leaf below which the state has forgotten.
func forgotten(get func(string) ([]byte, error)) (int64, error) {
	var at archived
	_, err := load(get, archivedName, &at)
	return at.Forgotten, err
}

// proven checks the proof that an order brings of a decision that was forgotten.
// Its block is one of those that are archived, which one is not known any more: blocks
// is the highest that it can be.
func (b *block) proven(p contract.Payload) (leaf receipt.Leaf, blocks int64, ok bool, err error) {
	var at archived
	if _, err := b.load(archivedName, &at); err != nil || p.Proof == nil || p.Proof.Index < 0 || p.Proof.Index >= at.Leaves {
		return leaf, 0, false, err
	}
	path := make(tlog.RecordProof, len(p.Proof.Path))
	for i, h := range p.Proof.Path {
		path[i] = tlog.Hash(h)
	}
	if tlog.CheckRecord(path, at.Leaves, at.Root, p.Proof.Index, tlog.RecordHash(p.Proof.Leaf)) != nil {
		return leaf, 0, false, nil
	}
	if leaf, err = receipt.DecodeLeaf(p.Proof.Leaf); err != nil || leaf.Tx != p.Tx {
		return leaf, 0, false, nil
	}
	return leaf, at.Blocks, true, nil
}
