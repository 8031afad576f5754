package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"signalbox.dev/signalbox/archive"
)

// format is of what this package writes.
const format = 1

// DefaultChunk is how large a chunk is where nothing else is said, in bytes.
const DefaultChunk = 4 << 20

// Bounds of what is read.
const (
	maxChunk  = 64 << 20
	maxChunks = 1 << 20
)

// Manifest lists what a snapshot consists of.
type Manifest struct {
	Format      int    `json:"format"`
	Chain       string `json:"chain"`
	Height      int64  `json:"height"`
	Decisions   int64  `json:"decisions"`
	Entries     int64  `json:"entries"`
	AppHash     string `json:"app_hash"`    // hexadecimal
	Fingerprint string `json:"fingerprint"` // of the anchor, hexadecimal
	Anchor      File   `json:"anchor"`
	Chunks      []File `json:"chunks"`
}

// File is an object of a snapshot.
type File struct {
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // hexadecimal
}

// Bytes is the size of all of the snapshot but its manifest.
func (m Manifest) Bytes() int64 {
	n := m.Anchor.Size
	for _, c := range m.Chunks {
		n += c.Size
	}
	return n
}

func (m Manifest) validate(height int64) error {
	switch {
	case m.Format != format:
		return fmt.Errorf("format %d: this program knows %d", m.Format, format)
	case m.Height != height || height < 1:
		return fmt.Errorf("it says that it is of block %d", m.Height)
	case len(m.Chunks) > maxChunks || m.Decisions < 0 || m.Entries < 1:
		return errors.New("its figures can't be right")
	}
	for _, f := range append(slices.Clone(m.Chunks), m.Anchor) {
		if f.Size < 1 || f.Size > maxChunk {
			return errors.New("it has a file whose size can't be right")
		}
	}
	return nil
}

func fileOf(data []byte) File {
	sum := sha256.Sum256(data)
	return File{Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}
}

// Names of a snapshot's objects.
func folder(height int64) string       { return fmt.Sprintf("%020d/", height) }
func manifestName(height int64) string { return folder(height) + "manifest" }
func anchorName(height int64) string   { return folder(height) + "anchor" }
func chunkName(height int64, i int) string {
	return folder(height) + fmt.Sprintf("chunk-%06d", i)
}

// Damage is an object that is not what the manifest says.
type Damage struct {
	Name string
	What string
}

// Error names the object.
func (d *Damage) Error() string { return d.Name + ": " + d.What }

// read gets an object and compares it with what the manifest says.
func read(ctx context.Context, s archive.Store, name string, want File) ([]byte, error) {
	data, err := s.Get(ctx, name)
	switch {
	case errors.Is(err, archive.ErrNotFound):
		return nil, &Damage{name, "is missing"}
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", name, err)
	case fileOf(data) != want:
		return nil, &Damage{name, "is not what the manifest says: damaged or changed"}
	}
	return data, nil
}

// Read gives the manifest of the snapshot of a height.
func Read(ctx context.Context, s archive.Store, height int64) (Manifest, error) {
	var m Manifest
	raw, err := s.Get(ctx, manifestName(height))
	if err != nil {
		return m, fmt.Errorf("snapshot of block %d: %w", height, err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return m, &Damage{manifestName(height), err.Error()}
	}
	if err := m.validate(height); err != nil {
		return m, &Damage{manifestName(height), err.Error()}
	}
	return m, nil
}

// Heights lists the snapshots that are whole, from the oldest on, and those that were
// begun and are not.
func Heights(ctx context.Context, s archive.Store) (whole, begun []int64, err error) {
	seen := map[int64]bool{}
	err = s.List(ctx, "", func(name string) error {
		text, file, ok := strings.Cut(name, "/")
		height, err := strconv.ParseInt(text, 10, 64)
		if !ok || err != nil || folder(height) != text+"/" {
			return nil // nothing of ours
		}
		seen[height] = seen[height] || file == "manifest"
		return nil
	})
	for height, is := range seen {
		if is {
			whole = append(whole, height)
		} else {
			begun = append(begun, height)
		}
	}
	slices.Sort(whole)
	slices.Sort(begun)
	return whole, begun, err
}

// remove takes a snapshot out, its manifest first.
func remove(ctx context.Context, s archive.Store, height int64) error {
	if err := s.Delete(ctx, manifestName(height)); err != nil {
		return err
	}
	var names []string
	if err := s.List(ctx, folder(height), func(name string) error {
		names = append(names, name)
		return nil
	}); err != nil {
		return err
	}
	for _, name := range names {
		if err := s.Delete(ctx, name); err != nil {
			return err
		}
	}
	return nil
}
