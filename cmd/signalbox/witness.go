package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"signalbox.dev/signalbox/internal/config"
	"signalbox.dev/signalbox/internal/fault"
	watching "signalbox.dev/signalbox/internal/monitor"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/party/monitor"
	"signalbox.dev/signalbox/internal/party/witness"
	"signalbox.dev/signalbox/receipt"
)

// witnessCommand is a witness.
type witnessCommand struct {
	Run witnessRunCommand `cmd:"" help:"Run a witness: cosign the checkpoints of logs that only grow."`
}

type witnessRunCommand struct{ running }

// Help implements kong's HelpProvider.
func (witnessRunCommand) Help() string {
	return "Serves c2sp.org/tlog-witness. What it signed is on disk before its signature leaves; a memory that was lost or restored from a " +
		"backup must not be used with the same key. " + runHelp + "\n\nExample:\n  signalbox witness run --config witness-1/witness.yaml"
}

// Run runs the witness.
func (c *witnessRunCommand) Run(a *app) error {
	conf := witness.Default()
	return c.serve(a, conf, func() process {
		return process{"witness", conf.Ops, conf.Drain, conf.Log, func(log *slog.Logger) (*party.Process, error) {
			return witness.Open(conf, fault.Clock(), log)
		}}
	})
}

type initWitnessCommand struct {
	Name string `arg:"" help:"Its name in cosignatures, best a URL without its scheme, such as witness.example/w1."`
	folder
	Listen string   `help:"Where logs and monitors reach it." required:"" placeholder:"HOST:PORT"`
	Log    []string `help:"File with the public keys of a log that it cosigns, such as authority.pub; may be repeated." required:"" type:"existingfile" placeholder:"FILE"`
	Ops    string   `help:"Address for operators' tools." placeholder:"HOST:PORT"`
}

// Help implements kong's HelpProvider.
func (initWitnessCommand) Help() string {
	return "A witness belongs to somebody who is not the log's operator: that is its whole use. It takes no part in admission.\n\n" +
		"Example:\n  signalbox init witness witness.example/w1 --dir witness-1 --listen 0.0.0.0:7500 --log authority.pub"
}

// Run makes the witness's folder.
func (c *initWitnessCommand) Run(a *app) error {
	conf := witness.Default()
	conf.Listen = c.Listen
	if c.Ops != "" {
		conf.Ops.Listen = c.Ops
	}
	for _, file := range c.Log {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("reading a log's keys: %w", err)
		}
		if _, err := receipt.ParseKeys(string(text)); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		var l witness.Log
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				l.Keys = append(l.Keys, line)
			}
		}
		conf.Logs = append(conf.Logs, l)
	}
	if err := conf.Validate(); err != nil {
		return fmt.Errorf("--log: %w", err)
	}
	m := made{Role: witness.Role, ID: c.Name, next: []string{a.say.of(
		"Give the key to logs (witnesses in authority.yaml) and to whoever writes policies, by a way that the log's operator does not hold.",
		"请将公钥告知日志方（authority.yaml 的 witnesses）和策略编写者，途径不应由日志方掌握。")}}
	err := c.found(func(d party.Dir, passphrase []byte) error {
		key, err := witness.Found(d, c.Name, passphrase)
		if err != nil {
			return err
		}
		m.Key = key.String()
		m.Configuration, err = configured(a, d, witness.Role, conf)
		return err
	})
	if err != nil {
		return err
	}
	return c.report(a, m)
}

// monitorCommand is a monitor.
type monitorCommand struct {
	Run monitorRunCommand `cmd:"" help:"Watch logs and witnesses, and raise an alarm when they have shown different histories."`
}

type monitorRunCommand struct {
	running
	Once bool `help:"Make one round, print what it found, and end."`
}

// exitAlarm is the exit code of a monitor while an alarm stands.
const exitAlarm = 3

// Help implements kong's HelpProvider.
func (monitorRunCommand) Help() string {
	return "Asks the witnesses of a policy, then the log, and compares: two roots at one size, a log that was set back, or one that another " +
		"was shown differently. An alarm is a file with both signed checkpoints in the folder alarms; while one is there, each round logs an error, " +
		"signalbox_monitor_alarms is over 0, /readyz fails and the exit code is 3. Exits with 1 when something could not be judged.\n\n" +
		"Examples:\n  signalbox config monitor > monitor/monitor.yaml\n  signalbox monitor run --config monitor/monitor.yaml\n" +
		"  signalbox monitor run --config monitor/monitor.yaml --once --json"
}

// Run runs the monitor.
func (c *monitorRunCommand) Run(a *app) error {
	conf := monitor.Default()
	if c.Once {
		return c.once(a, conf)
	}
	err := c.serve(a, conf, func() process {
		return process{"monitor", conf.Ops, conf.Drain, conf.Log, func(log *slog.Logger) (*party.Process, error) {
			return monitor.Open(conf, fault.Clock(), log)
		}}
	})
	if errors.Is(err, watching.ErrAlarm) {
		fmt.Fprintln(a.stderr, "signalbox:", err)
		return exit(exitAlarm)
	}
	return err
}

// watched is what --json prints of a round.
type watched struct {
	Alarms []string `json:"alarms"`
	Logs   []log    `json:"logs"`
}

type log struct {
	Origin  string `json:"origin"`
	Size    int64  `json:"size"`
	Unread  int    `json:"unread"`
	Problem string `json:"problem,omitempty"`
}

func (c *monitorRunCommand) once(a *app, conf *monitor.Config) error {
	if err := config.Load(c.Config, conf); err != nil {
		return err
	}
	logger, err := conf.Log.New(a.stderr)
	if err != nil {
		return err
	}
	m, err := monitor.New(conf, time.Now, logger)
	if err != nil {
		return err
	}
	round := m.Round(a.ctx)
	files, err := m.Alarms()
	if err != nil {
		return err
	}
	out := watched{Alarms: append([]string{}, files...)}
	for _, s := range m.Standings() {
		out.Logs = append(out.Logs, log(s))
	}
	if c.JSON {
		err = json.NewEncoder(a.stdout).Encode(out)
	} else {
		err = out.print(a.stdout, a.say)
	}
	switch {
	case err != nil:
		return err
	case errors.Is(round, watching.ErrAlarm):
		return exit(exitAlarm)
	case round != nil:
		return exit(exitFailed)
	}
	return nil
}

func (w watched) print(to io.Writer, say words) error {
	var b strings.Builder
	for _, l := range w.Logs {
		if l.Problem != "" {
			fmt.Fprintf(&b, say.of("✗ log %s: %s\n", "✗ 日志 %s：%s\n"), l.Origin, l.Problem)
			continue
		}
		fmt.Fprintf(&b, say.of("✓ log %s: %d entries, one history as far as it was shown; not read: %d\n",
			"✓ 日志 %s：%d 条，所见均为同一份历史；未读到的来源：%d\n"), l.Origin, l.Size, l.Unread)
	}
	for _, f := range w.Alarms {
		fmt.Fprintf(&b, say.of("ALARM: a log has shown different histories. The proof, with both signed checkpoints: %s\n",
			"警报：日志出示过不同的历史。证据（含两份已签名的检查点）：%s\n"), f)
	}
	_, err := io.WriteString(to, b.String())
	return err
}
