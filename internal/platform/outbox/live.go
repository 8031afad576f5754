package outbox

import "sync"

// maxLive bounds the intents that are kept in memory; what goes beyond is read
// from the database when it is its turn.
const maxLive = 4096

// live are the intents in hand, as this process knows them, so that none is read
// again at each of its writes. It is ahead of the database with decisions that are
// being carried out, and may be behind: every change says which state it changes
// from, and the database decides.
type live struct {
	mu    sync.Mutex // guards what follows
	rows  map[string]row
	byTx  map[string]string // ids by the transaction that decided them
	fresh map[string]bool   // those that nobody began to push yet
}

func newLive() *live {
	return &live{rows: map[string]row{}, byTx: map[string]string{}, fresh: map[string]bool{}}
}

// full says whether another one would not be kept.
func (l *live) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.rows) >= maxLive
}

// keep keeps r, if there is room or it is kept already, and says whether it does.
func (l *live) keep(r row) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, known := l.rows[r.ID]
	if !known && len(l.rows) >= maxLive {
		return false
	}
	l.rows[r.ID] = r
	if r.Tx != "" {
		l.byTx[r.Tx] = r.ID
	}
	if !known && r.State == Pending {
		l.fresh[r.ID] = true
	}
	return true
}

// first gives, once, an intent that nobody began to push.
func (l *live) first(id string) (row, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.fresh[id] {
		return row{}, false
	}
	delete(l.fresh, id)
	return l.rows[id], true
}

func (l *live) find(id string) (row, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.rows[id]
	return r, ok
}

// pushed notes when the fusion node first took an intent.
func (l *live) pushed(id string, at int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r, ok := l.rows[id]; ok && r.SubmittedAt == 0 {
		r.SubmittedAt = at
		l.rows[id] = r
	}
}

// decided finds an intent by the transaction that decided it.
func (l *live) decided(tx string) (row, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.rows[l.byTx[tx]]
	return r, ok && tx != ""
}

func (l *live) drop(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byTx, l.rows[id].Tx)
	delete(l.rows, id)
	delete(l.fresh, id)
}
