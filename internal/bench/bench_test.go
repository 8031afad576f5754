package bench

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// short is a measurement that is over soon.
func short(t testing.TB) Config {
	dir := t.TempDir()
	return Config{
		Dir: filepath.Join(dir, "data"), Scratch: filepath.Join(dir, "beside"), Suite: "gm", Profile: Prescription,
		Duration: time.Second, InFlight: 8, Drain: 5 * time.Minute,
	}
}

// compared stands for what is measured beside the system.
func compared(t *testing.T) Beside {
	return Beside{
		Floor: func(_ context.Context, suite string, blocks, checkpoints float64, _ time.Duration) (time.Duration, error) {
			if suite != "gm" || blocks < 0 || checkpoints < 0 || checkpoints > blocks {
				t.Errorf("%s: %f blocks and %f checkpoints a step", suite, blocks, checkpoints)
			}
			return 500 * time.Microsecond, nil
		},
		Baseline: func(_ context.Context, _ string, inFlight int, _ time.Duration, record func(int) []byte) (Baseline, error) {
			if inFlight != 8 || len(record(1)) == 0 {
				t.Errorf("the baseline has %d in flight", inFlight)
			}
			return Baseline{StepsPerSecond: 1000, CPUPerStep: time.Millisecond, P50: 10 * time.Millisecond}, nil
		},
		Engine: func(_ context.Context, _ string, bytes, _ int, _ time.Duration) (float64, error) {
			if bytes < 1000 {
				t.Errorf("transactions of %d bytes: a submission is larger", bytes)
			}
			return 2000, nil
		},
	}
}

// TestRun measures for a second (R10.2): everything is there, and every flow comes
// to its end.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a whole system")
	}
	var r Result
	for _, d := range []time.Duration{time.Second, 20 * time.Second} { // longer where the machine does no step in a second
		cfg := short(t)
		cfg.Duration = d
		var phases []Phase
		cfg.Progress = func(p Progress) {
			if len(phases) == 0 || phases[len(phases)-1] != p.Phase {
				phases = append(phases, p.Phase)
			}
		}
		cfg.Beside = compared(t)
		var err error
		r, err = Run(t.Context(), cfg)
		must(t, err)
		if want := []Phase{Opening, Measuring, Draining, Beneath, Without, Alone}; !slices.Equal(phases, want) {
			t.Errorf("phases %v, want %v", phases, want)
		}
		if r.Steps > 0 && r.Checkpoints > 0 {
			break
		}
	}
	if !r.Clean() {
		t.Errorf("errors %d, lost %d", r.Errors, r.Lost)
	}
	if r.Steps == 0 || r.StepsPerS <= 0 || r.P50MS <= 0 || r.P999MS < r.P50MS || r.CPU[Total] <= 0 || r.BytesPerStep <= 0 || r.PeakRSS <= 0 ||
		r.Checkpoints == 0 || r.SupervisionBlocks < r.Checkpoints || r.BusinessBlocks == 0 {
		t.Fatalf("figures are missing: %+v", r)
	}
	if *r.Efficiency <= 0 || *r.AddedLatencyMS != round(r.IntentP50MS-10, 3) || *r.CompaniesRatio <= 0 {
		t.Errorf("comparisons: %v %v %v", *r.Efficiency, *r.AddedLatencyMS, *r.CompaniesRatio)
	}
	fields(t, r)
}

// fields are those that a result's JSON must have.
func fields(t *testing.T, r Result) {
	t.Helper()
	data, err := json.Marshal(r)
	must(t, err)
	var got map[string]any
	must(t, json.Unmarshal(data, &got))
	for _, name := range []string{
		"suite", "in_flight", "duration_s", "steps_per_s", "flows_per_s", "p50_ms", "p95_ms", "p99_ms", "p999_ms", "latency_ms",
		"cpu_us_per_step", "floor_us_per_step", "efficiency", "baseline_steps_per_s", "baseline_cpu_us_per_step",
		"added_latency_ms", "engine_tx_per_s", "bytes_per_step", "allocs_per_step", "errors", "lost", "machine",
	} {
		if got[name] == nil {
			t.Errorf("the JSON has no %s", name)
		}
	}
	cpu, _ := got["cpu_us_per_step"].(map[string]any)
	for _, p := range append(Parts(), Total) {
		if cpu[string(p)] == nil {
			t.Errorf("cpu_us_per_step has no %s", p)
		}
	}
	latency, _ := got["latency_ms"].(map[string]any)
	for _, s := range Steps() {
		if latency[string(s)] == nil {
			t.Errorf("latency_ms has no %s", s)
		}
	}
}

func TestConfigRefused(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no directory":     func(c *Config) { c.Dir = "" },
		"no scratch":       func(c *Config) { c.Scratch = "" },
		"unknown profile":  func(c *Config) { c.Profile = "parcels" },
		"no time":          func(c *Config) { c.Duration = 0 },
		"negative warm-up": func(c *Config) { c.WarmUp = -1 },
		"nothing to do":    func(c *Config) { c.InFlight = 0 },
		"negative rate":    func(c *Config) { c.OpenLoop = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			c := short(t)
			change(&c)
			if _, err := Run(t.Context(), c); err == nil {
				t.Error("it runs")
			}
		})
	}
}

// TestRunEnds: whoever ends a measurement gets no result but an error, at once.
func TestRunEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a whole system")
	}
	c := short(t)
	c.Duration = time.Hour
	ctx, stop := context.WithCancel(t.Context())
	c.Progress = func(p Progress) {
		if p.Phase == Measuring {
			stop()
		}
	}
	if _, err := Run(ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("Run gives %v", err)
	}
}

// BenchmarkFlows holds 64 flows at once, all from registration to delivery (six
// steps each), for three seconds. An operation is one measurement.
func BenchmarkFlows(b *testing.B) {
	for _, suite := range []string{"gm", "intl"} {
		b.Run(suite+"/inflight=64", func(b *testing.B) {
			for b.Loop() {
				c := short(b)
				c.Suite, c.InFlight, c.WarmUp, c.Duration = suite, 64, time.Second, 3*time.Second
				r, err := Run(b.Context(), c)
				must(b, err)
				if !r.Clean() {
					b.Errorf("errors %d, lost %d", r.Errors, r.Lost)
				}
				b.ReportMetric(r.StepsPerS, "steps/s")
				b.ReportMetric(r.CPU[Total], "cpu-us/step")
				b.ReportMetric(r.AllocsPerStep, "allocs/step")
				b.ReportMetric(r.P50MS, "p50-ms")
				b.ReportMetric(r.P99MS, "p99-ms")
			}
		})
	}
}
