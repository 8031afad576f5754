package main

import (
	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
)

// completing fills in the facts that the chain adds when it decides, where the
// past comes without them: from the decisions themselves, a record's tags and
// last day, and the tags of a reviewer who enrolled. Tags that an officer's order
// or genesis gave are not among the decisions; rules that read them see none.
type completing struct {
	records   map[flow.Hash]contract.Facts
	reviewers map[flow.Hash]string // who approved
	enrolled  map[string][]string  // tags by identity
}

func newCompleting() completing {
	return completing{map[flow.Hash]contract.Facts{}, map[flow.Hash]string{}, map[string][]string{}}
}

func (c completing) complete(r *contract.Request, p chain.Past) {
	f, id := &r.Facts, p.Header.Flow
	record := c.records[id]
	if f.RecordTags == nil && f.RecordExpiresOn == 0 {
		f.RecordTags, f.RecordExpiresOn = record.Tags, record.ExpiresOn
	}
	reviewer := c.reviewers[id]
	switch p.Header.Step {
	case flow.Register:
		id = p.Leaf.Tx
		f.RecordTags, f.RecordExpiresOn = f.Tags, f.ExpiresOn
	case flow.ReviewRequest, flow.ReviewResult:
		reviewer = f.Reviewer
	}
	if f.ReviewerTags == nil {
		f.ReviewerTags = c.enrolled[reviewer]
	}
	if p.Leaf.Verdict != flow.Granted {
		return
	}
	switch p.Header.Step {
	case flow.Register:
		c.records[id] = *f
	case flow.ReviewResult:
		c.reviewers[id] = f.Reviewer
	case flow.Enrol:
		if f.Enrol != nil {
			c.enrolled[f.Enrol.ID] = f.Enrol.Tags
		}
	}
}
