package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/internal/system"
)

// summary is the demo's last line.
type summary struct {
	Inputs           int `json:"inputs"`
	Flows            int `json:"flows"`     // registered
	Completed        int `json:"completed"` // delivered
	Refused          int `json:"refused"`   // inputs that were understood and refused, by profile or contract
	Unreadable       int `json:"unreadable"`
	Steps            int `json:"steps"`
	ReceiptsVerified int `json:"receipts_verified"`
	Inconsistencies  int `json:"inconsistencies"`
}

// stepLine is what --json prints of a step.
type stepLine struct {
	Input      string        `json:"input"`
	Flow       string        `json:"flow"`
	Step       flow.Step     `json:"step"`
	Verdict    flow.Verdict  `json:"verdict"`
	Reasons    []flow.Reason `json:"reasons"`
	Tx         string        `json:"tx"`
	BusinessTx string        `json:"business_tx"`
	Token      string        `json:"token"`
	MS         int64         `json:"ms"`
}

type unreadableLine struct {
	Input string `json:"input"`
	Error string `json:"error"`
}

// demoOutput prints what the demo does, for people or as JSON.
type demoOutput struct {
	a        *app
	json     bool
	terminal bool // progress is shown on it
	total    int
	ended    int
}

func newDemoOutput(a *app, asJSON bool) *demoOutput {
	terminal := false
	if f, ok := a.stderr.(*os.File); ok {
		info, err := f.Stat()
		terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return &demoOutput{a: a, json: asJSON, terminal: terminal}
}

func (o *demoOutput) line(v any) error { return json.NewEncoder(o.a.stdout).Encode(v) }

func (o *demoOutput) printf(format string, args ...any) error {
	o.clear()
	_, err := fmt.Fprintf(o.a.stdout, format, args...)
	return err
}

func (o *demoOutput) clear() {
	if o.terminal {
		fmt.Fprint(o.a.stderr, "\r\x1b[K")
	}
}

// progress shows on a terminal how far it is; what is printed goes above it.
func (o *demoOutput) progress(what string) {
	if o.terminal {
		fmt.Fprintf(o.a.stderr, "\r\x1b[K%s", what)
	}
}

func (o *demoOutput) preparing() {
	o.progress(o.a.say.of("making keys and starting two chains …", "正在生成密钥并启动两条链 …"))
}

func (o *demoOutput) begin(s system.Settings, total int) {
	o.total = total
	if o.json {
		return
	}
	suite := map[string]string{"gm": "SM2 · SM3 · SM4-GCM", "intl": "RSA-3072 · SHA-256 · AES-256-GCM"}[s.Suite]
	o.printf(o.a.say.of(
		"Signalbox — %d prescriptions, suite %s (%s)\nsupervision chain %s, business chain %s, platform %s\n\n",
		"Signalbox — %d 份处方，密码套件 %s（%s）\n监管链 %s，业务链 %s，平台 %s\n\n"),
		total, s.Suite, suite, s.Chain, s.Network, s.Platform)
}

// refused prints an input that its profile understood and does not take.
func (o *demoOutput) refused(name string, r flow.Reason) error {
	o.ended++
	if o.json {
		return o.line(stepLine{Input: name, Step: flow.Register, Verdict: flow.Refused, Reasons: []flow.Reason{r}})
	}
	return o.printf("✗ %s\n    %s %s — %s\n\n", name, o.a.say.of("not taken:", "未受理："), r.Code, o.a.say.of(r.En, r.Zh))
}

func (o *demoOutput) unreadable(name string, err error) error {
	o.ended++
	if o.json {
		return o.line(unreadableLine{Input: name, Error: err.Error()})
	}
	return o.printf("? %s\n    %s %s\n\n", name, o.a.say.of("unreadable:", "无法读取："), strings.ReplaceAll(err.Error(), "\n", "\n    "))
}

func (o *demoOutput) inconsistent(err error) error {
	if o.json {
		_, err := fmt.Fprintln(o.a.stderr, err)
		return err
	}
	return o.printf("✗ %v\n", err)
}

// flow prints a flow that has come to its end.
func (o *demoOutput) flow(name string, v platform.FlowView, sum summary) error {
	o.ended++
	if o.json {
		for _, s := range v.Steps {
			if err := o.line(lineOf(name, v, s)); err != nil {
				return err
			}
		}
		return nil
	}
	mark := "✓"
	if v.State != flow.Delivered {
		mark = "✗"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s · %s · %s\n", mark, v.Title, v.Number, name)
	if !v.Flow.IsZero() {
		fmt.Fprintf(&b, "    txhash %s\n", v.Flow)
	}
	for _, s := range v.Steps {
		o.step(&b, s)
	}
	b.WriteByte('\n')
	if err := o.printf("%s", b.String()); err != nil {
		return err
	}
	o.progress(fmt.Sprintf(o.a.say.of("%d of %d prescriptions, %d steps", "%d / %d 份处方，%d 个环节"), o.ended, o.total, sum.Steps))
	return nil
}

func lineOf(name string, v platform.FlowView, s platform.StepView) stepLine {
	l := stepLine{
		Input: name, Step: s.Step, Verdict: s.Verdict, Reasons: s.Reasons,
		BusinessTx: s.BusinessTx, MS: s.MS, Tx: text(s.Tx), Token: text(s.Token), Flow: text(v.Flow),
	}
	if l.Reasons == nil {
		l.Reasons = []flow.Reason{}
	}
	return l
}

func text(h flow.Hash) string {
	if h.IsZero() {
		return ""
	}
	return h.String()
}

// step prints one step: verdict, milliseconds, hashes, token, both chains' transactions.
func (o *demoOutput) step(b *strings.Builder, s platform.StepView) {
	verdict := verdictText(o.a.say, s.Verdict)
	if s.State == outbox.Lapsed {
		verdict = o.a.say.of("lapsed", "失效")
	}
	fmt.Fprintf(b, "    %s %-14s %s %5d ms  %s %s", map[bool]string{true: "✓", false: "✗"}[s.State == outbox.Done],
		s.Step, verdict, s.MS, o.a.say.of("decision", "决定"), short(text(s.Tx)))
	if s.BusinessTx != "" {
		fmt.Fprintf(b, "  %s %s", o.a.say.of("business", "业务链"), short(s.BusinessTx))
	}
	if !s.Token.IsZero() {
		fmt.Fprintf(b, "  %s %s", o.a.say.of("token", "令牌"), short(s.Token.String()))
	}
	b.WriteByte('\n')
	for _, r := range s.Reasons {
		fmt.Fprintf(b, "        %s — %s\n", r.Code, o.a.say.of(r.En, r.Zh))
	}
}

func short(s string) string {
	if len(s) <= 12 {
		return s
	}
	return s[:12] + "…"
}

// summary prints the end.
func (o *demoOutput) summary(s summary, f system.Checked) error {
	if o.json {
		return o.line(map[string]summary{"summary": s})
	}
	err := o.printf(o.a.say.of(
		"%d inputs: %d flows, %d completed, %d refused, %d unreadable; %d steps, %d receipts verified\n",
		"%d 份输入：%d 条业务流转，%d 条完成，%d 份被拒绝，%d 份无法读取；%d 个环节，验证 %d 份回执\n"),
		s.Inputs, s.Flows, s.Completed, s.Refused, s.Unreadable, s.Steps, s.ReceiptsVerified)
	if err != nil {
		return err
	}
	return printChecked(o.a.stdout, o.a.say, f)
}
