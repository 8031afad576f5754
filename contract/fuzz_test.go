package contract_test

import (
	"os"
	"path/filepath"
	"testing"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/contracts"
	"signalbox.dev/signalbox/flow"
)

// A bundle from anywhere gives rules or an error, never a panic; what is
// admitted once has one address, and evaluates without a panic too.
func FuzzBundle(f *testing.F) {
	f.Add(contracts.Prescription())
	f.Add([]byte(oneRule))
	f.Add([]byte(countersBundle))
	files, _ := filepath.Glob("testdata/bundles/*.yaml")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := contract.ParseBundle(text)
		if err != nil {
			return
		}
		first, err := b.Address()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := b.Address(); err != nil || again != first {
			t.Fatalf("address %s, then %s, %v", first, again, err)
		}
		rules, err := b.Admit()
		if err != nil {
			return
		}
		twin, err := b.Admit()
		if err != nil {
			t.Fatal("admitted once, then not:", err)
		}
		s, ts := mapState{}, mapState{}
		for n, step := range flow.Steps() {
			agree(t, rules, twin, s, ts, step, contract.Facts{}, int64(n)*40000)
			agree(t, rules, twin, s, ts, step, contract.Facts{Subject: "S", Amount: 1, Tags: []string{"a"}, Items: []contract.ItemFacts{{Item: "I", Quantity: -1}, {Item: "I", Quantity: 5}}}, int64(n)*40000)
		}
	})
}

// agree evaluates and counts on two instances of the same rules: they must
// come to the same findings and the same state.
func agree(t *testing.T, a, b *contract.Rules, sa, sb mapState, step flow.Step, f contract.Facts, now int64) {
	t.Helper()
	fa, fb := f, f
	for range 2 {
		found, err := a.Evaluate(sa, step, &fa, now)
		if err != nil {
			t.Fatal(err)
		}
		again, err := b.Evaluate(sb, step, &fb, now)
		if err != nil {
			t.Fatal(err)
		}
		x, errX := flow.Marshal(found)
		y, errY := flow.Marshal(again)
		if errX != nil || errY != nil || string(x) != string(y) {
			t.Fatalf("%s: %+v here, %+v there, %v, %v", step, found, again, errX, errY)
		}
		for _, c := range []error{a.Count(sa, step, &fa, now), b.Count(sb, step, &fb, now), a.CountObserved(sa, found), b.CountObserved(sb, again)} {
			if c != nil {
				t.Fatal(c)
			}
		}
		if sa.dump() != sb.dump() {
			t.Fatalf("%s: the states differ", step)
		}
	}
}

// FuzzFacts puts facts from anywhere to the shipped rules, on two instances.
func FuzzFacts(f *testing.F) {
	bundle, err := contract.ParseBundle(contracts.Prescription())
	if err != nil {
		f.Fatal(err)
	}
	a, err := bundle.Admit()
	if err != nil {
		f.Fatal(err)
	}
	b, err := bundle.Admit()
	if err != nil {
		f.Fatal(err)
	}
	for _, facts := range []contract.Facts{
		{},
		{Subject: "S1", Amount: 9e18, Insured: -9e18, Tags: []string{"narcotic"}, Items: []contract.ItemFacts{{Item: "I1", Quantity: 9e18, DaysSupply: 8, Tags: []string{"narcotic"}}}},
		{Subject: "S1", IssuedOn: -9e18, ExpiresOn: 9e18, Items: []contract.ItemFacts{{Item: "I1"}, {Item: "I1", Amount: -1}}},
	} {
		data, err := flow.Marshal(facts)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, uint8(2), int64(1577844000))
		f.Add(data, uint8(5), int64(-1))
	}
	f.Fuzz(func(t *testing.T, data []byte, code uint8, now int64) {
		var facts contract.Facts
		step, err := flow.StepOf(code)
		if err != nil || flow.Unmarshal(data, &facts) != nil || len(facts.Items) > 100 {
			return
		}
		agree(t, a, b, mapState{}, mapState{}, step, facts, now)
		if _, err := a.Explain(mapState{}, step, &facts, now); err != nil {
			t.Fatal(err)
		}
	})
}

// Facts from anywhere give a decision, never a panic or an error; a refusal
// changes nothing.
func FuzzDecide(f *testing.F) {
	base, c := begin(f, townGenesis())
	tokens := map[string]flow.Hash{}
	for _, request := range wholeFlow(func(tx string) flow.Hash { return tokens[tx] }) {
		r := request()
		data, err := flow.Marshal(r.Facts)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, r.Header.Step.Code(), r.Header.Actor, r.Now)
		if d := decide(f, c, base, r); r.Header.Step == flow.ReviewRequest {
			tokens["A1"] = d.Token
		}
		if r.Header.Step == flow.Order {
			break // the flow waits for its settlement
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, code uint8, actor string, now int64) {
		var facts contract.Facts
		if flow.Unmarshal(data, &facts) != nil {
			return
		}
		step, err := flow.StepOf(code)
		if err != nil {
			return
		}
		s := mapState{}
		for k, v := range base {
			s[k] = v
		}
		before := s.dump()
		r := submission("P1", step, "F1", "fuzz")
		if step == flow.Register || step == flow.Enrol {
			r.Header.Flow = flow.Hash{}
		}
		r.Header.Actor, r.Facts, r.Now = actor, facts, now
		d, err := c.Decide(s, r)
		if err != nil {
			t.Fatal(err)
		}
		if d.Verdict.Code() == 0 || (d.Verdict == flow.Granted) != (len(d.Reasons) == 0) {
			t.Fatalf("%q with reasons %v", d.Verdict, d.Reasons)
		}
		if d.Verdict != flow.Granted && s.dump() != before {
			t.Fatalf("%s changes the state", d.Verdict)
		}
		for _, reason := range d.Reasons {
			if reason.Code == "" || reason.Zh == "" || reason.En == "" {
				t.Fatalf("a reason without words: %+v", reason)
			}
		}
	})
}
