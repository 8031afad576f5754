package main

import (
	"encoding/json"
	"fmt"

	"signalbox.dev/signalbox/internal/oversight"
)

type orderCommand struct {
	List orderListCommand `cmd:"" help:"Show orders, the last ones if not told otherwise."`
	Show orderShowCommand `cmd:"" help:"Show one order."`

	Read        orderReadCommand        `cmd:"" help:"Show what an order file asks to be signed."`
	Countersign orderCountersignCommand `cmd:"" help:"Sign an order file second."`
	Submit      orderSubmitCommand      `cmd:"" help:"Hand in an order file."`
}

type orderListCommand struct {
	control
	From  uint64 `help:"Begin with this order. Default: so that the last ones are shown."`
	Limit uint64 `help:"How many." default:"20"`
}

// Help implements kong's HelpProvider.
func (orderListCommand) Help() string {
	return "Examples:\n  signalbox authority order list\n  signalbox authority order list --from 1 --limit 500 --json"
}

// Run prints orders.
func (c *orderListCommand) Run(a *app) error {
	cl := c.client()
	defer cl.Close()
	from := c.From
	if from == 0 {
		s, err := cl.Status(a.ctx)
		if err != nil {
			return a.plain(err)
		}
		from = 1
		if s.LastOrder > c.Limit {
			from = s.LastOrder - c.Limit + 1
		}
	}
	p, err := cl.Orders(a.ctx, from, c.Limit)
	if err != nil {
		return a.plain(err)
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(p)
	}
	t := newTable(a.stdout)
	t.row(a.say.of("NO.", "编号"), a.say.of("AT", "时间"), a.say.of("KIND", "种类"), a.say.of("ABOUT", "内容"), a.say.of("OFFICER", "签发人"),
		a.say.of("SECOND", "会签人"), a.say.of("REASON", "理由"))
	for _, o := range p.Orders {
		t.row(o.Number, clock(o.At), o.Kind, o.About, o.Officer, o.Second, o.Reason)
	}
	return t.end()
}

type orderShowCommand struct {
	control
	Number uint64 `arg:"" help:"The order's number."`
}

// Run prints one order.
func (c *orderShowCommand) Run(a *app) error {
	cl := c.client()
	defer cl.Close()
	p, err := cl.Orders(a.ctx, c.Number, 1)
	if err != nil {
		return a.plain(err)
	}
	if len(p.Orders) == 0 || p.Orders[0].Number != c.Number {
		return fmt.Errorf(a.say.of("there is no order %d", "没有第 %d 号指令"), c.Number)
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(p.Orders[0])
	}
	return printOrder(a, p.Orders[0])
}

func printOrder(a *app, o oversight.OrderView) error {
	t := newTable(a.stdout)
	row := func(en, zh string, v any) { t.row(a.say.of(en, zh), v) }
	row("order", "指令", o.Number)
	row("kind", "种类", o.Kind)
	row("about", "内容", o.About)
	row("reason", "理由", o.Reason)
	row("officer", "签发人", o.Officer)
	row("second officer", "会签人", o.Second)
	row("signed", "签发时间", clock(o.Issued))
	row("expires", "有效至", clock(o.Expires))
	row("carried out", "执行时间", clock(o.At))
	row("height", "高度", o.Height)
	row("transaction", "交易", o.Tx)
	row("SHA-256 of the body", "内容的 SHA-256", o.BodyHash)
	return t.end()
}
