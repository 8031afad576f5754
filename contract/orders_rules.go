package contract

import (
	"slices"

	"signalbox.dev/signalbox/flow"
)

// Publication is the body of rules.publish. With neither height nor time the
// bundle takes force with the next block.
type Publication struct {
	_ struct{} `cbor:",toarray"`

	Text   []byte // the bundle, YAML
	Height int64  // the first block in which it is in force
	Time   int64  // Unix seconds; in force from the first block at or after
}

// Rollback is the body of rules.rollback: an earlier version's bundle takes
// force again, as a new version.
type Rollback struct {
	_ struct{} `cbor:",toarray"`

	Version uint64
	Height  int64
	Time    int64
}

// Cancellation is the body of rules.cancel: what an order has scheduled does not
// take force.
type Cancellation struct {
	_ struct{} `cbor:",toarray"`

	Order uint64
}

// publishRules admits a bundle and schedules it (R6.1).
func (p *proceeding) publishRules(b Publication) error {
	bundle, err := ParseBundle(b.Text)
	if err != nil {
		return refuseOrder("rules_refused", err.Error())
	}
	rules, err := bundle.Admit()
	if err != nil {
		return refuseOrder("rules_refused", err.Error())
	}
	if err := store(p.s, bundleKey(rules.address), b.Text); err != nil {
		return err
	}
	return p.schedule(rules.address, b.Height, b.Time)
}

func (p *proceeding) rollBackRules(r Rollback) error {
	v, ok, err := VersionOf(p.s, r.Version)
	if err != nil {
		return err
	}
	if !ok {
		return refuseOrder("rules_unknown")
	}
	return p.schedule(v.Address, r.Height, r.Time)
}

func (p *proceeding) schedule(address flow.Hash, height, time int64) error {
	switch {
	case height == 0 && time == 0:
		height = p.at.Height + 1
	case height != 0 && time != 0, height < 0, time < 0,
		height != 0 && height <= p.at.Height, time != 0 && time <= p.at.Now:
		return refuseOrder("rules_past")
	}
	all, err := ScheduledBundles(p.s)
	if err != nil {
		return err
	}
	if len(all) >= maxScheduled {
		return refuseOrder("rules_scheduled", maxScheduled)
	}
	p.out.Bundle = address
	return store(p.s, dueKey(), append(all, Scheduled{Address: address, Height: height, Time: time, Order: p.order.Number}))
}

func (p *proceeding) cancelRules(c Cancellation) error {
	all, err := ScheduledBundles(p.s)
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(all), func(d Scheduled) bool { return d.Order == c.Order })
	if len(left) == len(all) {
		return refuseOrder("rules_unknown")
	}
	return store(p.s, dueKey(), left)
}
