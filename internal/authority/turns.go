package authority

import "sync"

// turns shares the cores among platforms: what waits for a core is let in one
// platform after the other, so that a platform with hundreds of submissions in
// hand never makes another's wait for more than the work that is being done.
type turns struct {
	mu      sync.Mutex // guards what follows
	free    int        // cores that nobody uses
	waiting map[string][]chan struct{}
	order   []string // platforms with somebody waiting, whose turn is next first
}

func newTurns(cores int) *turns {
	return &turns{free: cores, waiting: map[string][]chan struct{}{}}
}

// do runs f when it is the platform's turn and a core is free.
func (t *turns) do(platform string, f func()) {
	t.enter(platform)
	defer t.leave()
	f()
}

func (t *turns) enter(platform string) {
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return
	}
	turn := make(chan struct{})
	if len(t.waiting[platform]) == 0 {
		t.order = append(t.order, platform)
	}
	t.waiting[platform] = append(t.waiting[platform], turn)
	t.mu.Unlock()
	<-turn
}

// leave hands the core to the first of the platform whose turn it is.
func (t *turns) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.order) == 0 {
		t.free++
		return
	}
	platform := t.order[0]
	t.order = t.order[1:]
	close(t.waiting[platform][0])
	t.waiting[platform] = t.waiting[platform][1:]
	if len(t.waiting[platform]) == 0 {
		delete(t.waiting, platform)
	} else {
		t.order = append(t.order, platform)
	}
}
