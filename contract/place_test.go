package contract_test

import (
	"errors"
	"strings"
	"testing"

	"signalbox.dev/signalbox/contract"
)

// placed is a bundle whose rule stands in for %: line 4 has its id, line 6 its
// expression.
const placed = `contract: prescription
parameters: { days: 30 }
rules:
  - id: RX-1
    steps: [order]
    when: %
    effect: refuse
    message: { zh: 拒绝, en: refused }
`

// whereWrong admits a bundle and gives what is wrong with it.
func whereWrong(t *testing.T, text string) *contract.PlaceError {
	t.Helper()
	b, err := contract.ParseBundle([]byte(text))
	if err == nil {
		_, err = b.Admit()
	}
	if err == nil {
		t.Fatal("it is admitted")
	}
	var p *contract.PlaceError
	if !errors.As(err, &p) {
		t.Fatalf("without a place: %v", err)
	}
	return p
}

// What is not admitted is refused with the rule and the place in the YAML,
// however the expression is written (R6.1).
func TestRefusedWithPlace(t *testing.T) {
	dear := `facts.items.exists(i, facts.items.exists(j, i.item == j.item && i.quantity > j.quantity))`
	cases := []struct {
		name, when   string
		line, column int
		want         string
	}{
		{"double", `facts.amount > 3 && 1.5 > 1.0`, 6, 31, "uses the type double"},
		{"map", `'facts.amount > 3 || size({"a": 1}) == 1'`, 6, 37, "uses the type map"},
		{"clock", `facts.amount > now()`, 6, 29, "undeclared reference to 'now'"},
		{"timestamp", `facts.amount > 1 && timestamp("2020-01-01T00:00:00Z") > timestamp("2019-01-01T00:00:00Z")`, 6, 40, "undeclared reference to 'timestamp'"},
		{"duration", `duration("1h") == duration("1h")`, 6, 19, "undeclared reference to 'duration'"},
		{"regular expression", `facts.subject.matches("^(a*)*$")`, 6, 32, "undeclared reference to 'matches'"},
		{"cost", dear, 6, 11, "the ceiling is"},
		{"no bool", `facts.amount`, 6, 11, "gives int, want bool"},
		{"no such fact", `facts.weight > 3`, 6, 16, "undefined field 'weight'"},
		{"no such counter", `counters.n > 3`, 6, 11, "undeclared reference to 'counters'"},
		{"syntax", `facts.amount > > 3`, 6, 26, "Syntax error"},
		{"struct", `'facts.amount > 3 || contract.Facts{amount: 1}.amount == 1'`, 6, 46, "builds a struct"},
		{"Chinese before it", `facts.subject == "甲乙" || 1.5 > 1.0`, 6, 36, "uses the type double"},
		{"single quotes", `'facts.subject == ''a'' || 1.5 > 1.0'`, 6, 38, "undeclared reference to ''"},
		{"double quotes", `"facts.subject == \"a\" || now() > 1"`, 6, 41, "undeclared reference to 'now'"},
		{"unicode escapes", `"facts.subject == \"\u7532\" || now() > 1"`, 6, 46, "undeclared reference to 'now'"},
		{"plain over lines", "facts.amount > 3\n      && facts.amount < 9\n      || now() > 1", 8, 13, "undeclared reference to 'now'"},
		{"folded", ">-\n      facts.amount > 3\n      && (now() > 1)", 8, 14, "undeclared reference to 'now'"},
		{"folded, first line", ">\n      now() > 1\n      && true", 7, 10, "undeclared reference to 'now'"},
		{"folded with deeper lines", ">-\n      facts.amount > 3\n        && facts.insured > 1\n      || now() > 1", 9, 13, "undeclared reference to 'now'"},
		{"literal", "|\n\n        facts.amount > 3\n        && now() > 1", 9, 15, "undeclared reference to 'now'"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "single quotes" {
				c.when, c.want, c.column = strings.ReplaceAll(c.when, "1.5 > 1.0", "now() > 1"), "undeclared reference to 'now'", 41
			}
			p := whereWrong(t, strings.Replace(placed, "%", c.when, 1))
			if p.What != "rule RX-1" || p.Line != c.line || p.Column != c.column || !strings.Contains(p.Err.Error(), c.want) {
				t.Errorf("got %s, line %d, column %d: %v\nwant line %d, column %d: %s", p.What, p.Line, p.Column, p.Err, c.line, c.column, c.want)
			}
			if strings.Contains(p.Error(), "\n") {
				t.Errorf("more than a line: %q", p.Error())
			}
		})
	}
}

// So are other parts of a bundle.
func TestPartsRefusedWithPlace(t *testing.T) {
	cases := []struct {
		name, old, new string
		what           string
		line, column   int
		want           string
	}{
		{"failing case", "verdict: refused", "verdict: held", `case "long"`, 11, 5, "is refused, want held"},
		{"case of no rule", "rules: [RX-DAYS-01]", "rules: [RX-2]", `case "long"`, 11, 69, "no rule"},
		{"unknown key", "mode: enforce", "mood: enforce", "rule RX-DAYS-01", 8, 5, "no key"},
		{"effect", "effect: refuse", "effect: deny", "rule RX-DAYS-01", 7, 13, "effect: want"},
		{"message", "message: { zh: 超过, en: exceeds }", "message: { zh: 超过 }", "rule RX-DAYS-01", 9, 14, "want zh and en"},
		{"no message", "    message: { zh: 超过, en: exceeds }\n", "", "rule RX-DAYS-01", 4, 5, "want zh and en"},
		{"parameter", "max_days: 30", "max_days: 1.5", "parameters", 2, 25, "want an integer"},
		{"parameter of nothing", "max_days: 30", "max_days: []\n  , other: [[1]]", "parameter other", 3, 5, "a list holds"},
		{"no YAML", "contract:", "\tcontract:", "", 1, 0, "yaml: "},
		{"no mapping", "rules:", "rules: 5\nsteps:", "", 3, 8, "want a list"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(oneRule, c.old, c.new, 1)
			if c.name == "no mapping" {
				text = "contract: x\nparameters: {}\nrules: 5\n"
			}
			p := whereWrong(t, text)
			if p.What != c.what || p.Line != c.line || p.Column != c.column || !strings.Contains(p.Err.Error(), c.want) {
				t.Errorf("got %q, line %d, column %d: %v", p.What, p.Line, p.Column, p.Err)
			}
		})
	}
}

// A counter that can't be kept, or that a rule uses as it is not, is refused.
func TestCountersRefused(t *testing.T) {
	const text = `contract: prescription
counters:
  - { id: n, count: true, by: [facts.subject], window: 24h, steps: [order] }
rules:
  - { id: N-1, steps: [order], when: 'counters.n > 3', effect: flag, message: { zh: 多, en: many } }
cases:
  - { name: c, step: order, facts: { subject: S }, counters: { n: 4 }, want: { verdict: granted, rules: [N-1] } }
`
	if r := admitted(t, text); len(r.Bundle().Counters) != 1 {
		t.Fatal("no counter")
	}
	cases := []struct{ name, old, new, want string }{
		{"neither count nor sum", "count: true, ", "", "line 3, column 5: want either"},
		{"both", "count: true", "count: true, sum: facts.amount", "want either"},
		{"count of something", "count: true", "count: yes please", "want either"},
		{"half a day", "window: 24h", "window: 36h", "line 3, column 56: window: want whole days"},
		{"no window", "window: 24h, ", "", "window: want whole days"},
		{"minutes", "window: 24h", "window: 1440m", "window: want whole days"},
		{"below zero", "window: 24h", "window: -24h", "window: want whole days"},
		{"too long", "window: 24h", "window: 367d", "window: want 24h to 8784h"},
		{"no key", "by: [facts.subject]", "by: []", "by: want 1 to 4"},
		{"number as key", "by: [facts.subject]", "by: [facts.amount]", "facts.amount: is no text"},
		{"list as key", "by: [facts.subject]", "by: [facts.tags]", "facts.tags: is no text"},
		{"no such fact", "by: [facts.subject]", "by: [facts.weight]", "there is no fact facts.weight"},
		{"hidden fact", "by: [facts.subject]", "by: [facts.Token]", "there is no fact facts.Token"},
		{"key twice", "by: [facts.subject]", "by: [facts.subject, facts.subject]", "stands twice"},
		{"no path", "by: [facts.subject]", "by: [subject]", "want facts.<name> or item.<name>"},
		{"sum of a text", "count: true", "sum: facts.subject", "facts.subject: is no integer"},
		{"sum of the whole by item", "count: true, by: [facts.subject]", "sum: facts.amount, by: [item.item]", "adds up what is the item's"},
		{"no step", "steps: [order] }\nrules", "steps: [] }\nrules", "steps: none"},
		{"unknown step", "steps: [order] }\nrules", "steps: [dispense] }\nrules", "is no step"},
		{"id", "id: n,", "id: N,", "id: want lower-case"},
		{"twice", "rules:", "  - { id: n, count: true, by: [facts.subject], window: 24h, steps: [order] }\nrules:", "stands twice"},
		{"as a function", "counters.n > 3", "counters.n(facts.subject) > 3", "undeclared reference to 'counters.n'"},
		{"by item without its item", "by: [facts.subject]", "by: [item.item]", "undeclared reference to 'counters.n'"},
		{"by item with a number", "by: [facts.subject], window: 24h, steps: [order] }\nrules:\n  - { id: N-1, steps: [order], when: 'counters.n > 3'", "by: [item.item], window: 24h, steps: [order] }\nrules:\n  - { id: N-1, steps: [order], when: 'counters.n(3) > 3'", "no matching overload"},
		{"as a text", "counters.n > 3", `counters.n == "x"`, "no matching overload"},
		{"case of no counter", "counters: { n: 4 }", "counters: { m: 4 }", "no such counter"},
		{"case with a text", "counters: { n: 4 }", "counters: { n: x }", "want an integer"},
		{"dear to keep", "rules:", `  - { id: a, count: true, by: [item.item], window: 366d, steps: [order] }
  - { id: b, count: true, by: [item.item], window: 366d, steps: [order] }
  - { id: c, count: true, by: [item.item], window: 366d, steps: [order] }
  - { id: d, count: true, by: [item.item], window: 366d, steps: [order] }
rules:`, "counter d: line 7, column 5: brings order over the ceiling"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			changed := strings.Replace(text, c.old, c.new, 1)
			if changed == text {
				t.Fatal("the case changes nothing")
			}
			if strings.HasPrefix(c.name, "by item") {
				changed, _, _ = strings.Cut(changed, "cases:")
			}
			if p := whereWrong(t, changed); !strings.Contains(p.Error(), c.want) || p.Line == 0 {
				t.Errorf("got %v, want an error with %q", p, c.want)
			}
		})
	}
}

// The address of a bundle with counters takes them in.
func TestAddressWithCounters(t *testing.T) {
	seen := map[string]string{}
	for _, c := range []struct{ old, new string }{
		{"", ""},
		{"window: 24h", "window: 2d"},
		{"by: [facts.subject]", "by: [facts.producer]"},
		{"sum: facts.amount", "sum: facts.insured"},
		{"id: orders_1d", "id: orders_2d"},
		{"count: true", "sum: facts.amount"},
		{"orders_1d: 2 }", "orders_1d: 3 }"},
		{"steps: [register, order]", "steps: [order]"},
	} {
		text := countersBundle
		if c.old == "id: orders_1d" {
			text = strings.ReplaceAll(text, "orders_1d", "orders_2d")
		} else {
			text = strings.Replace(text, c.old, c.new, 1)
		}
		b, err := contract.ParseBundle([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		a, err := b.Address()
		if err != nil {
			t.Fatal(err)
		}
		if twin, twice := seen[a.String()]; twice {
			t.Errorf("%s: has the address of %s", c.new, twin)
		}
		seen[a.String()] = c.new
	}
	b, err := contract.ParseBundle([]byte(strings.Replace(countersBundle, "window: 24h", "window: 1d", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if a, err := b.Address(); err != nil || seen[a.String()] != "" || len(seen) != 8 {
		t.Errorf("24h and 1d have addresses of their own: %v", err)
	}
}
