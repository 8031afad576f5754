package bench

import (
	"math"
	"time"

	"signalbox.dev/signalbox/flow"
)

// Result is what was measured. A figure that was not measured is nil.
type Result struct {
	Suite     string  `json:"suite"`
	Profile   string  `json:"profile"`
	Mode      string  `json:"mode"`        // "closed" or "open" loop
	InFlight  int     `json:"in_flight"`   // flows at once, closed loop; 0 in the open one
	OpenLoop  float64 `json:"open_loop"`   // steps that were due a second, open loop; 0 in the closed one
	DurationS float64 `json:"duration_s"`  // that was measured
	WarmUpS   float64 `json:"warm_up_s"`   // before it
	Steps     int64   `json:"steps"`       // done while it was measured
	Flows     int64   `json:"flows"`       // delivered then
	StepsPerS float64 `json:"steps_per_s"` //
	FlowsPerS float64 `json:"flows_per_s"` //

	// Of all steps that could have begun while it was measured, whenever they ended.
	P50MS   float64                 `json:"p50_ms"`
	P95MS   float64                 `json:"p95_ms"`
	P99MS   float64                 `json:"p99_ms"`
	P999MS  float64                 `json:"p999_ms"`
	Latency map[flow.Step]Quantiles `json:"latency_ms"`
	// From a step's intent, without what participants took before it: comparable with BaselineP50.
	IntentP50MS float64 `json:"intent_p50_ms"`

	// While it was measured: blocks of both chains, and checkpoints of the log.
	SupervisionBlocks int64 `json:"supervision_blocks"`
	BusinessBlocks    int64 `json:"business_blocks"`
	Checkpoints       int64 `json:"checkpoints"`

	CPU           map[Part]float64 `json:"cpu_us_per_step"` // microseconds, and their Total
	AllocsPerStep float64          `json:"allocs_per_step"`
	AllocBytes    float64          `json:"alloc_bytes_per_step"`
	BytesPerStep  float64          `json:"bytes_per_step"` // on disk, of all parties
	PeakRSS       int64            `json:"peak_rss_bytes"`

	Floor          *float64 `json:"floor_us_per_step"`        // the cryptography alone
	Efficiency     *float64 `json:"efficiency"`               // Floor / CPU[Total]
	Baseline       *float64 `json:"baseline_steps_per_s"`     // without supervision
	BaselineCPU    *float64 `json:"baseline_cpu_us_per_step"` //
	BaselineP50    *float64 `json:"baseline_p50_ms"`          //
	AddedLatencyMS *float64 `json:"added_latency_ms"`         // IntentP50MS less BaselineP50
	Engine         *float64 `json:"engine_tx_per_s"`          // consensus alone
	EngineBytes    int      `json:"engine_tx_bytes"`          // of each of its transactions: as large as the supervision chain's
	CompaniesRatio *float64 `json:"companies_cpu_ratio"`      // what the companies' half costs, supervised to unsupervised

	Errors int64 `json:"errors"` // registrations that were not taken, flows that are stuck, steps that were done twice
	Stuck  int64 `json:"stuck"`
	Twice  int64 `json:"twice"`
	Lost   int64 `json:"lost"` // taken in, and at no end when nothing happened any more

	Machine Machine `json:"machine"`
}

// Clean says whether every flow came to its end, once.
func (r Result) Clean() bool { return r.Errors == 0 && r.Lost == 0 }

// flows fills in what the tracker has seen.
func (r *Result) flows(t *tracker, took time.Duration, lost int64) {
	c := t.tally()
	r.Steps, r.Flows = c.Measured.Steps, c.Measured.Flows
	r.DurationS = round(took.Seconds(), 3)
	r.StepsPerS = round(float64(r.Steps)/took.Seconds(), 1)
	r.FlowsPerS = round(float64(r.Flows)/took.Seconds(), 2)
	var all, intents Quantiles
	r.Latency, all, intents = t.quantiles()
	r.IntentP50MS = intents.P50
	r.P50MS, r.P95MS, r.P99MS, r.P999MS = all.P50, all.P95, all.P99, all.P999
	r.Stuck, r.Twice, r.Lost = c.Stuck, c.Twice, lost
	r.Errors = c.Failed + c.Stuck + c.Twice
}

// costs fills in what the measured steps cost.
func (r *Result) costs(from, to cost, parts map[Part]float64) {
	r.PeakRSS = to.rss
	if r.Steps == 0 {
		return
	}
	steps := float64(r.Steps)
	total := float64((to.cpu - from.cpu).Nanoseconds()) / 1000 / steps
	r.CPU = map[Part]float64{Total: round(total, 1)}
	for _, p := range Parts() {
		r.CPU[p] = round(total*parts[p], 1)
	}
	r.AllocsPerStep = round(float64(to.count-from.count)/steps, 1)
	r.AllocBytes = round(float64(to.bytes-from.bytes)/steps, 0)
}

// beside fills in what was measured afterwards.
func (r *Result) beside(floor *time.Duration, base *Baseline, engine *float64) {
	total := r.CPU[Total]
	if floor != nil {
		r.Floor = rounded(micros(*floor), 1)
		if total > 0 {
			r.Efficiency = rounded(micros(*floor)/total, 3)
		}
	}
	if base != nil {
		r.Baseline = rounded(base.StepsPerSecond, 1)
		r.BaselineCPU = rounded(micros(base.CPUPerStep), 1)
		r.BaselineP50 = rounded(micros(base.P50)/1000, 3)
		r.AddedLatencyMS = rounded(r.IntentP50MS-micros(base.P50)/1000, 3)
		if known := total - r.CPU[Other]; known > 0 && base.CPUPerStep > 0 {
			companies := r.CPU[Platform] + r.CPU[Database] + r.CPU[Business] + r.CPU[Participants]
			// Of what is nobody's they bear their share, as without supervision.
			r.CompaniesRatio = rounded(companies*total/known/micros(base.CPUPerStep), 2)
		}
	}
	if engine != nil {
		r.Engine = rounded(*engine, 1)
	}
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

func rounded(v float64, digits int) *float64 {
	v = round(v, digits)
	return &v
}

func round(v float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(v*scale) / scale
}
