package contract

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"signalbox.dev/signalbox/flow"
)

// Definition says what a list is about: which values of a submission make the
// key that is looked up, at which steps, and what people read on a hit.
type Definition struct {
	_ struct{} `cbor:",toarray"`

	Name    List        `json:"name"`             // lower-case words joined by '-'; the reason code is LIST- and the name in capitals
	Key     []string    `json:"key"`              // one to three of ListParts
	Steps   []flow.Step `json:"steps"`            // where it is looked up
	Message Message     `json:"message"`          // entry number and legal basis are added to it
	Defined uint64      `cbor:"defined" json:"-"` // the order that defined it; 0: genesis
}

// ListParts are the values that a list's key can be made of. Subject,
// originator and reviewer are the flow's own where the submission names none.
func ListParts() []string {
	return []string{"platform", "originator", "prescriber", "reviewer", "producer", "subject", "item", "flow", "record", "business", "network"}
}

const (
	maxListParts   = 3
	maxDefinitions = 32 // lists that one step looks up, besides those that every chain has
	codePrefix     = "LIST-"
)

var listPattern = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// definedCode is the reason code of a list that the authority has defined.
func (l List) definedCode() string {
	if len(l) > maxText/2 || !listPattern.MatchString(string(l)) {
		return ""
	}
	return codePrefix + strings.ToUpper(string(l))
}

// listOfCode says whether a reason code is a list's. All that begin so are.
func listOfCode(code string) (List, bool) {
	for _, l := range Lists() {
		if l.Code() == code {
			return l, true
		}
	}
	name, isList := strings.CutPrefix(code, codePrefix)
	return List(strings.ToLower(name)), isList
}

// Validate says what is wrong with d, naming the field.
func (d Definition) Validate() error {
	if d.Name.definedCode() == "" {
		return fmt.Errorf("name: want up to %d lower-case letters and digits in words joined by '-'", maxText/2)
	}
	for _, l := range Lists() {
		if l == d.Name || l.Code() == d.Name.definedCode() {
			return errors.New("name: stands for a list that every chain has")
		}
	}
	if len(d.Key) == 0 || len(d.Key) > maxListParts {
		return fmt.Errorf("key: want 1 to %d parts", maxListParts)
	}
	for i, p := range d.Key {
		if !slices.Contains(ListParts(), p) || slices.Contains(d.Key[:i], p) {
			return fmt.Errorf("key: part %d: want one of %s, each once", i+1, strings.Join(ListParts(), ", "))
		}
	}
	if len(d.Steps) == 0 {
		return errors.New("steps: none")
	}
	for i, s := range d.Steps {
		if !s.Known() || slices.Contains(d.Steps[:i], s) {
			return fmt.Errorf("steps: %q is no step, or stands twice", s)
		}
	}
	if m := d.Message; m.Zh == "" || m.En == "" || len(m.Zh) > maxMessage || len(m.En) > maxMessage {
		return fmt.Errorf("message: want zh and en of at most %d bytes", maxMessage)
	}
	return nil
}

// reason words a hit.
func (d Definition) reason(path string, e Entry) flow.Reason {
	if d.Message.Zh == "" {
		return reason(d.Name.Code(), path, e.Number, e.Basis)
	}
	r := reason("list", path, e.Number, e.Basis, d.Message.Zh, d.Message.En)
	r.Code = d.Name.Code()
	return r
}

// DefinitionOf returns what a list is about; false when there is no such list.
func DefinitionOf(s State, list List) (Definition, bool, error) {
	for _, d := range builtin() {
		if d.Name == list {
			return d, true, nil
		}
	}
	var d Definition
	ok, err := load(s, definitionKey(list), &d)
	return d, ok, err
}

// errTooManyLists is define's when a step has as many lists as it can look up.
var errTooManyLists = fmt.Errorf("a step has at most %d lists of the authority's own", maxDefinitions)

// define stores a valid definition, under its name and under each of its steps:
// a decision then reads one key for all lists of the step.
func define(s State, d Definition) error {
	for _, step := range d.Steps {
		var all []Definition
		if _, err := load(s, stepListsKey(step), &all); err != nil {
			return err
		}
		if len(all) >= maxDefinitions {
			return errTooManyLists
		}
		if err := store(s, stepListsKey(step), append(all, d)); err != nil {
			return err
		}
	}
	return store(s, definitionKey(d.Name), d)
}

// keysFor gives the keys under which the submission would stand on the list:
// one, or with items one for each. None when it lacks a part.
func (x *examination) keysFor(d Definition) []lookup {
	key, item := make([]string, len(d.Key)), -1
	for i, part := range d.Key {
		if part == "item" {
			item = i
			continue
		}
		if key[i] = x.part(part); key[i] == "" {
			return nil
		}
	}
	if item < 0 {
		return []lookup{{d, d.Key[0], key}}
	}
	var all []lookup
	items := x.r.Facts.Items
	for i := range items {
		if items[i].Item == "" || seenBefore(items[:i], items[i].Item) {
			continue
		}
		own := slices.Clone(key)
		own[item] = items[i].Item
		all = append(all, lookup{d, itemPath(i), own})
	}
	return all
}

// part is one value of the submission, or of its flow.
func (x *examination) part(name string) string {
	f, h := x.r.Facts, x.r.Header
	or := func(own, flows string) string {
		if own != "" {
			return own
		}
		return flows
	}
	switch name {
	case "platform":
		return h.Platform
	case "originator":
		return or(f.Originator, x.flow.Originator)
	case "prescriber":
		return f.Prescriber
	case "reviewer":
		return or(x.flow.Reviewer, f.Reviewer)
	case "producer":
		return or(f.Producer, x.flow.Order.Producer)
	case "subject":
		return or(x.flow.Subject, f.Subject)
	case "record":
		return or(x.flow.Record, f.Record)
	case "business":
		return h.Business
	case "network":
		return h.Network
	case "flow":
		if !h.Flow.IsZero() {
			return h.Flow.String()
		}
	}
	return ""
}
