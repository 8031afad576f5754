package faults

import (
	"context"
	"fmt"
	"testing"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/fault"
)

// recoverySteps are in flight when a party is killed.
const recoverySteps = 1000

// With 1,000 steps in flight the authority is killed, then a fusion node. The
// figure is the time from the start of its new process until all of them have
// their decision; the target is 10 s.
func TestRecovery(t *testing.T) {
	needFull(t)
	table := newTable(t)
	for _, victim := range []string{authority, fusionNode} {
		t.Run(victim, func(t *testing.T) {
			c := newCluster(t)
			hold := make(chan struct{})
			c.control.every(func(m moment) func() string {
				if m.stage != before || m.point != fault.Transaction {
					return nil
				}
				return func() string { // the authority has it and does not answer
					<-hold
					return goOn
				}
			})
			c.register(t.Context(), recoverySteps, 64)
			time.Sleep(time.Second) // the last of them reach the authority
			waiting := c.undecided(recoverySteps)
			c.control.quiet()
			starts, _ := c.role[victim].life()
			c.role[victim].kill()
			close(hold)
			for n := starts; n == starts; n, _ = c.role[victim].life() {
				time.Sleep(10 * time.Millisecond)
			}
			_, begun := c.role[victim].life()
			decided := c.decided(waiting, 120*time.Second)
			r := row{
				fault: fmt.Sprintf("%s killed with %d steps in flight: seconds until all are decided", victim, len(waiting)), injected: 1,
				inFlight: len(waiting), took: decided.Sub(begun),
			}
			c.settle(recoverySteps, 300*time.Second)
			table.add(r)
			c.finish(table)
		})
	}
}

// undecided are the steps without a decision among the newest n flows.
func (c *cluster) undecided(n int) map[flow.ID]bool {
	c.Helper()
	out := map[flow.ID]bool{}
	for before, seen := int64(0), 0; seen < n; {
		page, next, err := c.flows(c.Context(), before, min(n-seen, 500))
		must(c.T, err)
		for _, f := range page {
			for _, s := range f.Steps {
				if s.Verdict == "" {
					out[s.ID] = true
				}
			}
		}
		seen += len(page)
		if before = next; next == 0 {
			break
		}
	}
	return out
}

// decided says when all of the steps had their decision.
func (c *cluster) decided(steps map[flow.ID]bool, within time.Duration) time.Time {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), within)
	defer cancel()
	for ctx.Err() == nil {
		left := 0
		for id := range c.undecided(recoverySteps) {
			if steps[id] {
				left++
			}
		}
		if left == 0 {
			return time.Now()
		}
		time.Sleep(300 * time.Millisecond) // to list a thousand flows costs the platform something too
	}
	c.Errorf("not all of %d steps were decided within %s\n%s", len(steps), within, c.tails())
	return time.Now()
}
