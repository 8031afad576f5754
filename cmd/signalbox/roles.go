package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"signalbox.dev/signalbox/internal/config"
	"signalbox.dev/signalbox/internal/fault"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/party/authority"
	"signalbox.dev/signalbox/internal/party/fusion"
	"signalbox.dev/signalbox/internal/party/ledger"
	"signalbox.dev/signalbox/internal/party/node"
	"signalbox.dev/signalbox/internal/party/platform"
)

// platformCommand is a platform.
type platformCommand struct {
	Run platformRunCommand `cmd:"" help:"Run a platform, with its API."`
}

// ledgerCommand is a business chain of the embedded kind.
type ledgerCommand struct {
	Run ledgerRunCommand `cmd:"" help:"Run a business chain."`
}

// nodeCommand is a node of the supervision chain.
type nodeCommand struct {
	Run     nodeRunCommand     `cmd:"" help:"Run a node of the supervision chain: a validator, a candidate or an observer, as the chain says."`
	Restore nodeRestoreCommand `cmd:"" help:"Let a stopped node go on from a snapshot of another's, without the blocks before."`
}

// running is what the run commands share.
type running struct {
	Config string `help:"The configuration file." required:"" type:"path" placeholder:"FILE"`
	JSON   bool   `help:"Print the addresses as one JSON object once it runs."`
}

const runHelp = "Ends with SIGTERM or Ctrl-C: it takes nothing new, finishes what it has in hand, and stops; a second signal ends it at once. " +
	"Whatever was begun goes on at the next start. Logs go to standard error."

// process is a role's configuration as its command reads it.
type process struct {
	role  string
	ops   party.Ops
	drain time.Duration
	log   party.Log
	open  func(*slog.Logger) (*party.Process, error)
}

// serve reads the configuration into conf, opens the role and runs it. of gives
// the process, once conf is read.
func (r running) serve(a *app, conf any, of func() process) error {
	if err := config.Load(r.Config, conf); err != nil {
		return err
	}
	p := of()
	log, err := p.log.New(a.stderr)
	if err != nil {
		return err
	}
	log = log.With("role", p.role)
	opened, err := p.open(log)
	if err != nil {
		return fmt.Errorf("starting the %s: %w", p.role, err)
	}
	return opened.Serve(a.ctx, party.Serving{
		Ops: p.ops, Drain: p.drain, Version: version, Logger: log,
		Up: func(at map[string]string) { r.greet(a, p.role, at) },
	})
}

// greet says that the role runs, and where.
func (r running) greet(a *app, role string, at map[string]string) {
	if r.JSON {
		_ = json.NewEncoder(a.stdout).Encode(map[string]any{"role": role, "listening": at})
		return
	}
	fmt.Fprintf(a.stdout, a.say.of("The %s runs.\n", "%s 已启动。\n"), role)
	for _, what := range slices.Sorted(maps.Keys(at)) {
		fmt.Fprintf(a.stdout, "  %s %s\n", what, at[what])
	}
}

type authorityRunCommand struct{ running }

// Help implements kong's HelpProvider.
func (authorityRunCommand) Help() string {
	return runHelp + "\n\nExample:\n  signalbox authority run --config authority/authority.yaml"
}

// Run runs the authority.
func (c *authorityRunCommand) Run(a *app) error {
	conf := authority.Default()
	return c.serve(a, conf, func() process {
		return process{"authority", conf.Ops, conf.Drain, conf.Log, func(log *slog.Logger) (*party.Process, error) {
			return authority.Open(conf, fault.Clock(), log)
		}}
	})
}

type fusionRunCommand struct{ running }

// Help implements kong's HelpProvider.
func (fusionRunCommand) Help() string {
	return runHelp + "\n\nExample:\n  signalbox fusion run --config node-1/fusion.yaml"
}

// Run runs the node.
func (c *fusionRunCommand) Run(a *app) error {
	conf := fusion.Default()
	return c.serve(a, conf, func() process {
		return process{"fusion", conf.Ops, conf.Drain, conf.Log, func(log *slog.Logger) (*party.Process, error) {
			return fusion.Open(conf, fault.Clock(), log)
		}}
	})
}

type nodeRunCommand struct{ running }

// Help implements kong's HelpProvider.
func (nodeRunCommand) Help() string {
	return runHelp + "\n\nExample:\n  signalbox node run --config site-2/node.yaml"
}

// Run runs the node.
func (c *nodeRunCommand) Run(a *app) error {
	conf := node.Default()
	return c.serve(a, conf, func() process {
		return process{"node", conf.Ops, conf.Drain, conf.Log, func(log *slog.Logger) (*party.Process, error) {
			return node.Open(conf, fault.Clock(), log)
		}}
	})
}

type platformRunCommand struct{ running }

// Help implements kong's HelpProvider.
func (platformRunCommand) Help() string {
	return runHelp + "\n\nExample:\n  signalbox platform run --config platform-1/platform.yaml"
}

// Run runs the platform.
func (c *platformRunCommand) Run(a *app) error {
	conf := platform.Default()
	return c.serve(a, conf, func() process {
		return process{"platform", conf.Ops, conf.Drain, conf.Log, func(log *slog.Logger) (*party.Process, error) {
			return platform.Open(a.ctx, conf, version, fault.Clock(), log)
		}}
	})
}

type ledgerRunCommand struct{ running }

// Help implements kong's HelpProvider.
func (ledgerRunCommand) Help() string {
	return runHelp + "\n\nExample:\n  signalbox ledger run --config ledger-1/ledger.yaml"
}

// Run runs the business chain.
func (c *ledgerRunCommand) Run(a *app) error {
	conf := ledger.Default()
	return c.serve(a, conf, func() process {
		return process{"ledger", conf.Ops, conf.Drain, conf.Log, func(log *slog.Logger) (*party.Process, error) {
			return ledger.Open(conf, fault.Clock(), log)
		}}
	})
}
