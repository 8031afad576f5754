package contract

import "signalbox.dev/signalbox/flow"

// Complete fills in the facts that no submission brings because the chain
// itself knows them: the tags of who acts, and what the flow's record was. Whatever
// stood there is overwritten. Decide does so before it asks the rules; whoever
// puts past submissions to rules does the same first, with the state of then or,
// as an approximation, of now.
func Complete(s State, h flow.Header, f *Facts) error {
	var at FlowState
	if !h.Flow.IsZero() {
		var err error
		if at, _, err = FlowOf(s, h.Flow); err != nil {
			return err
		}
	}
	return complete(s, h.Step, at, f)
}

func complete(s State, step flow.Step, at FlowState, f *Facts) error {
	f.RecordTags, f.RecordExpiresOn = at.Tags, at.ExpiresOn
	reviewer, producer := at.Reviewer, ""
	switch step {
	case flow.Register:
		f.RecordTags, f.RecordExpiresOn = f.Tags, f.ExpiresOn
	case flow.ReviewRequest, flow.ReviewResult:
		reviewer = f.Reviewer
	case flow.Order, flow.Settle, flow.Deliver:
		producer = f.Producer
	}
	var err error
	if f.ReviewerTags, err = tagsOf(s, reviewer); err != nil {
		return err
	}
	f.ProducerTags, err = tagsOf(s, producer)
	return err
}

func tagsOf(s State, id string) ([]string, error) {
	if id == "" {
		return nil, nil
	}
	i, _, err := IdentityOf(s, id)
	return i.Tags, err
}
