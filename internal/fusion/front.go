package fusion

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"signalbox.dev/signalbox/internal/turnstile"
)

const (
	// dialInner bounds how long the server may take to take a connection over.
	dialInner = 5 * time.Second
	// farewell is how long a connection stays half open for the server's end of it.
	farewell = 5 * time.Second
	// acceptPause is how long the front waits when the machine has nothing left to
	// accept with.
	acceptPause = 50 * time.Millisecond
)

// front is where parties elsewhere connect: it lets as many through as the
// turnstile does, and passes their bytes to the server's own listener, which is
// on loopback. It ends no TLS and reads nothing.
//
// It is there because the server accepts whatever comes, and its own limit of
// handshakes in a second (v2.15.2) is one for all sources: a stranger could use
// it up and shut the parties out.
type front struct {
	turnstile *turnstile.Turnstile
	log       *slog.Logger
	listener  net.Listener // set by open alone
	inner     string       // the server's own address, likewise
	serving   sync.WaitGroup
	warned    atomic.Int64 // Unix seconds of the last word about connections turned away

	mu     sync.Mutex          // guards what follows
	guests map[string]*visitor // by the address that the server sees
}

// visitor is a connection that was let through.
type visitor struct {
	*turnstile.Visit
	from net.Addr
}

func newFront(log *slog.Logger) *front {
	return &front{turnstile: turnstile.New(turnstile.Limits{}), log: log, guests: map[string]*visitor{}}
}

// open begins to listen, and to pass on to the server at inner.
func (f *front) open(ctx context.Context, address string, inner net.Addr) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listening for parties: %w", err)
	}
	f.listener, f.inner = l, inner.String()
	f.serving.Go(f.accept)
	return nil
}

// close lets nobody in any more. Connections end when the server ends them.
func (f *front) close() {
	if f.listener != nil {
		if err := f.listener.Close(); err != nil {
			f.log.Debug("closing the listener", "error", err)
		}
	}
}

func (f *front) accept() {
	for {
		c, err := f.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			f.log.Warn("accepting a connection", "error", err)
			time.Sleep(acceptPause)
			continue
		}
		v := f.turnstile.Enter(c.RemoteAddr())
		if v == nil {
			f.refused(c.RemoteAddr())
			turnstile.TurnAway(c)
			continue
		}
		f.serving.Go(func() { f.pass(c, v) })
	}
}

// refused says, once a second, that connections are turned away.
func (f *front) refused(from net.Addr) {
	now := time.Now().Unix()
	if last := f.warned.Load(); now > last && f.warned.CompareAndSwap(last, now) {
		f.log.Warn("connections are turned away: too many of one source, or of strangers", "last_from", from, "times", f.turnstile.Refused())
	}
}

// pass carries a connection until either end closes it.
func (f *front) pass(outer net.Conn, v *turnstile.Visit) {
	defer v.Leave()
	defer outer.Close()
	inner, err := net.DialTimeout("tcp", f.inner, dialInner)
	if err != nil {
		f.log.Debug("passing a connection on", "error", err)
		return
	}
	defer inner.Close()
	seen := inner.LocalAddr().String()
	f.mu.Lock()
	f.guests[seen] = &visitor{v, outer.RemoteAddr()}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.guests, seen)
	}()
	f.serving.Go(func() { passOn(inner, outer) })
	if _, err := io.Copy(outer, inner); err != nil {
		f.log.Debug("a connection broke", "error", err)
	}
}

// passOn carries what the party says. When the party is through, the server
// hears so and has a while to end its half; then both halves end.
func passOn(inner, outer net.Conn) {
	_, err := io.Copy(inner, outer)
	tcp, ok := inner.(*net.TCPConn)
	if err != nil || !ok || tcp.CloseWrite() != nil || inner.SetReadDeadline(time.Now().Add(farewell)) != nil {
		_ = inner.Close() // ends the other half, which closes both
	}
}

// guest is who the server sees at an address; nil for what did not come this way.
func (f *front) guest(seen net.Addr) *visitor {
	if seen == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.guests[seen.String()]
}
