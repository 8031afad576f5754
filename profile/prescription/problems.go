package prescription

import (
	"errors"
	"strings"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/profile"
)

// problems collects what is wrong, so that a sender learns all of it at once.
type problems struct {
	list []*profile.Problem
	// places says where in the input a place of the canonical form was looked
	// for; nil when the input has that form itself.
	places map[string]string
	// known are the places, in the input, of which something was said: a value
	// of the wrong type was left out, and is not missing as well.
	known map[string]bool
}

// maxProblems bounds what is said about one input.
const maxProblems = 50

// add reports a problem at a place of the canonical form.
func (p *problems) add(path, zh, en string) { p.addAt(p.place(path), zh, en) }

// addAt reports a problem at a place of the input, unless it, or what it stands
// in, has one already.
func (p *problems) addAt(at, zh, en string) {
	for head := at; ; {
		if p.known[head] {
			return
		}
		i := strings.LastIndexByte(head, '/')
		if i < 0 {
			break
		}
		head = head[:i]
	}
	p.decoded([]*profile.Problem{{Path: at, Zh: zh, En: en}})
}

// decoded takes over what a decoder reported.
func (p *problems) decoded(list []*profile.Problem) {
	if p.known == nil && len(list) > 0 {
		p.known = make(map[string]bool, len(list))
	}
	for _, one := range list {
		if !p.known[one.Path] { // a resource may be read twice
			p.known[one.Path] = true
			p.list = append(p.list, one)
		}
	}
}

// place translates a pointer into the canonical form, by its longest part that
// the reader has named.
func (p *problems) place(path string) string {
	if p.places == nil {
		return path
	}
	for head := path; ; {
		if at, ok := p.places[head]; ok {
			return at
		}
		i := strings.LastIndexByte(head, '/')
		if i < 0 {
			return ""
		}
		head = head[:i]
	}
}

func (p *problems) missing(path string) { p.add(path, "缺少该字段", "is missing") }

// err joins all problems, nil when there are none. errors.As finds the first.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	errs := make([]error, 0, min(len(p.list), maxProblems))
	for _, one := range p.list[:cap(errs)] {
		errs = append(errs, one)
	}
	return errors.Join(errs...)
}

func problem(path, zh, en string) *profile.Problem {
	return &profile.Problem{Path: path, Zh: zh, En: en}
}

func refusal(code, path, zh, en string) *profile.Refusal {
	return &profile.Refusal{Reason: flow.Reason{Code: code, Path: path, Zh: zh, En: en}}
}
