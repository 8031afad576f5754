package turnstile

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

func from(text string) net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(text), 40_000))
}

// Attack: one source opens connections and proves nothing. Another is let in all
// the while, and the first again when its connections have ended (R7.1).
func TestOneSourceFillsItsOwnRoomAlone(t *testing.T) {
	s := New(Limits{Rate: 1e6, Burst: 1000, Waiting: 3, Strangers: 100})
	var held []*Visit
	for range 10 {
		if v := s.Enter(from("192.0.2.1")); v != nil {
			held = append(held, v)
		}
	}
	if len(held) != 3 || s.Refused() != 7 {
		t.Fatalf("%d let through, %d turned away", len(held), s.Refused())
	}
	other := s.Enter(from("192.0.2.2"))
	if other == nil {
		t.Fatal("another source is turned away")
	}
	other.Prove()
	held[0].Leave()
	held[0].Leave() // twice is once
	if s.Enter(from("192.0.2.1")) == nil {
		t.Error("there is room again, and it is turned away")
	}
	if s.Enter(from("192.0.2.1")) != nil {
		t.Error("an end that was said twice made room twice")
	}
}

// A source that opens and closes as fast as it can is held to its pace.
func TestPaceOfOneSource(t *testing.T) {
	s := New(Limits{Rate: 1e-9, Burst: 5})
	let := 0
	for range 50 {
		if v := s.Enter(from("192.0.2.1")); v != nil {
			let++
			v.Leave()
		}
	}
	if let != 5 {
		t.Errorf("%d let through, want the burst of 5", let)
	}
}

// Attack: many sources fill what strangers may have. Who has proven itself from
// its address before still comes in.
func TestStrangersDoNotShutOutTheKnown(t *testing.T) {
	s := New(Limits{Strangers: 4})
	known := s.Enter(from("198.51.100.1"))
	known.Prove()
	known.Prove() // twice is once
	known.Leave()
	for _, a := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"} {
		if s.Enter(from(a)) == nil {
			t.Fatalf("%s is turned away", a)
		}
	}
	if s.Enter(from("192.0.2.5")) != nil {
		t.Error("a fifth stranger is let through")
	}
	if s.Enter(from("198.51.100.1")) == nil {
		t.Error("the known one is turned away")
	}
}

// Programs that know each other open many connections at once, more than a stranger
// may, and not without bound.
func TestKnownSourcesMayHaveMore(t *testing.T) {
	for _, c := range []struct{ strangers, want int }{{100, 16}, {10, 10}, {1, 2}} {
		s := New(Limits{Waiting: 2, Strangers: c.strangers, Rate: 1e-9, Burst: 10})
		s.Enter(from("192.0.2.1")).Prove()
		n := 0
		for range 100 {
			if s.Enter(from("192.0.2.1")) != nil {
				n++
			}
		}
		if n != c.want {
			t.Errorf("%d strangers: %d let through, want %d", c.strangers, n, c.want)
		}
	}
}

// What is one source: an IPv4 address, however it is written, and 64 bits of IPv6.
func TestSources(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"2001:db8::1", "2001:db8::ffff:1", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
	} {
		if got := addressOf(from(c.a)) == addressOf(from(c.b)); got != c.same {
			t.Errorf("%s and %s: one source %v", c.a, c.b, got)
		}
	}
}

// Sources are bounded: beyond that a new one gets in only when idle ones have gone.
func TestSourcesAreBounded(t *testing.T) {
	s := New(Limits{Strangers: 2 * maxSources, Rate: 1e9, Burst: 1})
	address := func(i int) net.Addr {
		return from(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).String())
	}
	var held []*Visit
	for i := range maxSources {
		held = append(held, s.Enter(address(i)))
	}
	if s.Enter(address(maxSources)) != nil {
		t.Fatal("one more than are remembered is let through")
	}
	for _, v := range held {
		v.Leave()
	}
	s.swept = time.Time{}
	if s.Enter(address(maxSources)) == nil {
		t.Error("all others are idle, and a new one is turned away")
	}
	if len(s.sources) != 1 {
		t.Errorf("%d sources are remembered", len(s.sources))
	}
}

// A listener gives what is let through, and counts until it is closed.
func TestListener(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(Limits{Waiting: 1})
	l := s.Listener(inner)
	defer l.Close()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	dial()
	first, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	away := dial()
	go func() { // takes the second, turns it away, and waits for a third
		if c, err := l.Accept(); err == nil {
			c.Close()
		}
	}()
	if _, err := away.Read(make([]byte, 1)); err == nil {
		t.Fatal("a second connection that has proven nothing is served")
	}
	first.(*Conn).Prove()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range s.sources {
		if of.open != 0 || of.waiting != 0 || !of.known {
			t.Errorf("after the end: %+v", *of)
		}
	}
}
