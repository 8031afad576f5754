package main

import (
	"encoding/json"
	"fmt"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
)

// erasureCommand is the erasure of payloads (R10.1).
type erasureCommand struct {
	Order     erasureOrderCommand     `cmd:"" help:"Order payloads erased; two officers sign."`
	List      erasureListCommand      `cmd:"" help:"Show what was ordered erased, and what of it this node still waits to destroy."`
	Retention erasureRetentionCommand `cmd:"" help:"Set how long payloads of a kind of business are kept at least."`
}

type erasureOrderCommand struct {
	warrant
	Law string   `help:"The provision, judgment or request that asks for it, whatever the payloads' age. Without it their retention must have passed." placeholder:"TEXT"`
	Tx  []string `arg:"" help:"Transactions whose payload is to be erased, at most 100."`
}

// Help implements kong's HelpProvider.
func (erasureOrderCommand) Help() string {
	return "Sealed payload and facts are destroyed in the authority's blocks, on every node of the chain and in the archive; the decision and its receipt stay " +
		"valid. It can't be undone. From the order on nobody is given the payload; a copy in a block goes once the archive has what else is in it. " +
		"Copies of platforms are theirs to erase.\n\n" +
		"Examples:\n  signalbox authority erasure order 5f70… --keys officer-1 --second-keys officer-2 --reason \"retention of 2026\"\n" +
		"  signalbox authority erasure order 5f70… --law \"judgment 17 of 2026-03-01\" --keys officer-1 --to-file order.json --expires 24h --reason \"judgment\""
}

// Run gives the order.
func (c *erasureOrderCommand) Run(a *app) error {
	e := contract.Erasure{Ground: contract.ByRetention, Basis: c.Law}
	if c.Law != "" {
		e.Ground = contract.ByLaw
	}
	cl := c.client()
	defer cl.Close()
	for _, text := range c.Tx {
		tx, err := flow.ParseHash(text)
		if err != nil {
			return fmt.Errorf("transaction: %w", err)
		}
		p, err := cl.Payload(a.ctx, tx)
		if err != nil {
			return a.plain(err)
		}
		e.Payloads = append(e.Payloads, p)
	}
	return c.carry(a, contract.PayloadErase, e)
}

type erasureRetentionCommand struct {
	warrant
	Business string `arg:"" help:"The kind of business."`
	Days     int64  `arg:"" help:"Days since the decision; 0: for good, unless the law asks sooner."`
}

// Help implements kong's HelpProvider.
func (erasureRetentionCommand) Help() string {
	return "Example:\n  signalbox authority erasure retention prescription 5475 --reason \"fifteen years\""
}

// Run gives the order.
func (c *erasureRetentionCommand) Run(a *app) error {
	return c.carry(a, contract.RetentionSet, contract.Retention{Business: c.Business, Days: c.Days})
}

type erasureListCommand struct{ control }

// Help implements kong's HelpProvider.
func (erasureListCommand) Help() string {
	return "Examples:\n  signalbox authority erasure list\n  signalbox authority erasure list --json"
}

// Run lists.
func (c *erasureListCommand) Run(a *app) error {
	cl := c.client()
	defer cl.Close()
	all, err := cl.Erasures(a.ctx)
	if err != nil {
		return a.plain(err)
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(all)
	}
	t := newTable(a.stdout)
	t.row(a.say.of("ORDER", "指令"), a.say.of("AT", "时间"), a.say.of("GROUND", "依据"), a.say.of("TRANSACTION", "交易"), a.say.of("BLOCK", "区块"), a.say.of("HERE", "本节点"))
	for _, e := range all {
		here := a.say.of("gone", "已销毁")
		if e.Waiting {
			here = a.say.of("waits for the archive", "待归档后销毁")
		}
		t.row(e.Order, clock(e.At), groundText(a.say, e.Ground), e.Tx, e.Height, here)
	}
	return t.end()
}
