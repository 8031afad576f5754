package faults

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

var (
	soak  = flag.Duration("soak", 6*time.Second, "how long each seed kills at random")
	seeds = flag.Int("seeds", 3, "how many seeds, with -full")
)

// SIGKILL at random moments of random parties, under load.
func TestRandomKills(t *testing.T) {
	table := newTable(t)
	n := 1
	if *full {
		n = *seeds
	}
	for seed := range n {
		t.Run(fmt.Sprint("seed=", seed+1), func(t *testing.T) { randomKills(t, table, uint64(seed+1)) })
	}
}

// soakFlows is how many flows are on their way at once.
const soakFlows = 24

func randomKills(t *testing.T, table *table, seed uint64) {
	c := newCluster(t)
	random := rand.New(rand.NewPCG(seed, 0))
	ctx, stop := context.WithTimeout(t.Context(), *soak)
	defer stop()
	loaded := make(chan struct{})
	go func() { // a load that slows down with the platform
		defer close(loaded)
		for ctx.Err() == nil {
			c.register(t.Context(), soakFlows/2, soakFlows/2)
			for ctx.Err() == nil {
				s, err := c.look(ctx, soakFlows)
				if err == nil && s.flows-s.ended < soakFlows/2 {
					break
				}
				time.Sleep(100 * time.Millisecond)
			}
		}
	}()
	r := row{fault: fmt.Sprintf("SIGKILL at random for %s, seed %d", *soak, seed)}
	last := time.Now()
	for ctx.Err() == nil {
		pause := time.Duration(random.Int64N(int64(4 * time.Second)))
		victim := c.all[random.IntN(len(c.all))]
		select {
		case <-ctx.Done():
			continue
		case <-time.After(pause):
		}
		r.inFlight = max(r.inFlight, c.inFlight(soakFlows))
		victim.kill()
		last = time.Now()
		r.injected++
	}
	<-loaded
	r.took = c.settle(c.next, 180*time.Second).Sub(last)
	t.Logf("%d flows registered, %d kills, %d starts", c.next, r.injected, c.restarts())
	table.add(r)
	c.finish(table)
}
