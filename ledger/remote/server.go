package remote

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/turnstile"
	"signalbox.dev/signalbox/ledger"
)

// Peer is a key that a server serves.
type Peer struct {
	Name      string    // for logs
	Pin       flow.Hash // of its key; see Pin
	Platforms []string  // whose records it may put, or Any; none: it may only read
}

// Any as a Peer's platform lets it put the records of every platform that the
// chain itself admits.
const Any = "*"

// Limits bound what a server spends on its peers. Zero values are the usual ones.
type Limits struct {
	Connections int           // in all, half of them of addresses from where nobody has shown a key; 0: 256
	Puts        int           // of one peer at once, each up to flow.MaxMessage of memory; 0: 256
	Reads       int           // of one peer at once; 0: 64
	Followers   int           // of one peer; 0: 16
	Wait        time.Duration // for room among these; 0: 5 s
	Read        time.Duration // to send a request, and for the handshake; 0: 15 s
	Put         time.Duration // until a put is given up as unknown; 0: 60 s
	Write       time.Duration // to take a part of an answer; 0: 30 s
	Heartbeat   time.Duration // between signs of life of a Follow; 0: 10 s
	Drain       time.Duration // for requests in hand when the server ends; 0: 10 s
}

func (l Limits) withDefaults() Limits {
	for _, n := range []struct {
		value *int
		usual int
	}{{&l.Connections, 256}, {&l.Puts, 256}, {&l.Reads, 64}, {&l.Followers, 16}} {
		if *n.value <= 0 {
			*n.value = n.usual
		}
	}
	for _, d := range []struct {
		value *time.Duration
		usual time.Duration
	}{
		{&l.Wait, 5 * time.Second},
		{&l.Read, 15 * time.Second},
		{&l.Put, time.Minute},
		{&l.Write, 30 * time.Second},
		{&l.Heartbeat, 10 * time.Second},
		{&l.Drain, 10 * time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.usual
		}
	}
	return l
}

// ServerConfig says what a Server offers, and to whom.
type ServerConfig struct {
	Ledger ledger.Ledger
	Key    crypto.Signer // on P-256; its pin is what clients name
	Peers  []Peer        // everybody else is turned away
	Limits Limits
	Logger *slog.Logger // nil: none
}

// Validate says what is missing or unfit.
func (c ServerConfig) Validate() error {
	if c.Ledger == nil {
		return errors.New("ledger: missing")
	}
	if most := c.Ledger.Capabilities().MaxValue; most > maxValue {
		return fmt.Errorf("ledger: takes values of %d bytes, the link carries %d", most, maxValue)
	}
	for i, p := range c.Peers {
		if p.Pin.IsZero() {
			return fmt.Errorf("peers: %q has no pin", p.Name)
		}
		if slices.ContainsFunc(c.Peers[:i], func(q Peer) bool { return q.Pin == p.Pin }) {
			return fmt.Errorf("peers: the pin of %q stands there twice", p.Name)
		}
		for _, name := range p.Platforms {
			if name == Any {
				continue
			}
			if err := flow.CheckName("platforms", name); err != nil {
				return fmt.Errorf("peers: %q: %w", p.Name, err)
			}
		}
	}
	return nil
}

// Server offers a ledger to pinned keys. Its methods are safe for concurrent use.
type Server struct {
	cfg   ServerConfig
	log   *slog.Logger
	tls   *tls.Config
	mux   *http.ServeMux
	peers []*served

	connections gate
	turnstile   *turnstile.Turnstile // bounds what those cost who have not shown their key yet
	strangers   atomic.Uint64
	warned      atomic.Int64 // Unix seconds of the last warning about a stranger

	running atomic.Bool
	closing context.Context // ends with Run: followers end with it
	close   context.CancelFunc
}

// served is a peer and what it has in hand.
type served struct {
	Peer
	puts, reads, followers gate
}

// NewServer makes a server. It starts nothing.
func NewServer(cfg ServerConfig) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring the ledger's server: %w", err)
	}
	own, err := certificate(cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("configuring the ledger's server: %w", err)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Limits = cfg.Limits.withDefaults()
	s := &Server{
		cfg: cfg, log: cfg.Logger, connections: newGate(cfg.Limits.Connections),
		turnstile: turnstile.New(turnstile.Limits{Strangers: max(1, cfg.Limits.Connections/2)}),
	}
	for _, p := range cfg.Peers {
		s.peers = append(s.peers, &served{
			Peer: p, puts: newGate(cfg.Limits.Puts), reads: newGate(cfg.Limits.Reads), followers: newGate(cfg.Limits.Followers),
		})
	}
	s.tls = pinned(own, func(pin flow.Hash) error {
		if s.peer(pin) == nil {
			s.stranger(pin)
			return ErrPeer
		}
		return nil
	})
	s.closing, s.close = context.WithCancel(context.Background())
	s.mux = s.routes()
	return s, nil
}

// peer finds who has the pin. It compares with every one of them, in constant time.
func (s *Server) peer(pin flow.Hash) *served {
	var found *served
	for _, p := range s.peers {
		if same(p.Pin, pin) {
			found = p
		}
	}
	return found
}

// stranger notes a key that is not served; once a second in the log, lest
// whoever reaches the port fills the disk.
func (s *Server) stranger(pin flow.Hash) {
	s.strangers.Add(1)
	now := time.Now().Unix()
	if last := s.warned.Load(); now > last && s.warned.CompareAndSwap(last, now) {
		s.log.Warn("a key that is not among the ledger's peers was turned away", "pin", pin, "times", s.strangers.Load())
	}
}

// Figures are a server's own, for metrics.
type Figures struct {
	Connections int            // open now
	Strangers   uint64         // handshakes of keys that are not served, since the server was made
	Following   map[string]int // followers now, by the peer's name
	Putting     map[string]int // puts in hand now, by the peer's name
}

// Figures gives the server's figures.
func (s *Server) Figures() Figures {
	f := Figures{Connections: len(s.connections), Strangers: s.strangers.Load(), Following: map[string]int{}, Putting: map[string]int{}}
	for _, p := range s.peers {
		f.Following[p.Name] += len(p.followers)
		f.Putting[p.Name] += len(p.puts)
	}
	return f
}

// Run serves l, which it closes, until ctx ends. Then it takes no more calls,
// ends the followers and gives the calls in hand Limits.Drain; it returns nil
// when that was enough. The ledger must outlive it. It runs once.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	defer l.Close()
	if !s.running.CompareAndSwap(false, true) {
		return errors.New("serving the ledger: it was served before")
	}
	defer s.close()
	limits := s.cfg.Limits
	server := &http.Server{
		Handler: s.mux, TLSConfig: s.tls, MaxHeaderBytes: 8 << 10,
		// Strangers' failed handshakes end up here; stranger has told of them.
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: limits.Read, ReadTimeout: limits.Read, IdleTimeout: 2 * time.Minute,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: limits.Puts + limits.Reads + limits.Followers, MaxReadFrameSize: 1 << 20},
	}
	ended := make(chan error, 1)
	server.ConnState = proven
	counted := &bounded{l, s.connections, s.closing}
	go func() { ended <- server.ServeTLS(s.turnstile.Listener(counted), "", "") }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving the ledger: %w", err)
	case <-ctx.Done():
	}
	s.close()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), limits.Drain)
	defer cancel()
	err := server.Shutdown(drain)
	if err != nil {
		err = fmt.Errorf("draining the ledger's server: %w", errors.Join(err, server.Close()))
	}
	<-ended
	return err
}

// proven is told of a connection's states: a request comes only from who has
// shown a key that is served.
func proven(c net.Conn, state http.ConnState) {
	if state != http.StateActive {
		return
	}
	if over, ok := c.(*tls.Conn); ok {
		c = over.NetConn()
	}
	if visit, ok := c.(*turnstile.Conn); ok {
		visit.Prove()
	}
}

// gate lets a number through at once.
type gate chan struct{}

func newGate(n int) gate { return make(gate, n) }

// enter waits for room, at most d; then leave must follow.
func (g gate) enter(ctx context.Context, d time.Duration) error {
	select {
	case g <- struct{}{}:
		return nil
	default:
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return fmt.Errorf("%w: %d calls of this kind are in hand", ErrBusy, cap(g))
	}
}

func (g gate) leave() { <-g }

// bounded is a listener with a limit on open connections.
type bounded struct {
	net.Listener
	room    gate
	closing context.Context
}

// Accept waits for room first, so that those who wait cost nothing here.
func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.room <- struct{}{}:
	case <-b.closing.Done():
		return nil, net.ErrClosed
	}
	c, err := b.Listener.Accept()
	if err != nil {
		b.room.leave()
		return nil, err
	}
	return &counted{Conn: c, leave: sync.OnceFunc(b.room.leave)}, nil
}

type counted struct {
	net.Conn
	leave func()
}

func (c *counted) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
