package prescription_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/profile"
	"signalbox.dev/signalbox/profile/prescription"
)

const subjectID = "resident-id:990101198505061077"

var (
	hashA = flow.SumHash([]byte("a"))
	hashB = flow.SumHash([]byte("b"))
	hashC = flow.SumHash([]byte("c"))
	noon  = time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)
)

func purchase() flow.Purchase {
	return flow.Purchase{
		Flow: hashA, SubjectID: subjectID, Producer: "rx-pharmacy-001", Currency: "CNY", Delivery: "courier", OrderedAt: noon,
		Lines: []flow.OrderLine{
			{Item: "nhsa|A", Name: "甲", Quantity: 2000, Unit: "盒", Price: 4190, Ratio: 700},
			{Item: "nhsa|B", Name: "乙", Quantity: 500, Unit: "瓶", Price: 1, Ratio: 500},
		},
	}
}

func settlement() flow.Settlement {
	return flow.Settlement{
		Flow: hashA, SubjectID: subjectID, Producer: "rx-pharmacy-001", Order: hashB, Token: hashC, Currency: "CNY",
		Lines: []flow.SettlementLine{
			{Item: "nhsa|A", Price: 4190, Insured: 2933, Self: 1257},
			{Item: "nhsa|B", Price: 1, Insured: 1, Self: 0},
		},
		Total: 4191, Insured: 2934, Self: 1257, Payment: "pay-1", PaidAt: noon,
	}
}

func payload(t testing.TB, v any) []byte {
	t.Helper()
	b, err := flow.EncodePayload(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The facts of every step but registration, whose facts are golden files.
func TestFacts(t *testing.T) {
	cases := []struct {
		step    flow.Step
		payload any
		want    contract.Facts
	}{
		{flow.ReviewRequest, flow.ReviewAsk{Flow: hashA, Reviewer: "pharmacist-1", AskedAt: noon}, contract.Facts{Reviewer: "pharmacist-1"}}, // R2.2
		{
			flow.ReviewResult,
			flow.Review{Flow: hashA, Reviewer: "pharmacist-1", Opinion: flow.Approve, ReviewedAt: noon, Token: hashB, Request: hashC},
			contract.Facts{Reviewer: "pharmacist-1", Approved: true, Token: hashB, Permit: hashC},
		}, // R2.6
		{
			flow.ReviewResult,
			flow.Review{Flow: hashA, Reviewer: "pharmacist-1", Opinion: flow.Reject, Reasons: []string{"剂量过大"}, ReviewedAt: noon, Token: hashB, Request: hashC},
			contract.Facts{Reviewer: "pharmacist-1", Token: hashB, Permit: hashC},
		}, // R2.7
		{flow.Order, purchase(), contract.Facts{ // R3.2
			Subject: "subject " + subjectID, Producer: "rx-pharmacy-001", Amount: 4191, Insured: 2934, Currency: "CNY",
			Items: []contract.ItemFacts{{Item: "item nhsa|A", Quantity: 2000, Amount: 4190}, {Item: "item nhsa|B", Quantity: 500, Amount: 1}},
		}},
		{flow.Settle, settlement(), contract.Facts{ // R4.5
			Subject: "subject " + subjectID, Producer: "rx-pharmacy-001", Amount: 4191, Insured: 2934, Currency: "CNY", Token: hashC, Permit: hashB,
			Items: []contract.ItemFacts{{Item: "item nhsa|A", Amount: 4190}, {Item: "item nhsa|B", Amount: 1}},
		}},
		{flow.Deliver, flow.Delivery{Flow: hashA, Producer: "rx-pharmacy-001", Method: "pickup", DeliveredAt: noon}, contract.Facts{Producer: "rx-pharmacy-001"}}, // R5
	}
	p := newProfile(t, prescription.Config{})
	for _, c := range cases {
		c.want.Business = "prescription"
		got, err := p.Facts(c.step, payload(t, c.payload), named)
		if err != nil {
			t.Errorf("%s: %v", c.step, err)
			continue
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.step, d)
		}
	}
}

// A settlement made from an order with profile.Settle has the order's amounts (R4.3).
func TestSettlementOfOrder(t *testing.T) {
	p := newProfile(t, prescription.Config{})
	o := purchase()
	lines, sum, err := profile.Settle(o.Lines)
	if err != nil {
		t.Fatal(err)
	}
	s := settlement()
	s.Lines, s.Total, s.Insured, s.Self = lines, sum.Total, sum.Insured, sum.Self
	ordered, err := p.Facts(flow.Order, payload(t, o), named)
	if err != nil {
		t.Fatal(err)
	}
	settled, err := p.Facts(flow.Settle, payload(t, s), named)
	if err != nil {
		t.Fatal(err)
	}
	if ordered.Amount != settled.Amount || ordered.Insured != settled.Insured || ordered.Subject != settled.Subject {
		t.Errorf("ordered %d, %d; settled %d, %d", ordered.Amount, ordered.Insured, settled.Amount, settled.Insured)
	}
}

// Whatever is wrong with a payload is said with its place, and no value is
// repeated: the authority refuses the submission with it.
func TestPayloadProblems(t *testing.T) {
	const secret = "secret-value"
	const money = "want 0 to 1000000000000 minor units"
	ask := flow.ReviewAsk{Flow: hashA, Reviewer: "pharmacist-1", AskedAt: noon}
	review := flow.Review{Flow: hashA, Reviewer: "pharmacist-1", Opinion: flow.Approve, ReviewedAt: noon, Token: hashB, Request: hashC}
	delivery := flow.Delivery{Flow: hashA, Producer: "rx-pharmacy-001", Method: "pickup", DeliveredAt: noon}
	empty := change{"", map[string]any{}}
	cases := []struct {
		name    string
		step    flow.Step
		payload any
		changes []change
		want    []string
	}{
		{"an empty ask", flow.ReviewRequest, ask, []change{empty}, []string{"/flow: is missing", "/reviewer: is missing", "/asked_at: is missing"}},
		{"a flow that is no hash", flow.ReviewRequest, ask, []change{{"/flow", secret}}, []string{"/flow: does not have the form that belongs here"}},
		{"a reviewer's name", flow.ReviewRequest, ask, []change{{"/reviewer", secret + " "}}, []string{"/reviewer: want a participant's name: 1 to 64 letters, digits, '.', '_' or '-'"}},
		{"a time", flow.ReviewRequest, ask, []change{{"/asked_at", secret}}, []string{"/asked_at: want a time by RFC 3339"}},
		{"an unknown field", flow.ReviewRequest, ask, []change{{"/Reviewer", secret}}, []string{"/Reviewer: is not a known field"}},
		{"an empty result", flow.ReviewResult, review, []change{empty}, []string{"/flow: is missing", "/reviewer: is missing", "/opinion: want approve or reject", "/reviewed_at: is missing", "/token: is missing", "/request: is missing"}},
		{"an opinion", flow.ReviewResult, review, []change{{"/opinion", secret}}, []string{"/opinion: want approve or reject"}},
		{"an empty order", flow.Order, purchase(), []change{empty}, []string{
			"/flow: is missing", "/subject_id: is missing", "/producer: is missing", "/currency: want one of CNY, EUR, GBP, HKD, MOP, USD",
			"/delivery: want pickup or courier", "/ordered_at: is missing", "/lines: is missing",
		}},
		{"a subject in another spelling", flow.Order, purchase(), []change{{"/subject_id", "resident-id:99010119800101105x"}}, []string{"/subject_id: want type:number in normal form, as the record has it"}},
		{"a subject of no kind", flow.Settle, settlement(), []change{{"/subject_id", secret}}, []string{"/subject_id: want type:number in normal form, as the record has it"}},
		{"no lines", flow.Order, purchase(), []change{{"/lines", []any{}}}, []string{"/lines: is missing"}},
		{"an empty line", flow.Order, purchase(), []change{{"/lines/1", map[string]any{}}}, []string{"/lines/1/item: is missing", "/lines/1/quantity: want above 0, up to a million units", "/lines/1/unit: is missing"}},
		{"an item twice", flow.Order, purchase(), []change{{"/lines/1/item", "nhsa|A"}}, []string{"/lines/1/item: is that of a line before it"}},
		{"a negative price", flow.Order, purchase(), []change{{"/lines/0/price", -1}}, []string{"/lines/0/price: " + money}},
		{"a price that is no whole number", flow.Order, purchase(), []change{{"/lines/0/price", 41.9}}, []string{"/lines/0/price: want a whole number"}},
		{"a ratio", flow.Order, purchase(), []change{{"/lines/0/ratio_permill", 1001}}, []string{"/lines/0/ratio_permill: want 0 to 1000"}},
		{"prices beyond sense", flow.Order, purchase(), []change{{"/lines/0/price", int64(profile.MaxAmount)}}, []string{"/lines: sum to over 1000000000000 minor units"}},
		{"too many lines", flow.Order, purchase(), []change{{"/lines", make([]any, prescription.MaxItems+1)}}, nil},
		{"a delivery", flow.Order, purchase(), []change{{"/delivery", secret}}, []string{"/delivery: want pickup or courier"}},
		{"an empty settlement", flow.Settle, settlement(), []change{empty}, []string{
			"/flow: is missing", "/subject_id: is missing", "/producer: is missing", "/order: is missing", "/token: is missing",
			"/currency: want one of CNY, EUR, GBP, HKD, MOP, USD", "/paid_at: is missing", "/lines: is missing",
		}},
		{"a line that does not add up", flow.Settle, settlement(), []change{{"/lines/0/self", 1256}, {"/self", 1256}}, []string{"/lines/0/price: is not the sum of insured and self"}},
		{"a total that does not add up", flow.Settle, settlement(), []change{{"/total", 4190}}, []string{"/total: is not the sum of the lines"}},
		{"parts that do not add up", flow.Settle, settlement(), []change{{"/insured", 2933}, {"/self", 1258}}, []string{"/insured: is not the sum of the lines", "/self: is not the sum of the lines"}},
		{"negative parts that add up", flow.Settle, settlement(), []change{{"/lines/0/insured", -10}, {"/lines/0/self", 4200}, {"/insured", -9}, {"/self", 4200}}, []string{"/lines/0/insured: " + money}},
		{"amounts that overflow", flow.Settle, settlement(), []change{{"/lines/0/price", int64(1<<63 - 1)}, {"/lines/1/price", int64(1<<63 - 1)}}, []string{"/lines/0/price: " + money}},
		{"a sum beyond sense", flow.Settle, settlement(), []change{{"/lines/0/price", int64(profile.MaxAmount)}, {"/lines/0/insured", int64(profile.MaxAmount)}, {"/lines/0/self", 0}}, []string{"/lines: sum to over 1000000000000 minor units"}},
		{"a payment that is missing", flow.Settle, settlement(), []change{{"/payment", ""}}, []string{"/payment: is missing"}},
		{"an empty delivery", flow.Deliver, delivery, []change{empty}, []string{"/flow: is missing", "/producer: is missing", "/method: want pickup or courier", "/delivered_at: is missing"}},
	}
	p := newProfile(t, prescription.Config{})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := p.Facts(c.step, edit(t, payload(t, c.payload), c.changes...), named)
			got := said(t, err, secret, "9901")
			if c.want != nil && cmp.Diff(c.want, got) != "" {
				t.Errorf("(-want +got):\n%s", cmp.Diff(c.want, got))
			}
		})
	}
	for _, garbage := range []string{"", "nonsense", `{"a":1,"a":2}`, strings.Repeat("[", 1000)} {
		for _, step := range flow.Steps()[1:] {
			_, err := p.Facts(step, []byte(garbage), named)
			said(t, err)
		}
	}
}

// What insurance bears in full needs no payment.
func TestSettlementWithoutPayment(t *testing.T) {
	s := settlement()
	s.Lines = []flow.SettlementLine{{Item: "nhsa|A", Price: 100, Insured: 100}}
	s.Total, s.Insured, s.Self, s.Payment = 100, 100, 0, ""
	if _, err := newProfile(t, prescription.Config{}).Facts(flow.Settle, payload(t, s), named); err != nil {
		t.Error(err)
	}
}

// An enrolment is no matter of a profile, and that is no fault of its payload.
func TestFactsOfOtherSteps(t *testing.T) {
	p := newProfile(t, prescription.Config{})
	for _, step := range []flow.Step{flow.Enrol, "", "unheard-of"} {
		_, err := p.Facts(step, payload(t, flow.Application{Kind: "reviewer"}), named)
		var problem *profile.Problem
		if err == nil || errors.As(err, &problem) {
			t.Errorf("%q: got %v, want an error that is no problem of the payload", step, err)
		}
	}
	if _, err := p.Facts(flow.Deliver, nil, nil); err == nil {
		t.Error("no error without pseudonyms")
	}
}
