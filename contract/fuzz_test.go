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
		for _, step := range flow.Steps() {
			rules.Evaluate(mapState{}, step, &contract.Facts{}, 0)
			rules.Evaluate(mapState{}, step, &contract.Facts{Amount: 1, Tags: []string{"a"}, Items: []contract.ItemFacts{{Quantity: -1}}}, 0)
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
