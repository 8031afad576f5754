package api

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"
)

// ServeHTTP is what every request passes: it is named, guarded, routed, and
// noted in the log once it is over.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	r = r.WithContext(context.WithValue(r.Context(), named{}, "urn:signalbox:request:"+strings.ToLower(rand.Text())))
	a := &answer{ResponseWriter: w}
	defer func() {
		broken := false
		if v := recover(); v != nil {
			broken = !s.recovered(a, r, v)
		}
		s.note(a, r, time.Since(began))
		if broken {
			panic(http.ErrAbortHandler) // the connection ends: half an answer must not look whole
		}
	}()
	secure(a.Header())
	if f := s.guard(r); f != nil {
		s.write(a, r, f)
		return
	}
	s.route(a, r)
}

// named is the key of a request's name in its context.
type named struct{}

// instance names the request in its problem and in the log.
func instance(ctx context.Context) string {
	name, _ := ctx.Value(named{}).(string)
	return name
}

// secure says what browsers may do with an answer: nothing but show it, once,
// to a page of this very origin.
func secure(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
}

// guard turns away what a browser may have been tricked into sending.
func (s *Server) guard(r *http.Request) *fault {
	if !s.serves(r.Host) {
		return &fault{kind: hostNotServed}
	}
	if s.browser.Check(r) != nil {
		return &fault{kind: crossOrigin}
	}
	return nil
}

// serves says whether host, with or without port, is a name of this server. A
// name that an attacker has pointed at a loopback address is none.
func (s *Server) serves(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() == "" && ip.Unmap().IsLoopback() {
		return true
	}
	return host == "localhost" || slices.ContainsFunc(s.cfg.Hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// route finds the handler. The multiplexer's own answers are not problems, and
// its redirects repeat the path; both are replaced.
func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	h, pattern := s.mux.Handler(r)
	if path.Clean(r.URL.Path) != r.URL.Path {
		pattern, h = "", http.NotFoundHandler()
	}
	if pattern != "" {
		s.permitted(w, r, pattern)
		return
	}
	d := &discarded{header: http.Header{}}
	h.ServeHTTP(d, r)
	if d.status == http.StatusMethodNotAllowed {
		s.write(w, r, &fault{kind: methodNotAllowed, header: http.Header{"Allow": d.header.Values("Allow")}})
		return
	}
	s.write(w, r, &fault{kind: routeNotFound})
}

// permitted serves a route to a caller who may use it.
func (s *Server) permitted(w http.ResponseWriter, r *http.Request, pattern string) {
	name, f := s.admit(r, pattern)
	if f != nil {
		s.log.LogAttrs(r.Context(), slog.LevelWarn, "turned away", slog.String("route", pattern), slog.String("caller", name),
			slog.String("why", string(f.kind)), slog.String("instance", instance(r.Context())))
		s.write(w, r, f)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// recovered answers for a handler that panicked. It says false when an answer
// was under way. The value is not logged: it may hold what was sent.
func (s *Server) recovered(a *answer, r *http.Request, v any) bool {
	if err, ok := v.(error); ok && err == http.ErrAbortHandler {
		return false
	}
	level := slog.LevelError
	if a.status != 0 {
		level = slog.LevelWarn // most likely nobody takes the answer any more
	}
	s.log.LogAttrs(r.Context(), level, "panic", slog.String("type", fmt.Sprintf("%T", v)),
		slog.Any("stack", stack()), slog.String("instance", instance(r.Context())))
	if a.status != 0 {
		return false
	}
	s.write(a, r, &fault{kind: internalError})
	return true
}

// stack names the functions that led to a panic, without arguments.
func stack() []string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs)])
	var names []string
	for {
		f, more := frames.Next()
		names = append(names, fmt.Sprintf("%s:%d", f.Function, f.Line))
		if !more {
			return names
		}
	}
}

// note logs a request by its route: a path, a query and a body may hold anything.
func (s *Server) note(a *answer, r *http.Request, took time.Duration) {
	method, route, _ := strings.Cut(r.Pattern, " ")
	level := slog.LevelInfo
	switch {
	case r.Pattern == "":
		method, route = "", "none"
	case route == "/healthz" || route == "/readyz":
		level = slog.LevelDebug
	}
	s.log.LogAttrs(r.Context(), level, "request", slog.String("method", method), slog.String("route", route),
		slog.Int("status", a.status), slog.Duration("took", took), slog.String("instance", instance(r.Context())))
}

// answer notes the status of what is written through it.
type answer struct {
	http.ResponseWriter
	status int // 0 until written
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController through.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// discarded learns what a handler would answer.
type discarded struct {
	header http.Header
	status int
}

// Header implements http.ResponseWriter.
func (d *discarded) Header() http.Header { return d.header }

// Write implements http.ResponseWriter.
func (d *discarded) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader implements http.ResponseWriter.
func (d *discarded) WriteHeader(status int) { d.status = status }
