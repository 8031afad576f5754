package faults

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"signalbox.dev/signalbox/internal/fault"
)

// Every write takes its time, as on a slow disk.
func TestSlowDisk(t *testing.T) {
	needFull(t)
	c := newCluster(t)
	table := newTable(t)
	for _, d := range []time.Duration{30 * time.Millisecond, 300 * time.Millisecond} {
		r := row{fault: fmt.Sprintf("slow disk: every write takes %s more", d)}
		c.control.every(func(m moment) func() string { // called one at a time
			if m.stage != before {
				return nil
			}
			r.injected++
			return func() string {
				time.Sleep(d)
				return goOn
			}
		})
		began := time.Now()
		c.register(t.Context(), perCase, perCase)
		r.inFlight = c.inFlight(perCase)
		r.took = c.settle(perCase, 120*time.Second).Sub(began)
		c.control.quiet()
		table.add(r)
	}
	c.finish(table)
}

// clockJump is how far clocks are set: past the end of every token (R2.3).
const clockJump = 36 * time.Hour

// clockBase is how far all clocks are ahead of the true time to begin with, so
// that one which is set back still finds the certificates begun.
const clockBase = 72 * time.Hour

// A party's clock is set forward or back by hours while steps are on their way and
// attempts are planned by the old time, and some seconds later set right. What a
// wrong clock takes for expired goes no further meanwhile (R3.4); afterwards
// everything goes on, and nothing waits for a time to come again.
func TestClockJumps(t *testing.T) {
	c := prepareCluster(t)
	for _, p := range c.all {
		c.control.setClock(p.name, clockBase)
	}
	c.start()
	c.warm()
	table := newTable(t)
	for _, p := range slices.Backward(c.all) { // the platform first: chains don't go back to the true time
		if !*full && p != c.role[platform_] {
			continue
		}
		table.add(c.jump(p, "forward", clockJump))
		table.add(c.jump(p, "back", -clockJump))
	}
	c.finish(table)
}

// jump sets one clock, and sets it right again.
func (c *cluster) jump(p *process, name string, by time.Duration) row {
	c.Helper()
	r := row{fault: fmt.Sprintf("clock of %s set %s by %.4g hours and right again", p.name, name, by.Abs().Hours()), injected: 2}
	c.control.every(func(m moment) func() string { // so that attempts are planned
		if m.stage != before || m.point != fault.Record {
			return nil
		}
		return func() string { return fail }
	})
	c.register(c.Context(), perCase, perCase)
	time.Sleep(time.Second)
	r.inFlight = c.inFlight(perCase)
	c.control.setClock(p.name, clockBase+by)
	c.control.quiet()
	time.Sleep(4 * time.Second)
	at := time.Now()
	c.control.setClock(p.name, clockBase)
	r.took = c.settle(perCase, 90*time.Second).Sub(at)
	return r
}
