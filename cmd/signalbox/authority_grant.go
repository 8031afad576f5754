package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/oversight"
)

type standingCommand struct {
	Set standingSetCommand `cmd:"" help:"Set an institution's standing."`
}

type standingSetCommand struct {
	warrant
	Institution string `arg:"" help:"An identity; or an originator's pseudonym, or id: and its plain id."`
	Standing    string `arg:"" help:"allow: granted without rules; deny: every step waits for an officer; neither." enum:"allow,deny,neither"`
}

// Help implements kong's HelpProvider.
func (standingSetCommand) Help() string {
	return "Example:\n  signalbox authority standing set rx-pharmacy-002 deny --reason \"under investigation\""
}

// Run sets.
func (c *standingSetCommand) Run(a *app) error {
	institution, err := c.pseudonym(a, "originator", c.Institution)
	if err != nil {
		return err
	}
	return c.carry(a, contract.StandingSet, contract.StandingChange{Institution: institution, Standing: contract.Standing(c.Standing)})
}

// plainPrefix marks a plain id, for which the authority knows the pseudonym.
const plainPrefix = "id:"

// pseudonym gives a text as it stands on the chain: of a plain id, id: and the
// id, the pseudonym.
func (c control) pseudonym(a *app, kind, text string) (string, error) {
	id, plain := strings.CutPrefix(text, plainPrefix)
	if !plain {
		return text, nil
	}
	cl := c.client()
	defer cl.Close()
	all, err := cl.Pseudonyms(a.ctx, kind, []string{id})
	if err != nil {
		return "", a.plain(err)
	}
	return all[0], nil
}

type grantCommand struct {
	Issue  grantIssueCommand  `cmd:"" help:"Issue a batch grant."`
	Renew  grantRenewCommand  `cmd:"" help:"Make a batch grant last longer, or serve more."`
	Revoke grantRevokeCommand `cmd:"" help:"Revoke a batch grant."`
	List   grantListCommand   `cmd:"" help:"Show batch grants."`
}

type grantIssueCommand struct {
	warrant
	Institution string      `arg:"" help:"An identity; or an originator's pseudonym, or id: and its plain id."`
	Steps       []flow.Step `help:"What it is for." name:"step" required:"" enum:"register,review.request,review.result,order,settle,deliver"`
	From        string      `help:"From when on. Default: now." placeholder:"TIME"`
	To          string      `help:"Until when." required:"" placeholder:"TIME"`
	Quota       uint64      `help:"How many granted submissions it serves; 0 is any number."`
}

// Help implements kong's HelpProvider.
func (grantIssueCommand) Help() string {
	return "Times are 2026-12-31 (in the authority's zone), RFC 3339, or from now: 12h, 30d.\n\n" +
		"Example:\n  signalbox authority grant issue rx-pharmacy-003 --step order --step settle --step deliver --to 30d --quota 5000 --reason \"trial period\""
}

// Run issues.
func (c *grantIssueCommand) Run(a *app) error {
	g := contract.Grant{Steps: c.Steps, Quota: c.Quota}
	var err error
	if g.Institution, err = c.pseudonym(a, "originator", c.Institution); err != nil {
		return err
	}
	if err := c.times(a, at{"--from", c.From, &g.From}, at{"--to", c.To, &g.To}); err != nil {
		return err
	}
	return c.carry(a, contract.GrantIssue, g)
}

// at is a time that a flag gives.
type at struct {
	flag, text string
	unix       *int64
}

// times reads flags, days in the authority's zone.
func (c control) times(a *app, flags ...at) error {
	cl := c.client()
	defer cl.Close()
	status, err := cl.Status(a.ctx)
	if err != nil {
		return a.plain(err)
	}
	for _, f := range flags {
		if *f.unix, err = momentOf(f.text, status.ZoneOffset, time.Now()); err != nil {
			return fmt.Errorf("%s: %w", f.flag, err)
		}
	}
	return nil
}

type grantRenewCommand struct {
	warrant
	Code string `arg:"" help:"The grant's code."`
	To   string `help:"The new end." required:"" placeholder:"TIME"`
	More uint64 `help:"How many more submissions it serves."`
}

// Help implements kong's HelpProvider.
func (grantRenewCommand) Help() string {
	return "Example:\n  signalbox authority grant renew 3f9c0a1b2c3d4e5f60718293 --to 90d --more 1000 --reason \"renewed\""
}

// Run renews.
func (c *grantRenewCommand) Run(a *app) error {
	r := contract.GrantRenewal{Code: c.Code, More: c.More}
	if err := c.times(a, at{"--to", c.To, &r.To}); err != nil {
		return err
	}
	return c.carry(a, contract.GrantRenew, r)
}

type grantRevokeCommand struct {
	warrant
	Code string `arg:"" help:"The grant's code."`
}

// Run revokes.
func (c *grantRevokeCommand) Run(a *app) error {
	return c.carry(a, contract.GrantRevoke, contract.GrantRef{Code: c.Code})
}

// issuedBy says whether an order, a rule or genesis issued a batch grant.
func issuedBy(say words, g oversight.GrantView) string {
	switch {
	case g.Rule != "":
		return fmt.Sprintf(say.of("rule %s of version %d", "规则 %s（版本 %d）"), g.Rule, g.Version)
	case g.Issued != 0:
		return fmt.Sprintf(say.of("order %d", "第 %d 号指令"), g.Issued)
	default:
		return say.of("genesis", "创世")
	}
}

type grantListCommand struct {
	control
	Institution string `help:"Only those of this institution; or id: and an originator's plain id."`
}

// Run prints batch grants.
func (c *grantListCommand) Run(a *app) error {
	institution, err := c.pseudonym(a, "originator", c.Institution)
	if err != nil {
		return err
	}
	cl := c.client()
	defer cl.Close()
	all, err := cl.Grants(a.ctx, institution)
	if err != nil {
		return a.plain(err)
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(all)
	}
	t := newTable(a.stdout)
	t.row(a.say.of("CODE", "授权码"), a.say.of("INSTITUTION", "机构"), a.say.of("STEPS", "环节"), a.say.of("FROM", "自"), a.say.of("TO", "至"),
		a.say.of("USED", "已用"), a.say.of("BY", "依据"), a.say.of("STATE", "状态"))
	for _, g := range all {
		used := strconv.FormatUint(g.Used, 10)
		if g.Quota != 0 {
			used += "/" + strconv.FormatUint(g.Quota, 10)
		}
		state := a.say.of("valid", "有效")
		switch {
		case g.Revoked != 0:
			state = a.say.of("revoked", "已撤销")
		case g.Ended:
			state = a.say.of("ended", "已结束")
		}
		t.row(g.Code, brief(g.Institution), joined(g.Steps, " "), clock(g.From), clock(g.To), used, issuedBy(a.say, g), state)
	}
	return t.end()
}
