package prescription

import (
	"errors"
	"fmt"
	"slices"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/profile"
	"signalbox.dev/signalbox/profile/jsontree"
)

// Facts implements profile.Profile. A register payload is the canonical record,
// the others are the JSON of package flow's types, read as strictly. What is
// wrong with a payload is a *profile.Problem with its place in it, or several
// joined. An enrolment is no matter of a profile: that error is another.
//
// Whether a payload's flow is its header's, and its items those of the record,
// can't be seen here: the caller compares the one, the contract the other.
func (p *Profile) Facts(step flow.Step, payload []byte, name profile.Pseudonym) (contract.Facts, error) {
	if name == nil {
		return contract.Facts{}, errors.New("deriving facts: no pseudonyms given")
	}
	var f contract.Facts
	var err error
	switch step {
	case flow.Register:
		f, err = registerFacts(payload, name)
	case flow.ReviewRequest:
		f, err = readPayload(payload, askFacts)
	case flow.ReviewResult:
		f, err = readPayload(payload, reviewFacts)
	case flow.Order:
		f, err = readPayload(payload, func(o *flow.Purchase, r *problems) contract.Facts { return orderFacts(o, r, name) })
	case flow.Settle:
		f, err = readPayload(payload, func(s *flow.Settlement, r *problems) contract.Facts { return settleFacts(s, r, name) })
	case flow.Deliver:
		f, err = readPayload(payload, deliverFacts)
	default:
		return contract.Facts{}, fmt.Errorf("deriving facts: %q is not a step of a prescription", step)
	}
	if err != nil {
		return contract.Facts{}, err
	}
	f.Business = p.Business()
	return f, nil
}

// registerFacts are those of a record.
func registerFacts(canonical []byte, name profile.Pseudonym) (contract.Facts, error) {
	rx, err := Decode(canonical)
	if err != nil {
		return contract.Facts{}, err
	}
	f := contract.Facts{
		Subject:    name("subject", rx.Patient.IDType+":"+rx.Patient.ID),
		Originator: name("originator", rx.Originator.ID),
		Prescriber: name("prescriber", rx.Prescriber.ID),
		// The number is the originator's own; NUL can stand in neither.
		Record:    name("record", rx.Originator.ID+"\x00"+rx.Number),
		Content:   rx.SourceDigest,
		Currency:  rx.Currency,
		IssuedOn:  dayNumber(rx.Issued),
		ExpiresOn: dayNumber(rx.ValidUntil),
	}
	if rx.Chronic {
		f.Tags = append(f.Tags, "chronic")
	}
	if rx.Insured {
		f.Tags = append(f.Tags, "insured")
	}
	if rx.Category != General {
		// The form that it is written on goes beside what it is for: an item may
		// be a narcotic without being prescribed as one.
		f.Tags = append(f.Tags, string(rx.Category), string(rx.Category)+"-form")
	}
	for _, it := range rx.Items {
		insured, _, err := profile.Split(int64(it.Price), it.Ratio)
		if err != nil {
			return contract.Facts{}, fmt.Errorf("deriving facts: %w", err) // Decode has checked both
		}
		f.Amount += int64(it.Price)
		f.Insured += insured
		f.DaysSupply = max(f.DaysSupply, it.Days)
		f.Tags = append(f.Tags, it.Tags...)
		f.Items = append(f.Items, contract.ItemFacts{
			Item: name("item", it.Code), Quantity: int64(it.Quantity), DaysSupply: it.Days,
			Amount: int64(it.Price), Tags: it.Tags,
		})
	}
	slices.Sort(f.Tags)
	f.Tags = slices.Compact(f.Tags)
	return f, nil
}

// readPayload reads one of package flow's payloads and derives its facts.
func readPayload[T any](payload []byte, derive func(*T, *problems) contract.Facts) (contract.Facts, error) {
	root, err := jsontree.Parse(payload)
	if err != nil {
		return contract.Facts{}, err
	}
	var v T
	var r problems
	r.decoded(jsontree.Decode(root, "", &v, jsontree.Strict))
	f := derive(&v, &r)
	if err := r.err(); err != nil {
		return contract.Facts{}, err
	}
	return f, nil
}

func askFacts(a *flow.ReviewAsk, r *problems) contract.Facts {
	r.present("/flow", !a.Flow.IsZero())
	r.participant("/reviewer", a.Reviewer)
	r.present("/asked_at", !a.AskedAt.IsZero())
	return contract.Facts{Reviewer: a.Reviewer}
}

func reviewFacts(v *flow.Review, r *problems) contract.Facts {
	r.present("/flow", !v.Flow.IsZero())
	r.participant("/reviewer", v.Reviewer)
	if v.Opinion != flow.Approve && v.Opinion != flow.Reject {
		r.add("/opinion", "应为 approve 或 reject", "want approve or reject")
	}
	r.present("/reviewed_at", !v.ReviewedAt.IsZero())
	r.present("/token", !v.Token.IsZero())
	r.present("/request", !v.Request.IsZero())
	return contract.Facts{Reviewer: v.Reviewer, Approved: v.Opinion == flow.Approve, Token: v.Token, Permit: v.Request}
}

func orderFacts(o *flow.Purchase, r *problems, name profile.Pseudonym) contract.Facts {
	r.present("/flow", !o.Flow.IsZero())
	r.subject(o.SubjectID)
	r.participant("/producer", o.Producer)
	r.currency(o.Currency)
	r.method("/delivery", o.Delivery)
	r.present("/ordered_at", !o.OrderedAt.IsZero())
	f := contract.Facts{Subject: name("subject", o.SubjectID), Producer: o.Producer, Currency: o.Currency}
	lines := newLines(r, len(o.Lines))
	for i, l := range o.Lines {
		at := lines.next(i, l.Item)
		if l.Quantity <= 0 || l.Quantity > maxQuantity {
			r.add(at+"/quantity", "应大于 0 且不超过上限", "want above 0, up to a million units")
		}
		r.present(at+"/unit", l.Unit != "")
		insured := r.split(at, l)
		f.Amount += l.Price
		f.Insured += insured
		f.Items = append(f.Items, contract.ItemFacts{Item: name("item", l.Item), Quantity: l.Quantity, Amount: l.Price})
		lines.total(f.Amount)
	}
	return f
}

func settleFacts(s *flow.Settlement, r *problems, name profile.Pseudonym) contract.Facts {
	r.present("/flow", !s.Flow.IsZero())
	r.subject(s.SubjectID)
	r.participant("/producer", s.Producer)
	r.present("/order", !s.Order.IsZero())
	r.present("/token", !s.Token.IsZero())
	r.currency(s.Currency)
	r.present("/payment", s.Payment != "" || s.Self == 0)
	r.present("/paid_at", !s.PaidAt.IsZero())
	f := contract.Facts{
		Subject: name("subject", s.SubjectID), Producer: s.Producer, Currency: s.Currency,
		Token: s.Token, Permit: s.Order, Amount: s.Total, Insured: s.Insured,
	}
	lines := newLines(r, len(s.Lines))
	var sum profile.Amounts
	for i, l := range s.Lines {
		at := lines.next(i, l.Item)
		wrong := r.amount(at+"/price", l.Price)
		wrong = r.amount(at+"/insured", l.Insured) || wrong
		wrong = r.amount(at+"/self", l.Self) || wrong
		if wrong {
			return f
		}
		if l.Price != l.Insured+l.Self {
			r.add(at+"/price", "应等于医保与自付之和", "is not the sum of insured and self")
		}
		sum = profile.Amounts{Total: sum.Total + l.Price, Insured: sum.Insured + l.Insured, Self: sum.Self + l.Self}
		f.Items = append(f.Items, contract.ItemFacts{Item: name("item", l.Item), Amount: l.Price})
		if !lines.total(max(sum.Total, sum.Insured, sum.Self)) {
			return f
		}
	}
	for _, c := range []struct {
		at        string
		got, want int64
	}{{"/total", s.Total, sum.Total}, {"/insured", s.Insured, sum.Insured}, {"/self", s.Self, sum.Self}} {
		if c.got != c.want {
			r.add(c.at, "与各行合计不符", "is not the sum of the lines")
		}
	}
	return f
}

func deliverFacts(d *flow.Delivery, r *problems) contract.Facts {
	r.present("/flow", !d.Flow.IsZero())
	r.participant("/producer", d.Producer)
	r.method("/method", d.Method)
	r.present("/delivered_at", !d.DeliveredAt.IsZero())
	return contract.Facts{Producer: d.Producer}
}
