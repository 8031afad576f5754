package authority

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// R10.2: platforms come to the cores in turn, however many wait for one of them.
func TestTurnsGoRoundThePlatforms(t *testing.T) {
	cores := newTurns(1)
	cores.enter("busy") // the core is taken while the others queue up
	var order []string
	done := make(chan string)
	wait := func(platform string) {
		before := waitingFor(cores)
		go cores.do(platform, func() { done <- platform })
		for waitingFor(cores) == before {
		}
	}
	for _, p := range []string{"flood", "flood", "flood", "flood", "quiet", "other", "other"} {
		wait(p)
	}
	cores.leave()
	for range 7 {
		order = append(order, <-done)
	}
	want := []string{"flood", "quiet", "other", "flood", "other", "flood", "flood"}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Errorf("turns (-want +got)\n%s", diff)
	}
	cores.enter("again") // every core was given back
	if len(cores.order)+len(cores.waiting) != 0 {
		t.Errorf("left over: %v, %v", cores.order, cores.waiting)
	}
}

func waitingFor(t *turns) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, list := range t.waiting {
		n += len(list)
	}
	return n
}
