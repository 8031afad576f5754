package oversight

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"signalbox.dev/signalbox/committee"
	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/receipt"
)

// order carries out a signed order: the body is an encoded chain.SignedOrder.
func (h *handler) order(r *http.Request) (any, error) {
	data, err := body(r)
	if err != nil {
		return nil, err
	}
	var signed chain.SignedOrder
	var o contract.Order
	if flow.Unmarshal(data, &signed) != nil || flow.Unmarshal(signed.Order, &o) != nil {
		return nil, unreadable()
	}
	// Once it is on its way an order is not called back by whoever goes away.
	ctx, stop := context.WithTimeout(context.WithoutCancel(r.Context()), orderWait)
	defer stop()
	got, err := h.Authority.Order(ctx, signed)
	if err != nil {
		return nil, h.problemOf(ctx, "carrying out an order", err)
	}
	out := Outcome{Number: o.Number, Kind: o.Kind, Entries: got.Entries, Grant: got.Grant, Bundle: got.Bundle}
	for _, d := range got.Resolved {
		out.Resolved = append(out.Resolved, ResolvedView{d.Request.Tx, d.Decision.Verdict, reasons(d.Decision.Reasons)})
	}
	return out, nil
}

func reasons(r []flow.Reason) []flow.Reason { return append([]flow.Reason{}, r...) }

// OrderPage is a part of the history of orders, in order.
type OrderPage struct {
	Orders []OrderView `json:"orders"`
	Next   uint64      `json:"next"` // where the next page begins; 0: nowhere
}

func (h *handler) orders(r *http.Request) (any, error) {
	from, most, err := page(r)
	if err != nil {
		return nil, err
	}
	s, out := h.Chain.State(), OrderPage{Orders: []OrderView{}}
	for n := from; ; n++ {
		o, ok, err := contract.OrderOf(s, n)
		if err != nil {
			return nil, err
		}
		if !ok {
			return out, nil
		}
		if n-from == most {
			out.Next = n
			return out, nil
		}
		out.Orders = append(out.Orders, orderView(o))
	}
}

func orderView(r contract.OrderRecord) OrderView {
	o := r.Order
	return OrderView{
		Number: o.Number, Kind: o.Kind, About: about(o), Officer: o.Officer, Second: r.Second, Reason: o.Reason,
		Issued: Moment(o.Issued), Expires: Moment(o.Expires), At: Moment(r.At.Now), Height: r.At.Height, Tx: r.At.Tx, BodyHash: r.Body, Body: o.Body,
	}
}

// Unfiled is an order that was signed and not carried out yet, as it is shown.
func Unfiled(o contract.Order, second string) OrderView {
	return orderView(contract.OrderRecord{Order: o, Second: second, Body: flow.SumHash(o.Body)})
}

// about says in short what an order's body says; nothing when the record does
// not hold it.
func about(o contract.Order) string {
	switch o.Kind {
	case contract.IdentityAdmit, contract.IdentityRenew:
		return of(o, func(i contract.Identity) string { return fmt.Sprintf("%s %s %s", i.Role, i.ID, i.Status) })
	case contract.IdentityStatus:
		return of(o, func(c contract.StatusChange) string { return fmt.Sprintf("%s %s", c.ID, c.Status) })
	case contract.StandingSet:
		return of(o, func(c contract.StandingChange) string { return fmt.Sprintf("%s %s", c.Institution, c.Standing) })
	case contract.GrantIssue:
		return of(o, func(g contract.Grant) string { return fmt.Sprintf("%s, quota %d", g.Institution, g.Quota) })
	case contract.GrantRenew:
		return of(o, func(g contract.GrantRenewal) string { return fmt.Sprintf("%s, %+d", g.Code, g.More) })
	case contract.GrantRevoke:
		return of(o, func(g contract.GrantRef) string { return g.Code })
	case contract.Freeze, contract.Unfreeze:
		return of(o, func(t contract.Target) string { return fmt.Sprintf("%s %s", t.What, t.ID) })
	case contract.Stop, contract.Resume:
		return of(o, func(t contract.StepStop) string { return fmt.Sprintf("%s %s", t.Business, t.Step) })
	case contract.HoldDecide:
		return of(o, func(d contract.HoldDecision) string {
			return fmt.Sprintf("%s %s", map[bool]string{true: "grant", false: "refuse"}[d.Grant], d.Tx)
		})
	case contract.NodeAdmit:
		return of(o, func(n contract.NodeSeat) string { return fmt.Sprintf("%s, weight %d", n.ID, n.Weight) })
	case contract.NodeRemove:
		return of(o, func(n contract.NodeRef) string { return n.ID })
	case contract.CommitteeSet:
		return of(o, func(t committee.Terms) string {
			return fmt.Sprintf("%d seats, epoch %d, %d of %d missed", t.Seats, t.Epoch, t.Missed, t.Window)
		})
	case contract.RetentionSet:
		return of(o, func(r contract.Retention) string { return fmt.Sprintf("%s, %d days", r.Business, r.Days) })
	case contract.PayloadErase:
		return of(o, func(e contract.Erasure) string {
			return fmt.Sprintf("%d payloads, %s %s", len(e.Payloads), e.Ground, e.Basis)
		})
	case contract.KeysHandover:
		return of(o, func(h contract.Handover) string {
			said, err := receipt.ParseHandover(h.Statement)
			if err != nil {
				return ""
			}
			return fmt.Sprintf("generation %d, after %d decisions", said.Generation, said.Size)
		})
	default:
		return aboutRules(o)
	}
}

// aboutRules is about for lists, rules and policy.
func aboutRules(o contract.Order) string {
	switch o.Kind {
	case contract.ListDefine:
		return of(o, func(d contract.Definition) string { return string(d.Name) })
	case contract.ListAdd:
		return of(o, func(a contract.Additions) string {
			if len(a.Entries) == 0 {
				return ""
			}
			return fmt.Sprintf("%s +%d", a.Entries[0].List, len(a.Entries))
		})
	case contract.ListLift, contract.ListAppeal, contract.ListKeep:
		return of(o, func(e contract.EntryRef) string { return fmt.Sprintf("%s %d", e.List, e.Number) })
	case contract.RulesPublish:
		return of(o, func(p contract.Publication) string { return fmt.Sprintf("%d bytes", len(p.Text)) })
	case contract.RulesRollback:
		return of(o, func(v contract.Rollback) string { return fmt.Sprintf("version %d", v.Version) })
	case contract.RulesCancel:
		return of(o, func(c contract.Cancellation) string { return fmt.Sprintf("order %d", c.Order) })
	case contract.PolicySet:
		return of(o, func(p contract.Policy) string {
			var kinds []string
			for _, k := range p.Second {
				kinds = append(kinds, string(k))
			}
			return strings.Join(kinds, " ")
		})
	}
	return ""
}

func of[T any](o contract.Order, say func(T) string) string {
	var b T
	if len(o.Body) == 0 || flow.Unmarshal(o.Body, &b) != nil {
		return ""
	}
	return say(b)
}
