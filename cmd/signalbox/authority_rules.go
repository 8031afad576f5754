package main

import (
	"encoding/json"
	"fmt"
	"os"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/internal/oversight"
)

type bundleCommand struct {
	Publish  rulesPublishCommand  `cmd:"" help:"Publish a bundle."`
	Rollback rulesRollbackCommand `cmd:"" help:"Go back to an earlier version's bundle, as a new version."`
	Cancel   rulesCancelCommand   `cmd:"" help:"Take back a bundle that waits to take force."`
	Show     rulesShowCommand     `cmd:"" help:"Show what is in force, versions and what waits, or a bundle's text."`
}

// force is when a bundle takes force.
type force struct {
	Height int64  `help:"Take force with this block. Default, without --at: the next one." xor:"when"`
	At     string `help:"Take force at this time: 2026-12-31, RFC 3339, or from now, such as 24h." xor:"when" placeholder:"TIME"`
}

type rulesPublishCommand struct {
	warrant
	force
	File string `arg:"" help:"The bundle, YAML." type:"existingfile"`
}

// Help implements kong's HelpProvider.
func (rulesPublishCommand) Help() string {
	return "The bundle is compiled and its cases are run here first, and again by the chain. Try it before: signalbox rules test, lint, diff, backtest.\n\n" +
		"Examples:\n  signalbox authority rules publish prescription.yaml --reason \"shorter supply of narcotics\"\n" +
		"  signalbox authority rules publish prescription.yaml --at 2027-01-01 --second rx-officer-002 --reason \"new regulation\""
}

// Run publishes.
func (c *rulesPublishCommand) Run(a *app) error {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return fmt.Errorf("reading the bundle: %w", err)
	}
	b, err := contract.ParseBundle(text)
	if err == nil {
		_, err = b.Admit()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	p := contract.Publication{Text: text, Height: c.Height}
	if err := c.times(a, at{"--at", c.At, &p.Time}); err != nil {
		return err
	}
	return c.carry(a, contract.RulesPublish, p)
}

type rulesRollbackCommand struct {
	warrant
	force
	Version uint64 `arg:"" help:"The version to go back to."`
}

// Run goes back.
func (c *rulesRollbackCommand) Run(a *app) error {
	r := contract.Rollback{Version: c.Version, Height: c.Height}
	if err := c.times(a, at{"--at", c.At, &r.Time}); err != nil {
		return err
	}
	return c.carry(a, contract.RulesRollback, r)
}

type rulesCancelCommand struct {
	warrant
	Order uint64 `arg:"" help:"The order that published it, as rules show lists it."`
}

// Run cancels.
func (c *rulesCancelCommand) Run(a *app) error {
	return c.carry(a, contract.RulesCancel, contract.Cancellation{Order: c.Order})
}

type rulesShowCommand struct {
	control
	Version uint64 `arg:"" optional:"" help:"Print this version's text."`
	Text    bool   `help:"Print the text of what is in force."`
}

// Help implements kong's HelpProvider.
func (rulesShowCommand) Help() string {
	return "Examples:\n  signalbox authority rules show\n  signalbox authority rules show --text > prescription.yaml\n  signalbox authority rules show 3"
}

// Run shows.
func (c *rulesShowCommand) Run(a *app) error {
	cl := c.client()
	defer cl.Close()
	if c.Version != 0 {
		v, err := cl.Version(a.ctx, c.Version)
		if err != nil {
			return a.plain(err)
		}
		return c.text(a, v)
	}
	r, err := cl.Rules(a.ctx)
	switch {
	case err != nil:
		return a.plain(err)
	case c.Text:
		return c.text(a, r.InForce)
	case c.JSON:
		return json.NewEncoder(a.stdout).Encode(r)
	}
	t := newTable(a.stdout)
	t.row(a.say.of("VERSION", "版本"), a.say.of("ADDRESS", "地址"), a.say.of("FROM HEIGHT", "生效高度"), a.say.of("ORDER", "指令"), "")
	for _, s := range r.Scheduled {
		from := fmt.Sprint(s.Height)
		if s.Height == 0 {
			from = clock(s.Time)
		}
		t.row("", s.Address, from, s.Order, a.say.of("waits", "待生效"))
	}
	for _, v := range r.Versions {
		note := ""
		if v.Number == r.InForce.Number {
			note = a.say.of("in force", "生效中")
		}
		t.row(v.Number, v.Address, v.Height, v.Order, note)
	}
	return t.end()
}

func (c *rulesShowCommand) text(a *app, v oversight.VersionView) error {
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(v)
	}
	_, err := fmt.Fprint(a.stdout, v.Text)
	return err
}
