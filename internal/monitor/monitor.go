// Package monitor watches logs from outside: it fetches what a log shows to it and
// what witnesses say that the log has shown to them, and raises an alarm when the
// two can't be of one history.
//
// A monitor holds no key and is nobody's part: a platform, an auditor or a
// journalist runs one. What it finds it can show: the alarm's file has both signed
// checkpoints, which anyone checks with the log's public keys.
//
// It asks the witnesses first and the log last. What a witness has cosigned the log
// signed before, so an honest log's newest checkpoint is never behind. The log's
// tiles, checked against that newest root, then say what the root was at every
// smaller size that anybody was shown.
//
// An alarm stands until a person takes its file away: it outlives the process, is
// logged at every round, is a figure, makes the process not ready and its exit code 3.
package monitor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/internal/witness"
	"signalbox.dev/signalbox/receipt"
)

// Target is one log to be watched.
type Target struct {
	Keys      receipt.Keys
	Log       *witness.LogClient
	Witnesses []*witness.Client
}

// Config is what a monitor runs with.
type Config struct {
	Dir     string // what it has seen, and its alarms
	Targets []Target
	Every   time.Duration
	Clock   func() time.Time
	Logger  *slog.Logger
}

// Validate says what is missing.
func (c Config) Validate() error {
	if c.Dir == "" || c.Every <= 0 || c.Clock == nil || c.Logger == nil {
		return errors.New("monitor: directory, interval, clock or logger is missing")
	}
	if len(c.Targets) == 0 {
		return errors.New("monitor: no log to watch")
	}
	return nil
}

// ErrAlarm says that an alarm stands.
var ErrAlarm = errors.New("a log has shown different histories: see the alarm's files")

// Monitor watches. Make one with New.
type Monitor struct {
	cfg Config

	mu     sync.Mutex // guards what follows
	states []Standing
}

// Standing is what the last round found of one log.
type Standing struct {
	Origin  string
	Size    int64  // largest that was verified
	Unread  int    // of the log and its witnesses, how many did not answer with something valid
	Problem string // why the log itself could not be judged; empty: it was
}

// New makes a monitor; it asks nobody before Round or Run.
func New(cfg Config) (*Monitor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("monitor: %w", err)
	}
	m := &Monitor{cfg: cfg, states: make([]Standing, len(cfg.Targets))}
	for i, t := range cfg.Targets {
		m.states[i] = Standing{Origin: t.Keys.Origin(), Problem: "not looked at yet"}
	}
	return m, nil
}

// Run makes rounds until ctx ends. It is ErrAlarm then if an alarm stands.
func (m *Monitor) Run(ctx context.Context) error {
	beat := time.NewTicker(m.cfg.Every)
	defer beat.Stop()
	for {
		err := m.Round(ctx)
		if err != nil && !errors.Is(err, ErrAlarm) && ctx.Err() == nil {
			m.cfg.Logger.Warn("a round was not whole", "err", err)
		}
		select {
		case <-ctx.Done():
			files, err := m.Alarms()
			if err == nil && len(files) > 0 {
				err = ErrAlarm
			}
			return err
		case <-beat.C:
		}
	}
}

// Round looks at every log once. The error is ErrAlarm while an alarm stands, or
// else says what could not be judged; nil means that everything was, and fits.
func (m *Monitor) Round(ctx context.Context) error {
	var errs []error
	for i, t := range m.cfg.Targets {
		s, err := m.look(ctx, t)
		if err != nil {
			err = fmt.Errorf("log %s: %w", t.Keys.Origin(), err)
			s.Problem = err.Error()
		}
		errs = append(errs, err)
		m.mu.Lock()
		if s.Size == 0 {
			s.Size = m.states[i].Size
		}
		m.states[i] = s
		m.mu.Unlock()
	}
	files, err := m.Alarms()
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return errors.Join(errs...)
	}
	for _, f := range files {
		m.cfg.Logger.Error("ALARM: A LOG HAS SHOWN DIFFERENT HISTORIES", "evidence", f)
	}
	return ErrAlarm
}

// Standings are what the last round found, in the configuration's order.
func (m *Monitor) Standings() []Standing {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Standing(nil), m.states...)
}

// Alarms are the files of the alarms that stand.
func (m *Monitor) Alarms() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(m.alarmDir(), "*.evidence"))
	if err != nil {
		return nil, fmt.Errorf("reading alarms: %w", err)
	}
	return files, nil
}

func (m *Monitor) alarmDir() string { return filepath.Join(m.cfg.Dir, "alarms") }

// seen is a checkpoint that the log has signed, and who showed it.
type seen struct {
	receipt.Head
	by string
}

// look judges one log.
func (m *Monitor) look(ctx context.Context, t Target) (Standing, error) {
	s := Standing{Origin: t.Keys.Origin()}
	shown, unread := m.gather(ctx, t)
	s.Unread = unread
	before, err := m.recall(t)
	if err != nil {
		return s, err
	}
	if before != nil {
		shown = append(shown, *before)
	}
	signed, err := t.Log.Checkpoint(ctx)
	if err != nil {
		s.Unread++
		// The witnesses' words against each other and against what was seen still count.
		return s, errors.Join(err, m.compare(shown))
	}
	head, err := receipt.OpenHead(signed, t.Keys)
	if err != nil {
		s.Unread++
		return s, errors.Join(err, m.compare(shown))
	}
	newest := seen{head, "the log"}
	if err := m.compare(append(shown, newest)); err != nil {
		return s, err
	}
	tree := t.Log.Tree(ctx, head)
	for _, o := range shown {
		if err := m.fits(tree, newest, o); err != nil {
			return s, err
		}
	}
	s.Size = head.Size
	return s, m.remember(newest, before)
}

// gather asks the witnesses. Who gives something that the log has not signed, or
// that is not cosigned, counts as unread.
func (m *Monitor) gather(ctx context.Context, t Target) (shown []seen, unread int) {
	for _, w := range t.Witnesses {
		signed, err := w.Latest(ctx, t.Keys.Origin())
		if err == nil && signed == nil {
			continue // it knows of none yet
		}
		var h receipt.Head
		if err == nil {
			h, err = receipt.OpenHead(signed, t.Keys)
		}
		if err == nil {
			// Without the witness's line, the log's signature is evidence all the same.
			shown = append(shown, seen{h, "witness " + w.Key().Name()})
			if _, who, cerr := receipt.Cosignatures(signed, w.Key()); cerr != nil || len(who) == 0 {
				err = errors.New("its checkpoint lacks its cosignature")
			}
		}
		if err != nil {
			unread++
			m.cfg.Logger.Warn("witness not read", "witness", w.Key().Name(), "log", t.Keys.Origin(), "err", err)
		}
	}
	return shown, unread
}

// compare finds two checkpoints of one size with different roots. That needs nobody's answer.
func (m *Monitor) compare(all []seen) error {
	for i, a := range all {
		for _, b := range all[:i] {
			if a.Size == b.Size && a.Root != b.Root {
				return m.alarm(evidence(b, a, fmt.Sprintf("two roots at size %d: the first was shown by %s, the second by %s", a.Size, b.by, a.by)))
			}
		}
	}
	return nil
}

// fits says whether what somebody was shown is a beginning of the log as it shows itself now.
func (m *Monitor) fits(tree tlog.HashReader, newest, o seen) error {
	if o.Size > newest.Size {
		return m.alarm(evidence(o, newest, fmt.Sprintf("set back: %s has a checkpoint of size %d, and the log shows %d as its newest", o.by, o.Size, newest.Size)))
	}
	if o.Size == 0 || o.Size == newest.Size {
		return nil
	}
	root, err := tlog.TreeHash(o.Size, tree)
	switch {
	case errors.Is(err, witness.ErrUnreached):
		return err
	case err != nil:
		return m.alarm(evidence(o, newest, fmt.Sprintf(
			"the log's tiles are not those of the checkpoint that it shows (size %d), so it can't show that size %d, shown by %s, is part of it: %v", newest.Size, o.Size, o.by, err)))
	case root == o.Root:
		return nil
	}
	e := evidence(o, newest, fmt.Sprintf("another history: at size %d the log now had root %s, and %s was shown another", o.Size, root, o.by))
	e.Root = root
	if e.Proof, err = tlog.ProveTree(newest.Size, o.Size, tree); err != nil {
		m.cfg.Logger.Warn("the alarm lacks the proof of the other root", "err", err)
	}
	return m.alarm(e)
}

func evidence(first, second seen, why string) witness.Evidence {
	return witness.Evidence{Origin: first.Origin, Why: why, First: first.Signed, Second: second.Signed}
}

// alarm keeps the proof. It is an error in any case.
func (m *Monitor) alarm(e witness.Evidence) error {
	e.Found = m.cfg.Clock()
	file, err := e.Keep(m.alarmDir())
	if err != nil {
		// It can't be missed even so.
		m.cfg.Logger.Error("ALARM, AND IT CAN'T BE KEPT", "log", e.Origin, "why", e.Why, "err", err, "first", string(e.First), "second", string(e.Second))
		return errors.Join(fmt.Errorf("%w: %s", ErrAlarm, e.Why), err)
	}
	m.cfg.Logger.Error("ALARM", "log", e.Origin, "why", e.Why, "evidence", file)
	return fmt.Errorf("%w: %s", ErrAlarm, e.Why)
}
