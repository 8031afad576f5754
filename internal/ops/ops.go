package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Config says what a Server shows.
type Config struct {
	Listen   string                       // host:port; port 0 takes a free one
	Ready    func() (ok bool, why string) // nil: always; why is for people, and without secrets
	Registry *prometheus.Registry         // nil: one with the figures of the Go runtime and the process, as NewRegistry makes it
	Profile  bool                         // profiles too; on a loopback address alone
	Logger   *slog.Logger                 // nil: none
}

// Validate says what is unfit.
func (c Config) Validate() error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("listen: want host:port: %w", err)
	}
	if c.Profile && !loopback(host) {
		return fmt.Errorf("profile: profiles hold parts of the memory, and %s is no loopback address: listen on one, or leave them out", c.Listen)
	}
	return nil
}

// loopback says whether only this machine reaches host.
func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

// NewRegistry makes a registry with the figures of the Go runtime, of the
// process, and of the program's version.
func NewRegistry(version string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "signalbox_build_info", Help: "1; the label is the program's version.",
		ConstLabels: prometheus.Labels{"version": version},
	}, func() float64 { return 1 })
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build)
	return r
}

// Limits. Operators' tools are few, near and quick.
const (
	headerTime  = 5 * time.Second
	readTime    = 5 * time.Second
	writeTime   = 30 * time.Second
	idleTime    = time.Minute
	drainTime   = 2 * time.Second
	maxHeader   = 8 << 10 // bytes
	maxScrapes  = 4       // at once
	scrapeTime  = 10 * time.Second
	longProfile = 2 * time.Minute // what a profile may take
)

// Server is the listener.
type Server struct {
	cfg     Config
	mux     *http.ServeMux
	running atomic.Bool
	bound   chan struct{} // closed when addr is set
	addr    net.Addr      // written before bound is closed
}

// New makes a server. It starts nothing and opens no port.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring the operators' listener: %w", err)
	}
	if cfg.Ready == nil {
		cfg.Ready = func() (bool, string) { return true, "" }
	}
	if cfg.Registry == nil {
		cfg.Registry = NewRegistry("")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, mux: http.NewServeMux(), bound: make(chan struct{})}
	ready := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "signalbox_ready", Help: "1 while /readyz says so."}, func() float64 {
		ok, _ := cfg.Ready()
		return truth(ok)
	})
	if err := cfg.Registry.Register(ready); err != nil {
		return nil, fmt.Errorf("configuring the operators' listener: %w", err)
	}
	s.routes()
	return s, nil
}

func (s *Server) routes() {
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, health{Ok: true}) })
	s.mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		ok, why := s.cfg.Ready()
		status := http.StatusOK
		if !ok {
			status = http.StatusServiceUnavailable
		}
		answer(w, status, health{Ok: ok, Reason: why})
	})
	s.mux.Handle("GET /metrics", promhttp.HandlerFor(s.cfg.Registry, promhttp.HandlerOpts{
		ErrorLog: scrapes{s.cfg.Logger},
		// One part's failure does not hide the others' figures.
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: maxScrapes, Timeout: scrapeTime,
	}))
	if !s.cfg.Profile {
		return
	}
	for path, h := range map[string]http.HandlerFunc{
		"/debug/pprof/": pprof.Index, "/debug/pprof/profile": pprof.Profile,
		"/debug/pprof/symbol": pprof.Symbol, "/debug/pprof/trace": pprof.Trace,
	} {
		s.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			// A writer that knows no deadline has none to extend.
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(longProfile))
			h(w, r)
		})
	}
}

// health is the answer of /healthz and /readyz.
type health struct {
	Ok     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
}

func answer(w http.ResponseWriter, status int, h health) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(h) // it went away
}

// scrapes puts what promhttp says into the log.
type scrapes struct{ log *slog.Logger }

func (s scrapes) Println(v ...any) { s.log.Warn("collecting metrics", "err", fmt.Sprint(v...)) }

// Bound is closed once Run listens.
func (s *Server) Bound() <-chan struct{} { return s.bound }

// Addr is where Run listens; only after Bound.
func (s *Server) Addr() net.Addr { return s.addr }

// ServeHTTP answers without the listener. On a loopback address it takes only
// requests that name one, lest a page in a browser here reads it under a name of
// its own.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if own, _, _ := net.SplitHostPort(s.cfg.Listen); loopback(own) && !loopback(host) {
		answer(w, http.StatusMisdirectedRequest, health{Reason: "this listener answers to loopback names alone"})
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	s.mux.ServeHTTP(w, r)
}

// Run listens until ctx ends, then gives requests in hand two seconds. It
// returns nil when ctx ended it. It runs once.
func (s *Server) Run(ctx context.Context) error {
	if !s.running.CompareAndSwap(false, true) {
		return errors.New("listening for operators: it was run before")
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listening for operators: %w", err)
	}
	s.addr = l.Addr()
	close(s.bound)
	server := &http.Server{
		Handler: s, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving operators: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if server.Shutdown(drain) != nil {
		server.Close() // a profile may go on for long; nobody needs its end
	}
	<-served
	return nil
}
