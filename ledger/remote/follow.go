package remote

import (
	"context"
	"errors"
	"fmt"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/ledger"
)

// longestRetry is the longest wait before a Follow begins anew.
const longestRetry = 5 * time.Second

// Follow implements ledger.Ledger. It outlives the server: whenever the stream
// ends it goes on after the last record, without gaps. Beside ctx's and fn's
// errors it gives ErrForbidden, ErrPeer, and ErrFailed for what no ledger sends.
func (c *Client) Follow(ctx context.Context, from uint64, fn func(ledger.Stored) error) error {
	f := follower{c: c, at: from, fn: fn}
	for wait := c.cfg.Retry; ; wait = min(2*wait, longestRetry) {
		before := f.at
		err := f.once(ctx)
		switch {
		case f.ended:
			return err // fn's own, as it is
		case ctx.Err() != nil:
			return fmt.Errorf("following: %w", ctx.Err())
		case errors.Is(err, ErrForbidden), errors.Is(err, ErrPeer), errors.Is(err, errSense):
			return fmt.Errorf("following: %w", err)
		case f.at > before:
			wait = c.cfg.Retry
		}
		c.cfg.Logger.Info("following the ledger begins anew", "after", f.at, "in", wait, "err", err)
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
}

// errSense marks what trying again does not mend.
var errSense = fmt.Errorf("%w: the stream of records makes no sense", ErrFailed)

// follower is one Follow.
type follower struct {
	c     *Client
	at    uint64 // the last position that fn was given
	fn    func(ledger.Stored) error
	ended bool // by fn
}

// once follows for as long as one stream lasts, and says how it ended.
func (f *follower) once(ctx context.Context) error {
	if err := f.c.introduced(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Only waiting for the server counts as its silence, not fn's own time.
	silence := time.AfterFunc(f.c.cfg.Silence, cancel)
	defer silence.Stop()
	body, err := f.c.call(ctx, pathFollow, followMessage{From: f.at})
	if err != nil {
		return err
	}
	defer body.Close()
	for {
		silence.Reset(f.c.cfg.Silence)
		kind, data, err := readFrame(body)
		silence.Stop()
		if err == nil {
			err = f.take(kind, data)
		}
		if err != nil {
			return err
		}
	}
}

func (f *follower) take(kind byte, data []byte) error {
	switch kind {
	case frameHeartbeat:
		return nil
	case frameFailure:
		var m failure
		if err := flow.Unmarshal(data, &m); err != nil {
			return fmt.Errorf("%w: %w", errSense, err)
		}
		return m.err()
	case frameRecord:
	default:
		return fmt.Errorf("%w: a frame of kind %q", errSense, kind)
	}
	s, err := readStored(data)
	if err != nil {
		return fmt.Errorf("%w: %w", errSense, err)
	}
	if s.Position != f.at+1 {
		return fmt.Errorf("%w: position %d after %d", errSense, s.Position, f.at)
	}
	f.at = s.Position
	err = f.fn(s)
	f.ended = err != nil
	return err
}
