package archiving

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"signalbox.dev/signalbox/archive"
	"signalbox.dev/signalbox/archive/segment"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
)

// Erase destroys the archive's copies of payloads that officers ordered erased, as
// far as the archive has them, and gives how many it took out (R10.1). Ended at any
// moment, kill -9 included, it is finished by the next call: first the segment's note
// says what is erased, then its transactions are written anew without it. What was
// found destroyed is noted in done and not looked for again; nil looks for all.
func (w Writer) Erase(ctx context.Context, done map[flow.Hash]bool) (int, error) {
	byIndex := map[int64]chain.Erasure{}
	err := w.Source.Erasures(func(e chain.Erasure) error {
		if !done[e.Tx] {
			byIndex[e.Index] = e
		}
		return nil
	})
	if err != nil || len(byIndex) == 0 {
		return 0, err
	}
	count := 0
	for n := int64(0); ctx.Err() == nil; n++ {
		m, _, err := readManifest(ctx, w.Store, n)
		if errors.Is(err, archive.ErrNotFound) {
			return count, nil
		}
		if err != nil {
			return count, err
		}
		var here []chain.Erasure
		for index, e := range byIndex {
			if m.From <= index && index < m.To {
				here = append(here, e)
			}
		}
		if len(here) == 0 {
			continue
		}
		took, err := w.eraseIn(ctx, m, here)
		if count += took; err != nil {
			return count, fmt.Errorf("erasing in segment %d: %w", n, err)
		}
		for _, e := range here {
			if done != nil {
				done[e.Tx] = true
			}
		}
	}
	return count, ctx.Err()
}

// eraseIn takes payloads out of one segment.
func (w Writer) eraseIn(ctx context.Context, m *segment.Manifest, all []chain.Erasure) (int, error) {
	name := segment.Name(m.Number, segment.Transactions)
	data, err := w.Store.Get(ctx, name)
	if err != nil {
		return 0, err
	}
	transactions, err := segment.DecodeTransactions(data)
	if err != nil {
		return 0, err
	}
	byTx := map[flow.Hash]chain.Erasure{}
	for _, e := range all {
		byTx[e.Tx] = e
	}
	var noted []segment.Erasure
	for i, t := range transactions {
		e, ok := byTx[t.Tx]
		if !ok || t.Erased != 0 {
			continue
		}
		if e.Statement == nil {
			return 0, fmt.Errorf("transaction %s: no statement of its erasure is signed: run the authority first", t.Tx)
		}
		transactions[i].Erased, transactions[i].Raw = e.Order, nil
		noted = append(noted, segment.Erasure{Tx: t.Tx, Order: e.Order, Statement: e.Statement})
	}
	if len(noted) == 0 {
		return 0, nil
	}
	if data, err = segment.EncodeTransactions(transactions); err != nil {
		return 0, err
	}
	if err := w.note(ctx, m.Number, noted, flow.SumHash(data)); err != nil {
		return 0, err
	}
	return len(noted), w.Store.Put(ctx, name, data)
}

// note adds to what is said of a segment's erasures; after is the SHA-256 of its
// transactions then.
func (w Writer) note(ctx context.Context, number int64, noted []segment.Erasure, after flow.Hash) error {
	name := segment.Name(number, segment.Erased)
	var all []segment.Erasure
	data, err := w.Store.Get(ctx, name)
	switch {
	case errors.Is(err, archive.ErrNotFound):
	case err != nil:
		return err
	default:
		if all, err = segment.DecodeErased(data); err != nil {
			return err
		}
	}
	for _, e := range noted {
		e.After = after
		// A note without its deed is of a run that was ended in between.
		all = slices.DeleteFunc(all, func(old segment.Erasure) bool { return old.Tx == e.Tx })
		all = append(all, e)
	}
	encoded, err := segment.EncodeErased(all)
	if err != nil || bytes.Equal(encoded, data) {
		return err
	}
	return w.Store.Put(ctx, name, encoded)
}
