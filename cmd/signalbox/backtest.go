package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/contract/trial"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/oversight"
	"signalbox.dev/signalbox/internal/system"
)

type rulesBacktestCommand struct {
	control
	File    string `arg:"" help:"The bundle on trial, YAML." type:"existingfile"`
	Against string `help:"Compare with this bundle, not with what was decided." type:"existingfile" placeholder:"FILE"`
	From    string `help:"Compare decisions from then on: 2026-01-01 or RFC 3339. Earlier ones only fill counters." placeholder:"TIME"`
	To      string `help:"Compare decisions before then." placeholder:"TIME"`
	Max     int    `help:"How many examples to name for each rule and kind of change." default:"5" name:"examples"`
}

// Help implements kong's HelpProvider.
func (rulesBacktestCommand) Help() string {
	return "Works on a running system, and on a data directory that is not in use. Ctrl-C ends it with what was found so far. Facts that the\n" +
		"chain adds itself, such as a reviewer's specialities, are those of now on a running system; a chain that is not in use is replayed,\n" +
		"and they are exactly those of then.\n\n" +
		"Examples:\n  signalbox rules backtest new.yaml --data ./data\n  signalbox rules backtest new.yaml --against old.yaml --from 2026-01-01 --json"
}

// Run tries the bundle on the past.
func (c *rulesBacktestCommand) Run(a *app) error {
	rules, err := compiled(c.File)
	if err != nil {
		return err
	}
	var old *contract.Rules
	if c.Against != "" {
		if old, err = compiled(c.Against); err != nil {
			return err
		}
	}
	var from, to int64
	const zone = 8 * 60 * 60 // of the authority, by default
	if from, err = momentOf(c.From, zone, time.Now()); err != nil {
		return fmt.Errorf("--from: %w", err)
	}
	if to, err = momentOf(c.To, zone, time.Now()); err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	if c.Max == 0 {
		c.Max = -1
	}
	report, err := trial.Backtest(old, rules, c.submissions(a, from, to), trial.Options{
		Examples: c.Max,
		Progress: func(done int) bool {
			if !c.JSON {
				fmt.Fprintf(a.stderr, a.say.of("\r%d submissions …", "\r已回放 %d 条提交 …"), done)
			}
			return a.ctx.Err() == nil
		},
	})
	if a.ctx.Err() != nil { // stopped by the user: what was found counts
		report.Stopped, err = true, nil
	}
	if err != nil {
		return a.plain(err)
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(report)
	}
	return printReport(a, report)
}

func compiled(file string) (*contract.Rules, error) {
	b, err := readBundle(file)
	if err != nil {
		return nil, err
	}
	rules, err := b.Compile()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return rules, nil
}

// errEnough ends a reading of the past.
var errEnough = errors.New("enough")

// submissions are the past as the rules see it.
func (c *rulesBacktestCommand) submissions(a *app, from, to int64) iter.Seq2[trial.Past, error] {
	return func(yield func(trial.Past, error) bool) {
		err := pastOf(a.ctx, c.control, func(p chain.Past) error {
			if to != 0 && p.Leaf.Issued >= to {
				return errEnough
			}
			one := trial.Past{
				Request: contract.Request{Header: p.Header, Tx: p.Leaf.Tx, Facts: p.Facts, Now: p.Leaf.Issued},
				Verdict: p.Leaf.Verdict, Basis: contract.Basis(p.Basis), Before: p.Leaf.Issued < from,
			}
			if !yield(one, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(trial.Past{}, err)
		}
	}
}

// pastOf gives past decisions in order: of a running system through its socket,
// of one that is not by replaying its chain.
func pastOf(ctx context.Context, c control, fn func(chain.Past) error) error {
	cl := c.client()
	defer cl.Close()
	err := cl.Past(ctx, time.Time{}, time.Time{}, fn)
	if errors.Is(err, oversight.ErrNotRunning) {
		return chain.PastOf(ctx, system.SupervisionChain(c.Data), fn)
	}
	return err
}

func printReport(a *app, r trial.Report) error {
	fmt.Fprintf(a.stderr, "\r")
	if r.Stopped {
		fmt.Fprintln(a.stdout, a.say.of("stopped: this is what was found so far", "已中止，以下为截至目前的结果"))
	}
	fmt.Fprintf(a.stdout, a.say.of(
		"%d submissions replayed, %d compared, %d decided without rules, %d not come about\n%d verdicts change\n",
		"回放 %d 条提交，比对 %d 条，未经规则决定 %d 条，不会发生 %d 条\n%d 条决定将改变\n"),
		r.Done, r.Compared, r.Unasked, r.Cut, r.Changed)
	for _, k := range r.Kinds {
		fmt.Fprintf(a.stdout, "  %s → %s: %d\n", verdictText(a.say, k.From), verdictText(a.say, k.To), k.Count)
	}
	if r.Changed == 0 {
		return nil
	}
	t := newTable(a.stdout)
	t.row(a.say.of("RULE", "规则"), a.say.of("CHANGES", "改变"), a.say.of("HITS BEFORE", "原命中"), a.say.of("HITS NOW", "现命中"))
	for _, c := range r.Rules {
		if c.Changed > 0 {
			t.row(c.Rule, c.Changed, c.Old, c.New)
		}
	}
	t.row("")
	t.row(a.say.of("WHERE", "对象"), a.say.of("REFUSED", "拒绝"), a.say.of("HELD", "挂起"), a.say.of("GRANTED", "准许"))
	for _, w := range append(r.Institutions, r.Items...) {
		t.row(w.Sort+" "+brief(w.Name), w.Refused, w.Held, w.Granted)
	}
	t.row("")
	t.row(a.say.of("EXAMPLE", "示例"), a.say.of("STEP", "环节"), "", a.say.of("RULES", "规则"))
	for _, e := range r.Examples {
		t.row(e.Tx, e.Step, verdictText(a.say, e.From)+" → "+verdictText(a.say, e.To), joined(e.Rules, " "))
	}
	return t.end()
}
