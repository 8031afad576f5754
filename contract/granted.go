package contract

import "signalbox.dev/signalbox/flow"

// grant writes what a granted submission changes. Nothing before it has
// written anything.
func (x *examination) grant(d Decision) (Decision, error) {
	step := x.r.Header.Step
	if err := x.count(); err != nil {
		return Decision{}, err
	}
	if err := x.useGrant(&d); err != nil {
		return Decision{}, err
	}
	if step == flow.Enrol {
		return d, putIdentity(x.s, *x.enrolled())
	}
	switch step {
	case flow.Register:
		d.Flow = x.r.Tx
		if err := x.open(); err != nil {
			return Decision{}, err
		}
	case flow.ReviewResult:
		x.flow.Reviewer = x.r.Facts.Reviewer
	case flow.Order:
		f := x.r.Facts
		x.flow.Order = OrderState{Producer: f.Producer, Amount: f.Amount, Insured: f.Insured, Currency: f.Currency}
	}
	if permittedBy(step) != "" {
		if err := x.takeToken(); err != nil {
			return Decision{}, err
		}
	}
	if step.TokenSuffix() != "" {
		if err := x.giveToken(&d); err != nil {
			return Decision{}, err
		}
	}
	x.flow.State = x.next
	return d, store(x.s, flowKey(d.Flow), x.flow)
}

// count lets the counters of the bundle count the step, and the rules that are
// only observed their hits (R6.4).
func (x *examination) count() error {
	if err := x.c.rules.Count(x.s, x.r.Header.Step, &x.r.Facts, x.r.Now); err != nil {
		return err
	}
	for _, found := range []Findings{x.granting, x.found} {
		if err := x.c.rules.CountObserved(x.s, found); err != nil {
			return err
		}
	}
	return nil
}

// open begins the flow of a registered record (R1.4, R1.6).
func (x *examination) open() error {
	h, f := x.r.Header, x.r.Facts
	x.flow = FlowState{
		Platform: h.Platform, Network: h.Network, Business: h.Business,
		Record: f.Record, Subject: f.Subject, Originator: f.Originator,
		Lines: lines(f.Items), ExpiresOn: f.ExpiresOn, Tags: f.Tags,
	}
	return store(x.s, recordKey(f.Record), recordState{Flow: x.r.Tx, Platform: h.Platform, Content: f.Content})
}
