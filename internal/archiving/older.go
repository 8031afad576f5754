package archiving

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/archive"
	"signalbox.dev/signalbox/archive/segment"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
)

// Archived is the archive as its chain reads it.
func (r *Reader) Archived() chain.Archived { return archived{r} }

type archived struct{ reader *Reader }

func older(f Found) chain.Older {
	d := f.Decision
	return chain.Older{Receipt: f.Receipt, Decided: chain.Decided{
		Leaf: f.Leaf, LeafBytes: f.LeafBytes, Index: f.Index, Height: d.Height, Slot: d.Slot,
		Reasons: d.Reasons, Basis: d.Basis, Flags: d.Flags, Observed: d.Observed, Subject: d.Subject,
		Order: d.Order, Grant: d.Grant, Anchor: d.Anchor,
	}}
}

// Transaction implements chain.Archived.
func (a archived) Transaction(ctx context.Context, tx flow.Hash, height int64) ([]byte, error) {
	return a.reader.Transaction(ctx, tx, height)
}

// ByTx implements chain.Archived.
func (a archived) ByTx(ctx context.Context, tx flow.Hash) (chain.Older, bool, error) {
	f, err := a.reader.ByTx(ctx, tx)
	if errors.Is(err, archive.ErrNotFound) {
		return chain.Older{}, false, nil
	}
	return older(f), err == nil, err
}

// At implements chain.Archived.
func (a archived) At(ctx context.Context, index int64) (chain.Older, error) {
	segments, err := a.reader.manifests(ctx)
	if err != nil {
		return chain.Older{}, err
	}
	i := sort.Search(len(segments), func(i int) bool { return segments[i].To > index })
	if i == len(segments) || index < 0 {
		return chain.Older{}, fmt.Errorf("leaf %d: %w", index, archive.ErrNotFound)
	}
	f, err := a.reader.open(ctx, place{segments[i], index})
	return older(f), err
}

// List implements chain.Archived.
func (a archived) List(ctx context.Context, id flow.Hash, subject string) ([]chain.Older, error) {
	key := segment.Key(segment.ByFlow, id)
	if id.IsZero() {
		key = segment.SubjectKey(subject)
	}
	found, err := a.reader.all(ctx, key)
	var out []chain.Older
	for _, f := range found {
		out = append(out, older(f))
	}
	return out, err
}

// ReadHashes implements chain.Archived.
func (a archived) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	ctx, cancel := context.WithTimeout(context.Background(), hashesWait)
	defer cancel()
	segments, err := a.reader.manifests(ctx)
	if err != nil {
		return nil, err
	}
	if len(segments) == 0 {
		return nil, fmt.Errorf("the log's hashes: %w", archive.ErrNotFound)
	}
	log := &segment.Log{Size: segments[len(segments)-1].To, Fetch: fetcher(ctx, a.reader.store)}
	return log.ReadHashes(indexes)
}
