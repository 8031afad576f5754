package main

import (
	"encoding/json"
	"fmt"

	"signalbox.dev/signalbox/flow"
)

// quarantineCommand is about what a node has set aside.
type quarantineCommand struct {
	List    quarantineListCommand `cmd:"" help:"List what was set aside and why; nothing of what it says."`
	Release releaseCommand        `cmd:"" help:"Give a message to the authority once more."`
	Discard discardCommand        `cmd:"" help:"Delete a message. Its submission may still be answered, when its platform pushes it again."`
}

type quarantineListCommand struct{ desk }

// Help implements kong's HelpProvider.
func (quarantineListCommand) Help() string {
	return "Example:\n  signalbox fusion quarantine list --dir ./data/fusion"
}

// Run lists.
func (c *quarantineListCommand) Run(a *app) error {
	cl := c.client()
	defer cl.Close()
	list, err := cl.Quarantine(a.ctx)
	if err != nil {
		return a.atNode(err)
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(list)
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(a.stdout, a.say.of("the quarantine is empty", "隔离区为空"))
		return err
	}
	t := newTable(a.stdout)
	t.row("ID", a.say.of("DIRECTION", "方向"), a.say.of("BUSINESS", "业务"), a.say.of("STEP", "环节"), a.say.of("BYTES", "字节"),
		a.say.of("FAILURES", "失败次数"), a.say.of("SINCE", "自"), a.say.of("WHY", "原因"))
	for _, q := range list {
		t.row(q.ID, directionText(a.say, q.Direction), q.Business, flow.Step(q.Step), q.Size, q.Failures,
			q.Since.Local().Format("2006-01-02 15:04:05"), q.Reason)
	}
	return t.end()
}

// setAside names a message in quarantine.
type setAside struct {
	desk
	ID string `arg:"" help:"The message's id, as list prints it."`
}

type releaseCommand struct{ setAside }

// Help implements kong's HelpProvider.
func (releaseCommand) Help() string {
	return "It goes back behind what waits. When it fails again it comes back here, under another id.\n\n" +
		"Example:\n  signalbox fusion quarantine release rx-platform-001/12"
}

// Run releases.
func (c *releaseCommand) Run(a *app) error {
	cl := c.client()
	defer cl.Close()
	h, err := cl.Release(a.ctx, c.ID)
	return c.show(a, h, err)
}

type discardCommand struct{ setAside }

// Help implements kong's HelpProvider.
func (discardCommand) Help() string {
	return "Example:\n  signalbox fusion quarantine discard rx-platform-001/12"
}

// Run discards.
func (c *discardCommand) Run(a *app) error {
	cl := c.client()
	defer cl.Close()
	h, err := cl.Discard(a.ctx, c.ID)
	return c.show(a, h, err)
}
