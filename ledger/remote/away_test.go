package remote

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/ledger/ledgertest"
	"signalbox.dev/signalbox/ledger/memory"
)

// answerLost stores a record and then never answers, until the server ends.
type answerLost struct {
	*memory.Ledger
	stored chan ledger.TxID
}

func (l answerLost) Put(ctx context.Context, rec ledger.Record) (ledger.TxID, error) {
	id, err := l.Ledger.Put(ctx, rec)
	if err != nil {
		return "", err
	}
	l.stored <- id
	<-ctx.Done()
	return "", ctx.Err()
}

// Order of writes, 5: the server is gone after the chain has the record and before
// the platform knows. That is unknown, and the next try gets the same TxID.
func TestServerEndsDuringPut(t *testing.T) {
	a := ledgertest.NewAuthority(t, ledgertest.Chain)
	chain := newMemory(t, setup(a))
	l := answerLost{chain, make(chan ledger.TxID, 1)}
	k := serve(t, l, func(c *ServerConfig) { c.Limits.Drain = time.Millisecond })
	c := k.dial(t)
	rec := a.Records(t, 1, 100)[0]
	result := make(chan error, 1)
	go func() {
		_, err := c.Put(t.Context(), rec)
		result <- err
	}()
	id := <-l.stored
	k.kill()
	unknown(t, <-result)

	_, err := c.Put(t.Context(), rec)
	unknown(t, err) // nobody is there
	if c.Reachable() {
		t.Error("the client says that it reached a server that is gone")
	}
	k.listen(t, chain, k.addr)
	again, err := c.Put(t.Context(), rec)
	if err != nil || again != id {
		t.Errorf("put again: %q, %v; the chain has it under %q", again, err, id)
	}
	if !c.Reachable() {
		t.Error("the client says that it did not reach the server")
	}
	if all, err := chain.List(t.Context(), rec.Key.Flow); err != nil || len(all) != 1 {
		t.Errorf("the flow has %d records (%v), want 1", len(all), err)
	}
}

// A chain that answers too late leaves the outcome unknown.
func TestPutTakesTooLong(t *testing.T) {
	a := ledgertest.NewAuthority(t, ledgertest.Chain)
	for name, limits := range map[string]struct{ server, client time.Duration }{
		"for the server": {server: time.Millisecond},
		"for the client": {client: 200 * time.Millisecond},
	} {
		l := stuck{newMemory(t, setup(a)), make(chan struct{}, 1), make(chan struct{})}
		k := serve(t, l, func(c *ServerConfig) { c.Limits.Put = limits.server })
		c := k.dial(t, func(c *Config) { c.Timeout = limits.client })
		_, err := c.Put(t.Context(), a.Records(t, 1, 100)[0])
		unknown(t, err)
		<-l.entered
		if limits.client != 0 && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("too long %s: %v, want the deadline's error", name, err)
		}
	}
}

// A follower goes on after the last record whenever its server comes back.
func TestFollowResumes(t *testing.T) {
	a := ledgertest.NewAuthority(t, ledgertest.Chain)
	chain := newMemory(t, setup(a))
	k := serve(t, chain)
	c := k.open(t)
	recs := a.Records(t, 30, 100)
	var got []ledger.Record
	seen := make(chan int, len(recs))
	enough := errors.New("all of them")
	ended := make(chan error, 1)
	go func() {
		ended <- c.Follow(t.Context(), 0, func(s ledger.Stored) error {
			got = append(got, s.Record)
			seen <- len(got)
			if len(got) == len(recs) {
				return enough
			}
			return nil
		})
	}()
	for i, rec := range recs {
		if _, err := chain.Put(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		<-seen
		if i%10 == 5 {
			k.stop()
			k.listen(t, chain, k.addr)
		}
	}
	if err := <-ended; !errors.Is(err, enough) {
		t.Errorf("follow: %v", err)
	}
	if diff := cmp.Diff(recs, got); diff != "" {
		t.Errorf("followed (-put +got):\n%s", diff)
	}
}

// A follower that begins before its server is there waits for it.
func TestFollowBeforeServer(t *testing.T) {
	a := ledgertest.NewAuthority(t, ledgertest.Chain)
	chain := newMemory(t, setup(a))
	k := serve(t, chain)
	k.stop()
	c := k.open(t)
	if got := c.Capabilities(); got.Network != ledgertest.Network || got.MaxValue == 0 {
		t.Errorf("before the first contact: %+v", got)
	}
	rec := a.Records(t, 1, 100)[0]
	if _, err := chain.Put(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	enough := errors.New("one")
	ended := make(chan error, 1)
	go func() { ended <- c.Follow(t.Context(), 0, func(ledger.Stored) error { return enough }) }()
	k.listen(t, chain, k.addr)
	if err := <-ended; !errors.Is(err, enough) {
		t.Errorf("follow: %v", err)
	}
	if got := c.Capabilities(); got != chain.Capabilities() {
		t.Errorf("capabilities %+v, the chain's are %+v", got, chain.Capabilities())
	}
}

// A server that says nothing more is as good as gone: here its heartbeat is
// longer than the client's patience, so that the client asks again and again.
func TestFollowNoticesSilence(t *testing.T) {
	a := ledgertest.NewAuthority(t, ledgertest.Chain)
	l := &asked{Ledger: newMemory(t, setup(a)), times: make(chan uint64, 16)}
	k := serve(t, l, func(c *ServerConfig) { c.Limits.Heartbeat = time.Hour })
	c := k.dial(t, func(c *Config) { c.Silence = 20 * time.Millisecond })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Follow(ctx, 7, nil) }()
	for range 3 {
		if from := <-l.times; from != 7 {
			t.Errorf("asked from position %d, want 7", from)
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("follow: %v", err)
	}
}

// With a heartbeat in time it does not.
func TestFollowHeartbeat(t *testing.T) {
	a := ledgertest.NewAuthority(t, ledgertest.Chain)
	chain := newMemory(t, setup(a))
	l := &asked{Ledger: chain, times: make(chan uint64, 16)}
	k := serve(t, l, func(c *ServerConfig) { c.Limits.Heartbeat = time.Millisecond })
	c := k.dial(t, func(c *Config) { c.Silence = 10 * time.Second })
	enough := errors.New("one")
	ended := make(chan error, 1)
	go func() { ended <- c.Follow(t.Context(), 0, func(ledger.Stored) error { return enough }) }()
	<-l.times
	if _, err := chain.Put(t.Context(), a.Records(t, 1, 100)[0]); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, enough) {
		t.Errorf("follow: %v", err)
	}
	if len(l.times) != 0 {
		t.Error("the follower began anew")
	}
}

// asked tells of every Follow.
type asked struct {
	ledger.Ledger
	times chan uint64
}

func (l *asked) Follow(ctx context.Context, from uint64, fn func(ledger.Stored) error) error {
	select {
	case l.times <- from:
	default:
	}
	return l.Ledger.Follow(ctx, from, fn)
}

// senseless is a ledger whose answers no ledger gives.
type senseless struct {
	ledger.Ledger
	stored ledger.Stored
}

func (l senseless) Get(context.Context, ledger.Key) (ledger.Stored, error) { return l.stored, nil }
func (l senseless) List(context.Context, flow.Hash) ([]ledger.Stored, error) {
	return []ledger.Stored{l.stored}, nil
}

func (l senseless) Put(context.Context, ledger.Record) (ledger.TxID, error) { return "", nil }

func (l senseless) Follow(_ context.Context, _ uint64, fn func(ledger.Stored) error) error {
	return fn(l.stored)
}

// The client does not believe what can't be.
func TestSenselessServer(t *testing.T) {
	a := ledgertest.NewAuthority(t, ledgertest.Chain)
	recs := a.Records(t, 2, 100)
	k := serve(t, senseless{newMemory(t, setup(a)), ledger.Stored{Record: recs[1], TxID: "x", Position: 9}})
	c := k.dial(t)
	_, put := c.Put(t.Context(), recs[0])
	_, get := c.Get(t.Context(), recs[0].Key)
	_, list := c.List(t.Context(), recs[0].Key.Flow)
	follow := c.Follow(t.Context(), 3, func(ledger.Stored) error { return nil })
	for name, err := range map[string]error{"put": put, "get": get, "list": list, "follow with a gap": follow} {
		unknown(t, err)
		if !errors.Is(err, ErrFailed) {
			t.Errorf("%s: %v, want ErrFailed", name, err)
		}
	}
}

// What the server's own affairs are stays there; what the chain says to the
// record travels.
func TestErrorsTravel(t *testing.T) {
	for _, c := range []struct {
		err  error
		want failure
	}{
		{errors.New("open /var/lib/secret: no such file"), failure{Code: codeFailed}},
		{context.Canceled, failure{Code: codeFailed}},
		{ledger.ErrConflict, failure{Code: codeConflict}},
		{errors.Join(ErrBusy), failure{Code: codeBusy}},
		{fmt.Errorf("putting record: %w: no receipt", ledger.ErrRefused), failure{Code: codeRefused, Why: "no receipt"}},
	} {
		got, _ := failureOf(c.err)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.err, diff)
		}
	}
	if err := (failure{Code: "granted"}).err(); !errors.Is(err, ErrFailed) {
		t.Errorf("unknown code: %v, want ErrFailed", err)
	}
}
