package segment

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/flow"
)

const format = "signalbox-archive/1"

// Manifest says what a segment is.
type Manifest struct {
	Format string `json:"format"`
	Chain  string `json:"chain"`
	Number int64  `json:"number"` // from 0, without a gap
	From   int64  `json:"from"`   // the first leaf
	To     int64  `json:"to"`     // the leaf after the last; both are whole tiles' ends
	// Before this height, everything that blocks hold of decisions, orders and
	// anchors is in this segment and those before it.
	Blocks int64 `json:"blocks"`
	// Seen is the chain's height when its decisions were read: anchors of blocks up to it
	// stand with them.
	Seen       int64     `json:"seen"`
	Size       int64     `json:"size"`       // of the log at Checkpoint, To or larger
	Root       tlog.Hash `json:"root"`       // of the log at that size, base64
	Checkpoint string    `json:"checkpoint"` // as signed
	Previous   flow.Hash `json:"previous"`   // SHA-256 of the manifest before; zero in the first
	Files      []File    `json:"files"`
}

// File is one file that a segment added.
type File struct {
	Name   string    `json:"name"`
	Size   int64     `json:"size"` // bytes
	SHA256 flow.Hash `json:"sha256"`
}

// ErrDamaged is what errors about files wrap that are not as they were written.
var ErrDamaged = errors.New("archive is damaged")

// Encode gives the manifest's file: JSON, and a last line with its SHA-256, which
// tells damage; what tells forgery is the checkpoint and the manifest after it.
func (m Manifest) Encode() ([]byte, error) {
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return nil, fmt.Errorf("encoding manifest %d: %w", m.Number, err)
	}
	return seal(text), nil
}

// DecodeManifest reads the file of a manifest.
func DecodeManifest(data []byte) (Manifest, error) {
	var m Manifest
	text, err := unseal(data)
	if err != nil {
		return m, fmt.Errorf("manifest: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return m, fmt.Errorf("%w: manifest: %w", ErrDamaged, err)
	}
	if m.Format != format {
		return m, fmt.Errorf("manifest: of format %.40q, want %s", m.Format, format)
	}
	if m.Number < 0 || m.From < 0 || m.To <= m.From || m.From%Width != 0 || m.To%Width != 0 || m.Size < m.To {
		return m, fmt.Errorf("%w: manifest: its numbers don't fit together", ErrDamaged)
	}
	return m, nil
}

const sum = "\nsha256 "

// seal adds a line with the text's SHA-256.
func seal(text []byte) []byte {
	return fmt.Appendf(bytes.Clone(text), "%s%s\n", sum, flow.SumHash(text))
}

func unseal(data []byte) ([]byte, error) {
	i := bytes.LastIndex(data, []byte(sum))
	if i < 0 || !bytes.Equal(seal(data[:i]), data) {
		return nil, fmt.Errorf("%w: its own SHA-256 is not right", ErrDamaged)
	}
	return data[:i], nil
}
