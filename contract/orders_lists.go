package contract

import (
	"errors"
	"fmt"
)

// Additions is the body of list.add: up to 4000 entries, of any lists, all of
// which are added or none.
type Additions struct {
	_ struct{} `cbor:",toarray"`

	Entries []Addition
}

// Addition is a new entry. Fields are as in Entry.
type Addition struct {
	_ struct{} `cbor:",toarray"`

	List   List
	Key    []string
	From   int64
	To     int64
	Reason string
	Basis  string
}

// maxAdditions keeps below what one message can hold.
const maxAdditions = 4000

// EntryRef is the body of list.lift, list.appeal and list.keep.
type EntryRef struct {
	_ struct{} `cbor:",toarray"`

	List   List
	Number uint64
	Text   string // what the appeal says; empty otherwise
}

func (p *proceeding) defineList(d Definition) error {
	if err := d.Validate(); err != nil {
		return wrong(err)
	}
	_, known, err := DefinitionOf(p.s, d.Name)
	if err != nil {
		return err
	}
	if known {
		return refuseOrder("list_exists")
	}
	d.Defined = p.order.Number
	if err := define(p.s, d); !errors.Is(err, errTooManyLists) {
		return err
	}
	return refuseOrder("list_full")
}

// addEntries adds all or, since the order's changes are dropped with an error, none.
func (p *proceeding) addEntries(a Additions) error {
	if len(a.Entries) == 0 || len(a.Entries) > maxAdditions {
		return wrong(fmt.Errorf("entries: want 1 to %d", maxAdditions))
	}
	lists := make(map[List]Definition)
	for i, n := range a.Entries {
		e := Entry{List: n.List, Key: n.Key, From: n.From, To: n.To, Reason: n.Reason, Basis: n.Basis, Added: p.order.Number}
		d, seen := lists[e.List]
		if !seen {
			var known bool
			var err error
			if d, known, err = DefinitionOf(p.s, e.List); err != nil {
				return err
			} else if !known {
				return wrong(fmt.Errorf("entry %d: there is no such list", i+1))
			}
			lists[e.List] = d
		}
		if err := e.validFor(d); err != nil {
			return wrong(fmt.Errorf("entry %d: %w", i+1, err))
		}
		number, err := addEntry(p.s, e)
		if errors.Is(err, ErrListKeyFull) {
			return refuseOrder("list_full")
		}
		if err != nil {
			return err
		}
		p.out.Entries = append(p.out.Entries, number)
	}
	return nil
}

// changeEntry lifts an entry, records an appeal against it, or turns one down.
func (p *proceeding) changeEntry(ref EntryRef) error {
	entries, at, err := locate(p.s, ref.List, ref.Number)
	if err != nil {
		return err
	}
	if at < 0 {
		return refuseOrder("entry_unknown")
	}
	e := &entries[at]
	if e.Status == EntryLifted {
		return refuseOrder("entry_lifted")
	}
	switch p.order.Kind {
	case ListLift:
		e.Status, e.Lifted = EntryLifted, p.order.Number
	case ListAppeal:
		if ref.Text == "" || len(ref.Text) > maxMessage {
			return wrong(fmt.Errorf("text: want 1 to %d bytes", maxMessage))
		}
		e.Status, e.Appealed, e.Appeal = EntryAppealed, p.order.Number, ref.Text
	case ListKeep:
		if e.Status != EntryAppealed {
			return refuseOrder("entry_not_appealed")
		}
		e.Status, e.Kept = EntryActive, p.order.Number
	}
	return store(p.s, listKey(e.List, e.Key), entries)
}
