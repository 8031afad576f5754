package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/oversight"
	"signalbox.dev/signalbox/internal/system"
)

type explainCommand struct {
	control
	Tx  string `arg:"" help:"The decision's transaction." name:"txhash"`
	All bool   `help:"Show rules that did not hit too."`
}

// Help implements kong's HelpProvider.
func (explainCommand) Help() string {
	return "For the authority's own eyes. On a running system the checks are asked again as things stand now, but for what the decision itself left behind,\n" +
		"and the decision is shown as it was made;\n" +
		"on a data directory that is not in use its chain is replayed to just before the decision, and the checks are exactly those of then.\n\n" +
		"Example:\n  signalbox explain 4a7d1ed414474e4033ac29ccb8653d9b... --data ./data"
}

// Run explains.
func (c *explainCommand) Run(a *app) error {
	tx, err := flow.ParseHash(c.Tx)
	if err != nil {
		return err
	}
	cl := c.client()
	defer cl.Close()
	e, err := cl.Explain(a.ctx, tx)
	if errors.Is(err, oversight.ErrNotRunning) {
		var exact contract.Explanation
		exact, err = chain.ExplainAt(a.ctx, system.SupervisionChain(c.Data), tx)
		if err == nil {
			e = oversight.Explanation(tx, exact, true, time.Now().Unix())
		}
	}
	if err != nil {
		return a.plain(err)
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(e)
	}
	return c.print(a, e)
}

func (c *explainCommand) print(a *app, e oversight.Explained) error {
	var b strings.Builder
	line := func(en, zh string, args ...any) { fmt.Fprintf(&b, a.say.of(en, zh)+"\n", args...) }
	if s := e.Stands; s != nil {
		line("Decided %s: step %s of platform %s was %s, on %s.", "%s 决定：平台 %[3]s 的环节“%[2]s”%[4]s，依据 %[5]s。",
			clock(s.At), s.Step, s.Platform, verdictText(a.say, s.Verdict), basisText(a.say, contract.Basis(s.Basis)))
		line("Rule contract %s, version %d.", "规则合约 %s，版本 %d。", s.Contract, s.Version)
		writeReasons(a, &b, s.Reasons)
		if s.Order != 0 {
			line("By officer's order %d.", "依第 %d 号指令。", s.Order)
		}
	}
	if e.Exact {
		line("The checks, as they were when it was decided:", "作出决定时的各项检查：")
	} else {
		line("The checks, asked again as things stand now (what has happened since shows):", "按当前状态重新检查（其后的变化会反映在内）：")
	}
	for _, k := range e.Checks {
		mark := map[contract.CheckOutcome]string{contract.CheckPassed: "✓", contract.CheckRefused: "✗", contract.CheckHeld: "…"}[k.Outcome]
		if mark == "" {
			continue // not asked
		}
		fmt.Fprintf(&b, "  %s %s: %s\n", mark, a.say.of(string(k.Stage), k.StageZh), a.say.of(k.Check, k.CheckZh))
		writeReasons(a, &b, k.Reasons)
	}
	c.writeBehind(a, &b, e)
	c.writeRules(a, &b, e.Rules)
	line("This comes to: %s, on %s.", "结论：%s，依据 %s。", verdictText(a.say, e.Traced.Verdict), basisText(a.say, e.Traced.Basis))
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

func writeReasons(a *app, b *strings.Builder, reasons []flow.Reason) {
	for _, r := range reasons {
		fmt.Fprintf(b, "      %s\n", harmless(reasonText(a.say, r)))
	}
}

// writeBehind says what list entries, standing and grant are behind it.
func (c *explainCommand) writeBehind(a *app, b *strings.Builder, e oversight.Explained) {
	for _, t := range e.Entries {
		fmt.Fprintf(b, a.say.of("  list %s, entry %d: %s (%s)\n", "  名单 %s，条目 %d：%s（%s）\n"), t.Entry.List, t.Entry.Number, harmless(t.Entry.Reason), harmless(t.Entry.Basis))
		for _, o := range t.Orders {
			fmt.Fprintf(b, a.say.of("      order %d, %s, %s, by %s: %s\n", "      第 %d 号指令，%s，%s，签发人 %s：%s\n"), o.Number, o.Kind, clock(o.At), o.Officer, harmless(o.Reason))
		}
	}
	for _, s := range e.Standing {
		fmt.Fprintf(b, a.say.of("  standing of %s %s: %s (order %d)\n", "  %s %s 的名单等级：%s（第 %d 号指令）\n"), factWord(a.say, s.Fact), brief(s.Institution), ruleWord(a.say, string(s.Standing)), s.Order)
	}
	if g := e.Grant; g != nil {
		fmt.Fprintf(b, a.say.of("  batch grant %s by %s, used %d of %d before, until %s\n", "  批量授权码 %s（%s签发），此前已用 %d／%d，有效至 %s\n"),
			g.Code, issuedBy(a.say, *g), g.Used, g.Quota, clock(g.To))
	}
}

func (c *explainCommand) writeRules(a *app, b *strings.Builder, rules []contract.RuleTrace) {
	quiet := 0
	for _, r := range rules {
		if r.Outcome != contract.Hit && r.Outcome != contract.Failed && !c.All {
			quiet++
			continue
		}
		var facts []string
		for _, f := range r.Facts {
			facts = append(facts, fmt.Sprintf("%s=%v", f.Name, f.Value))
		}
		fmt.Fprintf(b, a.say.of("  rule %s (%s, %s): %s; %s\n", "  规则 %s（%s，%s）：%s；%s\n"), r.Rule, ruleWord(a.say, string(r.Effect)), ruleWord(a.say, string(r.Mode)), ruleWord(a.say, string(r.Outcome)), harmless(strings.Join(facts, ", ")))
		if r.Message != nil {
			fmt.Fprintf(b, "      %s\n", harmless(a.say.of(r.Message.En, r.Message.Zh)))
		}
	}
	if quiet > 0 {
		fmt.Fprintf(b, a.say.of("  %d rules did not hit\n", "  %d 条规则未命中\n"), quiet)
	}
}

func basisText(say words, b contract.Basis) string { return say.of(string(b), b.Zh()) }

// ruleWord is a word of rules and standings in the user's language.
func ruleWord(say words, word string) string {
	zh := map[string]string{
		"refuse": "拒绝", "hold": "挂起", "flag": "标记", "list": "列入名单", "grant": "签发授权",
		"enforce": "执行", "observe": "观察", "hit": "命中", "clear": "未命中", "failed": "求值失败",
		"allow": "白名单", "deny": "黑名单", "neither": "均不在",
	}[word]
	if zh == "" {
		return word
	}
	return say.of(word, zh)
}

func factWord(say words, fact string) string {
	zh := map[string]string{"platform": "平台", "originator": "开方机构", "producer": "生产端"}[fact]
	if zh == "" {
		return fact
	}
	return say.of(fact, zh)
}
