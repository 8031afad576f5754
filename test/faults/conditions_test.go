package faults

import (
	"fmt"
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

// clockJump is how far clocks are set. No token that a flow is given lasts so long.
const clockJump = 36 * time.Hour

// clockBase is how far all clocks are ahead of the true time to begin with, so
// that one which is set back still finds the certificates begun.
const clockBase = 72 * time.Hour

type clockSet struct {
	name   string
	offset time.Duration
}

// A process's clock is set forward and back by hours while steps are on their
// way and attempts are planned by the old time. What has expired by then is asked
// for again, nothing waits for the old time to come (R2.3, R3.4).
func TestClockJumps(t *testing.T) {
	c := prepareCluster(t)
	for _, p := range c.all {
		c.control.setClock(p.name, clockBase)
	}
	c.start()
	c.warm()
	table := newTable(t)
	jumps := []clockSet{{"forward", clockJump}, {"back to the others'", 0}, {"back", -clockJump}, {"forward to the others'", 0}}
	if !*full {
		jumps = jumps[:2]
	}
	for _, p := range c.all {
		for _, to := range jumps {
			r := row{fault: fmt.Sprintf("clock of %s set %s", p.name, to.name), injected: 1}
			refuseRecords := func(m moment) func() string {
				if m.stage != before || m.point != fault.Record {
					return nil
				}
				return func() string { return fail }
			}
			c.control.every(refuseRecords) // so that attempts are planned
			c.register(t.Context(), perCase, perCase)
			time.Sleep(time.Second)
			r.inFlight = c.inFlight(perCase)
			at := time.Now()
			c.control.setClock(p.name, clockBase+to.offset)
			c.control.quiet()
			r.took = c.settle(perCase, 90*time.Second).Sub(at)
			table.add(r)
		}
	}
	c.finish(table)
}
