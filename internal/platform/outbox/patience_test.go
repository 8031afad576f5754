package outbox

import (
	"testing"
	"time"
)

// A step that waits in a queue is pushed again later than one that waits alone,
// so that asking again never fills the queue that it is about.
func TestPatienceGrowsWithTheQueue(t *testing.T) {
	o := &Outbox{cfg: Config{Pace: Pace{Longest: time.Minute}.withDefaults()}}
	for _, c := range []struct {
		waiting int
		want    time.Duration
	}{{0, 5 * time.Second}, {200, 6 * time.Second}, {10_000, 55 * time.Second}, {1_000_000, time.Minute}} {
		if got := o.patience(c.waiting); got != c.want {
			t.Errorf("with %d waiting %v, want %v", c.waiting, got, c.want)
		}
	}
	// Half of a full backlog is not asked for again before it had time to be answered.
	if per := o.patience(5000) / 5000; per < 5*time.Millisecond {
		t.Errorf("%v for each of 5,000", per)
	}
}
