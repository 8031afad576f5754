package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/oversight"
)

type listCommand struct {
	Show   listShowCommand   `cmd:"" help:"Show all lists, or the entries of one."`
	Add    listAddCommand    `cmd:"" help:"Put one entry on a list."`
	Import listImportCommand `cmd:"" help:"Put the rows of a CSV file on a list."`
	Export listExportCommand `cmd:"" help:"Write a list as CSV, with the history of its entries."`
	Lift   listLiftCommand   `cmd:"" help:"Lift an entry."`
	Appeal listAppealCommand `cmd:"" help:"Note an appeal against an entry; it counts until it is lifted."`
	Keep   listKeepCommand   `cmd:"" help:"Turn an appeal down."`
	Define listDefineCommand `cmd:"" help:"Define a list of the authority's own."`
}

type listShowCommand struct {
	control
	List  string `arg:"" optional:"" help:"The list."`
	From  uint64 `help:"Begin with this entry." default:"1"`
	Limit uint64 `help:"How many entries." default:"100"`
}

// Help implements kong's HelpProvider.
func (listShowCommand) Help() string {
	return "Examples:\n  signalbox authority list show\n  signalbox authority list show restricted-subjects --from 101"
}

// Run shows.
func (c *listShowCommand) Run(a *app) error {
	cl := c.client()
	defer cl.Close()
	if c.List == "" {
		return c.all(a, cl)
	}
	p, err := cl.Entries(a.ctx, contract.List(c.List), c.From, c.Limit)
	if err != nil {
		return a.plain(err)
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(p)
	}
	t := newTable(a.stdout)
	t.row(a.say.of("NO.", "编号"), a.say.of("KEY", "对象"), a.say.of("STATUS", "状态"), a.say.of("FROM", "自"), a.say.of("TO", "至"),
		a.say.of("ORDER", "指令"), a.say.of("REASON", "理由"), a.say.of("BASIS", "依据"))
	for _, e := range p.Entries {
		by := strconv.FormatUint(e.Added, 10)
		if !e.Rule.IsZero() {
			by = a.say.of("rule", "规则")
		}
		keys := make([]string, len(e.Key))
		for i, k := range e.Key {
			keys[i] = brief(k)
		}
		t.row(e.Number, strings.Join(keys, " "), e.Status, clock(e.From), clock(e.To), by, e.Reason, e.Basis)
	}
	if err := t.end(); err != nil || p.Next == 0 {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, a.say.of("more: --from %d\n", "续：--from %d\n"), p.Next)
	return err
}

func (c *listShowCommand) all(a *app, cl *oversight.Client) error {
	lists, err := cl.Lists(a.ctx)
	if err != nil {
		return a.plain(err)
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(lists)
	}
	t := newTable(a.stdout)
	t.row(a.say.of("LIST", "名单"), a.say.of("KEY", "对象"), a.say.of("STEPS", "环节"), a.say.of("ENTRIES", "条目"), a.say.of("CODE", "代码"))
	for _, l := range lists {
		t.row(l.Name, strings.Join(l.Key, ","), joined(l.Steps, " "), l.Entries, l.Code)
	}
	return t.end()
}

// listed finds a list by its name.
func (c control) listed(a *app, name string) (oversight.ListView, error) {
	cl := c.client()
	defer cl.Close()
	lists, err := cl.Lists(a.ctx)
	if err != nil {
		return oversight.ListView{}, a.plain(err)
	}
	for _, l := range lists {
		if string(l.Name) == name {
			return l, nil
		}
	}
	return oversight.ListView{}, fmt.Errorf(a.say.of("there is no list %q", "没有名单“%s”"), name)
}

type listAddCommand struct {
	warrant
	List  string   `arg:"" help:"The list."`
	Key   []string `arg:"" help:"The key's parts, as the chain has them; or id: and a plain id."`
	Basis string   `help:"Legal basis, shown with a refusal." required:""`
	From  string   `help:"From when on. Default: at once." placeholder:"TIME"`
	To    string   `help:"Until when. Default: without end." placeholder:"TIME"`
}

// Help implements kong's HelpProvider.
func (listAddCommand) Help() string {
	return "The order's reason is the entry's.\n\nExample:\n  signalbox authority list add restricted-subjects id:resident:110101199003070038 --basis \"Art. 5\" --to 90d --reason \"claims fraud, case 17\""
}

// Run adds.
func (c *listAddCommand) Run(a *app) error {
	l, err := c.listed(a, c.List)
	if err != nil {
		return err
	}
	if len(c.Key) != len(l.Key) {
		return fmt.Errorf(a.say.of("the key of %s has the parts %s", "名单 %s 的对象由 %s 组成"), l.Name, strings.Join(l.Key, ", "))
	}
	e := contract.Addition{List: l.Name, Reason: c.Reason, Basis: c.Basis}
	for i, part := range c.Key {
		text, err := c.pseudonym(a, l.Key[i], part)
		if err != nil {
			return err
		}
		e.Key = append(e.Key, text)
	}
	if err := c.times(a, at{"--from", c.From, &e.From}, at{"--to", c.To, &e.To}); err != nil {
		return err
	}
	return c.carry(a, contract.ListAdd, contract.Additions{Entries: []contract.Addition{e}})
}

type listExportCommand struct {
	control
	List   string `arg:"" help:"The list."`
	Output string `help:"Write to this file. Default: standard output." short:"o" type:"path" placeholder:"FILE"`
}

// Help implements kong's HelpProvider.
func (listExportCommand) Help() string {
	return "The columns of the key, from, to, reason and basis are those that list import reads; the others tell an entry's history.\n\n" +
		"Example:\n  signalbox authority list export restricted-subjects -o subjects.csv"
}

// Run exports.
func (c *listExportCommand) Run(a *app) error {
	l, err := c.listed(a, c.List)
	if err != nil {
		return err
	}
	out := a.stdout
	if c.Output != "" {
		f, err := os.OpenFile(c.Output, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return fmt.Errorf("writing the list: %w", err)
		}
		return errors.Join(c.write(a, l, f), f.Close())
	}
	return c.write(a, l, out)
}

func (c *listExportCommand) write(a *app, l oversight.ListView, out io.Writer) error {
	cl := c.client()
	defer cl.Close()
	w := csv.NewWriter(out)
	for from := uint64(1); from != 0; {
		p, err := cl.Entries(a.ctx, l.Name, from, 500)
		if err != nil {
			return a.plain(err)
		}
		if c.JSON {
			for _, e := range p.Entries {
				if err := json.NewEncoder(out).Encode(e); err != nil {
					return err
				}
			}
		} else {
			if from == 1 {
				w.Write(append(append([]string{}, l.Key...), csvColumns()...))
			}
			for _, e := range p.Entries {
				w.Write(append(append([]string{}, e.Key...), csvFields(e)...))
			}
		}
		from = p.Next
	}
	w.Flush()
	return w.Error()
}

// csvColumns are an export's columns after those of the key.
func csvColumns() []string {
	return []string{"from", "to", "reason", "basis", "number", "status", "added", "rule", "appealed", "appeal", "kept", "lifted"}
}

func csvFields(e oversight.EntryView) []string {
	n := func(v uint64) string {
		if v == 0 {
			return ""
		}
		return strconv.FormatUint(v, 10)
	}
	rule := ""
	if !e.Rule.IsZero() {
		rule = e.Rule.String()
	}
	return []string{
		csvTime(e.From), csvTime(e.To), e.Reason, e.Basis, n(e.Number), string(e.Status), n(e.Added), rule,
		n(e.Appealed), e.Appeal, n(e.Kept), n(e.Lifted),
	}
}

func csvTime(m oversight.Moment) string {
	if m == 0 {
		return ""
	}
	return m.Time().Format(time.RFC3339)
}

// entry names an entry.
type entry struct {
	warrant
	List   string `arg:"" help:"The list."`
	Number uint64 `arg:"" help:"The entry's number."`
}

func (e entry) change(a *app, kind contract.Kind, text string) error {
	return e.carry(a, kind, contract.EntryRef{List: contract.List(e.List), Number: e.Number, Text: text})
}

type listLiftCommand struct{ entry }

// Help implements kong's HelpProvider.
func (listLiftCommand) Help() string {
	return "Example:\n  signalbox authority list lift restricted-subjects 7 --reason \"case 17 closed\""
}

// Run lifts.
func (c *listLiftCommand) Run(a *app) error { return c.change(a, contract.ListLift, "") }

type listAppealCommand struct {
	entry
	Text string `arg:"" help:"What the appeal says; no personal data."`
}

// Run notes an appeal.
func (c *listAppealCommand) Run(a *app) error { return c.change(a, contract.ListAppeal, c.Text) }

type listKeepCommand struct{ entry }

// Run turns an appeal down.
func (c *listKeepCommand) Run(a *app) error { return c.change(a, contract.ListKeep, "") }

type listDefineCommand struct {
	warrant
	Name  string      `arg:"" help:"The list's name: lower-case words joined by '-'."`
	Key   []string    `help:"Parts of its key, one to three: platform, originator, prescriber, reviewer, producer, subject, item, flow, record, business, network." required:""`
	Steps []flow.Step `help:"Where it is looked up." name:"step" required:""`
	Zh    string      `help:"What people read on a hit, in Chinese." required:""`
	En    string      `help:"What people read on a hit, in English." required:""`
}

// Help implements kong's HelpProvider.
func (listDefineCommand) Help() string {
	return "Example:\n  signalbox authority list define restricted-prescribers --key prescriber --step register --zh 受限医师 --en \"restricted prescriber\" --reason \"regulation 12\""
}

// Run defines.
func (c *listDefineCommand) Run(a *app) error {
	return c.carry(a, contract.ListDefine, contract.Definition{
		Name: contract.List(c.Name), Key: c.Key, Steps: c.Steps, Message: contract.Message{Zh: c.Zh, En: c.En},
	})
}
