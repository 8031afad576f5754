package contract

import (
	"errors"
	"fmt"
	"slices"

	"signalbox.dev/signalbox/flow"
)

// List names a restricted list (R3.2): one of the source's five, or one that
// the authority has defined.
type List string

// The restricted lists of the source. Comments give an entry's key: identities
// by their id on the chain, subjects and items by pseudonym, flows by id in
// lower hex.
const (
	RestrictedReviewers        List = "restricted-reviewers"         // reviewer
	RestrictedSubjects         List = "restricted-subjects"          // subject
	RestrictedSubjectItems     List = "restricted-subject-items"     // subject, item
	RestrictedProducerSubjects List = "restricted-producer-subjects" // producer, subject
	AbnormalTransactions       List = "abnormal-transactions"        // flow
)

// Lists gives the lists that every chain has, in the order in which they are checked.
func Lists() []List {
	return []List{
		RestrictedReviewers, RestrictedSubjects, RestrictedSubjectItems,
		RestrictedProducerSubjects, AbnormalTransactions,
	}
}

// builtin defines the lists that every chain has.
func builtin() []Definition {
	return []Definition{
		{Name: RestrictedReviewers, Key: []string{"reviewer"}, Steps: []flow.Step{flow.ReviewRequest, flow.ReviewResult, flow.Order}},
		{Name: RestrictedSubjects, Key: []string{"subject"}, Steps: []flow.Step{flow.Order}},
		{Name: RestrictedSubjectItems, Key: []string{"subject", "item"}, Steps: []flow.Step{flow.Order}},
		{Name: RestrictedProducerSubjects, Key: []string{"producer", "subject"}, Steps: []flow.Step{flow.Order}},
		{Name: AbnormalTransactions, Key: []string{"flow"}, Steps: []flow.Step{flow.ReviewRequest, flow.Order, flow.Settle}},
	}
}

// Code is the reason code of a hit on the list; empty for no list's name.
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
		return l.definedCode()
	}
}

// EntryStatus is where an entry stands.
type EntryStatus string

// The statuses of an entry. An appealed entry counts until it is lifted.
const (
	EntryActive   EntryStatus = "active"
	EntryAppealed EntryStatus = "appealed"
	EntryLifted   EntryStatus = "lifted"
	EntryExpired  EntryStatus = "expired" // never stored: it follows from the validity
)

// Entry is one entry of a restricted list. It is never deleted: what happened
// to it is told by the numbers of the orders that did it. (The cbor tags keep in
// the state what the json tags keep out of genesis.)
type Entry struct {
	_ struct{} `cbor:",toarray"`

	Number uint64   `cbor:"number" json:"-"` // counts the list's entries from 1; given by AddEntry
	List   List     `json:"list"`            //
	Key    []string `json:"key"`             // as many parts as the list has
	From   int64    `json:"from"`            // Unix seconds; 0: from the beginning
	To     int64    `json:"to"`              // Unix seconds, exclusive; 0: without end
	Reason string   `json:"reason"`          // why, for the authority's own eyes: no decision repeats it
	Basis  string   `json:"basis"`           // legal basis, shown with a refusal

	Status   EntryStatus `cbor:"status" json:"-"`
	Added    uint64      `cbor:"added" json:"-"`    // the order that added it; 0: genesis or a rule
	Rule     flow.Hash   `cbor:"rule" json:"-"`     // the submission in which a rule added it; zero for none
	Appealed uint64      `cbor:"appealed" json:"-"` // the order that recorded the last appeal; 0: none
	Appeal   string      `cbor:"appeal" json:"-"`   // what the appeal says
	Kept     uint64      `cbor:"kept" json:"-"`     // the order that turned an appeal down; 0: none
	Lifted   uint64      `cbor:"lifted" json:"-"`   // the order that lifted it; 0: none
}

// Validate says what is wrong with an entry of one of the lists that every
// chain has, naming the field and no part of the key.
func (e Entry) Validate() error {
	for _, d := range builtin() {
		if d.Name == e.List {
			return e.validFor(d)
		}
	}
	return fmt.Errorf("list: %q is no restricted list", e.List)
}

func (e Entry) validFor(d Definition) error {
	if len(e.Key) != len(d.Key) {
		return fmt.Errorf("key: %s wants %d parts, have %d", e.List, len(d.Key), len(e.Key))
	}
	for i, p := range e.Key {
		if p == "" || len(p) > maxText {
			return fmt.Errorf("key: part %d: want 1 to %d bytes", i+1, maxText)
		}
	}
	if e.To != 0 && e.To <= e.From {
		return errors.New("to: ends before it begins")
	}
	for _, t := range []struct{ what, text string }{{"reason", e.Reason}, {"basis", e.Basis}} {
		if t.text == "" || len(t.text) > maxMessage {
			return fmt.Errorf("%s: want 1 to %d bytes", t.what, maxMessage)
		}
	}
	return nil
}

func (e Entry) inForce(now int64) bool {
	return e.Status != EntryLifted && now >= e.From && (e.To == 0 || now < e.To)
}

// StatusAt is where the entry stands at now, Unix seconds.
func (e Entry) StatusAt(now int64) EntryStatus {
	if e.Status != EntryLifted && e.To != 0 && now >= e.To {
		return EntryExpired
	}
	return e.Status
}

// maxSameKey is how many entries one key can have in its history.
const maxSameKey = 1000

// ErrListKeyFull is AddEntry's error for a key that has too long a history.
var ErrListKeyFull = fmt.Errorf("a key of a list has at most %d entries", maxSameKey)

// AddEntry puts e on its list, in force from the next decision on (R6.2), and
// returns its number.
func AddEntry(s State, e Entry) (uint64, error) {
	d, known, err := DefinitionOf(s, e.List)
	if err != nil {
		return 0, err
	}
	if !known {
		return 0, fmt.Errorf("list entry: list: %q is no restricted list", e.List)
	}
	if err := e.validFor(d); err != nil {
		return 0, fmt.Errorf("list entry: %w", err)
	}
	return addEntry(s, e)
}

// addEntry stores a valid entry.
func addEntry(s State, e Entry) (uint64, error) {
	var count uint64
	if _, err := load(s, countKey(e.List), &count); err != nil {
		return 0, err
	}
	key := listKey(e.List, e.Key)
	var entries []Entry
	if _, err := load(s, key, &entries); err != nil {
		return 0, err
	}
	if len(entries) >= maxSameKey {
		return 0, ErrListKeyFull
	}
	e.Number = count + 1
	if e.Status == "" {
		e.Status = EntryActive
	}
	if err := store(s, key, append(entries, e)); err != nil {
		return 0, err
	}
	if err := store(s, entryKey(e.List, e.Number), e.Key); err != nil {
		return 0, err
	}
	return e.Number, store(s, countKey(e.List), e.Number)
}

// EntryOf returns the entry of this number; false when the list has none.
func EntryOf(s State, list List, number uint64) (Entry, bool, error) {
	entries, at, err := locate(s, list, number)
	if err != nil || at < 0 {
		return Entry{}, false, err
	}
	return entries[at], true, nil
}

// EntryCount is how many entries a list has ever had.
func EntryCount(s State, list List) (uint64, error) {
	var count uint64
	_, err := load(s, countKey(list), &count)
	return count, err
}

// locate loads the entries that share a key with the numbered one, and says
// where it is among them; -1 for nowhere.
func locate(s State, list List, number uint64) ([]Entry, int, error) {
	var key []string
	if ok, err := load(s, entryKey(list, number), &key); err != nil || !ok {
		return nil, -1, err
	}
	var entries []Entry
	if _, err := load(s, listKey(list, key), &entries); err != nil {
		return nil, -1, err
	}
	return entries, slices.IndexFunc(entries, func(e Entry) bool { return e.Number == number }), nil
}

// lookup is one question put to a list.
type lookup struct {
	list Definition
	path string // the fact that is looked up
	key  []string
}

// lookups says which lists bear on the step, and with what.
func (x *examination) lookups() ([]lookup, error) {
	step := x.r.Header.Step
	var defined []Definition
	if _, err := load(x.s, stepListsKey(step), &defined); err != nil {
		return nil, err
	}
	var all []lookup
	for _, d := range slices.Concat(builtin(), defined) {
		if slices.Contains(d.Steps, step) {
			all = append(all, x.keysFor(d)...)
		}
	}
	return all, nil
}

// onNoList reports every entry in force that bears on the submission (R3.2), but
// for those that it was itself the occasion of: a rule put them there when it was
// held, and the officer who lets it go on has seen why.
func (x *examination) onNoList() ([]flow.Reason, error) {
	lookups, err := x.lookups()
	if err != nil {
		return nil, err
	}
	var hits []flow.Reason
	for _, l := range lookups {
		var entries []Entry
		if _, err := load(x.s, listKey(l.list.Name, l.key), &entries); err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.inForce(x.r.Now) && e.Rule != x.r.Tx {
				hits = append(hits, l.list.reason(l.path, e))
				x.entries = append(x.entries, e)
			}
		}
	}
	return hits, nil
}

// note adds what rules with effect list found to their lists, whatever the
// verdict: an attempt that was refused is worth noting too. An entry without a
// key names the flow. A registration that opens none leaves none.
func (x *examination) note(d Decision) error {
	if x.word != nil {
		return nil // noted when it was held
	}
	id := x.r.Header.Flow
	if x.r.Header.Step == flow.Register && d.Verdict != flow.Refused {
		id = x.r.Tx
	}
	for _, e := range x.found.Lists {
		if len(e.Key) == 0 {
			if id.IsZero() {
				continue
			}
			e.Key = []string{id.String()}
		}
		e.Rule = x.r.Tx
		if _, err := AddEntry(x.s, e); err != nil && !errors.Is(err, ErrListKeyFull) {
			return err
		}
	}
	return nil
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
