package main

import (
	"encoding/json"

	"signalbox.dev/signalbox/internal/oversight"
)

// anchorCommand shows what supervision and business chain disagree on.
type anchorCommand struct {
	Missing  anchorMissingCommand  `cmd:"" help:"Granted records whose platform has not said in time where they stand."`
	Findings anchorFindingsCommand `cmd:"" help:"Anchors that can't stand, for people to sort out."`
}

type anchorMissingCommand struct{ control }

// Help implements kong's HelpProvider.
func (anchorMissingCommand) Help() string {
	return "The authority reminds the platform, after a minute, two, four and so on, ten times. One that has lapsed was granted, and its\n" +
		"token ran out before it was used, or its platform has stopped.\n\n" +
		"Examples:\n  signalbox authority anchor missing\n  signalbox authority anchor missing --json"
}

// Run prints granted records without an anchor.
func (c *anchorMissingCommand) Run(a *app) error {
	cl := c.client()
	defer cl.Close()
	all := []oversight.UnanchoredView{}
	for from, more := uint64(0), true; more; more = from != 0 {
		p, err := cl.Unanchored(a.ctx, from, 500)
		if err != nil {
			return a.plain(err)
		}
		all = append(all, p.Unanchored...)
		from = p.Next
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(all)
	}
	t := newTable(a.stdout)
	t.row(a.say.of("TRANSACTION", "交易"), a.say.of("FLOW", "业务流转"), a.say.of("STEP", "环节"), a.say.of("PLATFORM", "平台"),
		a.say.of("GRANTED", "批准于"), a.say.of("EXPIRES", "有效期至"), a.say.of("REMINDED", "已提醒"), a.say.of("STATE", "状态"))
	for _, u := range all {
		state := a.say.of("missing", "未锚定")
		if u.Lapsed {
			state = a.say.of("lapsed", "已过期")
		}
		t.row(u.Tx, brief(u.Flow.String()), u.Step, u.Platform, clock(u.Issued), clock(u.Expires), u.Reminded, state)
	}
	return t.end()
}

type anchorFindingsCommand struct{ control }

// Help implements kong's HelpProvider.
func (anchorFindingsCommand) Help() string {
	return "Each says what a platform reported of its business chain and what the supervision chain has in its place.\n\n" +
		"Examples:\n  signalbox authority anchor findings\n  signalbox authority anchor findings --json"
}

// Run prints anchors that can't stand.
func (c *anchorFindingsCommand) Run(a *app) error {
	cl := c.client()
	defer cl.Close()
	all := []oversight.AnchorFindingView{}
	for from, more := "", true; more; more = from != "" {
		p, err := cl.AnchorFindings(a.ctx, from, 500)
		if err != nil {
			return a.plain(err)
		}
		all = append(all, p.Findings...)
		from = p.Next
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(all)
	}
	t := newTable(a.stdout)
	t.row(a.say.of("TRANSACTION", "交易"), a.say.of("PLATFORM", "平台"), a.say.of("STANDS", "链上所锚"), a.say.of("CLAIMED", "平台所报"),
		a.say.of("FIRST", "首次"), a.say.of("LAST", "最近"), a.say.of("TIMES", "次数"), a.say.of("WHAT", "问题"))
	for _, f := range all {
		t.row(f.Tx, f.Platform, brief(f.Stands), brief(f.Claimed), clock(f.First), clock(f.Last), f.Count, a.say.of(f.En, f.Zh))
	}
	return t.end()
}
