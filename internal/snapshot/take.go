package snapshot

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"signalbox.dev/signalbox/archive"
	"signalbox.dev/signalbox/internal/chain"
)

// Taker writes snapshots of a running chain. One store has one Taker.
type Taker struct {
	Store  archive.Store
	Keep   int // how many snapshots stay, 1 or more
	Chunk  int // bytes of a chunk, and one entry more; 0 is DefaultChunk
	Logger *slog.Logger
}

// Take is chain.Snapshots.Take. What an end of the process leaves unfinished, the next
// one takes away.
func (t *Taker) Take(ctx context.Context, s *chain.Snapshot) error {
	m, err := t.write(ctx, s)
	if err != nil {
		return fmt.Errorf("snapshot of block %d: %w", s.Height, err)
	}
	t.Logger.Info("snapshot", "height", m.Height, "decisions", m.Decisions, "bytes", m.Bytes(), "fingerprint", m.Fingerprint)
	if err := t.retain(ctx, s.Height); err != nil {
		return fmt.Errorf("taking away old snapshots: %w", err)
	}
	return nil
}

func (t *Taker) write(ctx context.Context, s *chain.Snapshot) (Manifest, error) {
	w := writing{Taker: t, m: Manifest{Format: format, Height: s.Height, Decisions: s.Size, AppHash: hex.EncodeToString(s.AppHash)}}
	if err := remove(ctx, t.Store, s.Height); err != nil { // one that was begun, or taken before the node was restored
		return w.m, err
	}
	if err := s.Each(ctx, func(key, value []byte) error { return w.entry(ctx, key, value) }); err != nil {
		return w.m, err
	}
	if err := w.flush(ctx); err != nil {
		return w.m, err
	}
	a, err := s.Anchor(ctx)
	if err != nil {
		return w.m, err
	}
	if hex.EncodeToString(a.AppHash()) != w.m.AppHash {
		return w.m, errors.New("the block after names another application hash")
	}
	raw, err := a.Encode()
	if err != nil {
		return w.m, err
	}
	print := a.Fingerprint()
	w.m.Chain, w.m.Fingerprint, w.m.Anchor = a.ChainID(), hex.EncodeToString(print[:]), fileOf(raw)
	if err := t.Store.Put(ctx, anchorName(s.Height), raw); err != nil {
		return w.m, err
	}
	list, err := json.Marshal(w.m)
	if err != nil {
		return w.m, err
	}
	return w.m, t.Store.Put(ctx, manifestName(s.Height), list)
}

// writing is a snapshot being written.
type writing struct {
	*Taker
	m     Manifest
	chunk []byte
}

func (w *writing) entry(ctx context.Context, key, value []byte) error {
	for _, part := range [][]byte{key, value} {
		w.chunk = append(binary.AppendUvarint(w.chunk, uint64(len(part))), part...)
	}
	w.m.Entries++
	if len(w.chunk) < cmp.Or(w.Chunk, DefaultChunk) {
		return nil
	}
	return w.flush(ctx)
}

func (w *writing) flush(ctx context.Context) error {
	if len(w.chunk) == 0 {
		return nil
	}
	if err := w.Store.Put(ctx, chunkName(w.m.Height, len(w.m.Chunks)), w.chunk); err != nil {
		return err
	}
	w.m.Chunks = append(w.m.Chunks, fileOf(w.chunk))
	w.chunk = nil
	return nil
}

// retain takes away all but the newest snapshots, and what was begun before this one.
func (t *Taker) retain(ctx context.Context, height int64) error {
	whole, begun, err := Heights(ctx, t.Store)
	if err != nil {
		return err
	}
	old := whole[:max(0, len(whole)-t.Keep)]
	for _, h := range slices.Concat(old, begun) {
		if h < height {
			if err := remove(ctx, t.Store, h); err != nil {
				return err
			}
		}
	}
	return nil
}
