package outbox

import "sync"

// maxLive bounds the intents that are kept in memory; what goes beyond is read
// from the database when it is its turn.
const maxLive = 4096

// live are the intents in hand, as this process last wrote them, so that none is
// read again at each of its writes. It may be behind: every change says which
// state it changes from, and the database decides.
type live struct {
	mu    sync.Mutex // guards what follows
	rows  map[string]row
	fresh map[string]bool // those that nobody began to push yet
}

func newLive() *live { return &live{rows: map[string]row{}, fresh: map[string]bool{}} }

// full says whether another one would not be kept.
func (l *live) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.rows) >= maxLive
}

// keep keeps r, if there is room or it is kept already.
func (l *live) keep(r row) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, known := l.rows[r.ID]
	if !known && len(l.rows) >= maxLive {
		return
	}
	l.rows[r.ID] = r
	if !known && r.State == Pending {
		l.fresh[r.ID] = true
	}
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

func (l *live) drop(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.rows, id)
	delete(l.fresh, id)
}
