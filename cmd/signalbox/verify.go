package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/receipt"
)

type verifyCommand struct {
	Keys     string   `help:"File with the authority's public keys, a vkey line each. Not needed with a policy that names the log." type:"existingfile" placeholder:"DIR/authority.pub"`
	Policy   string   `help:"File that says which witnesses must have cosigned besides (c2sp.org/tlog-policy)." type:"existingfile" placeholder:"FILE"`
	JSON     bool     `help:"Print one JSON object a line."`
	Receipts []string `arg:"" help:"Receipt files (.tlog-proof)." name:"receipt"`
}

// Help implements kong's HelpProvider.
func (verifyCommand) Help() string {
	return "Works offline and reads nothing but the files named. Exits with 1 when any receipt does not hold.\n\n" +
		"By the authority's keys alone, a receipt proves what the authority has said. That it says the same to everybody is proven by " +
		"witnesses: a policy names them, and how many must have cosigned. docs/witness.md has examples.\n\n" +
		"Examples:\n  signalbox verify --keys data/authority.pub data/receipts/*.tlog-proof\n" +
		"  signalbox verify --policy court.policy data/receipts/*.tlog-proof\n" +
		"  signalbox verify --keys data/authority.pub --policy witnesses.policy --json receipt.tlog-proof"
}

// verified is what --json prints of a receipt.
type verified struct {
	File            string       `json:"file"`
	Valid           bool         `json:"valid"`
	Error           string       `json:"error,omitempty"`
	Chain           string       `json:"chain,omitempty"`
	Index           int64        `json:"index"`
	Size            int64        `json:"size"`
	Root            string       `json:"root,omitempty"`
	Signers         []string     `json:"signers,omitempty"`
	Witnesses       []cosigned   `json:"witnesses,omitempty"`
	Members         []string     `json:"members,omitempty"`
	Policy          string       `json:"policy,omitempty"` // who must have signed beside the log
	Network         string       `json:"network,omitempty"`
	Platform        string       `json:"platform,omitempty"`
	Step            flow.Step    `json:"step,omitempty"`
	Verdict         flow.Verdict `json:"verdict,omitempty"`
	Reasons         []string     `json:"reasons,omitempty"`
	Flow            *flow.Hash   `json:"flow,omitempty"`
	Tx              *flow.Hash   `json:"tx,omitempty"`
	Token           *flow.Hash   `json:"token,omitempty"`
	Actor           string       `json:"actor,omitempty"`
	Commitment      *flow.Hash   `json:"commitment,omitempty"`
	Record          *flow.Hash   `json:"record,omitempty"`
	Contract        *flow.Hash   `json:"contract,omitempty"`
	ContractVersion uint64       `json:"contract_version,omitempty"`
	Issued          *time.Time   `json:"issued,omitempty"`
	Expires         *time.Time   `json:"expires,omitempty"`
	proven          receipt.Proven
}

// cosigned is a witness whose line is valid.
type cosigned struct {
	Name string    `json:"name"`
	At   time.Time `json:"at"`
}

// Run checks every receipt, also after one that does not hold.
func (c *verifyCommand) Run(a *app) error {
	judge, err := c.judge()
	if err != nil {
		return err
	}
	failed := 0
	for _, name := range c.Receipts {
		v := judge.file(name)
		if !v.Valid {
			failed++
		}
		if err := c.print(a, v); err != nil {
			return err
		}
	}
	if failed > 0 {
		return exit(exitFailed)
	}
	return nil
}

// judge is what receipts are verified by.
type judge struct {
	needs  string // of witnesses, in the policy's words; empty without a policy
	verify func(file []byte) (receipt.Proven, error)
}

func (c *verifyCommand) judge() (judge, error) {
	var keys receipt.Keys
	if c.Keys != "" {
		text, err := os.ReadFile(c.Keys)
		if err != nil {
			return judge{}, fmt.Errorf("reading keys: %w", err)
		}
		if keys, err = receipt.ParseKeys(string(text)); err != nil {
			return judge{}, err
		}
	}
	if c.Policy == "" {
		if c.Keys == "" {
			return judge{}, errors.New("name the authority's keys (--keys), or a policy that does (--policy)")
		}
		return judge{verify: func(file []byte) (receipt.Proven, error) { return receipt.Verify(file, keys, keys.Origin()) }}, nil
	}
	text, err := os.ReadFile(c.Policy)
	if err != nil {
		return judge{}, fmt.Errorf("reading the policy: %w", err)
	}
	p, err := receipt.ParsePolicy(string(text))
	switch {
	case err != nil:
		return judge{}, fmt.Errorf("%s: %w", c.Policy, err)
	case len(p.Logs()) == 0 && c.Keys == "":
		return judge{}, fmt.Errorf("%s names no log: name the authority's keys besides (--keys)", c.Policy)
	case len(p.Logs()) > 0 && c.Keys != "":
		return judge{}, fmt.Errorf("%s names its logs already: leave out --keys", c.Policy)
	case c.Keys != "":
		p = p.Trusting(keys)
	}
	return judge{needs: p.Needs(), verify: p.Verify}, nil
}

func (j judge) file(name string) verified {
	v := verified{File: name, Policy: j.needs}
	file, err := os.ReadFile(name)
	if err == nil {
		v.proven, err = j.verify(file)
	}
	if err != nil {
		v.Error = err.Error()
		return v
	}
	v.fill()
	return v
}

// verifiedOf is what is said of a receipt that was verified.
func verifiedOf(name string, p receipt.Proven) verified {
	v := verified{File: name, proven: p}
	v.fill()
	return v
}

// fill says what was proven.
func (v *verified) fill() {
	p, l := v.proven, v.proven.Leaf
	v.Valid, v.Chain, v.Index, v.Size, v.Root, v.Signers = true, l.Chain, p.Index, p.Size, p.Root.String(), p.Signers
	v.Network, v.Platform, v.Step, v.Verdict, v.Reasons, v.Actor = l.Network, l.Platform, l.Step, l.Verdict, l.Reasons, l.Actor
	v.Flow, v.Tx, v.Token, v.Commitment = some(l.Flow), some(l.Tx), some(l.Token), some(l.Commitment)
	v.Record, v.Contract, v.ContractVersion = some(l.Record), some(l.Contract), l.ContractVersion
	v.Issued, v.Expires = moment(l.Issued), moment(l.Expires)
	v.Members = p.Members
	for _, w := range p.Witnesses {
		v.Witnesses = append(v.Witnesses, cosigned(w))
	}
}

func some(h flow.Hash) *flow.Hash {
	if h.IsZero() {
		return nil
	}
	return &h
}

func moment(unix int64) *time.Time {
	if unix == 0 {
		return nil
	}
	t := time.Unix(unix, 0).UTC()
	return &t
}

func (c *verifyCommand) print(a *app, v verified) error {
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(v)
	}
	if !v.Valid {
		_, err := fmt.Fprintf(a.stdout, "✗ %s\n  %s\n", v.File, v.Error)
		return err
	}
	_, err := fmt.Fprintf(a.stdout, "✓ %s\n%s\n", v.File, proven(a.say, v))
	return err
}

// proven says in plain words what a receipt proves.
func proven(say words, v verified) string {
	l := v.proven.Leaf
	lines := []string{fmt.Sprintf(say.of(
		"  The authority of supervision chain %s decided on %s: step %s of platform %s was %s.",
		"  监管链 %s 的监管机关于 %s 就平台 %[4]s 的环节“%[3]s”作出决定：%[5]s。"),
		l.Chain, v.Issued.Format(time.RFC3339), l.Step, l.Platform, verdictText(say, l.Verdict))}
	add := func(en, zh string, args ...any) {
		lines = append(lines, "  "+fmt.Sprintf(say.of(en, zh), args...))
	}
	if v.Flow != nil {
		add("Flow %s.", "业务流转 %s。", v.Flow)
	}
	add("It is transaction %s, entry %d of %d in the authority's log.", "交易 %s，为监管机关日志中 %[3]d 条里的第 %[2]d 条。", l.Tx, v.Index, v.Size)
	if len(l.Reasons) > 0 {
		add("Reasons: %s.", "理由：%s。", strings.Join(l.Reasons, ", "))
	}
	if v.Token != nil {
		add("It carries token %s for %s, valid until %s.", "所附令牌 %s，授予 %s，有效至 %s。", v.Token, l.Actor, v.Expires.Format(time.RFC3339))
	}
	if v.Record != nil && l.Verdict == flow.Granted {
		add("On business chain %s it permits one record only, with SHA-256 %s.", "在业务链 %s 上仅准许一条记录，其 SHA-256 为 %s。", l.Network, v.Record)
	}
	add("Decided by rule contract %s, version %d.", "依据规则合约 %s，版本 %d。", l.Contract, l.ContractVersion)
	add("Signed by the authority's keys: %s.", "由监管机关密钥签名：%s。", strings.Join(v.Signers, ", "))
	for _, w := range v.Witnesses {
		add("Witness %s had checked at %s that this log only ever grew.", "见证人 %s 于 %s 核实该日志只增不改。", w.Name, w.At.Format(time.RFC3339))
	}
	if len(v.Members) > 0 {
		add("Signed by members of the committee: %s.", "由委员会成员签名：%s。", strings.Join(v.Members, ", "))
	}
	switch v.Policy {
	case "", "none":
		add("This proves what the authority has said. That nobody was shown another log is proven by witnesses alone, and none was asked for.",
			"以上证明监管机关确曾作此决定。未要求见证人，故不能证明各方看到的是同一份日志。")
	default:
		add("That meets the policy, which needs %s: who trusts them can rely on everybody having been shown the same log.",
			"满足策略要求（%s）：信任上述各方者，可确信各方看到的是同一份日志。", v.Policy)
	}
	return strings.Join(lines, "\n")
}

func verdictText(say words, v flow.Verdict) string {
	switch v {
	case flow.Granted:
		return say.of("granted", "准许")
	case flow.Refused:
		return say.of("refused", "拒绝")
	default:
		return say.of("held", "挂起")
	}
}
