package embedded

import (
	"sync"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/receipt"
)

// proofs remembers which transactions' receipts were verified, so that each is
// verified once on its way from Put through Check to its block. Whether a receipt
// holds depends on its bytes and the authority's keys alone. A transaction's hash
// covers its receipt, and what was verified before further hand-overs of the keys
// became known is verified again, so nothing here can change an outcome. The zero
// value is ready.
type proofs struct {
	mu       sync.Mutex
	old, new map[flow.Hash]proof // guarded by mu; when new is full it becomes old
}

type proof struct {
	known  string // hand-overs that were known: receipt.Keys.Reach
	proven receipt.Proven
}

// maxProofs is the size of each half: what can be in flight, about a kilobyte each.
const maxProofs = 8192

func (p *proofs) get(tx flow.Hash, known string) (receipt.Proven, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, ok := p.new[tx]
	if !ok {
		v, ok = p.old[tx]
	}
	return v.proven, ok && v.known == known
}

func (p *proofs) put(tx flow.Hash, known string, v receipt.Proven) {
	v.LeafBytes = nil // decoded already
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.new == nil || len(p.new) >= maxProofs {
		p.old, p.new = p.new, make(map[flow.Hash]proof)
	}
	p.new[tx] = proof{known, v}
}

func (p *proofs) drop(tx flow.Hash) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.new, tx)
	delete(p.old, tx)
}
