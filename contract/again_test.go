package contract_test

import (
	"testing"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
)

// countedRules let nobody register, or order, twice in a day.
const countedRules = `contract: prescription
counters:
  - { id: records, count: true, by: [facts.subject], window: 24h, steps: [register] }
  - { id: units, sum: item.quantity, by: [facts.subject, item.item], window: 24h, steps: [order] }
rules:
  - { id: E-1, steps: [register], when: counters.records > 0, effect: refuse, message: { zh: 一, en: one } }
  - { id: E-2, steps: [order], when: 'facts.items.exists(i, counters.units(i.item) > 0)', effect: refuse, message: { zh: 二, en: two } }
`

// A decision asked for again is not judged by what it left behind itself: each
// step of a delivered flow is granted once more, with counters and a batch grant
// of just so many uses (R9.5). What others did since shows.
func TestExplainAgainWithoutOwnTraces(t *testing.T) {
	g := townGenesis()
	g.RequireGrants, g.Bundle = true, []byte(countedRules)
	all := []flow.Step{flow.Register, flow.ReviewRequest, flow.ReviewResult, flow.Order, flow.Settle, flow.Deliver}
	for _, id := range []string{"P1", "D1"} {
		g.Grants = append(g.Grants, contract.Grant{Institution: id, Steps: all, To: morning + 1e6, Quota: 3})
	}
	s, c := begin(t, g)
	tokens := map[string]flow.Hash{}
	var requests []contract.Request
	var decisions []contract.Decision
	for n, request := range wholeFlow(func(tx string) flow.Hash { return tokens[tx] }) {
		r := request()
		d := decide(t, c, s, r)
		if d.Verdict != flow.Granted {
			t.Fatalf("submission %d: %s: %v", n, d.Verdict, d.Reasons)
		}
		if name := map[flow.Step]string{flow.ReviewRequest: "A1", flow.Order: "O1"}[r.Header.Step]; name != "" {
			tokens[name] = d.Token
		}
		requests, decisions = append(requests, r), append(decisions, d)
	}
	before := s.dump()
	for n, r := range requests {
		e, err := c.ExplainAgain(s, r, decisions[n])
		if err != nil {
			t.Fatal(err)
		}
		if e.Decision.Verdict != flow.Granted || e.Decision.Grant != decisions[n].Grant {
			t.Errorf("%s again: %s %v, under %q", r.Header.Step, e.Decision.Verdict, e.Decision.Reasons, e.Decision.Grant)
		}
	}
	if s.dump() != before {
		t.Error("explaining changes the state")
	}
	same := requests[1] // the same record in another transaction is a duplicate all the same
	same.Tx = txOf("F2")
	refused := decide(t, c, s, same)
	e, err := c.ExplainAgain(s, same, refused)
	if err != nil || e.Decision.Verdict != flow.Refused || e.Decision.Reasons[0].Code != "same_record" {
		t.Errorf("a duplicate again: %+v, %v", e.Decision, err)
	}
	if err := contract.SetIdentityStatus(s, "P1", contract.Suspended); err != nil {
		t.Fatal(err)
	}
	if e, err = c.ExplainAgain(s, requests[1], decisions[1]); err != nil || e.Decision.Reasons[0].Code != "identity_suspended" {
		t.Errorf("with the platform suspended since: %+v, %v", e.Decision, err)
	}
}
