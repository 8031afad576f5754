package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/text/language"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform"
	"signalbox.dev/signalbox/internal/platform/authorise"
	"signalbox.dev/signalbox/internal/platform/event"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/internal/platform/reconcile"
)

// Platform is what the API needs of one. Implementations are safe for concurrent
// use; On makes one of a platform.Platform.
type Platform interface {
	Intake
	Reader
}

// Intake takes records.
type Intake interface {
	// Register is authorise.Module.Register.
	Register(ctx context.Context, in authorise.Input) (authorise.Registration, error)
	// Wait is platform.Platform.Wait.
	Wait(ctx context.Context, id flow.ID) (outbox.Outcome, error)
}

// Reader shows what became of them. Each method is the one of
// platform.Platform with its name.
type Reader interface {
	Flow(ctx context.Context, idOrRef string) (platform.FlowView, error)
	Flows(ctx context.Context, f platform.Filter) ([]platform.FlowView, error)
	Receipt(ctx context.Context, tx flow.Hash) ([]byte, error)
	Events(ctx context.Context, after int64, fn func(event.Event) error) error
	Reconciliation(ctx context.Context, f reconcile.Filter) (platform.Reconciliation, error)
}

// On serves p.
func On(p *platform.Platform) Platform { return modules{p} }

type modules struct{ *platform.Platform }

func (m modules) Register(ctx context.Context, in authorise.Input) (authorise.Registration, error) {
	return m.Authorise.Register(ctx, in)
}

// Config says what a Server serves.
type Config struct {
	Platform Platform
	Keys     string       // the authority's log keys, vkey lines
	Ready    func() bool  // nil: always
	Logger   *slog.Logger // nil: none
	Hosts    []string     // names, without port, that requests may use beside loopback ones
	Access   *Access      // who may call; nil: whoever reaches a loopback address
	Version  string       // of the program, for the description
}

// Validate says what is missing or unfit.
func (c Config) Validate() error {
	if c.Platform == nil {
		return errors.New("platform: missing")
	}
	if strings.TrimSpace(c.Keys) == "" {
		return errors.New("keys: missing")
	}
	for _, h := range c.Hosts {
		_, err := netip.ParseAddr(h)
		if h == "" || strings.ContainsAny(h, "/*@[] ") || err != nil && strings.Contains(h, ":") {
			return fmt.Errorf("hosts: %q is no name or address without port", h)
		}
	}
	return nil
}

// Limits. Times are long enough for a slow reader and short enough that one who
// only pretends to be slow holds nothing for long.
const (
	maxRecord  = 1 << 20          // bytes of a record
	maxIntake  = 256              // records in hand at once, each up to maxRecord
	maxWaiting = 512              // waits and streams at once
	maxWait    = 60 * time.Second // what Prefer: wait is bounded to
	maxHeader  = 16 << 10         // bytes of a request's header
	headerTime = 10 * time.Second // to send it
	readTime   = 30 * time.Second // to send a whole request
	writeTime  = 30 * time.Second // to take an answer, beyond any wait
	idleTime   = 2 * time.Minute  // between two requests of a connection
	drainTime  = 10 * time.Second // for requests in hand when the server ends
)

// Server is the API. Make one with New; its methods are safe for concurrent use.
type Server struct {
	cfg     Config
	log     *slog.Logger
	mux     *http.ServeMux
	browser *http.CrossOriginProtection
	speech  language.Matcher
	intake  gate
	waiting gate
	spec    description

	running atomic.Bool
	closing context.Context // ends with Run: waits and streams end with it
	close   context.CancelFunc
}

// New makes a server. It starts nothing.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring api: %w", err)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Ready == nil {
		cfg.Ready = func() bool { return true }
	}
	s := &Server{
		cfg: cfg, log: cfg.Logger, mux: http.NewServeMux(), browser: http.NewCrossOriginProtection(),
		speech: language.NewMatcher([]language.Tag{language.English, language.Chinese}),
		intake: newGate(maxIntake), waiting: newGate(maxWaiting),
	}
	s.closing, s.close = context.WithCancel(context.Background())
	if err := s.routes(); err != nil {
		return nil, fmt.Errorf("configuring api: %w", err)
	}
	return s, nil
}

// Handler serves the API without listening.
func (s *Server) Handler() http.Handler { return s }

// Run serves l, which it closes, until ctx ends. Then it takes no more requests,
// ends waits and streams, and gives the requests in hand ten seconds; it returns
// nil when they were enough. The platform must outlive it. It runs once.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	defer l.Close()
	if !s.running.CompareAndSwap(false, true) {
		return errors.New("serving the api: it was run before")
	}
	defer s.close()
	if !loopback(l.Addr()) && (s.cfg.Access == nil || len(s.cfg.Hosts) == 0) {
		return fmt.Errorf("serving the api: %s is no loopback address: say who may call (access) and by which names (hosts)", l.Addr())
	}
	server := &http.Server{
		Handler: s, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving the api: %w", err)
	case <-ctx.Done():
	}
	s.close()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err := server.Shutdown(drain)
	if err != nil {
		err = fmt.Errorf("draining the api: %w", errors.Join(err, server.Close()))
	}
	<-served
	return err
}

func loopback(a net.Addr) bool {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	default:
		return true // no network: a pipe or a Unix socket
	}
}

// gate lets a number through at once, and turns the others away.
type gate chan struct{}

func newGate(n int) gate { return make(gate, n) }

// enter says whether there was room; then leave must follow.
func (g gate) enter() bool {
	select {
	case g <- struct{}{}:
		return true
	default:
		return false
	}
}

func (g gate) leave() { <-g }

// patience is a context for waiting at most d, and not beyond the server's end.
func (s *Server) patience(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, d)
	stop := context.AfterFunc(s.closing, cancel)
	return ctx, func() { stop(); cancel() }
}
