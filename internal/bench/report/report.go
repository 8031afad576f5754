// Package report makes the part of docs/benchmarks.md that is measured: tables and
// plots of what package bench gives. It measures nothing and touches no file.
package report

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"signalbox.dev/signalbox/internal/bench"
)

// Begin and End are the lines between which the document is written by this package.
const (
	Begin = "<!-- bench:begin -->"
	End   = "<!-- bench:end -->"
)

// The plots, beside the document.
const (
	LatencyPlot   = "benchmarks-latency.svg"
	ProcessorPlot = "benchmarks-processors.svg"
)

// Report is what a document is made of: for each suite the same loads in the same
// order.
type Report struct {
	At     time.Time
	Suites []Suite
}

// Suite is what was measured of one suite. Runs has one at least.
type Suite struct {
	Name string
	Runs []bench.Result // of different loads
}

// Into replaces what stands in document between Begin and End.
func (r Report) Into(document string) (string, error) {
	before, rest, found := strings.Cut(document, Begin)
	_, after, also := strings.Cut(rest, End)
	if !found || !also {
		return "", errors.New("the document has no lines " + Begin + " and " + End)
	}
	return before + Begin + "\n" + r.section() + End + after, nil
}

func (r Report) section() string {
	var b strings.Builder
	b.WriteString("<!-- make bench writes this; what is written by hand goes below the end -->\n")
	b.WriteString("## Everything together\n\n")
	r.machine(&b)
	r.loads(&b)
	fmt.Fprintf(&b, "\n![Latency by load](%s)\n\n", LatencyPlot)
	r.processors(&b)
	fmt.Fprintf(&b, "\n![Processor time by part](%s)\n\n", ProcessorPlot)
	r.compared(&b)
	r.steps(&b)
	return b.String()
}

func (r Report) machine(b *strings.Builder) {
	m, first := r.Suites[0].Runs[0].Machine, r.Suites[0].Runs[0]
	fmt.Fprintf(b, "Measured on %s: %s, %d cores; %s, kernel %s; %s; %.1f ms for an fsync of 4 KiB. ",
		r.At.Format(time.DateOnly), m.CPU, m.Cores, m.OS, m.Kernel, m.Go, m.FsyncUS/1000)
	if m.Load > busy {
		fmt.Fprintf(b, "**Other work was going on beside (load %.1f when the first run began): a quiet machine does better.** ", m.Load)
	}
	fmt.Fprintf(b, "Each run: %.0f s after %.0f s of warm-up, all parties and participants in one process; flows come in at the module "+
		"boundary, below the HTTP API. `signalbox bench --help` says what each figure means.\n\n", first.DurationS, first.WarmUpS)
}

// busy is the load from which on others were at work when a first run began.
const busy = 0.7

func (r Report) loads(b *strings.Builder) {
	b.WriteString("| suite | load | steps/s | flows/s | p50 | p95 | p99 | p99.9 ms | processor µs a step | allocations | KiB on disk | failed, lost |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, s := range r.Suites {
		for _, v := range s.Runs {
			fmt.Fprintf(b, "| %s | %s | %.0f | %.1f | %s | %s | %s | %s | %.0f | %.0f | %.1f | %d, %d |\n",
				s.Name, load(v), v.StepsPerS, v.FlowsPerS, ms(v.P50MS), ms(v.P95MS), ms(v.P99MS), ms(v.P999MS),
				v.CPU[bench.Total], v.AllocsPerStep, v.BytesPerStep/1024, v.Errors, v.Lost)
		}
	}
}

// load names what a run's load was.
func load(r bench.Result) string {
	if r.Mode == "open" {
		return fmt.Sprintf("%.0f steps/s due", r.OpenLoop)
	}
	return fmt.Sprintf("%d in flight", r.InFlight)
}

// ms shows milliseconds with as many digits as they bear.
func ms(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// columns writes a table with one column for each suite, of its first run.
func (r Report) columns(b *strings.Builder, title string, rows []row) {
	fmt.Fprintf(b, "| %s |", title)
	for _, s := range r.Suites {
		fmt.Fprintf(b, " %s |", s.Name)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(r.Suites)) + "\n")
	for _, row := range rows {
		fmt.Fprintf(b, "| %s |", row.name)
		for _, s := range r.Suites {
			fmt.Fprintf(b, " %s |", row.cell(s.Runs[0]))
		}
		b.WriteByte('\n')
	}
}

// row of a table by suites.
type row struct {
	name string
	cell func(bench.Result) string
}

func (r Report) processors(b *strings.Builder) {
	var rows []row
	for _, p := range append(bench.Parts(), bench.Total) {
		rows = append(rows, row{partName(p), func(v bench.Result) string { return fmt.Sprintf("%.0f", v.CPU[p]) }})
	}
	r.columns(b, "processor µs a step, "+load(r.Suites[0].Runs[0]), rows)
}

func partName(p bench.Part) string {
	switch p {
	case bench.Database:
		return "platform's database"
	case bench.Participants:
		return "participants and load"
	case bench.Other:
		return "other: garbage, scheduling"
	}
	return strings.ReplaceAll(string(p), "_", " ")
}

func (r Report) compared(b *strings.Builder) {
	figure := func(form string, of func(bench.Result) *float64) func(bench.Result) string {
		return func(v bench.Result) string {
			if f := of(v); f != nil {
				return fmt.Sprintf(form, *f)
			}
			return "–"
		}
	}
	r.columns(b, "compared with, "+load(r.Suites[0].Runs[0]), []row{
		{"crypto floor: µs a step of the same cryptography alone", figure("%.0f", func(v bench.Result) *float64 { return v.Floor })},
		{"floor / processor time", figure("%.2f", func(v bench.Result) *float64 { return v.Efficiency })},
		{"steps/s without supervision", figure("%.0f", func(v bench.Result) *float64 { return v.Baseline })},
		{"processor µs a step without supervision", figure("%.0f", func(v bench.Result) *float64 { return v.BaselineCPU })},
		{"the companies' half, supervised / unsupervised", figure("%.2f", func(v bench.Result) *float64 { return v.CompaniesRatio })},
		{"latency that supervision adds (p50), ms", figure("%.1f", func(v bench.Result) *float64 { return v.AddedLatencyMS })},
		{"transactions/s of the engine alone, as large as the supervision chain's", figure("%.0f", func(v bench.Result) *float64 { return v.Engine })},
	})
	b.WriteByte('\n')
}

func (r Report) steps(b *strings.Builder) {
	var rows []row
	for _, s := range bench.Steps() {
		rows = append(rows, row{"`" + string(s) + "`", func(v bench.Result) string {
			q := v.Latency[s]
			return fmt.Sprintf("%s / %s", ms(q.P50), ms(q.P99))
		}})
	}
	r.columns(b, "p50 / p99 ms by step, "+load(r.Suites[0].Runs[0]), rows)
}
