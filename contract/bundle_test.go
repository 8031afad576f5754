package contract_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/contracts"
)

// oneRule is a bundle with one rule, whose parts tests replace.
const oneRule = `contract: prescription
parameters: { max_days: 30 }
rules:
  - id: RX-DAYS-01
    steps: [register]
    when: facts.days_supply > params.max_days
    effect: refuse
    mode: enforce
    message: { zh: 超过, en: exceeds }
cases:
  - { name: long, step: register, facts: { days_supply: 31 }, want: { verdict: refused, rules: [RX-DAYS-01] } }
`

func TestParseBundleIsStrict(t *testing.T) {
	cases := []struct{ name, old, new, want string }{
		{"unknown key", "contract: prescription", "contract: prescription\ntables: []", `there is no key "tables"`},
		{"unknown key of a rule", "mode: enforce", "mode: enforce\n    priority: 1", `there is no key "priority"`},
		{"unknown key of a message", "{ zh: 超过, en: exceeds }", "{ zh: 超过, en: exceeds, fr: depasse }", `there is no key "fr"`},
		{"no contract", "contract: prescription\n", "", "contract: want 1 to 64"},
		{"no message", "message: { zh: 超过, en: exceeds }", "", "message: want zh and en"},
		{"no Chinese", "zh: 超过, ", "", "message: want zh and en"},
		{"no English", ", en: exceeds", "", "message: want zh and en"},
		{"no effect", "    effect: refuse\n", "", "effect: want refuse, hold, flag, list or grant"},
		{"unknown effect", "effect: refuse", "effect: deny", "effect: want"},
		{"unknown mode", "mode: enforce", "mode: shadow", "mode: want enforce or observe"},
		{"no condition", "when: facts.days_supply > params.max_days", "when:", "when: missing"},
		{"no steps", "steps: [register]", "steps: []", "steps: none"},
		{"unknown step", "steps: [register]", "steps: [dispense]", `"dispense" is no step`},
		{"step twice", "steps: [register]", "steps: [register, register]", "stands twice"},
		{"id of another form", "id: RX-DAYS-01", "id: too_long", "id: want capitals"},
		{"id of a list", "id: RX-DAYS-01", "id: LIST-SUBJECT", "restricted list"},
		{"rule twice", "rules:\n", "rules:\n  - {id: RX-DAYS-01, steps: [order], when: 'true', effect: flag, message: {zh: a, en: b}}\n", "stands twice"},
		{"key twice", "contract: prescription", "contract: prescription\ncontract: timber", "contract stands twice"},
		{"parameter twice", "{ max_days: 30 }", "{ max_days: 30, max_days: 31 }", "max_days stands twice"},
		{"fact twice", "{ days_supply: 31 }", "{ days_supply: 31, days_supply: 32 }", "stands twice"},
		{"parameter of another form", "max_days: 30", "Max-Days: 30", "want lower-case"},
		{"floating point", "max_days: 30", "max_days: 30.5", "want an integer"},
		{"null", "max_days: 30", "max_days: null", "want an integer"},
		{"date", "max_days: 30", "max_days: 2020-01-01", "want an integer"},
		{"mapping", "max_days: 30", "max_days: { a: 1 }", "want an integer, a text"},
		{"mixed list", "max_days: 30", "max_days: [1, a]", "values of one kind"},
		{"nested list", "max_days: 30", "max_days: [[1]]", "a list holds"},
		{"number too large", "max_days: 30", "max_days: 9223372036854775808", "cannot unmarshal"},
		{"alias", "{ max_days: 30 }", "{ max_days: &a 30, other: *a }", "anchors, aliases"},
		{"merge key", "{ max_days: 30 }", "{ <<: { a: 1 } }", "merge keys"},
		{"second document", "cases:", "---\ncases:", "more than one document"},
		{"case without verdict", "verdict: refused, ", "", "want.verdict"},
		{"case for no step", "step: register, facts", "step: dispense, facts", "is no step"},
		{"case for no rule", "rules: [RX-DAYS-01] }", "rules: [RX-DAYS-02] }", `no rule "RX-DAYS-02"`},
		{"case without name", "name: long, ", "", "name of its own"},
		{"case with a list of facts", "facts: { days_supply: 31 }", "facts: [1]", "want a mapping"},
		{"too long a message", "exceeds", strings.Repeat("x", 600), "over 512 bytes"},
		{"too long a text", "contract: prescription", "contract: prescription\n#" + strings.Repeat("x", 256<<10), "the limit is"},
		{"not YAML", "contract:", "\tcontract:", "yaml"},
	}
	if _, err := contract.ParseBundle([]byte(oneRule)); err != nil {
		t.Fatal(err)
	}
	if _, err := contract.ParseBundle(nil); err == nil || !strings.Contains(err.Error(), "it is empty") {
		t.Errorf("nothing at all: %v", err)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(oneRule, c.old, c.new, 1)
			if text == oneRule {
				t.Fatal("the case changes nothing")
			}
			_, err := contract.ParseBundle([]byte(text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// The address is that of the content: layout, comments and quoting leave no
// trace, everything else does (R6.1).
func TestAddress(t *testing.T) {
	address := func(text string) string {
		t.Helper()
		b, err := contract.ParseBundle([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		a, err := b.Address()
		if err != nil {
			t.Fatal(err)
		}
		return a.String()
	}
	same := []struct{ name, old, new string }{
		{"comment", "rules:", "# a comment\nrules:"},
		{"layout", "parameters: { max_days: 30 }", "parameters:\n  max_days: 30"},
		{"notation", "max_days: 30", "max_days: 0x1E"},
		{"quotes", "when: facts.days_supply > params.max_days", `when: "facts.days_supply > params.max_days"`},
		{"order of keys", "    effect: refuse\n    mode: enforce\n", "    mode: enforce\n    effect: refuse\n"},
		{"the mode that goes without saying", "    mode: enforce\n", ""},
	}
	want := address(oneRule)
	for _, c := range same {
		if text := strings.Replace(oneRule, c.old, c.new, 1); text == oneRule || address(text) != want {
			t.Errorf("%s: the address changes", c.name)
		}
	}
	others := []struct{ name, old, new string }{
		{"contract", "contract: prescription", "contract: timber"},
		{"parameter", "max_days: 30", "max_days: 31"},
		{"kind of parameter", "max_days: 30", `max_days: "30"`},
		{"id", "RX-DAYS-01", "RX-DAYS-02"},
		{"condition", "> params", ">= params"},
		{"step", "steps: [register]", "steps: [order]"},
		{"effect", "effect: refuse", "effect: hold"},
		{"mode", "mode: enforce", "mode: observe"},
		{"Chinese", "超过", "超出"},
		{"English", "exceeds", "is above"},
		{"case", "days_supply: 31", "days_supply: 32"},
	}
	seen := map[string]string{want: "the original"}
	for _, c := range others {
		a := address(strings.ReplaceAll(oneRule, c.old, c.new))
		if twin, twice := seen[a]; twice {
			t.Errorf("%s: has the address of %s", c.name, twin)
		}
		seen[a] = c.name
	}
}

// The canonical form is consensus-critical: these addresses must never change
// for these files. A change of the form needs another name in it, a change of
// the shipped rules another golden line.
func TestAddressGolden(t *testing.T) {
	effects, err := os.ReadFile("testdata/bundles/effects.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for name, text := range map[string][]byte{"prescription": contracts.Prescription(), "effects": effects, "one rule": []byte(oneRule)} {
		b, err := contract.ParseBundle(text)
		if err != nil {
			t.Fatal(err)
		}
		a, err := b.Address()
		if err != nil {
			t.Fatal(err)
		}
		got[name] = a.String()
	}
	want := map[string]string{
		"prescription": "7aa2166504b86b80394c3553199bbad1c65e8ca18eee74310f874033df7b890e",
		"effects":      "f672c00d0e8c32e2e8aa14645ab7f7441246ebcd18f74494ffb095c3b85ae936",
		"one rule":     "bb94460cfddc6b670c272bdcfb98e9d7e23351d047b515be19a4802a72ed37c1",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("addresses (-want +got):\n%s", d)
	}
}

// Every shipped rule is hit by a case of its bundle, and every case passes.
func TestShippedBundle(t *testing.T) {
	b, err := contract.ParseBundle(contracts.Prescription())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Admit(); err != nil {
		t.Fatal(err)
	}
	hit := map[string]bool{}
	for _, c := range b.Cases {
		for _, id := range c.Want.Rules {
			hit[id] = true
		}
	}
	for _, r := range b.Rules {
		if !hit[r.ID] {
			t.Errorf("no case hits %s", r.ID)
		}
	}
}
