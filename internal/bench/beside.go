package bench

import (
	"context"
	"path/filepath"
	"time"

	"signalbox.dev/signalbox/internal/bench/engine"
	"signalbox.dev/signalbox/internal/bench/floor"
	"signalbox.dev/signalbox/internal/bench/plain"
)

// Everything is all that the system can be compared with.
func Everything() Beside {
	return Beside{Floor: cryptography, Baseline: unsupervised, Engine: consensus}
}

func cryptography(ctx context.Context, suite string, blocks, checkpoints float64, d time.Duration) (time.Duration, error) {
	mix, err := floor.Of(suite, blocks, checkpoints)
	if err != nil {
		return 0, err
	}
	r, err := floor.Run(ctx, suite, mix, d)
	return r.PerStep, err
}

func unsupervised(ctx context.Context, dir string, inFlight int, d time.Duration, record func(int) []byte) (Baseline, error) {
	r, err := plain.Run(ctx, plain.Config{Dir: filepath.Join(dir, "plain"), InFlight: inFlight, Duration: d, Record: record})
	return Baseline{StepsPerSecond: r.StepsPerSecond, CPUPerStep: r.CPUPerStep, P50: r.P50}, err
}

func consensus(ctx context.Context, dir string, bytes, inFlight int, d time.Duration) (float64, error) {
	r, err := engine.Run(ctx, engine.Config{Dir: filepath.Join(dir, "engine"), Bytes: bytes, InFlight: inFlight, Duration: d})
	return r.PerSecond, err
}
