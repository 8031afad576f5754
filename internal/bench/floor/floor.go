package floor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"signalbox.dev/signalbox/internal/bench/loop"
)

// Mix is how many operations one supervised step costs all parties together, on
// the average of a flow's steps. The zero value is no operation.
type Mix struct {
	Sign   float64 // by the suite's signing keys: SM2 with SM3, or RSA-3072 PSS
	Verify float64 // likewise
	Wrap   float64 // of a content key to a sealing key: SM2, or RSA-3072 OAEP
	Unwrap float64 // likewise

	Encrypt float64 // of sealed payloads: SM4-GCM, or AES-256-GCM
	Decrypt float64 // likewise

	LogSign    float64 // Ed25519 of a checkpoint
	LogVerify  float64 // likewise
	VoteSign   float64 // Ed25519 of CometBFT's proposals and votes
	VoteVerify float64 // likewise

	SM3    float64 // blocks of 64 bytes, outside the operations above
	SHA256 float64 // blocks of 64 bytes, outside the operations above

	Signed   int // bytes of what the suite's keys sign
	Verified int // bytes of what is verified by them: most of it checkpoints, which are small
	Sealed   int // bytes of a sealed payload
}

// Result is what the loop came to.
type Result struct {
	PerStep time.Duration // processor time of one step's operations, in the kernel too
	Steps   int64         // as many as were done
	Took    time.Duration // by the clock, all cores together
}

// PerSecond is how many steps a second these cores could do if there were nothing
// but these operations.
func (r Result) PerSecond() float64 { return float64(r.Steps) / r.Took.Seconds() }

// Run does a mix's operations on all cores for the duration, and nothing else.
// Whatever else the process does in the meantime counts too. It ends early with
// ctx, and gives its error then.
func Run(ctx context.Context, suite string, mix Mix, d time.Duration) (Result, error) {
	if d <= 0 {
		return Result{}, errors.New("measuring the crypto floor: no duration")
	}
	workers := make([][]line, runtime.GOMAXPROCS(0))
	for i := range workers {
		var err error
		if workers[i], err = lines(suite, mix); err != nil {
			return Result{}, fmt.Errorf("measuring the crypto floor: %w", err)
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, d, errOver)
	defer cancel()
	var (
		steps atomic.Int64
		first error
		once  sync.Once
		all   sync.WaitGroup
	)
	cpu, began := loop.CPU(), time.Now()
	for _, w := range workers {
		all.Go(func() {
			n, err := work(ctx, w)
			steps.Add(n)
			if err != nil {
				once.Do(func() { first = err })
			}
		})
	}
	all.Wait()
	r := Result{Steps: steps.Load(), Took: time.Since(began)}
	if first == nil && context.Cause(ctx) != errOver {
		first = context.Cause(ctx)
	}
	if first != nil {
		return Result{}, fmt.Errorf("measuring the crypto floor: %w", first)
	}
	r.PerStep = (loop.CPU() - cpu) / time.Duration(r.Steps)
	return r, nil
}

var errOver = errors.New("the time is over")

// work does whole steps until ctx ends, one at least.
func work(ctx context.Context, all []line) (steps int64, err error) {
	owed := make([]float64, len(all))
	for steps == 0 || ctx.Err() == nil {
		for i, l := range all {
			// What is less than one in a step is done in some of the steps.
			for owed[i] += l.per; owed[i] >= 1; owed[i]-- {
				if err := l.do(); err != nil {
					return steps, fmt.Errorf("%s: %w", l.name, err)
				}
			}
		}
		steps++
	}
	return steps, nil
}
