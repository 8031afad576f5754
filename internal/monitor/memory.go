package monitor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"signalbox.dev/signalbox/internal/durable"
	"signalbox.dev/signalbox/internal/witness"
	"signalbox.dev/signalbox/receipt"
)

// What a monitor remembers of a log is the newest checkpoint that it has verified,
// as the log signed it: its signature guards the file too.

func (m *Monitor) memoryOf(origin string) string {
	return filepath.Join(m.cfg.Dir, witness.OriginHash(origin)+".head")
}

// recall reads it; nil where nothing was seen yet.
func (m *Monitor) recall(t Target) (*seen, error) {
	signed, err := os.ReadFile(m.memoryOf(t.Keys.Origin()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading what was seen: %w", err)
	}
	h, err := receipt.OpenHead(signed, t.Keys)
	if err != nil {
		return nil, fmt.Errorf("reading what was seen: %s is damaged, or of other keys: %w", m.memoryOf(t.Keys.Origin()), err)
	}
	return &seen{h, "the log before"}, nil
}

// remember keeps the newest, durably.
func (m *Monitor) remember(newest seen, before *seen) error {
	if before != nil && before.Size == newest.Size {
		return nil
	}
	if err := durable.WriteFile(m.memoryOf(newest.Origin), newest.Signed); err != nil {
		return fmt.Errorf("remembering what was seen: %w", err)
	}
	return nil
}
