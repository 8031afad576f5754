package contract

import (
	"math"

	"signalbox.dev/signalbox/flow"
)

// inOrder asks whether the step can follow on the flow's state, and loads the
// token that waits to be used.
func (x *examination) inOrder() ([]flow.Reason, error) {
	step := x.r.Header.Step
	if step == flow.Enrol {
		return nil, nil
	}
	if step != flow.Register && !x.known {
		return because("unknown_flow", "flow"), nil
	}
	var err error
	if x.next, err = flow.Next(x.flow.State, step, x.r.Facts.Approved); err != nil {
		spent, err := x.tokenSpent()
		return append(outOfOrder(x.flow.State, step), spent...), err
	}
	if !x.flow.Pending.IsZero() {
		x.waiting, err = load(x.s, permitKey(x.flow.Pending), &x.pending)
	}
	return nil, err
}

// newRecord asks that a registration bring what later steps are checked
// against, and that its record be new: the same number with other content is a
// forgery or a mistake, with the same content it is known already and Path
// names its flow, to the platform that registered it.
func (x *examination) newRecord() ([]flow.Reason, error) {
	f := x.r.Facts
	if x.r.Header.Step != flow.Register {
		return nil, nil
	}
	for _, needed := range []struct{ name, value string }{{"record", f.Record}, {"content", f.Content}, {"subject", f.Subject}} {
		if needed.value == "" {
			return because("incomplete_facts", needed.name), nil
		}
	}
	var before recordState
	known, err := load(x.s, recordKey(f.Record), &before)
	if err != nil || !known {
		return nil, err
	}
	path := ""
	if before.Platform == x.r.Header.Platform {
		path = before.Flow.String()
	}
	if before.Content != f.Content {
		return because("duplicate_record", path), nil
	}
	return because("same_record", path), nil
}

// recordValid refuses review and order after the record's last day, where the
// chain enforces it.
func (x *examination) recordValid() ([]flow.Reason, error) {
	if !x.c.params.EnforceRecordExpiry || x.flow.ExpiresOn == 0 {
		return nil, nil
	}
	switch x.r.Header.Step {
	case flow.ReviewRequest, flow.ReviewResult, flow.Order:
		if x.c.params.day(x.r.Now) > x.flow.ExpiresOn {
			return because("record_expired", "expires_on"), nil
		}
	}
	return nil, nil
}

// stands says whether the flow's last token could still be used.
func (x *examination) stands() bool {
	return x.waiting && !x.pending.Used && x.r.Now < x.pending.Expires
}

// notUnderReview keeps a reviewer from taking over a record that another one
// has under review (R2.4). The same reviewer may ask again.
func (x *examination) notUnderReview() ([]flow.Reason, error) {
	if x.r.Header.Step == flow.ReviewRequest && x.stands() && x.pending.Actor != x.r.Facts.Reviewer {
		return because("in_review_by_another", "reviewer"), nil
	}
	return nil, nil
}

// noOrderPending allows a second order only after the first one's token has ended.
func (x *examination) noOrderPending() ([]flow.Reason, error) {
	if x.r.Header.Step == flow.Order && x.stands() {
		return because("order_pending", "flow"), nil
	}
	return nil, nil
}

// sameSubject asks that order and settlement be for the record's subject.
func (x *examination) sameSubject() ([]flow.Reason, error) {
	switch x.r.Header.Step {
	case flow.Order, flow.Settle:
		if x.r.Facts.Subject != x.flow.Subject {
			return because("wrong_subject", "subject"), nil
		}
	}
	return nil, nil
}

// sameProducer asks that the goods be delivered by whoever settled the order (R5).
func (x *examination) sameProducer() ([]flow.Reason, error) {
	if x.r.Header.Step == flow.Deliver && x.r.Facts.Producer != x.flow.Order.Producer {
		return because("wrong_producer", "producer"), nil
	}
	return nil, nil
}

// asPrescribed asks that every ordered item be in the record, in no greater
// quantity over all lines. It reports every line that is not.
func (x *examination) asPrescribed() ([]flow.Reason, error) {
	if x.r.Header.Step != flow.Order {
		return nil, nil
	}
	items := x.r.Facts.Items
	if len(items) == 0 {
		return because("no_items", "items"), nil
	}
	left := make(map[string]int64, len(x.flow.Lines))
	for _, l := range x.flow.Lines {
		left[l.Item] = l.Quantity
	}
	var against []flow.Reason
	for i, item := range items {
		rest, prescribed := left[item.Item]
		switch {
		case !prescribed:
			against = append(against, reason("item_not_prescribed", itemPath(i)))
		case item.Quantity <= 0:
			against = append(against, reason("quantity_not_positive", itemPath(i)))
		case item.Quantity > rest:
			against = append(against, reason("quantity_exceeds", itemPath(i)))
		default:
			left[item.Item] = rest - item.Quantity
		}
	}
	return against, nil
}

// lines adds up a record's items, one line an item, in the order of the record.
func lines(items []ItemFacts) []Line {
	all := make([]Line, 0, len(items))
	at := make(map[string]int, len(items))
	for _, item := range items {
		i, seen := at[item.Item]
		if !seen {
			at[item.Item] = len(all)
			all = append(all, Line{Item: item.Item, Quantity: max(item.Quantity, 0)})
			continue
		}
		all[i].Quantity = addCapped(all[i].Quantity, max(item.Quantity, 0))
	}
	return all
}

// addCapped adds two numbers that are not negative, up to the largest there is.
func addCapped(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
