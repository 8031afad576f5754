// Package monitor wires a monitor of logs as a process of its own. It belongs to
// none of the parties and holds no key.
package monitor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"signalbox.dev/signalbox/internal/config"
	role "signalbox.dev/signalbox/internal/monitor"
	"signalbox.dev/signalbox/internal/ops"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/witness"
	"signalbox.dev/signalbox/receipt"
)

// Config is monitor.yaml.
type Config struct {
	Directory string        `yaml:"directory" form:"path" doc:"The monitor's folder: what it has seen, and its alarms. An alarm stands until its file is taken away." zh:"监视方的目录，存放所见检查点和警报。警报文件移走之前，警报一直有效。"`
	Policy    string        `yaml:"policy" required:"true" form:"path" doc:"The logs and witnesses to ask, with their keys and addresses, in the form of c2sp.org/tlog-policy; the same file serves verifiers." zh:"要询问的日志和见证人及其公钥和地址，格式为 c2sp.org/tlog-policy；同一文件可供验证方使用。"`
	Every     time.Duration `yaml:"every" min:"1s" max:"24h" doc:"Time between two rounds." zh:"两轮之间的间隔。"`
	Timeout   time.Duration `yaml:"timeout" min:"1s" max:"5m" doc:"How long one call may take." zh:"单次请求的最长时间。"`
	Drain     time.Duration `yaml:"drain" min:"1s" max:"10m" doc:"How long a stop may take." zh:"停止时的最长等待。"`
	Ops       party.Ops     `yaml:"ops" doc:"For operators' tools." zh:"供运维工具使用。"`
	Log       party.Log     `yaml:"log" doc:"The log." zh:"日志。"`
}

// Default is the configuration where nothing else is said.
func Default() *Config {
	return &Config{
		Directory: ".", Every: time.Minute, Timeout: 10 * time.Second, Drain: 10 * time.Second,
		Ops: party.Ops{Listen: "127.0.0.1:9106"}, Log: party.DefaultLog(),
	}
}

// Validate says which key is unfit.
func (c *Config) Validate() error {
	if c.Directory == "" {
		return config.Bad("directory", "is empty")
	}
	return nil
}

// New makes the monitor that the configuration describes.
func New(c *Config, clock func() time.Time, log *slog.Logger) (*role.Monitor, error) {
	text, err := os.ReadFile(c.Policy)
	if err != nil {
		return nil, fmt.Errorf("reading the policy: %w", err)
	}
	p, err := receipt.ParsePolicy(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Policy, err)
	}
	h := witness.NewHTTP(c.Timeout)
	var witnesses []*witness.Client
	for _, w := range p.Witnesses() {
		if w.URL == "" {
			continue // verifiers count on it; it can't be asked
		}
		client, err := witness.NewClient(w.URL, w.Key, h)
		if err != nil {
			return nil, fmt.Errorf("%s: witness %s: %w", c.Policy, w.Name, err)
		}
		witnesses = append(witnesses, client)
	}
	var targets []role.Target
	for _, l := range p.Logs() {
		client, err := witness.NewLogClient(l.URL, h)
		if err != nil {
			return nil, fmt.Errorf("%s: log %s: where are its public files? %w", c.Policy, l.Keys.Origin(), err)
		}
		targets = append(targets, role.Target{Keys: l.Keys, Log: client, Witnesses: witnesses})
	}
	return role.New(role.Config{Dir: c.Directory, Targets: targets, Every: c.Every, Clock: clock, Logger: log.With("part", "monitor")})
}

// Open wires the monitor as a process. Its end is an error while an alarm stands.
func Open(c *Config, clock func() time.Time, log *slog.Logger) (*party.Process, error) {
	m, err := New(c, clock, log)
	if err != nil {
		return nil, err
	}
	return &party.Process{
		Role: "monitor", Layers: []party.Layer{{Name: "monitor", Run: m.Run}}, Close: func() error { return nil },
		Unready: func() string { return unready(m) }, Sources: []ops.Source{Figures(m)},
	}, nil
}

// unready says why nobody should rely on the watched logs now.
func unready(m *role.Monitor) string {
	files, err := m.Alarms()
	if err != nil || len(files) > 0 {
		return cmp.Or(errors.Join(err), role.ErrAlarm).Error()
	}
	for _, s := range m.Standings() {
		if s.Problem != "" {
			return s.Problem
		}
	}
	return ""
}

// Figures are a monitor's for operators.
func Figures(m *role.Monitor) ops.Source {
	return ops.Source{Part: "monitor", Read: func(_ context.Context, emit ops.Emit) error {
		files, err := m.Alarms()
		if err != nil {
			return err
		}
		emit(ops.MonitorAlarms, float64(len(files)))
		for _, s := range m.Standings() {
			emit(ops.MonitorSize, float64(s.Size), s.Origin)
			emit(ops.MonitorUnread, float64(s.Unread), s.Origin)
		}
		return nil
	}}
}
