package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/oversight"
)

type holdCommand struct {
	List   holdListCommand   `cmd:"" help:"Show what waits for an officer."`
	Grant  holdGrantCommand  `cmd:"" help:"Let a held submission go on."`
	Refuse holdRefuseCommand `cmd:"" help:"Refuse a held submission; the platform reads the reason."`
}

type holdListCommand struct{ control }

// Help implements kong's HelpProvider.
func (holdListCommand) Help() string {
	return "What nobody decides by its deadline is refused.\n\nExamples:\n  signalbox authority hold list\n  signalbox authority hold list --json"
}

// Run prints open holds.
func (c *holdListCommand) Run(a *app) error {
	all, err := c.open(a)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(all)
	}
	t := newTable(a.stdout)
	t.row(a.say.of("NO.", "编号"), a.say.of("TRANSACTION", "交易"), a.say.of("STEP", "环节"), a.say.of("PLATFORM", "平台"), a.say.of("ACTOR", "操作者"),
		a.say.of("SINCE", "自"), a.say.of("DEADLINE", "期限"), a.say.of("WHY", "原因"))
	for _, h := range all {
		var why []string
		for _, r := range h.Reasons {
			why = append(why, a.say.of(r.En, r.Zh))
		}
		t.row(h.Number, h.Tx, h.Step, h.Platform, h.Actor, clock(h.Since), clock(h.Deadline), strings.Join(why, a.say.of("; ", "；")))
	}
	return t.end()
}

// open are all open holds, in order.
func (c control) open(a *app) ([]oversight.HoldView, error) {
	cl := c.client()
	defer cl.Close()
	all := []oversight.HoldView{}
	for from := uint64(1); from != 0; {
		p, err := cl.Holds(a.ctx, from, 500)
		if err != nil {
			return nil, a.plain(err)
		}
		all = append(all, p.Holds...)
		from = p.Next
	}
	return all, nil
}

// held names a held submission.
type held struct {
	warrant
	Tx string `arg:"" help:"The submission's transaction, or the number of the hold."`
}

// transaction finds the transaction, of a number too.
func (h held) transaction(a *app) (flow.Hash, error) {
	n, err := strconv.ParseUint(h.Tx, 10, 32)
	if err != nil {
		return flow.ParseHash(h.Tx)
	}
	all, err := h.open(a)
	if err != nil {
		return flow.Hash{}, err
	}
	for _, v := range all {
		if v.Number == n {
			return v.Tx, nil
		}
	}
	return flow.Hash{}, fmt.Errorf(a.say.of("no hold %d is open", "没有待处理的第 %d 号挂起事项"), n)
}

func (h held) decide(a *app, grant bool) error {
	tx, err := h.transaction(a)
	if err != nil {
		return err
	}
	return h.carry(a, contract.HoldDecide, contract.HoldDecision{Tx: tx, Grant: grant})
}

type holdGrantCommand struct{ held }

// Help implements kong's HelpProvider.
func (holdGrantCommand) Help() string {
	return "Everything but what it is held for is checked again, as it stands now.\n\nExample:\n  signalbox authority hold grant 12 --reason \"prescriber called\""
}

// Run grants.
func (c *holdGrantCommand) Run(a *app) error { return c.decide(a, true) }

type holdRefuseCommand struct{ held }

// Run refuses.
func (c *holdRefuseCommand) Run(a *app) error { return c.decide(a, false) }

// frozen names what is frozen, or let go.
type frozen struct {
	warrant
	What string `arg:"" help:"flow, subject or institution." enum:"flow,subject,institution"`
	ID   string `arg:"" help:"A flow's id, a subject's pseudonym, an identity; or id: and a plain id, such as id:resident:110101199003070038."`
}

func (f frozen) target(a *app) (contract.Target, error) {
	kind := "subject"
	if f.What == string(contract.FrozenInstitution) {
		kind = "originator"
	}
	id, err := f.pseudonym(a, kind, f.ID)
	return contract.Target{What: contract.Frozen(f.What), ID: id}, err
}

type freezeCommand struct{ frozen }

// Help implements kong's HelpProvider.
func (freezeCommand) Help() string {
	return "Examples:\n  signalbox authority freeze institution rx-pharmacy-002 --reason \"case 17\"\n" +
		"  signalbox authority freeze subject id:resident:110101199003070038 --reason \"card stolen\""
}

// Run freezes.
func (c *freezeCommand) Run(a *app) error {
	t, err := c.target(a)
	if err != nil {
		return err
	}
	return c.carry(a, contract.Freeze, t)
}

type unfreezeCommand struct{ frozen }

// Run lets go.
func (c *unfreezeCommand) Run(a *app) error {
	t, err := c.target(a)
	if err != nil {
		return err
	}
	return c.carry(a, contract.Unfreeze, t)
}

// stopped names a step of a kind of business.
type stopped struct {
	warrant
	Step     flow.Step `arg:"" help:"The step, such as order." enum:"enrol,register,review.request,review.result,order,settle,deliver"`
	Business string    `help:"The kind of business." default:"prescription"`
}

type stopCommand struct {
	stopped
	Until string `help:"When it ends: 2026-12-31, RFC 3339, or from now, such as 2h." required:"" placeholder:"TIME"`
}

// Help implements kong's HelpProvider.
func (stopCommand) Help() string {
	return "An emergency stop: every such step is held until an officer decides it or its deadline passes.\n\n" +
		"Example:\n  signalbox authority stop order --until 2h --reason \"price list is wrong\""
}

// Run stops.
func (c *stopCommand) Run(a *app) error {
	s := contract.StepStop{Business: c.Business, Step: c.Step}
	if err := c.times(a, at{"--until", c.Until, &s.Until}); err != nil {
		return err
	}
	if s.Until == 0 {
		return errors.New("--until: is empty")
	}
	return c.carry(a, contract.Stop, s)
}

type resumeCommand struct{ stopped }

// Run resumes.
func (c *resumeCommand) Run(a *app) error {
	return c.carry(a, contract.Resume, contract.StepStop{Business: c.Business, Step: c.Step})
}
