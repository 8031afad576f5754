package main

import (
	"slices"
	"strings"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/oversight"
)

// effect is what new entries would have done to past decisions.
type effect struct {
	Days     int         `json:"days"`
	Granted  int         `json:"granted"` // decisions granted in those days, of steps that look the list up
	Hit      int         `json:"hit"`     // of them, those that an entry would have refused
	Examples []effectHit `json:"examples"`
}

// effectHit is a decision that a row would have refused.
type effectHit struct {
	Line int       `json:"line"`
	Step flow.Step `json:"step"`
	Tx   flow.Hash `json:"tx"`
}

const maxExamples = 10

// effect puts the granted decisions of the last days to new entries, whatever
// their validity.
func (c *listImportCommand) effect(a *app, l oversight.ListView, rows []csvRow) (*effect, error) {
	if c.Days <= 0 {
		return nil, nil
	}
	lines := make(map[string]int, len(rows))
	for _, r := range rows {
		lines[strings.Join(r.addition.Key, "\x00")] = r.line
	}
	e := &effect{Days: c.Days, Examples: []effectHit{}}
	since := time.Now().AddDate(0, 0, -c.Days).Unix()
	flows := pastFlows{}
	cl := c.client()
	defer cl.Close()
	// From the first decision on: what a flow began with is asked for later.
	err := cl.Past(a.ctx, time.Time{}, time.Time{}, func(p chain.Past) error {
		known := flows.at(p)
		if p.Leaf.Issued < since || p.Leaf.Verdict != flow.Granted || !slices.Contains(l.Steps, p.Header.Step) {
			return nil
		}
		e.Granted++
		for _, key := range keysOf(l, p, known) {
			if line, hit := lines[strings.Join(key, "\x00")]; hit {
				e.Hit++
				if len(e.Examples) < maxExamples {
					e.Examples = append(e.Examples, effectHit{line, p.Header.Step, p.Leaf.Tx})
				}
				break
			}
		}
		return nil
	})
	return e, a.plain(err)
}

// pastFlow is what a flow is known by, after its decisions so far.
type pastFlow struct{ subject, originator, record, reviewer, producer string }

type pastFlows map[flow.Hash]pastFlow

// at gives what a decision's flow was known by before it, and takes in what a
// granted one adds.
func (f pastFlows) at(p chain.Past) pastFlow {
	id := p.Header.Flow
	if p.Header.Step == flow.Register {
		id = p.Leaf.Tx
	}
	before := f[id]
	if p.Leaf.Verdict != flow.Granted || id.IsZero() {
		return before
	}
	now := before
	switch p.Header.Step {
	case flow.Register:
		now.subject, now.originator, now.record = p.Facts.Subject, p.Facts.Originator, p.Facts.Record
	case flow.ReviewResult:
		now.reviewer = p.Facts.Reviewer
	case flow.Order:
		now.producer = p.Facts.Producer
	}
	f[id] = now
	return before
}

// keysOf gives the keys under which a past submission would stand on a list,
// as the contract makes them.
func keysOf(l oversight.ListView, p chain.Past, known pastFlow) [][]string {
	first := func(one, other string) string {
		if one != "" {
			return one
		}
		return other
	}
	id := ""
	if !p.Header.Flow.IsZero() {
		id = p.Header.Flow.String()
	}
	values := map[string]string{
		"platform": p.Header.Platform, "business": p.Header.Business, "network": p.Header.Network, "flow": id,
		"originator": first(p.Facts.Originator, known.originator), "prescriber": p.Facts.Prescriber,
		"reviewer": first(known.reviewer, p.Facts.Reviewer), "producer": first(p.Facts.Producer, known.producer),
		"subject": first(known.subject, p.Facts.Subject), "record": first(known.record, p.Facts.Record),
	}
	key, item := make([]string, len(l.Key)), -1
	for i, part := range l.Key {
		if part == "item" {
			item = i
		} else if key[i] = values[part]; key[i] == "" {
			return nil
		}
	}
	if item < 0 {
		return [][]string{key}
	}
	var all [][]string
	for _, it := range p.Facts.Items {
		own := slices.Clone(key)
		own[item] = it.Item
		all = append(all, own)
	}
	return all
}
