package engine_test

import (
	"context"
	"testing"
	"time"

	"signalbox.dev/signalbox/internal/bench/engine"
)

// The engine takes transactions. R10.2
func TestRun(t *testing.T) {
	r, err := engine.Run(t.Context(), engine.Config{Dir: t.TempDir(), Bytes: 1500, InFlight: 64, Duration: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if r.PerSecond <= 0 || r.CPU <= 0 {
		t.Errorf("%+v", r)
	}
}

func TestRunRefuses(t *testing.T) {
	if _, err := engine.Run(t.Context(), engine.Config{Dir: t.TempDir(), Bytes: 7, InFlight: 1, Duration: time.Millisecond}); err == nil {
		t.Error("transactions too small to differ are taken")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := engine.Run(ended, engine.Config{Dir: t.TempDir(), Bytes: 64, InFlight: 1, Duration: time.Hour}); err == nil {
		t.Error("an ended context is no error")
	}
}
