package contract

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/flow"
)

func withRule(when string) Bundle {
	return Bundle{
		Contract:   "test",
		Parameters: map[string]any{"days": int64(30), "on": true, "name": "S1", "names": []any{"S1", "S2"}, "sizes": []any{int64(1)}, "none": []any{}},
		Rules: []Rule{{
			ID: "T-1", Steps: []flow.Step{flow.Order}, When: when, Effect: Refuse, Mode: Enforce,
			Message: Message{Zh: "测试", En: "test"},
		}},
	}
}

// A bundle takes force only if every validator must come to the same result in
// bounded time: what is not a boolean over integers, texts, their lists and the
// facts is not admitted (R6.1).
func TestAdmitRefuses(t *testing.T) {
	cases := []struct{ when, want string }{
		{`facts.amount`, "want bool"},
		{`1.5 > 1.0`, "uses the type double"},
		{`1u == 1u`, "uses the type uint"},
		{`b"a" == b"a"`, "uses the type bytes"},
		{`null == null`, "uses the type null_type"},
		{`{"a": 1}.size() == 1`, "uses the type map"},
		{`size({"a": 1}) == 1 || facts.amount > 1`, "uses the type map"},
		{`int == int`, "uses the type type"},
		{`[].size() == 0`, "uses the type list(dyn)"},
		{`[1, "a"].size() == 2`, "expected type 'int'"},
		{`dyn(1) == 1`, "undeclared reference to 'dyn'"},
		{`type(1) == int`, "undeclared reference to 'type'"},
		{`facts.subject.matches("^a*$")`, "undeclared reference to 'matches'"},
		{`matches(facts.subject, "a")`, "undeclared reference to 'matches'"},
		{`timestamp("2020-01-01T00:00:00Z") == timestamp("2020-01-01T00:00:00Z")`, "undeclared reference to 'timestamp'"},
		{`duration("1s") == duration("1s")`, "undeclared reference to 'duration'"},
		{`double(1) == double(1)`, "undeclared reference to 'double'"},
		{`string(facts.amount) == "1"`, "undeclared reference to 'string'"},
		{`now() > 1`, "undeclared reference to 'now'"},
		{`optional.none() == optional.none()`, "undeclared reference"},
		{`facts == contract.Facts{}`, "builds a struct"},
		{`contract.Facts{amount: 1}.amount == 1`, "builds a struct"},
		{`google.protobuf.Timestamp{seconds: 1} == google.protobuf.Timestamp{}`, "uses the type"},
		{`facts.items == facts.items`, "compares whole structs"},
		{`facts.items[0] != facts.items[1]`, "compares whole structs"},
		{`facts.items[0] in facts.items`, "compares whole structs"},
		{`[facts.items] == [facts.items]`, "compares whole structs"},
		{`facts.Token == facts.Permit`, "undefined field 'Token'"},
		{`facts.enrol == facts.enrol`, "undefined field 'enrol'"},
		{`facts.weight > 1`, "undefined field 'weight'"},
		{`params.missing > 1`, "undeclared reference to 'params'"},
		{`params.days == "30"`, "no matching overload"},
		{`facts.amount > params.name`, "no matching overload"},
		{`flow == "x"`, "undeclared reference to 'flow'"},
		{`facts.items.exists(i, facts.items.exists(j, i.item == j.item && i.quantity > j.quantity))`, "the ceiling is"},
		{`facts.items.map(i, facts.items).size() > facts.items.map(i, facts.items.map(j, facts.items)).size()`, "the ceiling is"},
		{`facts.items.all(i, i.tags.all(t, t in facts.tags))`, "the ceiling is"},
		{`facts.subject == "` + strings.Repeat("x", maxExpression) + `"`, "size exceeds limit"},
		{strings.Repeat("(", 200) + "true" + strings.Repeat(")", 200), "recursion"},
		{`true &&`, "Syntax error"},
	}
	for _, c := range cases {
		if _, err := withRule(c.when).Admit(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.100s\n got %v\nwant an error with %q", c.when, err, c.want)
		}
	}
}

// The rules of one step share a ceiling too.
func TestAdmitSumsCosts(t *testing.T) {
	b := withRule(`facts.items.exists(i, i.tags.exists(t, t in params.names))`)
	one := b.Rules[0]
	for n := 2; n <= maxRules; n++ {
		one.ID = fmt.Sprintf("T-%d", n)
		b.Rules = append(b.Rules, one)
	}
	if _, err := b.Admit(); err == nil || !strings.Contains(err.Error(), "over the ceiling") {
		t.Errorf("got %v, want an error about the ceiling of the step", err)
	}
	b.Rules = b.Rules[:2]
	if _, err := b.Admit(); err != nil {
		t.Error(err)
	}
}

// A bundle whose own cases fail is not admitted, and says which.
func TestAdmitTriesCases(t *testing.T) {
	hit := withRule(`facts.amount / facts.insured > 1`)
	hit.Counters = []Counter{{ID: "n", By: []string{"facts.subject"}, Window: 1, Steps: []flow.Step{flow.Order}}}
	cases := []struct {
		name string
		c    Case
		want string
	}{
		{"other verdict", Case{Facts: map[string]any{"amount": int64(4), "insured": int64(1)}, Want: Want{Verdict: flow.Granted}}, "is refused, want granted"},
		{"hit not wanted", Case{Facts: map[string]any{"amount": int64(4), "insured": int64(1)}, Want: Want{Verdict: flow.Refused}}, "which it does not want"},
		{"hit missing", Case{Facts: map[string]any{"insured": int64(1)}, Want: Want{Verdict: flow.Granted, Rules: []string{"T-1"}}}, "is not hit by rule T-1"},
		{"fails to evaluate", Case{Facts: map[string]any{}, Want: Want{Verdict: flow.Refused, Rules: []string{"T-1"}}}, "fails to evaluate"},
		{"counter without its key", Case{Facts: map[string]any{"insured": int64(1)}, Counters: map[string]any{"n": int64(1)}, Want: Want{Verdict: flow.Granted}}, "lacks the facts that it goes by"},
		{"no such fact", Case{Facts: map[string]any{"weight": int64(1)}, Want: Want{Verdict: flow.Granted}}, "there is no fact weight"},
		{"hidden fact", Case{Facts: map[string]any{"Token": "x"}, Want: Want{Verdict: flow.Granted}}, "there is no fact Token"},
		{"fact of another type", Case{Facts: map[string]any{"amount": "x"}, Want: Want{Verdict: flow.Granted}}, "amount: want int64"},
		{"list for a number", Case{Facts: map[string]any{"amount": []any{int64(1)}}, Want: Want{Verdict: flow.Granted}}, "is no list"},
		{"mapping for a number", Case{Facts: map[string]any{"amount": map[string]any{}}, Want: Want{Verdict: flow.Granted}}, "is no mapping"},
		{"fact of an item", Case{Facts: map[string]any{"items": []any{map[string]any{"colour": "red"}}}, Want: Want{Verdict: flow.Granted}}, "there is no fact colour"},
		{"beyond bounds", Case{Facts: map[string]any{"subject": strings.Repeat("x", maxText+1)}, Want: Want{Verdict: flow.Granted}}, "over its bound"},
	}
	for _, c := range cases {
		b := hit
		c.c.Name, c.c.Step = c.name, flow.Order
		b.Cases = []Case{c.c}
		if _, err := b.Admit(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
}

var celVectors = []struct {
	when string
	want string // true, false or error
	cost uint64 // in the worst case
}{
	{`facts.amount > 999`, "true", 3},
	{`facts.amount == 999`, "false", 3},
	{`facts.amount - facts.insured * 3 == 100`, "true", 7},
	{`facts.amount / 300 == 3 && facts.amount % 300 == 100`, "true", 8},
	{`-7 / 2 == -3 && -7 % 2 == -1`, "true", 4},
	{`9223372036854775807 + facts.amount > 0`, "error", 4},
	{`-9223372036854775807 - facts.amount > 0`, "error", 4},
	{`9223372036854775807 * facts.amount > 0`, "error", 4},
	{`facts.amount / facts.expires_on > 0`, "error", 6},
	{`facts.amount % facts.expires_on > 0`, "error", 6},
	{`facts.items[2].quantity > 0`, "error", 5},
	{`facts.items[-1].quantity > 0`, "error", 5},
	{`facts.items[1].quantity == 5`, "true", 5},
	{`facts.amount > 0 || facts.amount / facts.expires_on > 0`, "true", 9},
	{`facts.amount / facts.expires_on > 0 || facts.amount > 0`, "true", 9},
	{`facts.amount < 0 && facts.amount / facts.expires_on > 0`, "false", 9},
	{`facts.amount < 0 ? facts.amount / facts.expires_on > 0 : true`, "true", 9},
	{`"chronic" in facts.tags`, "true", 34},
	{`"narcotic" in facts.tags`, "false", 34},
	{`facts.subject in params.names && !("S3" in params.names)`, "true", 9},
	{`facts.subject in params.none`, "false", 4},
	{`params.on && params.name == "S1" && 1 in params.sizes && params.days == 30`, "true", 7},
	{`facts.items.exists(i, "narcotic" in i.tags)`, "true", 3803},
	{`facts.items.all(i, i.quantity > 5)`, "false", 603},
	{`facts.items.exists_one(i, i.quantity == 5)`, "true", 504},
	{`facts.items.filter(i, i.quantity > 5).size() == 1`, "true", 1615},
	{`facts.items.map(i, i.item) == ["I1", "I2"]`, "true", 1424},
	{`facts.items.exists(i, 1 / (i.quantity - 5) > 0)`, "error", 903},
	{`facts.items.exists(i, i.quantity == 2000 || 1 / (i.quantity - 5) > 0)`, "true", 1203},
	{`size(facts.tags) == 2 && size(facts.subject) == 2 && "药".size() == 1`, "true", 10},
	{`facts.subject.startsWith("S") && facts.subject.endsWith("1") && facts.subject.contains("")`, "true", 9},
	{`"a" + facts.subject == "aS1" && ["a"] + facts.tags == ["a", "chronic", "insured"]`, "true", 40},
	{`has(facts.subject) && !has(facts.producer) && !has(facts.expires_on)`, "true", 8},
	{`step == "order" && "a" < "b" && "" == facts.producer`, "true", 6},
}

// These evaluations and cost estimates pin the CEL library: when an upgrade
// changes one, validators of both versions would part ways, and the upgrade
// needs a height at which it takes force.
func TestCELVectors(t *testing.T) {
	facts := &Facts{
		Subject: "S1", Amount: 1000, Insured: 300, DaysSupply: 14, Tags: []string{"chronic", "insured"},
		Items: []ItemFacts{{Item: "I1", Quantity: 2000, Tags: []string{"narcotic"}}, {Item: "I2", Quantity: 5}},
	}
	var got, want []string
	for _, v := range celVectors {
		r, err := withRule(v.when).Admit()
		if err != nil {
			t.Fatalf("%s: %v", v.when, err)
		}
		found, err := r.Evaluate(nil, flow.Order, facts, 0)
		if err != nil {
			t.Fatal(err)
		}
		result := "false"
		if len(found.Refusals) == 1 {
			result = map[bool]string{true: "error", false: "true"}[found.Refusals[0].Code == "rule_error"]
		}
		worst, err := r.cost(&r.compiled[0])
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s: %s, cost %d", v.when, result, worst))
		want = append(want, fmt.Sprintf("%s: %s, cost %d", v.when, v.want, v.cost))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("vectors (-want +got):\n%s", d)
	}
}

// Rules see facts by the names in the tags, and nothing that has none.
func TestFactNames(t *testing.T) {
	for _, name := range []string{
		"unreadable", "unreadable_path", "business", "subject", "originator", "prescriber", "reviewer",
		"producer", "record", "content", "currency",
	} {
		if _, err := withRule(`facts.` + name + ` == ""`).Admit(); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"amount", "insured", "days_supply", "issued_on", "expires_on"} {
		if _, err := withRule(`facts.` + name + ` == 0`).Admit(); err != nil {
			t.Error(err)
		}
	}
	if _, err := withRule(`facts.approved && facts.items.all(i, i.item != "" && i.quantity + i.days_supply + i.amount > 0 && i.tags.size() == 0)`).Admit(); err != nil {
		t.Error(err)
	}
}
