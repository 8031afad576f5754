package contract_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
)

func grantsBundle(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/bundles/grants.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// grantsByRule gives all batch grants that rules have issued, in order.
func grantsByRule(t testing.TB, s contract.State) []contract.Grant {
	t.Helper()
	n, err := contract.AutomaticGrants(s)
	if err != nil {
		t.Fatal(err)
	}
	var all []contract.Grant
	for i := uint64(1); i <= n; i++ {
		g, ok, err := contract.AutomaticGrant(s, i)
		if err != nil || !ok {
			t.Fatalf("grant %d of %d: %t, %v", i, n, ok, err)
		}
		all = append(all, g)
	}
	return all
}

// R6.3: whatever institutions ask for and in whatever order, a rule's grants to
// one of them serve no more than the quota, follow on one another without
// overlap, are no more than the most, and each granted submission is counted once;
// two instances come to the same state.
func TestGrantsByRuleWithinBounds(t *testing.T) {
	g := townGenesis()
	g.RequireGrants, g.Bundle = true, grantsBundle(t)
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 3))
		s, c := begin(t, g)
		twin, c2 := begin(t, g)
		now, granted := int64(morning), map[string]uint64{}
		for n := range 60 {
			now += random.Int64N(20 * 3600)
			r := submission([]string{"P1", "P2"}[random.IntN(2)], flow.Register, "", fmt.Sprint("F", seed, n))
			r.Now, r.Facts.Subject = now, "S1"
			r.Facts.Record, r.Facts.Content = fmt.Sprint(n), "C"
			if random.IntN(5) == 0 {
				r.Facts.Tags = []string{[]string{"closed", "refuse", "hold", "divide"}[random.IntN(4)]}
			}
			d := decide(t, c, s, r)
			if again := decide(t, c2, twin, r); !cmp.Equal(d, again) {
				t.Fatalf("seed %d: %+v here, %+v there", seed, d, again)
			}
			if d.Verdict == flow.Granted {
				granted[d.Grant]++
			} else if d.Grant != "" {
				t.Fatalf("seed %d: %s under grant %s", seed, d.Verdict, d.Grant)
			}
		}
		if s.dump() != twin.dump() {
			t.Fatalf("seed %d: the states differ", seed)
		}
		last := map[string]contract.Grant{}
		times := map[string]int{}
		for _, g := range grantsByRule(t, s) {
			if g.Rule != "G-TRIAL-1" || g.Version != 1 || g.Issued != 0 || g.Quota != 2 || g.To-g.From != 2*day {
				t.Errorf("seed %d: %+v is not as its rule says", seed, g)
			}
			if g.Used != granted[g.Code] || g.Used > g.Quota || g.Used == 0 {
				t.Errorf("seed %d: %s has served %d by its own count, %d granted, of %d", seed, g.Code, g.Used, granted[g.Code], g.Quota)
			}
			if before, ok := last[g.Institution]; ok && g.From < before.To {
				t.Errorf("seed %d: %s gets one at %d while it has one until %d", seed, g.Institution, g.From, before.To)
			}
			if times[g.Institution]++; times[g.Institution] > 2 {
				t.Errorf("seed %d: %s gets a third", seed, g.Institution)
			}
			last[g.Institution] = g
		}
	}
}

// The count goes on in another version of the bundle: publishing anew is no way
// to a second grant. Explain says which rule issued it.
func TestGrantByRuleOutlivesItsBundle(t *testing.T) {
	g := townGenesis()
	g.RequireGrants, g.Bundle = true, grantsBundle(t)
	s, c := begin(t, g)
	register := func(c *contract.Contract, name string) contract.Decision {
		r := submission("P1", flow.Register, "", name)
		r.Facts.Subject, r.Facts.Record, r.Facts.Content = "S1", name, "C"
		e, err := c.Explain(s, r)
		if err != nil {
			t.Fatal(err)
		}
		d := decide(t, c, s, r)
		if e.Decision.Grant != d.Grant || (e.Grant != nil) != (d.Grant != "") {
			t.Errorf("%s: explained with grant %+v, decided with %q", name, e.Grant, d.Grant)
		}
		return d
	}
	first := register(c, "F1")
	register(c, "F2")
	next := strings.Replace(string(g.Bundle), "quota: 2", "quota: 5", 1)
	c2, err := contract.Publish(s, []byte(next))
	if err != nil {
		t.Fatal(err)
	}
	if d := register(c2, "F3"); d.Verdict != flow.Refused || d.Reasons[0].Code != "grant_used_up" {
		t.Errorf("after the bundle was published anew: %s %v", d.Verdict, d.Reasons)
	}
	e, err := c2.ExplainAgain(s, again("F1"), first)
	if err != nil || e.Grant == nil || e.Grant.Rule != "G-TRIAL-1" || e.Grant.Version != 1 {
		t.Errorf("explained again: %+v, %v", e.Grant, err)
	}
	all := grantsByRule(t, s)
	of, err := contract.GrantsOf(s, "P1")
	if err != nil || len(all) != 1 || !cmp.Equal(all, of) || !cmp.Equal(first.Flags, []string{"G-TRIAL-1"}) {
		t.Errorf("issued %+v, listed %+v, %v; flags %v", all, of, err, first.Flags)
	}
}

func again(name string) contract.Request {
	r := submission("P1", flow.Register, "", name)
	r.Facts.Subject, r.Facts.Record, r.Facts.Content = "S1", name, "C"
	return r
}

// What a rule that issues grants must and must not say, each refused with its place.
func TestTermsAreChecked(t *testing.T) {
	rule := func(rest string) string {
		return "contract: prescription\nrules:\n  - { id: A-1, steps: [register], when: 'true', message: { zh: 一, en: one }, " + rest + " }\n"
	}
	for name, tt := range map[string]struct{ rest, want string }{
		"no terms":          {"effect: grant", "line 3, column 5: grant: days: want 1 to 366"},
		"terms for another": {"effect: flag, grant: { days: 1, quota: 1 }", "line 3, column 99: grant: is for rules with effect grant"},
		"no quota":          {"effect: grant, grant: { days: 1 }", "grant: quota: want 1 to 1000000"},
		"for years":         {"effect: grant, grant: { days: 367, quota: 1 }", "grant: days: want 1 to 366"},
		"a text":            {"effect: grant, grant: { days: soon, quota: 1 }", "days: want a whole number"},
		"below zero":        {"effect: grant, grant: { days: 1, quota: -1 }", "quota: want a whole number"},
		"unknown":           {"effect: grant, grant: { days: 1, quota: 1, least: 1 }", "there is no key \"least\" here"},
	} {
		if _, err := contract.ParseBundle([]byte(rule(tt.rest))); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, tt.want)
		}
	}
	enrol := strings.Replace(rule("effect: grant, grant: { days: 1, quota: 1 }"), "[register]", "[enrol]", 1)
	if _, err := contract.ParseBundle([]byte(enrol)); err == nil || !strings.Contains(err.Error(), "enrol needs no grant") {
		t.Errorf("for enrolment: %v", err)
	}
}

// Terms are part of the bundle's address, and bundles without keep theirs.
func TestTermsInTheAddress(t *testing.T) {
	address := func(text string) flow.Hash {
		b, err := contract.ParseBundle([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		a, err := b.Address()
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	text := string(grantsBundle(t))
	seen := map[flow.Hash]string{}
	for _, change := range [][2]string{{"days: 2", "days: 2"}, {"days: 2", "days: 3"}, {"quota: 2", "quota: 3"}, {"most: 2", "most: 3"}, {", most: 2", ""}} {
		a := address(strings.Replace(text, change[0], change[1], 1))
		if other, twice := seen[a]; twice {
			t.Errorf("%v has the address of %s", change, other)
		}
		seen[a] = fmt.Sprint(change)
	}
}
