package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/fusion"
	"signalbox.dev/signalbox/internal/operator"
	"signalbox.dev/signalbox/internal/socket"
)

// fusionCommand is a fusion node, and what its operator does.
type fusionCommand struct {
	Run        fusionRunCommand    `cmd:"" help:"Run a fusion node by itself."`
	Status     fusionStatusCommand `cmd:"" help:"What waits, by platform and direction, how old it is, and what is paused or drained."`
	Pause      pauseCommand        `cmd:"" help:"Make a platform, a step, or both wait: nothing of it is given to the authority."`
	Resume     goOnCommand         `cmd:"" help:"End a pause or a drain."`
	Drain      drainCommand        `cmd:"" help:"Take no new submissions of a platform and let what waits be worked off."`
	Quarantine quarantineCommand   `cmd:"" help:"Messages that were set aside: list, release, discard."`
}

// desk finds the running node.
type desk struct {
	Dir  string `help:"The node's folder: that of a node that runs apart, or fusion in the data directory of signalbox up." default:"./data/fusion" type:"path" placeholder:"DIR"`
	JSON bool   `help:"Print JSON."`
}

func (d desk) client() *operator.Client { return operator.NewClient(operator.Socket(d.Dir)) }

// atNode says what the node answered in the user's language.
func (a *app) atNode(err error) error {
	var p *operator.Problem
	switch {
	case errors.Is(err, socket.ErrNotRunning):
		return errors.New(a.say.of("no fusion node runs in this folder: start it, or name another with --dir",
			"该目录下没有运行中的融合节点：请先启动，或用 --dir 指定其他目录"))
	case errors.As(err, &p) && a.say.zh:
		zh := map[string]string{
			operator.CodeUnfit: "该指令不适用于本节点", operator.CodeNone: "隔离区内没有这条消息",
			operator.CodeStopped: "节点正在停止", operator.CodeFailed: "节点执行失败",
		}[p.Code]
		if zh != "" {
			return errors.New(zh + "：" + p.Detail)
		}
	}
	return err
}

func (d desk) show(a *app, h fusion.Health, err error) error {
	if err != nil {
		return a.atNode(err)
	}
	if d.JSON {
		return json.NewEncoder(a.stdout).Encode(h)
	}
	return printNode(a, h, time.Now())
}

type fusionStatusCommand struct{ desk }

// Help implements kong's HelpProvider.
func (fusionStatusCommand) Help() string {
	return "Example:\n  signalbox fusion status --dir ./data/fusion"
}

// Run prints how the node stands.
func (c *fusionStatusCommand) Run(a *app) error {
	cl := c.client()
	defer cl.Close()
	h, err := cl.Status(a.ctx)
	return c.show(a, h, err)
}

// printNode prints a node's figures for people.
func printNode(a *app, h fusion.Health, now time.Time) error {
	fmt.Fprintf(a.stdout, a.say.of("fusion node %s · set aside since its start: %d\n", "融合节点 %s · 启动以来隔离消息 %d 条\n"), harmless(h.Node), h.SetAside)
	for _, s := range h.Orders.Paused {
		fmt.Fprintln(a.stdout, a.say.of("paused: ", "已暂停：")+harmless(scopeText(a.say, s)))
	}
	for _, p := range h.Orders.Draining {
		fmt.Fprintln(a.stdout, a.say.of("draining: ", "排空中：")+harmless(scopeText(a.say, fusion.Scope{Platform: p})))
	}
	t := newTable(a.stdout)
	t.row(a.say.of("PLATFORM", "平台"), a.say.of("DIRECTION", "方向"), a.say.of("WAITING", "等待"), a.say.of("BYTES", "字节"), a.say.of("OLDEST", "最早一条已等待"))
	for _, w := range h.Waiting {
		age := ""
		if !w.Oldest.IsZero() {
			age = max(0, now.Sub(w.Oldest)).Round(time.Second).String()
		}
		t.row(w.Platform, directionText(a.say, w.Direction), w.Messages, w.Bytes, age)
	}
	return t.end()
}

func directionText(say words, direction string) string {
	return say.of(direction, map[string]string{"submissions": "提交", "anchors": "锚定", "decisions": "决定", "quarantine": "隔离"}[direction])
}

func scopeText(say words, s fusion.Scope) string {
	text := say.of(s.String(), "所有平台")
	if !say.zh {
		return text
	}
	if s.Platform != "" {
		text = "平台 " + s.Platform
	}
	if s.Step != "" {
		text += "，环节 " + string(s.Step)
	}
	return text
}

// scope is what an order is about.
type scope struct {
	desk
	Platform string `arg:"" optional:"" help:"The platform's identity."`
	All      bool   `help:"Every platform of the node."`
}

func (s scope) check(a *app) error {
	if (s.Platform == "") == s.All {
		return nil
	}
	return errors.New(a.say.of("name one platform, or say --all for every platform of the node", "请指定一个平台，或用 --all 表示本节点的所有平台"))
}

// stepScope may be about one step.
type stepScope struct {
	scope
	Step string `help:"One step alone: register, review.request, review.result, order, settle, deliver or enrol." placeholder:"STEP"`
}

func (s stepScope) of(a *app) (fusion.Scope, error) {
	step := flow.Step(s.Step)
	if s.Step != "" && !step.Known() {
		all := make([]string, 0, len(flow.Steps()))
		for _, k := range flow.Steps() {
			all = append(all, string(k))
		}
		slices.Sort(all)
		return fusion.Scope{}, fmt.Errorf(a.say.of("there is no step %q: want one of %s", "没有 %q 这一环节：应为 %s 之一"), s.Step, strings.Join(all, ", "))
	}
	return fusion.Scope{Platform: s.Platform, Step: step}, s.check(a)
}

type pauseCommand struct{ stepScope }

// Help implements kong's HelpProvider.
func (pauseCommand) Help() string {
	return "New submissions are still taken, as far as there is room; what the authority has taken already it finishes. " +
		"A pause lasts until resume, over restarts of the node too.\n\n" +
		"Examples:\n  signalbox fusion pause rx-platform-001\n  signalbox fusion pause rx-platform-001 --step order\n  signalbox fusion pause --all --step settle"
}

// Run pauses.
func (c *pauseCommand) Run(a *app) error {
	s, err := c.of(a)
	if err != nil {
		return err
	}
	cl := c.client()
	defer cl.Close()
	h, err := cl.Pause(a.ctx, s)
	return c.show(a, h, err)
}

type goOnCommand struct{ stepScope }

// Help implements kong's HelpProvider.
func (goOnCommand) Help() string {
	return "It ends exactly what was ordered for the same platform and step, pause or drain.\n\n" +
		"Example:\n  signalbox fusion resume rx-platform-001 --step order"
}

// Run resumes.
func (c *goOnCommand) Run(a *app) error {
	s, err := c.of(a)
	if err != nil {
		return err
	}
	cl := c.client()
	defer cl.Close()
	h, err := cl.Resume(a.ctx, s)
	return c.show(a, h, err)
}

type drainCommand struct{ scope }

// Help implements kong's HelpProvider.
func (drainCommand) Help() string {
	return "The platform is told at once and keeps what it would have submitted; what waits here goes on to the authority, and anchors are still taken. " +
		"A drain lasts until resume, over restarts of the node too.\n\n" +
		"Example:\n  signalbox fusion drain rx-platform-001"
}

// Run drains.
func (c *drainCommand) Run(a *app) error {
	if err := c.check(a); err != nil {
		return err
	}
	cl := c.client()
	defer cl.Close()
	h, err := cl.Drain(a.ctx, c.Platform)
	return c.show(a, h, err)
}
