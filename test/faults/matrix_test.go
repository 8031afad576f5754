package faults

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"signalbox.dev/signalbox/internal/fault"
)

var (
	binary = flag.String("binary", "", "signalbox built with -tags faults; built when empty")
	full   = flag.Bool("full", false, "the whole matrix")
)

// needFull skips what the short form leaves out.
func needFull(t *testing.T) {
	t.Helper()
	if !*full {
		t.Skip("in the whole matrix only: make test-faults")
	}
}

// write is one of the order of writes, and whose process does it.
type write struct {
	point fault.Point
	role  string
}

func writes() []write {
	return []write{
		{fault.Intent, platform_},
		{fault.Submission, platform_},
		{fault.Transaction, authority},
		{fault.Decision, authority},
		{fault.Checkpoint, authority},
		{fault.Answer, authority},
		{fault.Record, platform_},
		{fault.Stored, business},
		{fault.Done, platform_},
		{fault.Anchor, platform_},
	}
}

// harm is what is done at a write.
type harm struct {
	name   string
	stage  string
	answer string
}

func harms() []harm {
	return []harm{
		{"fails", before, fail},
		{"answer is lost", after, fail},
		{"killed before", before, die},
		{"killed after", after, die},
	}
}

// At each write of the order of writes, the write fails, its answer is lost, and
// its process is killed before and after it (order-of-writes.md; R1.3, R1.6, R7.2).
func TestWrites(t *testing.T) {
	c := newCluster(t)
	table := newTable(t)
	for _, h := range harms() {
		if !*full && h.answer == fail {
			table.add(c.strikeAll(h))
			continue
		}
		for _, w := range writes() {
			if *full || h.stage == after && slices.Contains(shortKills, w.point) {
				answer := func() string { return h.answer }
				table.add(c.strike(fmt.Sprintf("%s %s", w.point, h.name), w, h.stage, answer))
			}
		}
	}
	c.finish(table)
}

// shortKills are where the short form kills: once in each store that is written.
var shortKills = []fault.Point{fault.Intent, fault.Decision, fault.Stored}

// strikeAll does a harm that leaves the processes alive at all writes at once,
// each a few times.
func (c *cluster) strikeAll(h harm) row {
	c.Helper()
	const times, flows = 3, 2 * perCase
	left := map[fault.Point]int{}
	for _, w := range writes() {
		if w.point != fault.Decision && w.point != fault.Checkpoint && w.point != fault.Stored { // an error of these ends the process
			left[w.point] = times
		}
	}
	r := row{fault: "every write " + h.name, injected: len(left) * times}
	done := make(chan struct{})
	c.control.every(func(m moment) func() string { // called one at a time
		if m.stage != h.stage || left[m.point] == 0 {
			return nil
		}
		if left[m.point]--; left[m.point] == 0 {
			if delete(left, m.point); len(left) == 0 {
				close(done)
			}
		}
		return func() string { return h.answer }
	})
	began := time.Now()
	go c.register(c.Context(), flows, flows)
	select {
	case <-done:
		r.inFlight = c.inFlight(flows)
	case <-time.After(60 * time.Second):
		c.Errorf("%s: not every moment came\n%s", r.fault, c.tails())
	}
	r.took = c.settle(flows, 90*time.Second).Sub(began)
	return r
}

// perCase is how many flows are on their way in one case.
const perCase = 4

// strike runs flows, does act at the first moment that a process is at the write,
// and waits until all flows have ended.
func (c *cluster) strike(name string, w write, stage string, act func() string) row {
	c.Helper()
	r := row{fault: name, injected: 1}
	struck := c.control.once(moment{c.role[w.role].name, stage, w.point}, func() string {
		r.inFlight = c.inFlight(perCase)
		return act()
	})
	go c.register(c.Context(), perCase, perCase)
	var at time.Time
	select {
	case at = <-struck:
	case <-time.After(60 * time.Second):
		c.Errorf("%s: the moment never came\n%s", name, c.tails())
		return row{fault: name}
	}
	r.took = c.settle(perCase, 90*time.Second).Sub(at)
	return r
}

// settle waits for the newest n flows, all taken in.
func (c *cluster) settle(n int, within time.Duration) time.Time {
	c.Helper()
	deadline := time.Now().Add(within)
	for { // those that are not registered yet
		c.mu.Lock()
		missing := c.next - len(c.want)
		c.mu.Unlock()
		if missing == 0 || time.Now().After(deadline) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return c.await(n, time.Until(deadline))
}

// finish stops the parties and holds both chains against what was registered;
// its verdict is on all cases of the table since the last. To a platform a record
// is anchored when the fusion node has the anchor; one that the authority had not
// taken yet is given a moment more.
func (c *cluster) finish(table *table) {
	c.Helper()
	c.stop()
	v := c.check()
	for tries := 0; v.Unfinished > 0 && tries < 5; tries++ {
		c.start()
		time.Sleep(5 * time.Second)
		c.stop()
		v = c.check()
	}
	table.judge(v)
	if !v.sound() {
		c.Errorf("%+v", v)
	}
}
