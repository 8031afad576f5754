package contract

import (
	"fmt"

	"signalbox.dev/signalbox/flow"
)

// List names one of the restricted lists (R3.2).
type List string

// The restricted lists. Comments give an entry's key: identities by their id
// on the chain, subjects and items by pseudonym, flows by id in lower hex.
const (
	RestrictedReviewers        List = "restricted-reviewers"         // reviewer
	RestrictedSubjects         List = "restricted-subjects"          // subject
	RestrictedSubjectItems     List = "restricted-subject-items"     // subject, item
	RestrictedProducerSubjects List = "restricted-producer-subjects" // producer, subject
	AbnormalTransactions       List = "abnormal-transactions"        // flow
)

// Lists gives every list, in the order in which they are checked.
func Lists() []List {
	return []List{
		RestrictedReviewers, RestrictedSubjects, RestrictedSubjectItems,
		RestrictedProducerSubjects, AbnormalTransactions,
	}
}

// Code is the reason code of a hit on the list; empty for no list.
func (l List) Code() string {
	switch l {
	case RestrictedReviewers:
		return "LIST-REVIEWER"
	case RestrictedSubjects:
		return "LIST-SUBJECT"
	case RestrictedSubjectItems:
		return "LIST-SUBJECT-ITEM"
	case RestrictedProducerSubjects:
		return "LIST-PRODUCER-SUBJECT"
	case AbnormalTransactions:
		return "LIST-ABNORMAL"
	default:
		return ""
	}
}

// parts is how many parts an entry's key has.
func (l List) parts() int {
	switch l {
	case RestrictedSubjectItems, RestrictedProducerSubjects:
		return 2
	default:
		return 1
	}
}

func listOfCode(code string) (List, bool) {
	for _, l := range Lists() {
		if l.Code() == code {
			return l, true
		}
	}
	return "", false
}

// Entry is one entry of a restricted list.
type Entry struct {
	_ struct{} `cbor:",toarray"`

	Number uint64   `cbor:"number" json:"-"` // counts the list's entries from 1; given by AddEntry
	List   List     `json:"list"`            //
	Key    []string `json:"key"`             // as many parts as the list has
	From   int64    `json:"from"`            // Unix seconds; 0: from the beginning
	To     int64    `json:"to"`              // Unix seconds, exclusive; 0: without end
	Reason string   `json:"reason"`          // why, for the authority's own eyes: no decision repeats it
	Basis  string   `json:"basis"`           // legal basis, shown with a refusal
}

// Validate says what is wrong with e, naming the field and no part of the key.
func (e Entry) Validate() error {
	if e.List.Code() == "" {
		return fmt.Errorf("list: %q is no restricted list", e.List)
	}
	if len(e.Key) != e.List.parts() {
		return fmt.Errorf("key: %s wants %d parts, have %d", e.List, e.List.parts(), len(e.Key))
	}
	for i, p := range e.Key {
		if p == "" || len(p) > maxText {
			return fmt.Errorf("key: part %d: want 1 to %d bytes", i+1, maxText)
		}
	}
	if e.To != 0 && e.To <= e.From {
		return fmt.Errorf("to: ends before it begins")
	}
	for _, t := range []struct{ what, text string }{{"reason", e.Reason}, {"basis", e.Basis}} {
		if t.text == "" || len(t.text) > maxMessage {
			return fmt.Errorf("%s: want 1 to %d bytes", t.what, maxMessage)
		}
	}
	return nil
}

func (e Entry) inForce(now int64) bool { return now >= e.From && (e.To == 0 || now < e.To) }

// AddEntry puts e on its list, in force from the next decision on (R6.2), and
// returns its number.
func AddEntry(s State, e Entry) (uint64, error) {
	if err := e.Validate(); err != nil {
		return 0, fmt.Errorf("list entry: %w", err)
	}
	var count uint64
	if _, err := load(s, countKey(e.List), &count); err != nil {
		return 0, err
	}
	key := listKey(e.List, e.Key)
	var entries []Entry
	if _, err := load(s, key, &entries); err != nil {
		return 0, err
	}
	e.Number = count + 1
	if err := store(s, key, append(entries, e)); err != nil {
		return 0, err
	}
	return e.Number, store(s, countKey(e.List), e.Number)
}

// lookup is one question put to a list.
type lookup struct {
	list List
	path string // the fact that is looked up
	key  []string
}

// lookups says which lists bear on the step, and with what.
func (x *examination) lookups() []lookup {
	f, flowID := x.r.Facts, x.r.Header.Flow.String()
	abnormal := lookup{AbnormalTransactions, "flow", []string{flowID}}
	switch x.r.Header.Step {
	case flow.ReviewRequest:
		return []lookup{{RestrictedReviewers, "reviewer", []string{f.Reviewer}}, abnormal}
	case flow.ReviewResult:
		return []lookup{{RestrictedReviewers, "reviewer", []string{f.Reviewer}}}
	case flow.Settle:
		return []lookup{abnormal}
	case flow.Order:
		all := []lookup{
			{RestrictedReviewers, "reviewer", []string{x.flow.Reviewer}},
			{RestrictedSubjects, "subject", []string{f.Subject}},
		}
		for i, item := range f.Items {
			if !seenBefore(f.Items[:i], item.Item) {
				all = append(all, lookup{RestrictedSubjectItems, itemPath(i), []string{f.Subject, item.Item}})
			}
		}
		return append(all, lookup{RestrictedProducerSubjects, "producer", []string{f.Producer, f.Subject}}, abnormal)
	default:
		return nil
	}
}

// onNoList reports every entry in force that bears on the submission (R3.2).
func (x *examination) onNoList() ([]flow.Reason, error) {
	var hits []flow.Reason
	for _, l := range x.lookups() {
		var entries []Entry
		if _, err := load(x.s, listKey(l.list, l.key), &entries); err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.inForce(x.r.Now) {
				hits = append(hits, reason(l.list.Code(), l.path, e.Number, e.Basis))
			}
		}
	}
	return hits, nil
}

func seenBefore(items []ItemFacts, item string) bool {
	for _, i := range items {
		if i.Item == item {
			return true
		}
	}
	return false
}

func itemPath(i int) string { return fmt.Sprintf("items[%d].item", i) }
