package monitor_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/internal/monitor"
	"signalbox.dev/signalbox/internal/witness"
	"signalbox.dev/signalbox/internal/witness/witnesstest"
	"signalbox.dev/signalbox/receipt"
)

const origin = "supervision-test"

// world is a log that is served, and a witness of it.
type world struct {
	log     *witnesstest.Log
	witness *witness.Witness

	mu    sync.Mutex
	serve http.Handler // the log's public files
	cfg   monitor.Config
	out   *bytes.Buffer
}

func (w *world) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	h := w.serve
	w.mu.Unlock()
	h.ServeHTTP(out, r)
}

// show serves another log, or none, from now on.
func (w *world) show(h http.Handler) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.serve = h
}

func newWorld(t *testing.T) *world {
	t.Helper()
	l := witnesstest.New(t, origin)
	l.Grow(t, 300, "same")
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	v, err := witness.Open(witness.Config{Dir: t.TempDir(), Name: "witness.example/1", Key: key, Logs: []receipt.Keys{l.Keys}, Clock: time.Now, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { v.Close() })
	w := &world{log: l, witness: v, serve: witness.PublicHandler(l), out: &bytes.Buffer{}}
	logServer, witnessServer := httptest.NewServer(w), httptest.NewServer(v.Handler())
	t.Cleanup(logServer.Close)
	t.Cleanup(witnessServer.Close)
	h := witness.NewHTTP(10 * time.Second)
	logClient, err := witness.NewLogClient(logServer.URL, h)
	must(t, err)
	client, err := witness.NewClient(witnessServer.URL, v.Key(), h)
	must(t, err)
	w.cfg = monitor.Config{
		Dir: t.TempDir(), Every: time.Millisecond, Clock: time.Now, Logger: slog.New(slog.NewTextHandler(w.out, nil)),
		Targets: []monitor.Target{{Keys: l.Keys, Log: logClient, Witnesses: []*witness.Client{client}}},
	}
	return w
}

func (w *world) monitor(t *testing.T) *monitor.Monitor {
	t.Helper()
	m, err := monitor.New(w.cfg)
	must(t, err)
	return m
}

// cosign has the witness sign a log's checkpoint of a size.
func (w *world) cosign(t *testing.T, l *witnesstest.Log, old, size int64) {
	t.Helper()
	r := witness.Request{Old: old, Checkpoint: l.At(t, size)}
	if old > 0 && old < size {
		var err error
		r.Proof, err = l.Consistency(old, size)
		must(t, err)
	}
	_, err := w.witness.Add(r)
	must(t, err)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// An honest log raises nothing, however it grows, and with witnesses behind.
func TestHonestLog(t *testing.T) {
	w := newWorld(t)
	m := w.monitor(t)
	must(t, m.Round(t.Context())) // the witness knows nothing yet
	for _, size := range []int64{301, 555, 556} {
		_, have, err := w.log.Checkpoint()
		must(t, err)
		w.log.Grow(t, int(size-have), "same")
		must(t, m.Round(t.Context()))
	}
	w.cosign(t, w.log, 0, 257)
	must(t, m.Round(t.Context()))
	w.cosign(t, w.log, 257, 556)
	must(t, m.Round(t.Context()))
	if s := m.Standings(); s[0].Size != 556 || s[0].Unread != 0 || s[0].Problem != "" {
		t.Errorf("%+v", s)
	}
	files, err := m.Alarms()
	if err != nil || len(files) != 0 || strings.Contains(w.out.String(), "ALARM") {
		t.Errorf("%v, %v\n%s", files, err, w.out)
	}
}

// Every way to show different people different logs raises an alarm that has both
// signed checkpoints in a file (R8.1).
func TestAlarms(t *testing.T) {
	for _, tc := range []struct {
		name  string
		act   func(t *testing.T, w *world, m *monitor.Monitor)
		why   string
		first func(t *testing.T, w *world) []byte
	}{
		{"two roots at the size that the witness was shown", func(t *testing.T, w *world, _ *monitor.Monitor) {
			fork := w.log.Fork(t, 200)
			fork.Grow(t, 100, "other")
			w.cosign(t, fork, 0, 300)
		}, "two roots at size 300", nil},
		{"two roots, and the log is silent meanwhile", func(t *testing.T, w *world, m *monitor.Monitor) {
			must(t, m.Round(t.Context()))
			fork := w.log.Fork(t, 200)
			fork.Grow(t, 100, "other")
			w.cosign(t, fork, 0, 300)
			w.show(http.NotFoundHandler())
		}, "two roots at size 300", func(t *testing.T, w *world) []byte { return w.log.At(t, 300) }},
		{"the witness was shown another, smaller log", func(t *testing.T, w *world, _ *monitor.Monitor) {
			fork := w.log.Fork(t, 200)
			fork.Grow(t, 50, "other")
			w.cosign(t, fork, 0, 250)
		}, "another history: at size 250", nil},
		{"the witness was shown a larger log", func(t *testing.T, w *world, _ *monitor.Monitor) {
			fork := w.log.Fork(t, 300)
			fork.Grow(t, 9, "hidden")
			w.cosign(t, fork, 0, 309)
		}, "set back: witness witness.example/1 has a checkpoint of size 309", nil},
		{"set back since the last round", func(t *testing.T, w *world, m *monitor.Monitor) {
			must(t, m.Round(t.Context()))
			w.log.Show(299)
		}, "set back: the log before has a checkpoint of size 300", func(t *testing.T, w *world) []byte { return w.log.At(t, 300) }},
		{"rewritten since the last round", func(t *testing.T, w *world, m *monitor.Monitor) {
			must(t, m.Round(t.Context()))
			fork := w.log.Fork(t, 299)
			fork.Grow(t, 500, "other")
			w.show(witness.PublicHandler(fork))
		}, "another history: at size 300", func(t *testing.T, w *world) []byte { return w.log.At(t, 300) }},
		{"tiles of another log than its checkpoint's", func(t *testing.T, w *world, m *monitor.Monitor) {
			must(t, m.Round(t.Context()))
			honest := witness.PublicHandler(w.log)
			w.log.Grow(t, 50, "same")
			fork := w.log.Fork(t, 100)
			fork.Grow(t, 300, "other")
			w.show(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/checkpoint" {
					honest.ServeHTTP(out, r)
					return
				}
				witness.PublicHandler(fork).ServeHTTP(out, r)
			}))
		}, "the log's tiles are not those", func(t *testing.T, w *world) []byte { return w.log.At(t, 300) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			m := w.monitor(t)
			tc.act(t, w, m)
			if err := m.Round(t.Context()); !errors.Is(err, monitor.ErrAlarm) {
				t.Fatalf("the round ends with %v", err)
			}
			files, err := m.Alarms()
			if err != nil || len(files) != 1 {
				t.Fatalf("%v, %v", files, err)
			}
			text, err := os.ReadFile(files[0])
			must(t, err)
			if !strings.Contains(string(text), tc.why) || tc.first != nil && !bytes.Contains(text, tc.first(t, w)) {
				t.Errorf("want %s in\n%s", tc.why, text)
			}
			proof(t, string(text), w.log.Keys)
			if strings.Contains(tc.why, "another history") != strings.Contains(string(text), "--- consistency") {
				t.Errorf("a proof of the other root is there or lacks:\n%s", text)
			}
			if !strings.Contains(w.out.String(), "level=ERROR msg=ALARM") {
				t.Errorf("the log says\n%s", w.out)
			}
		})
	}
}

// proof reads both checkpoints of an alarm's file and checks their signatures.
func proof(t *testing.T, text string, keys receipt.Keys) {
	t.Helper()
	_, rest, _ := strings.Cut(text, "--- first\n")
	first, rest, ok := strings.Cut(rest, "--- second\n")
	second, more, proven := strings.Cut(rest, "--- consistency")
	a, err := receipt.OpenHead([]byte(first), keys)
	b, berr := receipt.OpenHead([]byte(second), keys)
	if !ok || err != nil || berr != nil || a.Size == b.Size && a.Root == b.Root {
		t.Errorf("the file proves nothing (%v, %v):\n%s", err, berr, text)
	}
	if !proven {
		return
	}
	var p tlog.TreeProof
	for _, l := range strings.Fields(more[strings.Index(more, "\n"):]) {
		h, err := tlog.ParseHash(l)
		must(t, err)
		p = append(p, h)
	}
	if p[0] == a.Root || tlog.CheckTree(p[1:], b.Size, b.Root, a.Size, p[0]) != nil {
		t.Errorf("the proof does not hold:\n%s", text)
	}
}

// An alarm stands over restarts and after the log shows its good side again, until
// somebody takes the file away.
func TestAlarmStands(t *testing.T) {
	w := newWorld(t)
	m := w.monitor(t)
	must(t, m.Round(t.Context()))
	w.log.Show(299)
	if err := m.Round(t.Context()); !errors.Is(err, monitor.ErrAlarm) {
		t.Fatal(err)
	}
	w.log.Show(0)
	m = w.monitor(t)
	if err := m.Round(t.Context()); !errors.Is(err, monitor.ErrAlarm) {
		t.Errorf("after a restart: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Run(ctx); !errors.Is(err, monitor.ErrAlarm) {
		t.Errorf("its end: %v", err)
	}
	files, err := m.Alarms()
	must(t, err)
	if len(files) != 1 {
		t.Fatalf("%d alarms", len(files))
	}
	must(t, os.Remove(files[0]))
	if err := m.Round(t.Context()); err != nil {
		t.Errorf("when the file was taken away: %v", err)
	}
}

// What is no proof is no alarm: silence, nonsense, and what others sign in the log's name.
func TestNoProofNoAlarm(t *testing.T) {
	for name, act := range map[string]func(t *testing.T, w *world){
		"silent":   func(_ *testing.T, w *world) { w.show(http.NotFoundHandler()) },
		"nonsense": func(_ *testing.T, w *world) { w.show(text("<html>")) },
		"another's key": func(t *testing.T, w *world) {
			l := witnesstest.New(t, origin)
			l.Grow(t, 9, "x")
			w.show(witness.PublicHandler(l))
		},
		"tiles don't come": func(t *testing.T, w *world) {
			w.log.Grow(t, 5, "same")
			cp, _, _ := w.log.Checkpoint()
			w.show(only("/checkpoint", text(string(cp))))
		},
	} {
		w := newWorld(t)
		m := w.monitor(t)
		must(t, m.Round(t.Context()))
		act(t, w)
		err := m.Round(t.Context())
		if err == nil || errors.Is(err, monitor.ErrAlarm) {
			t.Errorf("%s: %v", name, err)
		}
		if s := m.Standings(); s[0].Problem == "" {
			t.Errorf("%s: %+v", name, s)
		}
		if files, _ := m.Alarms(); len(files) > 0 {
			t.Errorf("%s: alarm", name)
		}
	}
}

func text(s string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(s)) })
}

func only(path string, h http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(path, h)
	return mux
}
