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
// safe for concurrent use: receipts that come at once wait for one of them.
type Memory struct {
	mu       sync.Mutex
	old, new map[remembered]*head // guarded by mu; when new is full it becomes old
}

// remembered is which checkpoint it is, and by what it was verified.
type remembered struct {
	signed        [sha256.Size]byte
	origin, reach string
}

// head is a checkpoint that is being verified, or has been.
type head struct {
	once sync.Once
	cp   Checkpoint
	err  error
}

// maxRemembered is the size of each half of a Memory: about half a kilobyte each.
const maxRemembered = 2048

// Verify checks a receipt offline, as the function Verify does.
func (m *Memory) Verify(file []byte, keys Keys, origin string) (Proven, error) {
	return verify(file, func(signed []byte) (Checkpoint, error) {
		k := remembered{sha256.Sum256(signed), origin, keys.Reach()}
		h := m.find(k)
		h.once.Do(func() {
			if h.cp, h.err = VerifyCheckpoint(signed, keys, origin); h.err != nil {
				m.forget(k)
			}
		})
		return h.cp, h.err
	})
}

// find gives what is known of a checkpoint, or a place for it.
func (m *Memory) find(k remembered) *head {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.new[k]
	if h != nil {
		return h
	}
	if h = m.old[k]; h == nil {
		h = &head{}
	}
	if m.new == nil || len(m.new) >= maxRemembered {
		m.old, m.new = m.new, make(map[remembered]*head)
	}
	m.new[k] = h // what is used stays
	return h
}

func (m *Memory) forget(k remembered) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.new, k)
	delete(m.old, k)
}
