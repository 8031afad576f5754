package fusion

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/link"
)

// halfHello begins a TLS handshake and says no more.
var halfHello = []byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}

// flood opens connections from one address as fast as it can, says half a hello
// on each, and keeps those that are taken until the test's end. It gives how many
// were turned away so far.
func flood(t *testing.T, to, from string) (away func() int) {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: time.Second}
	first, err := dialer.Dial("tcp", to)
	if err != nil {
		t.Skipf("connecting from %s: %v", from, err)
	}
	first.Close()
	var mu sync.Mutex
	var wg sync.WaitGroup
	gone := 0
	end := make(chan struct{})
	for range 8 {
		wg.Go(func() {
			var held []net.Conn
			defer func() {
				for _, c := range held {
					c.Close()
				}
			}()
			for {
				select {
				case <-end:
					return
				default:
				}
				c, err := dialer.Dial("tcp", to)
				if err == nil {
					_, err = c.Write(halfHello)
				}
				if err == nil {
					c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
					_, err = c.Read(make([]byte, 1))
				}
				if err != nil && strings.Contains(err.Error(), "timeout") {
					held = append(held, c)
					continue
				}
				if c != nil {
					c.Close()
				}
				mu.Lock()
				gone++
				mu.Unlock()
			}
		})
	}
	t.Cleanup(func() {
		close(end)
		wg.Wait()
	})
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return gone
	}
}

// Attack: a stranger floods the node with half handshakes. It gets no further
// than its own bounds, before anything of TLS is done for most of them, and
// a platform comes in and works all the while (R7.1).
func TestFloodOfHalfHandshakes(t *testing.T) {
	p := newParties(t, envelope.GM())
	n := p.node(t, NodeConfig{})
	p.settled(t, n)
	away := flood(t, n.Addr(), "127.0.0.2")
	eventually(t, func() bool { return away() > 200 })
	waiting := 0
	n.door.front.mu.Lock()
	for _, v := range n.door.front.guests {
		if strings.HasPrefix(v.from.String(), "127.0.0.2:") {
			waiting++
		}
	}
	n.door.front.mu.Unlock()
	if waiting > 32 {
		t.Errorf("%d half handshakes of one source are waited for", waiting)
	}
	if got := n.door.front.turnstile.Refused(); got < 100 {
		t.Errorf("%d were turned away", got)
	}
	for i := range uint64(3) { // each comes anew, from where nobody floods
		side := sidesOf(t, p.remote(t, n, link.RolePlatform, north))
		if err := side.Platform(north).Submit(t.Context(), submissionOf(t, north, rx, i, 10)); err != nil {
			t.Errorf("while a stranger floods: %v", err)
		}
	}
}

// The server's own listener is for the front alone: past it nobody gets in,
// whatever certificate it has.
func TestPastTheFront(t *testing.T) {
	p := newParties(t, envelope.GM())
	n := p.node(t, NodeConfig{})
	p.settled(t, n)
	inner := n.door.server.Load().Addr()
	if host, _, err := net.SplitHostPort(inner.String()); err != nil || host != "127.0.0.1" {
		t.Errorf("the server listens on %s", inner)
	}
	r := p.dial(t, RemoteConfig{Name: "node", Addr: inner.String(), Routes: n.routes, Identity: p.identity(t, link.RolePlatform, north), Side: north})
	eventually(t, func() bool { return r.own.Load().conn.LastError() != nil })
	if r.Connected() == nil {
		t.Error("connected past the node's listener")
	}
}
