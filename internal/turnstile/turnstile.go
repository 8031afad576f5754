// Package turnstile bounds what those cost who have not shown yet who they are:
// how many connections one source may open in a second, and how many that are
// still to prove themselves it may have at once. It turns the others away before
// anything of TLS is done for them.
//
// It decides nothing about who may come in: that is for the handshake. Sources
// are addresses, so those who share one share its bounds; of IPv6 the first 64
// bits are one source. Against floods from very many addresses only a packet
// filter helps; sources that have proven themselves before are kept apart from
// what strangers fill up.
package turnstile

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Limits are a turnstile's bounds. Zero values are the usual ones. A source of which
// a connection has proven itself may have eight times as many, since programs that
// know each other open many at once; but no more that wait than Strangers.
type Limits struct {
	Rate      float64 // connections that one source may open in a second; 0: 20
	Burst     int     // of them at once; 0: 64
	Waiting   int     // connections of one source that are still to prove themselves; 0: 32
	Strangers int     // of all sources of which none ever did; 0: 512
}

func (l Limits) withDefaults() Limits {
	if l.Rate <= 0 {
		l.Rate = 20
	}
	for _, n := range []struct {
		value *int
		usual int
	}{{&l.Burst, 64}, {&l.Waiting, 32}, {&l.Strangers, 512}} {
		if *n.value <= 0 {
			*n.value = n.usual
		}
	}
	return l
}

const (
	// maxSources is the most sources that are remembered at once; of new ones
	// beyond that, none gets in.
	maxSources = 16_384
	// sweepEvery is how often, at most, sources are looked through for idle ones.
	sweepEvery = time.Second
	// trusted is how many times as much a known source may have.
	trusted = 8
	// knownFor is how long a source counts as known after its last connection.
	knownFor = time.Hour
)

// Turnstile counts connections by source. Its methods are safe for concurrent use.
type Turnstile struct {
	limits  Limits
	refused atomic.Uint64

	mu        sync.Mutex // guards what follows
	sources   map[netip.Addr]*source
	strangers int // connections that wait, of sources that are not known
	swept     time.Time
}

// source is one address and what it has open.
type source struct {
	pace    *rate.Limiter
	open    int
	waiting int
	known   bool // a connection of it has proven itself
	last    time.Time
}

// New makes a turnstile.
func New(l Limits) *Turnstile {
	return &Turnstile{limits: l.withDefaults(), sources: map[netip.Addr]*source{}}
}

// Refused is how many connections were turned away.
func (t *Turnstile) Refused() uint64 { return t.refused.Load() }

// Visit is a connection that was let through. Leave must follow.
type Visit struct {
	from      *Turnstile
	of        *source
	proven    bool // guarded by from.mu, like what follows
	left      bool
	asUnknown bool // it counts among the strangers
}

// Enter asks for a connection from addr. nil turns it away.
func (t *Turnstile) Enter(addr net.Addr) *Visit {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.source(addressOf(addr), now)
	if s == nil || s.waiting >= t.waiting(s) || !s.known && t.strangers >= t.limits.Strangers || !s.pace.AllowN(now, 1) {
		t.refused.Add(1)
		return nil
	}
	s.open++
	s.waiting++
	s.last = now
	v := &Visit{from: t, of: s, asUnknown: !s.known}
	if v.asUnknown {
		t.strangers++
	}
	return v
}

// waiting is how many connections of a source may wait.
func (t *Turnstile) waiting(s *source) int {
	if s.known {
		return max(t.limits.Waiting, min(trusted*t.limits.Waiting, t.limits.Strangers))
	}
	return t.limits.Waiting
}

// source finds or makes addr's source; nil when there are too many. t.mu is held.
func (t *Turnstile) source(addr netip.Addr, now time.Time) *source {
	if s := t.sources[addr]; s != nil {
		return s
	}
	if len(t.sources) >= maxSources {
		t.sweep(now)
	}
	if len(t.sources) >= maxSources {
		return nil
	}
	s := &source{pace: rate.NewLimiter(rate.Limit(t.limits.Rate), t.limits.Burst)}
	t.sources[addr] = s
	return s
}

// sweep forgets sources that have nothing open and could open all again anyway.
func (t *Turnstile) sweep(now time.Time) {
	if now.Sub(t.swept) < sweepEvery {
		return
	}
	t.swept = now
	for addr, s := range t.sources {
		idle := s.open == 0 && s.pace.TokensAt(now) >= float64(s.pace.Burst())
		if idle && (!s.known || now.Sub(s.last) > knownFor) {
			delete(t.sources, addr)
		}
	}
}

// Prove says that the connection has shown who it is: it is no longer among those
// that wait, and its source is known.
func (v *Visit) Prove() {
	v.from.mu.Lock()
	defer v.from.mu.Unlock()
	if v.left || v.proven {
		return
	}
	v.proven = true
	if l := v.from.limits; !v.of.known {
		v.of.known = true
		v.of.pace = rate.NewLimiter(rate.Limit(trusted*l.Rate), trusted*l.Burst)
	}
	v.unwait()
}

// Leave says that the connection has ended.
func (v *Visit) Leave() {
	v.from.mu.Lock()
	defer v.from.mu.Unlock()
	if v.left {
		return
	}
	v.left = true
	v.of.open--
	v.of.last = time.Now()
	if !v.proven {
		v.unwait()
	}
}

func (v *Visit) unwait() {
	v.of.waiting--
	if v.asUnknown {
		v.from.strangers--
	}
}

// addressOf gives the source that an address belongs to.
func addressOf(addr net.Addr) netip.Addr {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return ip
}
