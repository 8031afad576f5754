package witness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Limits of the two calls. A log asks once a second or so.
const (
	maxInHand  = 64 // requests at once; others are told to come again
	headerTime = 5 * time.Second
	readTime   = 10 * time.Second
	writeTime  = 20 * time.Second
	idleTime   = 2 * time.Minute
	drainTime  = 5 * time.Second
	maxHeader  = 16 << 10
)

const (
	textType = "text/plain; charset=utf-8"
	sizeType = "text/x.tlog.size" // of the answer 409
)

// Handler answers the two calls of c2sp.org/tlog-witness. It asks nobody who they
// are: what counts is the log's signature.
func (w *Witness) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add-checkpoint", w.serveAdd)
	mux.HandleFunc("GET /{origin}/checkpoint", func(out http.ResponseWriter, r *http.Request) {
		latest, err := w.Latest(r.PathValue("origin"))
		if err != nil {
			http.Error(out, err.Error(), http.StatusNotFound)
			return
		}
		out.Header().Set("Content-Type", textType)
		_, _ = out.Write(latest) // it went away
	})
	free := make(chan struct{}, maxInHand)
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		select {
		case free <- struct{}{}:
			defer func() { <-free }()
		default:
			out.Header().Set("Retry-After", "1")
			http.Error(out, "too many requests are in hand", http.StatusServiceUnavailable)
			return
		}
		out.Header().Set("Cache-Control", "no-store")
		mux.ServeHTTP(out, r)
	})
}

func (w *Witness) serveAdd(out http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(out, r.Body, MaxRequest))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		http.Error(out, fmt.Sprintf("over %d bytes", MaxRequest), http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil {
		return // it went away
	}
	req, err := ParseRequest(body)
	var line []byte
	if err == nil {
		line, err = w.Add(req)
	}
	var conflict *Conflict
	switch {
	case err == nil:
		out.Header().Set("Content-Type", textType)
		_, _ = out.Write(line)
	case errors.As(err, &conflict):
		out.Header().Set("Content-Type", sizeType)
		out.WriteHeader(http.StatusConflict)
		fmt.Fprintf(out, "%d\n", conflict.Size)
	default:
		status := statusOf(err)
		if status == http.StatusInternalServerError {
			w.cfg.Logger.Error("cosigning", "err", err)
			err = errors.New("the witness can't remember the checkpoint, so it does not sign it")
		}
		http.Error(out, err.Error(), status)
	}
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, ErrMalformed):
		return http.StatusBadRequest
	case errors.Is(err, ErrUnknownLog):
		return http.StatusNotFound
	case errors.Is(err, ErrNotTheLog):
		return http.StatusForbidden
	case errors.Is(err, ErrInconsistent):
		return http.StatusUnprocessableEntity
	}
	return http.StatusInternalServerError
}

// Serve answers on a listener until ctx ends, then finishes what it has in hand.
// It is for the small read-mostly listeners of witnesses and logs alike.
func Serve(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler: h, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if server.Shutdown(drain) != nil {
		server.Close()
	}
	<-served
	return nil
}
