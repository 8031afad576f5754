package comet

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"

	"github.com/cometbft/cometbft/libs/log"
)

// maxLogged is the longest attribute passed on, in bytes: some of CometBFT's
// errors hold whole blocks.
const maxLogged = 300

// logger passes CometBFT's log on: warnings and errors as such, information as
// debugging. Of the attributes only those that can't hold payloads go through.
type logger struct {
	to       *slog.Logger
	stopping *atomic.Bool       // complaints about things already closed are then expected
	failed   func(reason error) // told when consensus has stopped for good
	with     []any
}

// haltMessage is how CometBFT v0.40 reports, and only reports, that its consensus
// routine has died. TestFailureEndsRun holds this to be so.
const haltMessage = "CONSENSUS FAILURE!!!"

func (l logger) Debug(string, ...any) {}
func (l logger) Info(msg string, kv ...any) {
	if l.to.Enabled(context.Background(), slog.LevelDebug) {
		l.pass(slog.LevelDebug, msg, kv)
	}
}
func (l logger) Warn(msg string, kv ...any) { l.pass(slog.LevelWarn, msg, kv) }

func (l logger) Error(msg string, kv ...any) {
	level := slog.LevelError
	if l.stopping.Load() {
		level = slog.LevelDebug
	}
	l.pass(level, msg, kv)
	if msg == haltMessage { // after it was logged: the node stops at once
		l.failed(fmt.Errorf("consensus has stopped: %s", short(value(kv, "err"))))
	}
}

func (l logger) With(kv ...any) log.Logger {
	l.with = append(slices.Clip(l.with), kv...)
	return l
}

func (l logger) pass(level slog.Level, msg string, kv []any) {
	attrs := []slog.Attr{slog.String("from", "cometbft")}
	for _, pairs := range [][]any{l.with, kv} {
		for i := 0; i+1 < len(pairs); i += 2 {
			switch name := fmt.Sprint(pairs[i]); name {
			case "module", "height", "round", "err", "error", "reason":
				attrs = append(attrs, slog.String(name, short(pairs[i+1])))
			}
		}
	}
	l.to.LogAttrs(context.Background(), level, msg, attrs...)
}

func value(kv []any, name string) any {
	for i := 0; i+1 < len(kv); i += 2 {
		if kv[i] == name {
			return kv[i+1]
		}
	}
	return nil
}

func short(v any) string {
	s := fmt.Sprint(v)
	return s[:min(len(s), maxLogged)]
}
