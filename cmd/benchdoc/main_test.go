package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"signalbox.dev/signalbox/internal/bench"
	"signalbox.dev/signalbox/internal/bench/report"
)

// asProgram makes the test binary be what measures; it names where it notes how it
// was called.
const asProgram = "SIGNALBOX_TEST_AS_BENCH"

func TestMain(m *testing.M) {
	if notes := os.Getenv(asProgram); notes != "" {
		os.Exit(measures(notes, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// measures does 300 steps a second, 400 with more in flight, and loses a flow there.
func measures(notes string, args []string) int {
	f, err := os.OpenFile(notes, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 2
	}
	defer f.Close()
	f.WriteString(strings.Join(args, " ") + "\n")
	r := bench.Result{Mode: "closed", InFlight: 64, StepsPerS: 300, CPU: map[bench.Part]float64{bench.Total: 3000}}
	if slices.Contains(args, "256") {
		r.InFlight, r.StepsPerS, r.Lost = 256, 400, 1
	}
	if i := slices.Index(args, "--open-loop"); i > 0 {
		r.Mode = "open"
		r.OpenLoop, _ = strconv.ParseFloat(args[i+1], 64)
	}
	if json.NewEncoder(os.Stdout).Encode(r) != nil {
		return 2
	}
	return int(r.Lost)
}

// TestWrite measures both suites, the open loop at half of the better rate, and
// writes document and plots (R10.2).
func TestWrite(t *testing.T) {
	docs := t.TempDir()
	name, notes := filepath.Join(docs, "benchmarks.md"), filepath.Join(docs, "notes")
	t.Setenv(asProgram, notes)
	args := []string{"-binary", os.Args[0], "-docs", docs, "-duration", "7s"}
	if err := write(t.Context(), args); err == nil {
		t.Error("it writes where there is no document")
	}
	if err := os.WriteFile(name, []byte("before\n"+report.Begin+"\n"+report.End+"\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(notes); err != nil {
		t.Fatal(err)
	}
	if err := write(t.Context(), args); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	want := ""
	for _, suite := range []string{"gm", "intl"} {
		for _, load := range []string{"--in-flight 64", "--in-flight 256", "--open-loop 200"} {
			want += "bench --json --suite " + suite + " --duration 7s " + load + "\n"
		}
	}
	if got := read(notes); got != want {
		t.Errorf("called:\n%swant:\n%s", got, want)
	}
	text := read(name)
	for _, want := range []string{"before\n", "after\n", "| gm | 256 in flight | 400 |", "| 0, 1 |", "| intl | 200 steps/s due | 300 |"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, plot := range []string{report.LatencyPlot, report.ProcessorPlot} {
		if !strings.HasPrefix(read(filepath.Join(docs, plot)), "<svg ") {
			t.Errorf("%s is no SVG", plot)
		}
	}
}

// TestWriteFails where the program says nothing that can be read.
func TestWriteFails(t *testing.T) {
	if err := write(t.Context(), []string{"-binary", filepath.Join(t.TempDir(), "missing"), "-docs", t.TempDir()}); err == nil {
		t.Error("it writes what nobody measured")
	}
}
