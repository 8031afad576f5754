package faults

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/audit"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/ledger/embedded"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// verdict is what both chains, read from their first block, say of the load.
type verdict struct {
	Lost       int // records of registered flows that don't stand, and flows that aren't there at all
	Doubled    int // decisions on one submission, or records of one step of a flow, beyond the first
	Undecided  int // business records without a granting decision
	Unfinished int // granted steps that are not stored, or not anchored on the supervision chain
	Problems   []string
}

func (v verdict) sound() bool {
	return v.Unfinished == 0 && v.Lost == 0 && v.Doubled == 0 && v.Undecided == 0 && len(v.Problems) == 0
}

// reading is what stands on the chains.
type reading struct {
	decisions  map[flow.ID]int      // on a submission
	granted    map[flow.Hash]bool   // transactions
	flows      map[string]flow.Hash // by ref of the registration
	records    map[flow.Hash]map[flow.Step]int
	undecided  int // records without a granting decision
	unfinished int // as verdict.Unfinished
	problems   []string
}

// check re-executes both chains of the stopped parties and holds them against
// every record that was taken in.
func (c *cluster) check() verdict {
	c.Helper()
	return c.read().judge(c.want)
}

// judge holds the chains against the records that were taken in, by their refs:
// each leaves one flow, and one record of each recorded step.
func (r reading) judge(want map[string]string) verdict {
	v := verdict{Undecided: r.undecided, Unfinished: r.unfinished, Problems: slices.Clone(r.problems)}
	for _, ref := range want {
		id, ok := r.flows[ref]
		if !ok {
			v.Lost++
			continue
		}
		for _, step := range flow.Steps() {
			if step.Recorded() && r.records[id][step] == 0 {
				v.Lost++
			}
		}
	}
	v.Doubled += max(0, len(r.flows)-len(want)) // one record registered as two flows
	for _, n := range r.decisions {
		v.Doubled += n - 1
	}
	for _, steps := range r.records {
		for _, n := range steps {
			v.Doubled += n - 1
		}
	}
	return v
}

// read re-executes both chains, as `signalbox fsck` does, and collects.
func (c *cluster) read() reading {
	c.Helper()
	trust, err := party.ReadAdmission(filepath.Join(c.folder(authority), "authority.json"))
	must(c.T, err)
	keys, err := trust.Authority.LogKeys()
	must(c.T, err)
	r := reading{
		decisions: map[flow.ID]int{}, granted: map[flow.Hash]bool{}, flows: map[string]flow.Hash{}, records: map[flow.Hash]map[flow.Step]int{},
	}
	a := audit.New(keys, trust.Authority.Chain, networkID, time.Now())
	super, err := chain.Replay(c.Context(), filepath.Join(c.folder(authority), "chain"), keys, func(d chain.Decided) error {
		a.Decision(d.Leaf, d.Anchor)
		r.decisions[d.Leaf.Submission]++
		if d.Leaf.Verdict == flow.Granted {
			r.granted[d.Leaf.Tx] = true
			if d.Leaf.Step == flow.Register {
				r.flows[d.Leaf.Submission.String()] = d.Leaf.Flow
			}
		}
		return nil
	})
	must(c.T, err)
	own, err := embedded.Replay(c.Context(), filepath.Join(c.folder(business), "chain"), func(s ledger.Stored, _ time.Time) error {
		a.Record(s)
		if r.records[s.Key.Flow] == nil {
			r.records[s.Key.Flow] = map[flow.Step]int{}
		}
		r.records[s.Key.Flow][s.Step]++
		if !r.granted[s.Key.Tx] {
			r.undecided++
		}
		return nil
	})
	must(c.T, err)
	report := a.Report()
	r.problems = slices.Concat(super.Problems, own.Differences, report.Inconsistencies)
	r.unfinished = report.Unfinished
	return r
}

// The judgement can fail: each kind of loss and doubling is seen.
func TestJudgeCanFail(t *testing.T) {
	sound := func() reading {
		f := flow.SumHash([]byte("flow"))
		r := reading{
			decisions: map[flow.ID]int{{1}: 1}, flows: map[string]flow.Hash{"ref": f}, records: map[flow.Hash]map[flow.Step]int{f: {}},
		}
		for _, s := range flow.Steps() {
			if s.Recorded() {
				r.records[f][s] = 1
			}
		}
		return r
	}
	want := map[string]string{"key": "ref"}
	if v := sound().judge(want); !v.sound() {
		t.Fatalf("a sound run: %+v", v)
	}
	only := func(r reading) map[flow.Step]int { return r.records[r.flows["ref"]] }
	for name, spoil := range map[string]func(reading) reading{
		"record lost":      func(r reading) reading { delete(only(r), flow.Settle); return r },
		"flow lost":        func(r reading) reading { delete(r.flows, "ref"); return r },
		"record doubled":   func(r reading) reading { only(r)[flow.Deliver]++; return r },
		"decision doubled": func(r reading) reading { r.decisions[flow.ID{1}]++; return r },
		"flow doubled":     func(r reading) reading { r.flows["other"] = flow.Hash{}; return r },
		"no decision":      func(r reading) reading { r.undecided++; return r },
		"no anchor":        func(r reading) reading { r.unfinished++; return r },
		"chain altered":    func(r reading) reading { r.problems = append(r.problems, "block 3"); return r },
	} {
		if v := spoil(sound()).judge(want); v.sound() {
			t.Errorf("%s: not seen", name)
		}
	}
}
