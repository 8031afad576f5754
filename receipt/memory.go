package receipt

import (
	"crypto/sha256"
	"sync"
)

// Memory verifies receipts as the function Verify does, and remembers which
// checkpoints held: the receipts of one block of the supervision chain all carry the
// same one, whose signatures are most of what verifying costs. What is remembered is
// known by the SHA-256 of all its bytes and by the keys that it was verified with, so
// that it changes no outcome; what did not hold is not remembered. It is for one
// verifier, whose Keys change by following hand-overs alone. The zero value is ready;
// safe for concurrent use.
type Memory struct {
	mu       sync.Mutex
	old, new map[remembered]Checkpoint // guarded by mu; when new is full it becomes old
}

type remembered struct {
	signed        [sha256.Size]byte
	origin, reach string
}

// maxRemembered is the size of each half of a Memory: about half a kilobyte each.
const maxRemembered = 2048

// Verify checks a receipt offline, as the function Verify does.
func (m *Memory) Verify(file []byte, keys Keys, origin string) (Proven, error) {
	return verify(file, func(signed []byte) (Checkpoint, error) {
		k := remembered{sha256.Sum256(signed), origin, keys.Reach()}
		if c, ok := m.find(k); ok {
			return c, nil
		}
		c, err := VerifyCheckpoint(signed, keys, origin)
		if err == nil {
			m.keep(k, c)
		}
		return c, err
	})
}

func (m *Memory) find(k remembered) (Checkpoint, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.new[k]
	if !ok {
		if c, ok = m.old[k]; ok {
			m.new[k] = c // m.new is there since m.old is
		}
	}
	return c, ok
}

func (m *Memory) keep(k remembered, c Checkpoint) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.new == nil || len(m.new) >= maxRemembered {
		m.old, m.new = m.new, make(map[remembered]Checkpoint)
	}
	m.new[k] = c
}
