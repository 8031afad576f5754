// Command signalbox supervises business flows while they happen: an authority's
// chain beside a business network's own, with fusion nodes between them.
//
// Configuration and wiring only: what the commands do is in the packages below
// internal.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // dates are shown in named zones on machines without a zone database

	"github.com/alecthomas/kong"
)

// version is set by the build.
var version = "development"

// Exit codes.
const (
	exitOK         = 0
	exitFailed     = 1
	exitUnreadable = 2
)

// cli is the command line.
type cli struct {
	Lang    string           `help:"Language of what is printed for people: zh or en. Default: from LC_ALL, LC_MESSAGES or LANG." enum:"zh,en,auto" default:"auto"`
	Version kong.VersionFlag `help:"Print the version."`

	Demo   demoCommand   `cmd:"" help:"Play prescriptions through every step, on two chains in this process, and check everything afterwards."`
	Up     upCommand     `cmd:"" help:"Run authority, fusion node, platform and business chain in one process, with an HTTP API."`
	Bench  benchCommand  `cmd:"" help:"Measure: complete flows through everything in this process, what they cost and whom, and what to compare it with."`
	Verify verifyCommand `cmd:"" help:"Check receipts offline, with nothing but the authority's published keys."`
	Fsck   fsckCommand   `cmd:"" help:"Re-check both chains of a data directory from their first block, and each against the other."`

	Archive archiveCommand `cmd:"" help:"The archive of a supervision chain: run, list, verify, get, export, restore."`

	Snapshot snapshotCommand `cmd:"" help:"Snapshots of the supervision chain's state: list, verify. signalbox node restore goes on from one."`

	Token     tokenCommand     `cmd:"" help:"Let a program call the platform's API: make a token for it."`
	Init      initCommand      `cmd:"" help:"Make the folder of a party that runs apart: keys, certificate request, configuration."`
	Config    configCommand    `cmd:"" help:"Print a role's configuration file, with every key explained."`
	Platform  platformCommand  `cmd:"" help:"A platform that runs apart."`
	Node      nodeCommand      `cmd:"" help:"A node of the supervision chain that runs apart."`
	Ledger    ledgerCommand    `cmd:"" help:"A business chain that runs apart."`
	Authority authorityCommand `cmd:"" help:"What an officer of the authority does on a running system: identities, lists, grants, holds, rules."`
	Fusion    fusionCommand    `cmd:"" help:"A fusion node: run one, and what its operator does meanwhile: status, pause, resume, drain, quarantine."`
	Witness   witnessCommand   `cmd:"" help:"A witness of logs, which cosigns their checkpoints."`
	Monitor   monitorCommand   `cmd:"" help:"A monitor of logs, which finds those that show different histories."`
	Rules     rulesCommand     `cmd:"" help:"Try rule bundles before they take force: test, lint, diff, backtest."`
	Explain   explainCommand   `cmd:"" help:"Say how the contract came to a decision."`
}

// app is what commands print to and are ended by.
type app struct {
	ctx    context.Context
	stdout io.Writer
	stderr io.Writer
	say    words
}

// exit is an error that carries the process's exit code; its text was printed.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit %d", int(e)) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without the process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	var c cli
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("signalbox"),
		kong.Description("Supervision of business flows, while they happen.\n\nExamples:\n"+examples),
		kong.Vars{"version": version},
		kong.Writers(stdout, stderr),
		kong.Exit(func(n int) { exited = n }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		fmt.Fprintln(stderr, "signalbox:", err)
		return exitFailed
	}
	k, err := parser.Parse(args)
	if exited >= 0 { // --help or --version
		return exited
	}
	if err != nil {
		fmt.Fprintf(stderr, "signalbox: %v\nsignalbox --help tells more.\n", err)
		return exitFailed
	}
	err = k.Run(&app{ctx: ctx, stdout: stdout, stderr: stderr, say: wordsFor(c.Lang)})
	var e exit
	switch {
	case errors.As(err, &e):
		return int(e)
	case err != nil:
		fmt.Fprintln(stderr, "signalbox:", err)
		return exitFailed
	}
	return exitOK
}

var examples = strings.TrimLeft(`
  signalbox demo
  signalbox demo --suite intl --input prescription.json --data ./data --json
  signalbox verify --keys data/authority.pub data/receipts/*.tlog-proof
  signalbox fsck --data ./data
  signalbox up --data ./data --listen 127.0.0.1:8080
  signalbox authority identity suspend rx-pharmacy-001 --reason "inspection, case 17"
  signalbox fusion status --dir ./data/fusion
  signalbox archive run --data ./data --to ./archive
  signalbox rules backtest new.yaml --data ./data
  signalbox bench --suite gm --in-flight 256
`, "\n")
