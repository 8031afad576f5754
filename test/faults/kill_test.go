package faults

import (
	"fmt"
	"testing"
)

// At the moment of each write, before it and after it, another party is killed
// while the writer waits (R7.2).
func TestKillOthersAtWrites(t *testing.T) {
	needFull(t)
	c := newCluster(t)
	table := newTable(t)
	for _, w := range writes() {
		for _, victim := range roles() {
			if victim == w.role {
				continue // TestWrites
			}
			for _, stage := range []string{before, after} {
				table.add(c.strike(fmt.Sprintf("%s killed %s %s", victim, stage, w.point), w, stage, func() string {
					c.role[victim].kill()
					return goOn
				}))
			}
		}
	}
	c.finish(table)
}
