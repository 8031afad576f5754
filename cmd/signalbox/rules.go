package main

import (
	"encoding/json"
	"fmt"
	"os"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/contract/trial"
)

// rulesCommand tries bundles before they take force (R6.4). It needs no running system.
type rulesCommand struct {
	Test     rulesTestCommand     `cmd:"" help:"Admit a bundle as the chain would, and run its own cases."`
	Lint     rulesLintCommand     `cmd:"" help:"Find rules that do nothing, or too much."`
	Diff     rulesDiffCommand     `cmd:"" help:"Say what changes from one bundle to another."`
	Backtest rulesBacktestCommand `cmd:"" help:"Put past decisions to a bundle: which would come out otherwise."`
}

func readBundle(file string) (contract.Bundle, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return contract.Bundle{}, fmt.Errorf("reading the bundle: %w", err)
	}
	b, err := contract.ParseBundle(text)
	if err != nil {
		return b, fmt.Errorf("%s: %w", file, err)
	}
	return b, nil
}

type rulesTestCommand struct {
	File string `arg:"" help:"The bundle, YAML." type:"existingfile"`
	JSON bool   `help:"Print one JSON object."`
	All  bool   `help:"Name the cases that pass too."`
}

// Help implements kong's HelpProvider.
func (rulesTestCommand) Help() string {
	return "Exits with 1 when the bundle would not be admitted.\n\nExample:\n  signalbox rules test prescription.yaml"
}

// Run tests.
func (c *rulesTestCommand) Run(a *app) error {
	b, err := readBundle(c.File)
	if err != nil {
		return err
	}
	got, err := trial.Test(b)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if c.JSON {
		err = json.NewEncoder(a.stdout).Encode(got)
	} else {
		err = c.print(a, got)
	}
	switch {
	case err != nil:
		return err
	case got.Failed > 0:
		return exit(exitFailed)
	}
	if _, err := b.Admit(); err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	return nil
}

func (c *rulesTestCommand) print(a *app, got trial.Tested) error {
	for _, r := range got.Cases {
		switch {
		case r.Wrong != "":
			fmt.Fprintf(a.stdout, "✗ %s:%d %s: %s\n", c.File, r.Line, r.Name, r.Wrong)
		case c.All:
			fmt.Fprintf(a.stdout, "✓ %s:%d %s: %s %s\n", c.File, r.Line, r.Name, verdictText(a.say, r.Verdict), joined(r.Rules, " "))
		}
	}
	if len(got.Unhit) > 0 {
		fmt.Fprintf(a.stdout, a.say.of("no case hits %s\n", "没有用例命中 %s\n"), joined(got.Unhit, ", "))
	}
	_, err := fmt.Fprintf(a.stdout, a.say.of("%d rules, %d cases passed, %d failed; address %s\n", "%d 条规则，用例通过 %d 个，失败 %d 个；地址 %s\n"),
		got.Rules, got.Passed, got.Failed, got.Address)
	return err
}

type rulesLintCommand struct {
	File string `arg:"" help:"The bundle, YAML." type:"existingfile"`
	JSON bool   `help:"Print one JSON array."`
}

// Help implements kong's HelpProvider.
func (rulesLintCommand) Help() string {
	return "Remarks are for people to judge; the exit code is 0 all the same.\n\nExample:\n  signalbox rules lint prescription.yaml"
}

// Run lints.
func (c *rulesLintCommand) Run(a *app) error {
	b, err := readBundle(c.File)
	if err != nil {
		return err
	}
	remarks, err := trial.Lint(b)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(append([]trial.Remark{}, remarks...))
	}
	for _, r := range remarks {
		fmt.Fprintf(a.stdout, "%s: %s\n", r.Part, remarkText(a.say, r))
	}
	if len(remarks) == 0 {
		_, err = fmt.Fprintln(a.stdout, a.say.of("✓ nothing to remark", "✓ 没有需要说明的问题"))
	}
	return err
}

// remarkText says a remark in the user's language.
func remarkText(say words, r trial.Remark) string {
	if !say.zh {
		return r.Text
	}
	switch r.Kind {
	case trial.Unreachable:
		return fmt.Sprintf("在环节 %s 上不可能命中", r.Step)
	case trial.Certain:
		return fmt.Sprintf("在环节 %s 上必然命中", r.Step)
	case trial.Unused:
		return "没有规则使用它"
	case trial.Same:
		return "与规则 " + r.By + " 条件相同"
	case trial.Untested:
		return "没有用例属于其环节"
	case trial.Never:
		return fmt.Sprintf("%d 个用例中均未命中", r.Of)
	case trial.Always:
		return fmt.Sprintf("%d 个用例中全部命中", r.Of)
	case trial.Shadowed:
		return "凡其拒绝的用例，规则 " + r.By + " 也都拒绝"
	}
	return r.Text
}

type rulesDiffCommand struct {
	Old  string `arg:"" help:"The bundle before." type:"existingfile"`
	New  string `arg:"" help:"The bundle after." type:"existingfile"`
	JSON bool   `help:"Print one JSON object."`
}

// Help implements kong's HelpProvider.
func (rulesDiffCommand) Help() string {
	return "Compares what they say, not how they are written.\n\nExample:\n  signalbox rules diff old.yaml new.yaml"
}

// Run compares.
func (c *rulesDiffCommand) Run(a *app) error {
	old, err := readBundle(c.Old)
	if err != nil {
		return err
	}
	after, err := readBundle(c.New)
	if err != nil {
		return err
	}
	d, err := trial.Diff(old, after)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(d)
	}
	if d.Same {
		_, err := fmt.Fprintln(a.stdout, a.say.of("the same", "相同"))
		return err
	}
	for _, group := range []struct {
		en, zh string
		parts  []trial.Part
	}{
		{"contract", "合约", d.Contract}, {"parameter", "参数", d.Parameters}, {"counter", "计数器", d.Counters}, {"rule", "规则", d.Rules}, {"case", "用例", d.Cases},
	} {
		for _, p := range group.parts {
			printPart(a, a.say.of(group.en, group.zh), p)
		}
	}
	return nil
}

func printPart(a *app, what string, p trial.Part) {
	sign := map[trial.Change]string{trial.Added: "+", trial.Removed: "-", trial.Changed: "~", trial.Moved: "↕"}[p.Change]
	fmt.Fprintf(a.stdout, "%s %s %s\n", sign, what, p.Name)
	for _, f := range p.Fields {
		if f.Old != "" {
			fmt.Fprintf(a.stdout, "    - %s: %s\n", f.Name, f.Old)
		}
		if f.New != "" {
			fmt.Fprintf(a.stdout, "    + %s: %s\n", f.Name, f.New)
		}
	}
}
