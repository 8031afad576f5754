package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const baseline = `goos: linux
pkg: signalbox.dev/signalbox/envelope
BenchmarkSeal/gm-2     	 100	 80000 ns/op	 5000 B/op	 50 allocs/op
BenchmarkSeal/gm-2     	 100	 70000 ns/op	 5010 B/op	 51 allocs/op
BenchmarkVerify/gm-2   	 100	 50000 ns/op	 1000 B/op	 20 allocs/op
PASS
pkg: signalbox.dev/signalbox/internal/store
BenchmarkWrite/flying=1-2	 100	 900000 ns/op	 300 B/op	 9 allocs/op	 12 writes/s
`

func guard(t *testing.T, fresh string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"baseline": baseline, "new": fresh} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	err := run(filepath.Join(dir, "baseline"), filepath.Join(dir, "new"), &out)
	return out.String(), err
}

// What grows beyond its limit is named; the machine's speed is no growth, and the
// smallest of several repetitions counts.
func TestGuard(t *testing.T) {
	swap := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(baseline) }
	cases := []struct {
		name, fresh string
		grown       string // of the table's lines, in which it must be marked; empty: none
	}{
		{"the same", baseline, ""},
		{"a machine of half the speed", swap("80000 ns", "160000 ns", "70000 ns", "140000 ns", "50000 ns", "100000 ns"), ""},
		{"a few allocations", swap("50 allocs", "53 allocs", "51 allocs", "54 allocs"), ""},
		{"one allocation in nine", swap(" 9 allocs", " 10 allocs"), ""},
		{"a bad repetition", swap("80000 ns", "900000 ns", "51 allocs", "90 allocs"), ""},
		{"fewer of everything", swap("50 allocs", "5 allocs", "5000 B", "50 B"), ""},
		{"allocations", swap("50 allocs", "60 allocs", "51 allocs", "60 allocs"), "Seal/gm allocs/op"},
		{"bytes", swap("300 B/op", "500 B/op"), "Write/flying=1 B/op"},
		{"time alone", swap("80000 ns", "120000 ns", "70000 ns", "110000 ns"), "Seal/gm ratio"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			out, err := guard(t, c.fresh)
			if (c.grown != "") != errors.Is(err, errGrown) || err != nil && !errors.Is(err, errGrown) {
				t.Fatalf("%v\n%s", err, out)
			}
			for line := range strings.Lines(out) {
				f := strings.Fields(line)
				what := strings.Join(f[min(1, len(f)):min(3, len(f))], " ")
				if marked := strings.Contains(line, "GROWN"); marked != (what == c.grown) {
					t.Errorf("%q is marked: %v", what, marked)
				}
			}
		})
	}
}

// What was not run is not passed over.
func TestGuardWantsAllOfTheBaseline(t *testing.T) {
	part, _, _ := strings.Cut(baseline, "PASS")
	if _, err := guard(t, part); err == nil || errors.Is(err, errGrown) {
		t.Errorf("a benchmark that was not run: %v", err)
	}
	if _, err := guard(t, "PASS\n"); err == nil {
		t.Error("a file without results is taken")
	}
}
