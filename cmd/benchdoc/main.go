// Command benchdoc writes the measured part of docs/benchmarks.md: it has
// `signalbox bench` measure both suites, each run a process of its own, and makes
// tables and plots of what it says. `make bench` runs it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"signalbox.dev/signalbox/internal/bench"
	"signalbox.dev/signalbox/internal/bench/report"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := write(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "benchdoc:", err)
		os.Exit(1)
	}
}

// write measures, then writes.
func write(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("benchdoc", flag.ContinueOnError)
	binary := flags.String("binary", "bin/signalbox", "the program that measures")
	docs := flags.String("docs", "docs", "folder of benchmarks.md")
	duration := flags.Duration("duration", 30*time.Second, "of each run")
	if err := flags.Parse(args); err != nil {
		return err
	}
	r := report.Report{At: time.Now()}
	for _, suite := range []string{"gm", "intl"} {
		runs, err := measure(ctx, *binary, suite, *duration)
		if err != nil {
			return err
		}
		r.Suites = append(r.Suites, report.Suite{Name: suite, Runs: runs})
	}
	return into(r, *docs)
}

// measure has the closed loop run at two sizes, and the open one at half of the
// better one's rate.
func measure(ctx context.Context, binary, suite string, d time.Duration) ([]bench.Result, error) {
	var all []bench.Result
	peak := 0.0
	for _, inFlight := range []int{64, 256} {
		r, err := one(ctx, binary, "--suite", suite, "--duration", d.String(), "--in-flight", strconv.Itoa(inFlight))
		if err != nil {
			return nil, err
		}
		all, peak = append(all, r), max(peak, r.StepsPerS)
	}
	half := strconv.FormatFloat(max(1, peak/2), 'f', 0, 64)
	r, err := one(ctx, binary, "--suite", suite, "--duration", d.String(), "--open-loop", half)
	return append(all, r), err
}

// one runs once. What failed or got lost is in the result, and in the document.
func one(ctx context.Context, binary string, args ...string) (r bench.Result, err error) {
	args = append([]string{"bench", "--json"}, args...)
	fmt.Fprintln(os.Stderr, binary, strings.Join(args, " "))
	c := exec.CommandContext(ctx, binary, args...)
	c.Stderr = os.Stderr
	out, ran := c.Output()
	if err := json.Unmarshal(out, &r); err != nil {
		return r, fmt.Errorf("%s %s: %w", binary, strings.Join(args, " "), errors.Join(ran, err))
	}
	return r, nil
}

// into writes the document's section and its plots.
func into(r report.Report, docs string) error {
	name := filepath.Join(docs, "benchmarks.md")
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	now, err := r.Into(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for file, data := range map[string][]byte{
		name:                                    []byte(now),
		filepath.Join(docs, report.LatencyPlot): r.Latency(),
		filepath.Join(docs, report.ProcessorPlot): r.Processors(),
	} {
		if err := os.WriteFile(file, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
