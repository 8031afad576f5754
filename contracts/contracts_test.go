package contracts_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/contracts"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/profile"
	"signalbox.dev/signalbox/profile/prescription"
	"signalbox.dev/signalbox/profile/prescription/samples"
)

// state is the chain's state in memory.
type state map[string][]byte

func (s state) Get(key []byte) ([]byte, error) { return s[string(key)], nil }
func (s state) Set(key, value []byte)          { s[string(key)] = value }

func rules(t *testing.T) *contract.Rules {
	t.Helper()
	b, err := contract.ParseBundle(contracts.Prescription())
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.Admit()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func named(kind, id string) string { return kind + " " + id }

// play puts a prescription's whole flow to the shipped rules, all on one day and
// with one state, as the demonstration does; every step must be granted. It
// gives the ids of the rules that showed something.
func play(t *testing.T, r *contract.Rules, s state, name string, p *prescription.Profile, data []byte, now int64) []string {
	t.Helper()
	taken, err := p.Intake(data)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	registered, err := p.Facts(flow.Register, taken.Canonical, named)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	registered.RecordTags, registered.RecordExpiresOn = registered.Tags, registered.ExpiresOn
	known := contract.Facts{RecordTags: registered.Tags, RecordExpiresOn: registered.ExpiresOn, ReviewerTags: []string{"general", "narcotic"}, ProducerTags: []string{"general", "narcotic"}}
	order := known
	order.Subject, order.Producer, order.Amount, order.Insured, order.Currency = registered.Subject, "rx-pharmacy-001", registered.Amount, registered.Insured, registered.Currency
	for _, i := range registered.Items { // an order has no more of an item
		order.Items = append(order.Items, contract.ItemFacts{Item: i.Item, Quantity: i.Quantity, Amount: i.Amount})
	}
	var shown []string
	for _, step := range []struct {
		flow.Step
		facts contract.Facts
	}{{flow.Register, registered}, {flow.ReviewRequest, known}, {flow.ReviewResult, known}, {flow.Order, order}, {flow.Settle, order}, {flow.Deliver, known}} {
		found, err := r.Evaluate(s, step.Step, &step.facts, now)
		if err != nil {
			t.Fatal(err)
		}
		if found.Verdict() != flow.Granted || len(found.Lists) > 0 {
			t.Errorf("%s: %s is %s: %v %v %v", name, step.Step, found.Verdict(), found.Refusals, found.Holds, found.Lists)
		}
		if err := r.Count(s, step.Step, &step.facts, now); err != nil {
			t.Fatal(err)
		}
		shown = append(append(shown, found.Flags...), found.Observed...)
	}
	return shown
}

// The built-in samples pass the shipped rules from registration to delivery,
// whoever of the demonstration's reviewers and producers acts.
func TestSamplesPass(t *testing.T) {
	all, err := samples.All()
	if err != nil {
		t.Fatal(err)
	}
	p, err := prescription.New(prescription.Config{Currency: "CNY"})
	if err != nil {
		t.Fatal(err)
	}
	r, s := rules(t), state{}
	now := time.Date(2026, 11, 14, 2, 0, 0, 0, time.UTC).Unix()
	shown := map[string][]string{}
	for _, sample := range all {
		for _, id := range play(t, r, s, sample.Name, p, sample.Data, now) {
			shown[id] = append(shown[id], sample.Name)
		}
	}
	if len(all) != 31 {
		t.Errorf("%d samples, want 31", len(all))
	}
	if got := shown["RX-DATE-04"]; len(got) == 0 {
		t.Error("no sample is past its last day: RX-DATE-04 could be enforced")
	}
	t.Logf("shown: %v", shown)
}

// So do the 19 real orders of NHS England, of few patients and all on one day.
func TestNHSOrdersPass(t *testing.T) {
	p, err := prescription.New(prescription.Config{Currency: "GBP"})
	if err != nil {
		t.Fatal(err)
	}
	r, s, orders := rules(t), state{}, 0
	now := time.Date(2026, 11, 14, 2, 0, 0, 0, time.UTC).Unix()
	shown := map[string]int{}
	for _, file := range nhsFiles(t) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var refusal *profile.Refusal
		if _, err := p.Intake(data); errors.As(err, &refusal) {
			continue // a cancellation
		}
		orders++
		for _, id := range play(t, r, s, filepath.Base(file), p, data, now) {
			shown[id]++
		}
	}
	if orders != 19 {
		t.Errorf("%d orders, want 19", orders)
	}
	t.Logf("shown: %v", shown)
}

func nhsFiles(t *testing.T) []string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if filepath.Dir(dir) == dir {
			t.Skip("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
	files, err := filepath.Glob(filepath.Join(dir, "..", "shared", "data", "nhs-eps", "*.json"))
	if err != nil || len(files) == 0 {
		t.Skip("the NHS messages are not beside the repository")
	}
	return files
}

// What the rules say to people is in both languages and names no id.
func TestMessages(t *testing.T) {
	for _, r := range rules(t).Bundle().Rules {
		if strings.Contains(r.Message.Zh+r.Message.En, "RX-") || r.Message.Zh == r.Message.En {
			t.Error(fmt.Sprint("words of ", r.ID))
		}
	}
}
