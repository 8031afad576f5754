// Command guard compares two files of benchmark results by what does not depend on
// the machine's speed, and fails when something has grown:
//
//	go run ./internal/bench/guard BASELINE NEW
//
// Allocations and bytes of an operation are compared as they are. Time is compared
// as a ratio to the reference operation of the same file and package, BenchmarkReference,
// or BenchmarkVerify/gm in package envelope, which is the same operation: an SM2
// verification. A machine that is twice as slow is so for both.
//
// For each benchmark the smallest value of its repetitions counts: what disturbs a
// measurement makes it larger. `make bench-guard` runs it; docs/benchmarks.md says
// what the limits are and why.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// errGrown says that something has.
var errGrown = errors.New("benchmarks have grown beyond their limits: make them smaller again, or, with a reason in the commit, `make bench-baseline`")

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: guard BASELINE NEW")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "guard:", err)
		os.Exit(1)
	}
}

func run(baseline, fresh string, out io.Writer) error {
	before, err := readFile(baseline)
	if err != nil {
		return err
	}
	now, err := readFile(fresh)
	if err != nil {
		return err
	}
	rows, err := compare(before, now)
	if err != nil {
		return err
	}
	if err := table(out, rows); err != nil {
		return err
	}
	for _, r := range rows {
		if r.grown() {
			return errGrown
		}
	}
	return nil
}

func readFile(name string) (results, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := read(f)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return r, nil
}
