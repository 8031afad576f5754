package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// key names a benchmark: its package below the module, and its name without the
// number of processors.
type key struct{ pkg, name string }

func (k key) String() string { return k.pkg + " " + k.name }

// results are the smallest value of each unit, by benchmark.
type results map[key]map[string]float64

// Units, as go test prints them.
const (
	unitTime   = "ns/op"
	unitAllocs = "allocs/op"
	unitBytes  = "B/op"
	unitRatio  = "ratio"
)

const module = "signalbox.dev/signalbox/"

// read takes the output of go test -bench -benchmem, of several packages.
func read(from io.Reader) (results, error) {
	out := results{}
	pkg := ""
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		line := lines.Text()
		if p, ok := strings.CutPrefix(line, "pkg: "); ok {
			pkg = strings.TrimPrefix(p, module)
			continue
		}
		if !strings.HasPrefix(line, "Benchmark") {
			continue
		}
		if err := out.take(pkg, strings.Fields(line)); err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, errors.New("no results in it")
	}
	return out, nil
}

// take takes a line such as BenchmarkSeal/gm-2 100 74000 ns/op 5000 B/op 60 allocs/op.
func (r results) take(pkg string, fields []string) error {
	if len(fields) < 2 || len(fields)%2 != 0 {
		return nil // a name alone, whose figures follow a log line
	}
	name := strings.TrimPrefix(fields[0], "Benchmark")
	if i := strings.LastIndexByte(name, '-'); i > 0 {
		if _, err := strconv.Atoi(name[i+1:]); err == nil {
			name = name[:i]
		}
	}
	k := key{pkg, name}
	for i := 2; i < len(fields); i += 2 {
		v, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return err
		}
		if r[k] == nil {
			r[k] = map[string]float64{}
		}
		if old, have := r[k][fields[i+1]]; !have || v < old {
			r[k][fields[i+1]] = v
		}
	}
	return nil
}

// reference is the time of the operation that a package's others are compared with;
// 0 for none.
func (r results) reference(pkg string) float64 {
	if t := r[key{pkg, "Reference"}][unitTime]; t > 0 {
		return t
	}
	if pkg == "envelope" {
		return r[key{pkg, "Verify/gm"}][unitTime]
	}
	return 0
}

// values are what is compared of a benchmark.
func (r results) values(k key) map[string]float64 {
	out := map[string]float64{}
	for _, u := range []string{unitAllocs, unitBytes} {
		if v, ok := r[k][u]; ok {
			out[u] = v
		}
	}
	if ref := r.reference(k.pkg); ref > 0 && r[k][unitTime] > 0 {
		out[unitRatio] = r[k][unitTime] / ref
	}
	return out
}

// limits are by how much a unit may grow, as a factor, and by how much beside it
// anyway, so that one allocation more in two is no alarm.
type limit struct{ factor, slack float64 }

func limitOf(unit string) limit {
	switch unit {
	case unitAllocs:
		return limit{1.10, 1}
	case unitBytes:
		return limit{1.10, 64}
	default:
		return limit{1.50, 0}
	}
}

// row is one comparison.
type row struct {
	of          key
	unit        string
	before, now float64
}

func (r row) grown() bool {
	l := limitOf(r.unit)
	return r.now > r.before*l.factor+l.slack
}

// change is by how much it has changed, in per cent.
func (r row) change() string {
	if r.before == 0 {
		return "from 0"
	}
	return fmt.Sprintf("%+.1f %%", 100*(r.now/r.before-1))
}

// compare compares what both have. What the baseline has and the new results lack
// is an error: a guard that compares nothing guards nothing. What is new is left for
// the next baseline.
func compare(before, now results) ([]row, error) {
	var rows []row
	for _, k := range slices.SortedFunc(maps.Keys(before), func(a, b key) int { return strings.Compare(a.String(), b.String()) }) {
		if now[k] == nil {
			return nil, fmt.Errorf("%s is in the baseline and was not run: take it out with `make bench-baseline` if it is gone for good", k)
		}
		old, fresh := before.values(k), now.values(k)
		for _, unit := range []string{unitAllocs, unitBytes, unitRatio} {
			b, ok := old[unit]
			n, also := fresh[unit]
			if ok && also {
				rows = append(rows, row{k, unit, b, n})
			}
		}
	}
	return rows, nil
}

// table gives a table of everything, what has grown marked.
func table(to io.Writer, rows []row) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "package\tbenchmark\tunit\tbaseline\tnow\tchange\t")
	for _, r := range rows {
		mark := ""
		if r.grown() {
			mark = "GROWN"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.of.pkg, r.of.name, r.unit, short(r.before), short(r.now), r.change(), mark)
	}
	return w.Flush()
}

func short(v float64) string {
	if v >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
