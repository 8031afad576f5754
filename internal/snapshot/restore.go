package snapshot

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/archive"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/comet"
)

// ErrFingerprint says that a snapshot is not the one that the operator was told of.
var ErrFingerprint = errors.New("the snapshot has another fingerprint than was told")

// Restore puts a node's data, in its chain's folder dir, in the state of the snapshot of
// a height. fingerprint is what the operator was told by another way; say is told how
// many chunks of how many are done. Until all has been verified nothing is changed.
func Restore(ctx context.Context, s archive.Store, height int64, fingerprint flow.Hash, dir string, g chain.Genesis, say func(done, of int)) (Manifest, error) {
	m, a, err := open(ctx, s, height)
	if err != nil {
		return m, err
	}
	if flow.Hash(a.Fingerprint()) != fingerprint {
		return m, fmt.Errorf("%w: it has %x", ErrFingerprint, a.Fingerprint())
	}
	r, err := chain.Restore(dir, g, a)
	if err != nil {
		return m, err
	}
	if err := each(ctx, s, m, r.Put, say); err != nil {
		return m, errors.Join(err, r.Close())
	}
	return m, errors.Join(r.Finish(), r.Close())
}

// Check verifies a snapshot in itself: every file, the votes on its two headers, and
// that the state is the one that they name.
func Check(ctx context.Context, s archive.Store, height int64) (Manifest, error) {
	m, _, _, err := check(ctx, s, height)
	return m, err
}

// check also gives the anchor and the root of the log.
func check(ctx context.Context, s archive.Store, height int64) (m Manifest, a *comet.Anchor, root tlog.Hash, err error) {
	if m, a, err = open(ctx, s, height); err != nil {
		return m, nil, root, err
	}
	var whole chain.Whole
	if err := each(ctx, s, m, whole.Put, func(int, int) {}); err != nil {
		return m, nil, root, err
	}
	if root, err = whole.Root(); err != nil {
		return m, nil, root, err
	}
	is, err := whole.AppHash()
	if err != nil {
		return m, nil, root, err
	}
	if !bytes.Equal(is, a.AppHash()) || whole.Size() != m.Decisions {
		return m, nil, root, fmt.Errorf("%s: %w: its state has the application hash %X, the block's is %X", folder(height), chain.ErrForged, is, a.AppHash())
	}
	return m, a, root, nil
}

// open reads manifest and anchor, and compares them.
func open(ctx context.Context, s archive.Store, height int64) (Manifest, *comet.Anchor, error) {
	m, err := Read(ctx, s, height)
	if err != nil {
		return m, nil, err
	}
	raw, err := read(ctx, s, anchorName(height), m.Anchor)
	if err != nil {
		return m, nil, err
	}
	a, err := comet.ParseAnchor(raw)
	if err != nil {
		return m, nil, &Damage{anchorName(height), err.Error()}
	}
	print := a.Fingerprint()
	if a.Height() != m.Height || a.ChainID() != m.Chain || hex.EncodeToString(a.AppHash()) != m.AppHash || hex.EncodeToString(print[:]) != m.Fingerprint {
		return m, nil, &Damage{manifestName(height), "says other things than the anchor"}
	}
	return m, a, nil
}

// each gives fn the entries of all chunks.
func each(ctx context.Context, s archive.Store, m Manifest, fn func(key, value []byte) error, say func(done, of int)) error {
	var entries int64
	for i, f := range m.Chunks {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := chunkName(m.Height, i)
		data, err := read(ctx, s, name, f)
		if err != nil {
			return err
		}
		for len(data) > 0 {
			var key, value []byte
			var ok bool
			if key, data, ok = cut(data); ok {
				value, data, ok = cut(data)
			}
			if !ok {
				return &Damage{name, "can't be read"}
			}
			if err := fn(key, value); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			entries++
		}
		say(i+1, len(m.Chunks))
	}
	if entries != m.Entries {
		return &Damage{manifestName(m.Height), fmt.Sprintf("says %d entries, there are %d", m.Entries, entries)}
	}
	return nil
}

// cut takes a length and so many bytes off.
func cut(data []byte) (part, rest []byte, ok bool) {
	n, used := binary.Uvarint(data)
	if used <= 0 || n > uint64(len(data)-used) {
		return nil, nil, false
	}
	return data[used : used+int(n)], data[used+int(n):], true
}
