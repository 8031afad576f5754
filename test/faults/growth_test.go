package faults

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

var (
	growth = flag.Duration("growth", 0, "how long to run at a steady rate and watch memory; 0: not at all")
	rate   = flag.Int("rate", 200, "steps a second, with -growth")
	// Each party's processor profile of ten seconds in the middle, as <party>.pprof.
	profiles = flag.String("profiles", "", "a folder for processor profiles, with -growth")
)

// stepsOfFlow is how many steps take a record from registration to delivery.
const stepsOfFlow = 6

// figures are what a process has grown to.
type figures struct{ rss, heap, goroutines float64 }

// TestGrowth runs flows at a steady rate and prints what each process needs, over
// time: `make growth`. docs/faults.md states the bound.
func TestGrowth(t *testing.T) {
	if *growth == 0 {
		t.Skip("asked for by -growth: make growth")
	}
	c := prepareCluster(t)
	for _, p := range c.all {
		p.env = nil // nothing asks for faults here
	}
	if *profiles != "" {
		c.allowProfiles()
	}
	c.start()
	c.warm()
	const samples = 10
	began := time.Now()
	ctx, stop := context.WithTimeout(t.Context(), *growth)
	defer stop()
	load := make(chan struct{})
	go func() {
		defer close(load)
		c.steady(ctx, *rate)
	}()
	if *profiles != "" {
		time.AfterFunc(*growth/2, func() { c.profile(*profiles) })
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| minute\t| flows\t| party\t| RSS MiB\t| heap MiB\t| goroutines\t|")
	fmt.Fprintln(w, "|---\t|---\t|---\t|---\t|---\t|---\t|")
	for i := 0; i <= samples; i++ {
		time.Sleep(time.Until(began.Add(time.Second + time.Duration(i)*(*growth-time.Second)/samples)))
		for _, role := range roles() {
			f := c.figures(role)
			c.mu.Lock()
			n := len(c.want)
			c.mu.Unlock()
			fmt.Fprintf(w, "| %.1f\t| %d\t| %s\t| %.0f\t| %.0f\t| %.0f\t|\n", time.Since(began).Minutes(), n, role, f.rss/(1<<20), f.heap/(1<<20), f.goroutines)
		}
	}
	<-load
	last := time.Now()
	ended := c.settle(c.next, 10*time.Minute)
	w.Flush()
	t.Logf("asked for %d steps/s for %s; %d flows taken in, %.0f steps/s on average until all had ended, %.1f s after the load\n%s",
		*rate, *growth, c.next, float64(c.next*stepsOfFlow)/ended.Sub(began).Seconds(), ended.Sub(last).Seconds(), b.String())
	c.finish(newTable(t))
}

// steady registers records at a rate of steps, without waiting for earlier ones.
func (c *cluster) steady(ctx context.Context, steps int) {
	tick := time.NewTicker(time.Second * stepsOfFlow / time.Duration(steps))
	defer tick.Stop()
	done := make(chan struct{})
	n := 0
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			n++
			go func() {
				c.register(c.Context(), 1, 1)
				done <- struct{}{}
			}()
		case <-done:
			n--
		}
	}
	for ; n > 0; n-- {
		<-done
	}
}

// figures reads a party's metrics.
func (c *cluster) figures(role string) (f figures) {
	c.Helper()
	r, err := c.client.Get("http://" + c.ops[role] + "/metrics")
	if err != nil {
		c.Logf("reading figures of %s: %v", role, err)
		return f
	}
	defer r.Body.Close()
	for in := bufio.NewScanner(r.Body); in.Scan(); {
		name, value, _ := strings.Cut(in.Text(), " ")
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			continue
		}
		switch name {
		case "process_resident_memory_bytes":
			f.rss = v
		case "go_memstats_heap_inuse_bytes":
			f.heap = v
		case "go_goroutines":
			f.goroutines = v
		}
	}
	return f
}

// allowProfiles has the parties offer profiles of themselves.
func (c *cluster) allowProfiles() {
	c.Helper()
	for _, role := range roles() {
		file := filepath.Join(c.folder(role), role+".yaml")
		b, err := os.ReadFile(file)
		must(c.T, err)
		must(c.T, os.WriteFile(file, bytes.Replace(b, []byte("profile: false"), []byte("profile: true"), 1), 0o600))
	}
}

// profile writes a processor profile of each party, taken at the same time.
func (c *cluster) profile(dir string) {
	var wg sync.WaitGroup
	for _, role := range roles() {
		wg.Go(func() {
			r, err := http.Get("http://" + c.ops[role] + "/debug/pprof/profile?seconds=10")
			if err != nil {
				c.Logf("taking a profile of %s: %v", role, err)
				return
			}
			defer r.Body.Close()
			b, err := io.ReadAll(r.Body)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, role+".pprof"), b, 0o600)
			}
			if err != nil {
				c.Logf("keeping the profile of %s: %v", role, err)
			}
		})
	}
	wg.Wait()
}
