package report

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/bench"
)

func number(v float64) *float64 { return &v }

func run(steps float64, in int, due float64) bench.Result {
	r := bench.Result{
		Mode: "closed", InFlight: in, OpenLoop: due, DurationS: 30, WarmUpS: 5, StepsPerS: steps, FlowsPerS: steps / 6,
		P50MS: 8.25, P95MS: 80, P99MS: 120, P999MS: 1500, BytesPerStep: 2048, Floor: number(812), Efficiency: number(0.2),
		CPU:     map[bench.Part]float64{bench.Platform: 1000, bench.Database: 500, bench.Total: 4000},
		Latency: map[flow.Step]bench.Quantiles{flow.Order: {P50: 9.5, P99: 99}},
		Machine: bench.Machine{CPU: "Cray-1 <& co>", Cores: 2, FsyncUS: 1234, Load: 0.5},
	}
	if due > 0 {
		r.Mode = "open"
	}
	return r
}

func report() Report {
	return Report{At: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), Suites: []Suite{
		{"gm", []bench.Result{run(400, 64, 0), run(200, 0, 200)}},
		{"intl", []bench.Result{run(80, 64, 0), run(40, 0, 40)}},
	}}
}

func TestInto(t *testing.T) {
	got, err := report().Into("# Benchmarks\n\n" + Begin + "\nstale\n" + End + "\n\n## By hand\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# Benchmarks\n\n" + Begin, End + "\n\n## By hand\n", "2026-11-24: Cray-1 <& co>, 2 cores", "1.2 ms for an fsync",
		"| gm | 64 in flight | 400 | 66.7 | 8.2 | 80 | 120 | 1500 | 4000 |", "| intl | 40 steps/s due | 40 |",
		"| platform's database | 500 | 500 |", "| supervision chain | 0 | 0 |", "| floor / processor time | 0.20 | 0.20 |",
		"| steps/s without supervision | – | – |", "| `order` | 9.5 / 99 | 9.5 / 99 |", LatencyPlot, ProcessorPlot,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "Other work") {
		t.Error("a quiet machine is called busy")
	}
	other := report()
	other.Suites[0].Runs[0].Machine.Load = 7.5
	if text, err := other.Into(got); err != nil || !strings.Contains(text, "Other work was going on beside (load 7.5") {
		t.Errorf("a busy machine is called quiet (%v)", err)
	}
	if strings.Contains(got, "stale") {
		t.Error("what stood there stands there still")
	}
	again, err := report().Into(got)
	if err != nil || again != got {
		t.Errorf("writing it again changes it (%v)", err)
	}
	for _, bad := range []string{"", Begin, End, End + Begin} {
		if _, err := report().Into(bad); err == nil {
			t.Errorf("%q takes a section", bad)
		}
	}
}

// TestPlots are well-formed, and show every run and part.
func TestPlots(t *testing.T) {
	for name, c := range map[string]struct {
		plot []byte
		want []string
	}{
		"latency":    {report().Latency(), []string{"gm, 64 in flight", "intl, 40 steps/s due", "1500", "\n1 ms\n", "10000 ms", "p99.9"}},
		"processors": {report().Processors(), []string{"4000 µs", "supervision chain", "other: garbage, scheduling", "intl"}},
	} {
		t.Run(name, func(t *testing.T) {
			var text strings.Builder
			for d := xml.NewDecoder(strings.NewReader(string(c.plot))); ; {
				token, err := d.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if chars, ok := token.(xml.CharData); ok {
					text.Write(chars)
				}
			}
			for _, want := range c.want {
				if !strings.Contains(text.String(), want) {
					t.Errorf("no %q in\n%s", want, text.String())
				}
			}
		})
	}
}
