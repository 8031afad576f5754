package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/bench"
)

// measured is a result with every figure.
func measured() bench.Result {
	v := func(f float64) *float64 { return &f }
	return bench.Result{
		Suite: "gm", Mode: "closed", InFlight: 64, DurationS: 30, StepsPerS: 421.5, FlowsPerS: 70.2,
		P50MS: 151.2, Latency: map[flow.Step]bench.Quantiles{flow.Order: {P50: 148.9, Max: 512}},
		CPU:   map[bench.Part]float64{bench.Platform: 1000, bench.Total: 4000},
		Floor: v(812), Efficiency: v(0.203), Baseline: v(913), BaselineCPU: v(1777), AddedLatencyMS: v(77.7), CompaniesRatio: v(1.62), Engine: v(2901),
		Errors: 5, Stuck: 3, Twice: 1, Lost: 2,
		Machine: bench.Machine{CPU: "Cray-1", Cores: 2},
	}
}

func TestBenchOutput(t *testing.T) {
	for lang, want := range map[string][]string{
		"en": {"Cray-1, 2 cores", "64 flows in flight", "421.5 steps/s", "failed 1, stuck 3, done twice 1, lost 2", "148.9", "25.0", "812 µs", "0.203", "913", "1777 µs", "77.7 ms", "1.62", "2901"},
		"zh": {"2 核", "同时 64 个流程", "每秒 421.5 步", "失败 1，停滞 3，重复 1，丢失 2", "监管链", "仅密码运算", "不经监管"},
	} {
		var out bytes.Buffer
		must(t, benchOutput{&out, wordsFor(lang)}.print(measured()))
		for _, w := range want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%s: no %q in\n%s", lang, w, out.String())
			}
		}
	}
	var out bytes.Buffer
	r := measured()
	r.Mode, r.OpenLoop, r.Floor = "open", 200, nil
	must(t, benchOutput{&out, wordsFor("en")}.print(r))
	if text := out.String(); !strings.Contains(text, "200 steps due a second") || strings.Contains(text, "(floor)") {
		t.Errorf("the open loop without a floor:\n%s", text)
	}
}

func TestBenchProgress(t *testing.T) {
	var out bytes.Buffer
	p := benchProgress{&out, wordsFor("en")}
	p.tell(bench.Progress{Phase: bench.Opening})
	p.tell(bench.Progress{Phase: bench.Measuring, For: 5 * time.Second, Of: 30 * time.Second, Steps: 1200, InFlight: 64})
	want := "making keys and starting two chains\nmeasuring: 5s of 30s, 1200 steps done, 64 flows in flight\n"
	if out.String() != want {
		t.Errorf("progress %q, want %q", out.String(), want)
	}
}

// TestBenchRefuses what it can't measure, before it makes anything.
func TestBenchRefuses(t *testing.T) {
	for _, args := range [][]string{{"--in-flight", "0"}, {"--duration", "0s"}, {"--open-loop=-5"}, {"--profile", "parcels"}, {"--suite", "rot13"}} {
		if code, out, err := call(t, append([]string{"bench"}, args...)...); code != exitFailed || out != "" || err == "" {
			t.Errorf("bench %v: exit %d, %q, %q", args, code, out, err)
		}
	}
}
