package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/oversight"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/system"
)

// authorityCommand is the authority, and what an officer does on a running one.
type authorityCommand struct {
	Run      authorityRunCommand `cmd:"" help:"Run the authority by itself."`
	Admit    admitCommand        `cmd:"" help:"Certify applicants and admit them."`
	Status   statusCommand       `cmd:"" help:"Where the chain stands: rules in force, last order, what is stopped."`
	Identity identityCommand     `cmd:"" help:"Admit, verify, suspend, revoke and restore participants."`
	Node     nodesCommand        `cmd:"" help:"Nodes of the supervision chain: list, admit, weigh, remove."`
	Seats    committeeCommand    `cmd:"" name:"committee" help:"Who validates the supervision chain: how many sit, and how seats rotate."`
	Keys     keysCommand         `cmd:"" help:"The keys that the log is signed with: show, hand over to new ones."`
	List     listCommand         `cmd:"" help:"Restricted lists: show, import, export, lift, appeals, define."`
	Standing standingCommand     `cmd:"" help:"An institution's standing: allow, deny or neither."`
	Grant    grantCommand        `cmd:"" help:"Batch grants: issue, renew, revoke, list."`
	Hold     holdCommand         `cmd:"" help:"Submissions that wait for an officer: list, grant, refuse."`
	Freeze   freezeCommand       `cmd:"" help:"Freeze a flow, a subject or an institution: what it submits is held."`
	Unfreeze unfreezeCommand     `cmd:"" help:"Let a flow, a subject or an institution go on."`
	Stop     stopCommand         `cmd:"" help:"Stop one kind of step for one kind of business, until a time."`
	Resume   resumeCommand       `cmd:"" help:"End a stop before its time."`
	Rules    bundleCommand       `cmd:"" help:"The rule contract on the chain: publish, roll back, cancel, show."`
	Erasure  erasureCommand      `cmd:"" help:"Payloads that are destroyed after their retention or by law: order, list, retention."`
	Policy   policyCommand       `cmd:"" help:"Say which kinds of order two officers must sign."`
	Anchor   anchorCommand       `cmd:"" help:"What the chains disagree on: granted records without an anchor, anchors that can't stand."`
	Order    orderCommand        `cmd:"" help:"The history of officers' orders: list, show."`
}

// control finds the running authority.
type control struct {
	Data string `help:"The data directory of the running system, or the folder of an authority that runs apart." default:"./data" type:"path" placeholder:"DIR"`
	JSON bool   `help:"Print JSON."`
}

// authority is the authority's folder: Data itself, or within the data directory
// of an all-in-one.
func (c control) authority() string {
	within := filepath.Join(c.Data, "authority")
	if _, err := os.Stat(within); err == nil {
		return within
	}
	return c.Data
}

func (c control) client() *oversight.Client {
	return oversight.NewClient(oversight.Socket(c.authority()))
}

// warrant is how an order is signed.
type warrant struct {
	control
	Officer    string        `help:"The officer who signs, one of those built into an all-in-one. With --keys it is whose folder that is." default:"rx-officer-001" placeholder:"ID"`
	Second     string        `help:"A second officer, who signs too." placeholder:"ID"`
	Keys       string        `help:"The folder of the officer who signs, as signalbox init officer made it." type:"existingdir" placeholder:"DIR"`
	SecondKeys string        `help:"The folder of a second officer, who signs too." name:"second-keys" type:"existingdir" placeholder:"DIR"`
	Reason     string        `help:"Why; it stands on the chain." required:""`
	Expires    time.Duration `help:"How long the order may wait to be carried out." default:"10m"`
	ToFile     string        `help:"Sign into this new file and don't hand it in: another officer countersigns it (authority order countersign)." name:"to-file" placeholder:"FILE"`
}

// order is one order to be given.
type order struct {
	kind contract.Kind
	body any
}

// attempts is how often an order is signed anew when another officer's was
// quicker and took its number.
const attempts = 5

// give signs an order, hands it in and waits for what it brings about.
func (w warrant) give(a *app, o order) (oversight.Outcome, error) {
	if w.ToFile != "" {
		return oversight.Outcome{}, errors.New(a.say.of("--to-file: this command gives several orders, or more than an order", "--to-file：该命令不止签发一条指令"))
	}
	by, err := w.signers()
	if err != nil {
		return oversight.Outcome{}, err
	}
	c := w.client()
	defer c.Close()
	for n := 1; ; n++ {
		status, err := c.Status(a.ctx)
		if err != nil {
			return oversight.Outcome{}, a.plain(err)
		}
		signed, err := w.sign(status, o, by, time.Now())
		if err != nil {
			return oversight.Outcome{}, err
		}
		out, err := c.Order(a.ctx, signed)
		if err == nil || !oversight.NumberTaken(err) || n == attempts {
			return out, a.plain(err)
		}
	}
}

// signer is an officer with the key.
type signer struct {
	id  string
	key envelope.PrivateKey
}

// signers are who signs: one officer, or two.
func (w warrant) signers() ([]signer, error) {
	first, err := w.signer(w.Officer, w.Keys)
	if err != nil {
		return nil, err
	}
	if w.Second == "" && w.SecondKeys == "" {
		return []signer{first}, nil
	}
	second, err := w.signer(w.Second, w.SecondKeys)
	return []signer{first, second}, err
}

// signer reads an officer's key: from the officer's own folder, or for a built-in
// one from the data directory.
func (w warrant) signer(id, folder string) (signer, error) {
	if folder == "" {
		key, err := system.OfficerKey(w.Data, id)
		if err != nil {
			return signer{}, fmt.Errorf("reading the key of officer %s: %w", id, err)
		}
		return signer{id, key}, nil
	}
	d := party.Dir(folder)
	card, err := d.ReadCard(string(contract.RoleOfficer))
	if err != nil {
		return signer{}, err
	}
	passphrase, err := party.Passphrase(d.Path(party.PassphraseFile))
	if err != nil {
		return signer{}, err
	}
	info, err := os.Stat(d.SigningFile())
	if err != nil {
		return signer{}, fmt.Errorf("reading the officer's key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return signer{}, fmt.Errorf("reading the officer's key: %s can be read by others: chmod 600 it", d.SigningFile())
	}
	s := signer{id: card.ID}
	return s, party.LoadKeys(passphrase, []party.Slot{{Key: &s.key, Use: envelope.Signing, File: d.SigningFile()}})
}

// sign numbers and signs an order with the officers' keys.
func (w warrant) sign(at oversight.Status, o order, by []signer, now time.Time) (chain.SignedOrder, error) {
	body, err := flow.Marshal(o.body)
	if err != nil {
		return chain.SignedOrder{}, fmt.Errorf("composing the order: %w", err)
	}
	var s chain.SignedOrder
	s.Order, err = flow.Marshal(contract.Order{
		Number: at.LastOrder + 1, Kind: o.kind, Officer: by[0].id, Reason: w.Reason,
		Issued: now.Unix(), Expires: now.Add(w.Expires).Unix(), Body: body,
	})
	if err != nil {
		return chain.SignedOrder{}, fmt.Errorf("composing the order: %w", err)
	}
	suite, err := envelope.ByName(at.Suite)
	if err != nil {
		return chain.SignedOrder{}, err
	}
	input := chain.OrderInput(at.Chain, s.Order)
	if s.Signature, err = suite.Sign(rand.Reader, by[0].key, input); err != nil || len(by) == 1 {
		return s, err
	}
	s.Second = by[1].id
	s.SecondSignature, err = suite.Sign(rand.Reader, by[1].key, input)
	return s, err
}

// carry gives an order and says what it brought about.
func (w warrant) carry(a *app, kind contract.Kind, body any) error {
	if w.ToFile != "" {
		return w.toFile(a, order{kind, body})
	}
	out, err := w.give(a, order{kind, body})
	if err != nil {
		return err
	}
	return w.report(a, out)
}

func (w warrant) report(a *app, out oversight.Outcome) error {
	if w.JSON {
		return json.NewEncoder(a.stdout).Encode(out)
	}
	lines := []string{fmt.Sprintf(a.say.of("✓ order %d carried out (%s)", "✓ 第 %d 号指令已执行（%s）"), out.Number, out.Kind)}
	add := func(en, zh string, args ...any) { lines = append(lines, "  "+fmt.Sprintf(a.say.of(en, zh), args...)) }
	switch n := len(out.Entries); {
	case n == 1:
		add("entry %d", "条目 %d", out.Entries[0])
	case n > 1:
		add("%d entries, numbers %d to %d", "%d 个条目，编号 %d 至 %d", n, out.Entries[0], out.Entries[n-1])
	}
	if out.Grant != "" {
		add("batch grant %s", "批量授权码 %s", out.Grant)
	}
	if !out.Bundle.IsZero() {
		add("rule contract %s", "规则合约 %s", out.Bundle)
	}
	for _, r := range out.Resolved {
		add("submission %s: %s", "提交 %s：%s", r.Tx, verdictText(a.say, r.Verdict))
		for _, why := range r.Reasons {
			lines = append(lines, "    "+reasonText(a.say, why))
		}
	}
	_, err := fmt.Fprintln(a.stdout, strings.Join(lines, "\n"))
	return err
}

func reasonText(say words, r flow.Reason) string {
	text := r.Code + " " + say.of(r.En, r.Zh)
	if r.Path != "" {
		text += " (" + r.Path + ")"
	}
	return text
}

// plain says what the authority answered in the user's language.
func (a *app) plain(err error) error {
	var p *oversight.Problem
	switch {
	case errors.As(err, &p):
		return errors.New(p.Code + ": " + p.In(a.say.zh))
	case errors.Is(err, oversight.ErrNotRunning):
		return errors.New(a.say.of("the authority is not running in this data directory: start it with signalbox up, or name another with --data",
			"该数据目录下没有运行中的监管机关：请用 signalbox up 启动，或用 --data 指定其他目录"))
	}
	return err
}

type statusCommand struct{ control }

// Run prints where the chain stands.
func (c *statusCommand) Run(a *app) error {
	cl := c.client()
	defer cl.Close()
	s, err := cl.Status(a.ctx)
	if err != nil {
		return a.plain(err)
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(s)
	}
	t := newTable(a.stdout)
	row := func(en, zh string, v any) { t.row(a.say.of(en, zh), v) }
	row("chain", "监管链", s.Chain+" ("+s.Suite+")")
	row("height", "高度", s.Height)
	row("decisions", "决定", s.Decisions)
	row("rule contract", "规则合约", fmt.Sprintf("%d · %s", s.Version, s.Contract))
	row("last order", "最近指令", s.LastOrder)
	row("holds so far", "累计挂起", s.LastHold)
	for _, k := range s.SecondOfficer {
		row("two officers", "双人签发", k)
	}
	for _, p := range s.Stopped {
		row("stopped", "已停止", fmt.Sprintf("%s %s · %s · %d", p.Business, p.Step, clock(p.Until), p.Order))
	}
	return t.end()
}

type policyCommand struct {
	warrant
	Kinds []string `arg:"" optional:"" help:"Kinds of order, such as identity.status; none: one officer is enough for all." name:"kind"`
}

// Help implements kong's HelpProvider.
func (policyCommand) Help() string {
	return "Kinds that are not named need one officer. An order that asks for second officers is itself signed by two.\n\n" +
		"Example:\n  signalbox authority policy rules.publish identity.status --second rx-officer-002 --reason \"four eyes\""
}

// Run gives the order.
func (c *policyCommand) Run(a *app) error {
	p := contract.Policy{Second: []contract.Kind{}}
	for _, k := range c.Kinds {
		p.Second = append(p.Second, contract.Kind(k))
	}
	return c.carry(a, contract.PolicySet, p)
}
