package witness

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/receipt"
)

// Log is what a Feeder needs of the log that it is for. Its methods are safe for
// concurrent use and don't wait for the log to grow.
type Log interface {
	// Checkpoint is the newest signed checkpoint and its size; nil while the log is empty.
	Checkpoint() (signed []byte, size int64, err error)
	// Consistency proves that the log of size from is the beginning of that of size to.
	Consistency(from, to int64) (tlog.TreeProof, error)
	// Cosigned keeps a witness's line with the checkpoint of that size. Keeping a
	// line of one key again does nothing.
	Cosigned(size int64, line []byte) error
}

// FeederConfig is what a Feeder runs with.
type FeederConfig struct {
	Log       Log
	Witnesses []*Client
	Every     time.Duration // between two looks at the log; 0: 1 s
	Timeout   time.Duration // of one call to a witness; 0: 5 s
	Logger    *slog.Logger
}

// Feeder has witnesses cosign a log's checkpoints. It looks at the log at
// intervals and offers its newest checkpoint to every witness; each witness has a
// queue of one, in which a newer checkpoint takes an older one's place. So a slow
// or silent witness holds up neither decisions nor other witnesses, and nothing
// piles up.
type Feeder struct {
	cfg   FeederConfig
	lanes []*lane
}

// lane is one witness as the feeder serves it.
type lane struct {
	client *Client
	next   chan offer // the newest checkpoint that was not offered yet

	known    int64        // what the witness has cosigned last, as far as is known; of its goroutine alone
	failing  string       // why the last call failed; of its goroutine alone
	size     atomic.Int64 // cosigned last in this process
	reached  atomic.Bool
	refusals atomic.Int64
}

type offer struct {
	signed []byte
	size   int64
}

// NewFeeder makes a feeder; nothing runs before Run.
func NewFeeder(cfg FeederConfig) (*Feeder, error) {
	if cfg.Log == nil || cfg.Logger == nil {
		return nil, errors.New("feeding witnesses: log or logger is missing")
	}
	if cfg.Every <= 0 {
		cfg.Every = time.Second
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 5 * time.Second
	}
	f := &Feeder{cfg: cfg}
	for _, c := range cfg.Witnesses {
		f.lanes = append(f.lanes, &lane{client: c, next: make(chan offer, 1)})
	}
	return f, nil
}

// Run feeds until ctx ends.
func (f *Feeder) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, l := range f.lanes {
		wg.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case o := <-l.next:
					f.offer(ctx, l, o)
				}
			}
		})
	}
	defer wg.Wait()
	beat := time.NewTicker(f.cfg.Every)
	defer beat.Stop()
	for {
		if err := f.look(); err != nil {
			f.cfg.Logger.Error("feeding witnesses", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-beat.C:
		}
	}
}

// look offers the newest checkpoint to every witness that has not cosigned it.
func (f *Feeder) look() error {
	signed, size, err := f.cfg.Log.Checkpoint()
	if err != nil || signed == nil {
		return err
	}
	for _, l := range f.lanes {
		if l.size.Load() == size {
			continue
		}
		select {
		case <-l.next: // older, and not taken yet
		default:
		}
		l.next <- offer{signed, size} // there is room: nobody else puts anything in
	}
	return nil
}

// offer has one witness cosign one checkpoint, and tells operators when that
// begins or ceases to fail.
func (f *Feeder) offer(ctx context.Context, l *lane, o offer) {
	if l.size.Load() == o.size {
		return // offered twice, while the first was under way
	}
	err := f.cosign(ctx, l, o)
	if ctx.Err() != nil {
		return
	}
	l.reached.Store(err == nil)
	name := l.client.Key().Name()
	switch {
	case err == nil && l.failing != "":
		f.cfg.Logger.Info("witness cosigns again", "witness", name, "size", o.size)
		l.failing = ""
	case errors.Is(err, ErrInconsistent), errors.Is(err, errAhead):
		l.refusals.Add(1)
		f.cfg.Logger.Error("A WITNESS SAYS THAT THIS LOG HAS TWO HISTORIES", "witness", name, "size", o.size, "err", err)
		l.failing = err.Error()
	case err != nil && l.failing != err.Error():
		f.cfg.Logger.Warn("witness does not cosign", "witness", name, "size", o.size, "err", err)
		l.failing = err.Error()
	}
}

// errAhead says that a witness knows a larger log than there is: this one was set back.
var errAhead = errors.New("the witness has cosigned a larger log than this one")

// cosign asks, and once more from the size that the witness says it is at.
func (f *Feeder) cosign(ctx context.Context, l *lane, o offer) error {
	for attempt := 0; ; attempt++ {
		line, err := f.ask(ctx, l, o)
		var at *Conflict
		switch {
		case err == nil:
			l.known = o.size
			if err := f.cfg.Log.Cosigned(o.size, line); err != nil {
				return err
			}
			l.size.Store(o.size)
			return nil
		case !errors.As(err, &at):
			return err
		case at.Size > o.size:
			l.known = at.Size
			// A newer offer may have overtaken this one; against the newest it is a set-back.
			if _, newest, err := f.cfg.Log.Checkpoint(); err != nil || at.Size <= newest {
				return err
			}
			return fmt.Errorf("%w: %d against %d", errAhead, at.Size, o.size)
		case attempt > 0:
			return err
		}
		l.known = at.Size
	}
}

func (f *Feeder) ask(ctx context.Context, l *lane, o offer) ([]byte, error) {
	r := Request{Old: min(l.known, o.size), Checkpoint: o.signed}
	if r.Old > 0 && r.Old < o.size {
		var err error
		if r.Proof, err = f.cfg.Log.Consistency(r.Old, o.size); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, f.cfg.Timeout)
	defer cancel()
	return l.client.Add(ctx, r)
}

// Standing is how far one witness is.
type Standing struct {
	Witness  string
	Size     int64 // that it has cosigned last, since the process began; 0: none yet
	Reached  bool  // the last call came through
	Refusals int64 // times that it said that the log contradicts what it cosigned
}

// Standings are those of all witnesses, in the configuration's order.
func (f *Feeder) Standings() []Standing {
	var out []Standing
	for _, l := range f.lanes {
		out = append(out, Standing{Witness: l.client.Key().Name(), Size: l.size.Load(), Reached: l.reached.Load(), Refusals: l.refusals.Load()})
	}
	return out
}

// Keys are the witnesses'.
func (f *Feeder) Keys() []receipt.Cosigner {
	var out []receipt.Cosigner
	for _, l := range f.lanes {
		out = append(out, l.client.Key())
	}
	return out
}
