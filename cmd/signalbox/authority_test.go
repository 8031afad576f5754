package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/contract/trial"
	"signalbox.dev/signalbox/contracts"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/oversight"
	"signalbox.dev/signalbox/internal/platform"
)

// office is an officer at work on a running system.
type office struct {
	t   *testing.T
	u   *upProcess
	dir string
}

// does runs a command that must succeed, and reads its JSON.
func does[T any](o office, args ...string) (out T) {
	o.t.Helper()
	code, stdout, stderr := call(o.t, append(args, "--json", "--data", o.dir)...)
	if code != exitOK {
		o.t.Fatalf("%s: exit %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	must(o.t, json.Unmarshal([]byte(stdout), &out))
	return out
}

func (o office) orders(args ...string) oversight.Outcome {
	o.t.Helper()
	return does[oversight.Outcome](o, append(append([]string{"authority"}, args...), "--reason", "case 17")...)
}

// last waits until the flow begun last has what is looked for.
func (o office) last(flows int, what string, holds func(platform.FlowView) bool) platform.FlowView {
	o.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		all := o.u.flows()
		if len(all) < flows {
			continue
		}
		for _, f := range all {
			if holds(f) {
				return f
			}
		}
	}
	o.t.Fatalf("no flow is %s\n%s", what, o.u.out)
	return platform.FlowView{}
}

func stepOf(f platform.FlowView, step flow.Step, v flow.Verdict) (flow.Hash, bool) {
	for _, s := range f.Steps {
		if s.Step == step && s.Verdict == v {
			return s.Tx, true
		}
	}
	return flow.Hash{}, false
}

func delivered(n int, o office) {
	o.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		done := 0
		for _, f := range o.u.flows() {
			if f.State == "delivered" {
				done++
			}
		}
		if done >= n {
			return
		}
	}
	o.t.Fatalf("%d flows are not delivered\n%s", n, o.u.out)
}

// An officer at work: every order takes effect on the flows of a running system,
// and what was decided can be explained while it runs and after (R6.1, R6.2, R6.3,
// R6.4, R7.1, R9.2, R9.6).
func TestOfficerAtWork(t *testing.T) {
	set, err := inputs(nil)
	must(t, err)
	dir := filepath.Join(t.TempDir(), "data")
	o := office{t, startUp(t, dir), dir}
	pharmacies := []string{"rx-pharmacy-001", "rx-pharmacy-002", "rx-pharmacy-003"}

	for _, p := range pharmacies { // R7.1
		o.orders("identity", "suspend", p)
	}
	must(t, o.u.post(set[0].data))
	var refused flow.Hash
	o.last(1, "refused its order", func(f platform.FlowView) (ok bool) {
		refused, ok = stepOf(f, flow.Order, flow.Refused)
		return ok
	})
	for _, p := range pharmacies {
		o.orders("identity", "restore", p)
	}
	must(t, o.u.post(set[1].data))
	delivered(1, o)

	o.orders("standing", "set", "rx-platform-1", "deny") // R6.3
	must(t, o.u.post(set[2].data))
	var holds []oversight.HoldView
	for deadline := time.Now().Add(60 * time.Second); len(holds) == 0 && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		holds = does[[]oversight.HoldView](o, "authority", "hold", "list")
	}
	if len(holds) != 1 || holds[0].Step != flow.Register || holds[0].Reasons[0].Code != "standing_deny" {
		t.Fatalf("holds: %+v", holds)
	}
	o.orders("standing", "set", "rx-platform-1", "neither")
	if out := o.orders("hold", "grant", "1"); len(out.Resolved) != 1 || out.Resolved[0].Verdict != flow.Granted { // R9.6
		t.Fatalf("granting a hold: %+v", out)
	}
	delivered(2, o)
	if missing := does[[]oversight.UnanchoredView](o, "authority", "anchor", "missing"); len(missing) != 0 {
		t.Errorf("after three flows, without an anchor: %+v", missing)
	}
	if findings := does[[]oversight.AnchorFindingView](o, "authority", "anchor", "findings"); len(findings) != 0 {
		t.Errorf("after three flows, anchors that can't stand: %+v", findings)
	}
	o.listsAndRules()
	o.explains(refused, "now")

	must(t, o.u.cmd.Process.Signal(os.Interrupt))
	must(t, o.u.cmd.Wait())
	if _, err := os.Stat(oversight.Socket(filepath.Join(dir, "authority"))); err == nil {
		t.Error("the socket is left behind")
	}
	o.explains(refused, "then")
	o.triesOnPast()
}

// listsAndRules imports entries and publishes a bundle (R6.1, R6.2).
func (o office) listsAndRules() {
	o.t.Helper()
	file := filepath.Join(o.t.TempDir(), "subjects.csv")
	must(o.t, os.WriteFile(file, []byte("subject_id,basis,to\nresident:110101199003070038,Art. 5,90d\npassport:X1,Art. 6,\n"), 0o600))
	dry := does[imported](o, "authority", "list", "import", "restricted-subjects", file, "--dry-run", "--reason", "case 17")
	if dry.Add != 2 || dry.Effect == nil || dry.Effect.Granted < 2 || len(dry.Outcomes) != 0 {
		o.t.Errorf("dry run: %+v %+v", dry, dry.Effect)
	}
	done := does[imported](o, "authority", "list", "import", "restricted-subjects", file, "--reason", "case 17")
	if done.Add != 2 || len(done.Outcomes) != 1 || len(done.Outcomes[0].Entries) != 2 {
		o.t.Errorf("import: %+v", done)
	}
	again := does[imported](o, "authority", "list", "import", "restricted-subjects", file, "--reason", "case 17")
	if again.Add != 0 || again.There != 2 || again.Orders != 0 {
		o.t.Errorf("import again: %+v", again)
	}
	entries := does[oversight.EntryPage](o, "authority", "list", "show", "restricted-subjects")
	if len(entries.Entries) != 2 || len(entries.Entries[0].Key[0]) != 64 || entries.Entries[0].To == 0 {
		o.t.Errorf("the list: %+v", entries)
	}
	code, _, stderr := call(o.t, "authority", "list", "lift", "restricted-subjects", "9", "--reason", "x", "--data", o.dir)
	if code != exitFailed || !strings.Contains(stderr, "entry_unknown") {
		o.t.Errorf("lifting what is not there: exit %d %s", code, stderr)
	}
	bundle := filepath.Join(o.t.TempDir(), "new.yaml")
	must(o.t, os.WriteFile(bundle, append(contracts.Prescription(), "\n# another version\n"...), 0o600))
	o.orders("rules", "publish", bundle, "--second", "rx-officer-002")
	o.orders("list", "appeal", "restricted-subjects", "1", "mistaken identity") // a block, with which it takes force
	if r := does[oversight.RulesView](o, "authority", "rules", "show"); r.InForce.Number != 2 || len(r.Scheduled) != 0 {
		o.t.Errorf("rules: %+v", r.InForce.Number)
	}
	history := does[oversight.OrderPage](o, "authority", "order", "list", "--from", "1", "--limit", "500")
	if n := len(history.Orders); n < 11 || history.Orders[0].Kind != contract.IdentityStatus || history.Orders[n-2].Second != "rx-officer-002" {
		o.t.Errorf("history of %d orders: %+v", n, history.Orders)
	}
}

// explains wants an order's refusal explained by the suspended producer.
func (o office) explains(tx flow.Hash, as string) {
	o.t.Helper()
	e := does[oversight.Explained](o, "explain", tx.String())
	if e.Exact != (as == "then") || len(e.Checks) == 0 {
		o.t.Fatalf("explained as of %s: %+v", as, e)
	}
	if e.Exact && (e.Traced.Verdict != flow.Refused || e.Traced.Reasons[0].Code != "identity_suspended") {
		o.t.Errorf("explained as of then: %+v", e.Traced)
	}
	if !e.Exact && (e.Stands == nil || e.Stands.Verdict != flow.Refused || e.Stands.Reasons[0].Code != "identity_suspended") {
		o.t.Errorf("explained as of now: %+v", e.Stands)
	}
	code, stdout, stderr := call(o.t, "explain", tx.String(), "--data", o.dir)
	if code != exitOK || !strings.Contains(stdout, "identity_suspended") && as == "then" {
		o.t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
}

// triesOnPast tries the bundle in force on what it has decided (R6.4).
func (o office) triesOnPast() {
	o.t.Helper()
	file := filepath.Join(o.t.TempDir(), "strict.yaml")
	must(o.t, os.WriteFile(file, []byte(strings.Replace(string(contracts.Prescription()), "max_days: 180 ", "max_days: 1 ", 1)), 0o600))
	r := does[trial.Report](o, "rules", "backtest", file)
	if r.Done < 14 || r.Changed == 0 || r.Kinds[0].To != flow.Refused || len(r.Examples) == 0 {
		o.t.Errorf("backtest: %+v", r)
	}
}
