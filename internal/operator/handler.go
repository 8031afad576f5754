package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"signalbox.dev/signalbox/internal/fusion"
)

// Node is the fusion node as its operator sees it.
type Node interface {
	Health(ctx context.Context) (fusion.Health, error)
	Pause(ctx context.Context, s fusion.Scope) error
	Resume(ctx context.Context, s fusion.Scope) error
	Drain(ctx context.Context, platform string) error
	Quarantine(ctx context.Context) ([]fusion.Quarantined, error)
	Release(ctx context.Context, id string) error
	Discard(ctx context.Context, id string) error
}

// Problem is the body of every answer that is not a success (RFC 9457).
type Problem struct {
	Type   string `json:"type"` // "urn:signalbox:problem:" and the code
	Title  string `json:"title"`
	Status int    `json:"status"` // HTTP
	Detail string `json:"detail"`
	Code   string `json:"code"` // see the constants
}

// Codes of problems.
const (
	CodeUnfit   = "unfit-order"        // fusion.ErrNoPower
	CodeNone    = "not-quarantined"    // fusion.ErrNotQuarantined
	CodeStopped = "stopped"            // fusion.ErrStopped
	CodeBad     = "unreadable-request" // what was sent can't be read
	CodeNowhere = "not-found"
	CodeFailed  = "failed"
)

// Error gives the detail.
func (p *Problem) Error() string { return p.Detail }

// item names a message in quarantine.
type item struct {
	ID string `json:"id"`
}

// maxBody is the most bytes of a request.
const maxBody = 4096

// NewHandler answers for a node. A nil logger logs nothing.
func NewHandler(n Node, log *slog.Logger) http.Handler {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	h := &handler{node: n, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) { h.status(w, r) })
	mux.HandleFunc("POST /v1/pause", ordered(h, n.Pause))
	mux.HandleFunc("POST /v1/resume", ordered(h, n.Resume))
	mux.HandleFunc("POST /v1/drain", ordered(h, func(ctx context.Context, s fusion.Scope) error {
		if s.Step != "" {
			return fmt.Errorf("%w: a drain is of a platform, not of a step", fusion.ErrNoPower)
		}
		return n.Drain(ctx, s.Platform)
	}))
	mux.HandleFunc("GET /v1/quarantine", func(w http.ResponseWriter, r *http.Request) {
		list, err := n.Quarantine(r.Context())
		h.answer(w, list, err)
	})
	mux.HandleFunc("POST /v1/quarantine/release", ordered(h, func(ctx context.Context, i item) error { return n.Release(ctx, i.ID) }))
	mux.HandleFunc("POST /v1/quarantine/discard", ordered(h, func(ctx context.Context, i item) error { return n.Discard(ctx, i.ID) }))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { h.fail(w, errNowhere) })
	return mux
}

var (
	errNowhere    = errors.New("there is nothing here")
	errUnreadable = errors.New("the request can't be read")
)

type handler struct {
	node Node
	log  *slog.Logger
}

// ordered carries an order out and answers with how the node stands then.
func ordered[T any](h *handler, do func(context.Context, T) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
		d.DisallowUnknownFields()
		var in T
		if err := d.Decode(&in); err != nil {
			h.fail(w, fmt.Errorf("%w: %w", errUnreadable, err))
			return
		}
		if err := do(r.Context(), in); err != nil {
			h.fail(w, err)
			return
		}
		h.status(w, r)
	}
}

func (h *handler) status(w http.ResponseWriter, r *http.Request) {
	health, err := h.node.Health(r.Context())
	h.answer(w, health, err)
}

func (h *handler) answer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		h.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (h *handler) fail(w http.ResponseWriter, err error) {
	p := Problem{Title: "The node failed", Status: http.StatusInternalServerError, Code: CodeFailed, Detail: err.Error()}
	for _, c := range []struct {
		is     error
		code   string
		title  string
		status int
	}{
		{fusion.ErrNoPower, CodeUnfit, "The order does not fit", http.StatusConflict},
		{fusion.ErrNotQuarantined, CodeNone, "Not in quarantine", http.StatusNotFound},
		{fusion.ErrStopped, CodeStopped, "The node stops", http.StatusServiceUnavailable},
		{errUnreadable, CodeBad, "Unreadable request", http.StatusBadRequest},
		{errNowhere, CodeNowhere, "Not found", http.StatusNotFound},
	} {
		if errors.Is(err, c.is) {
			p.Code, p.Title, p.Status = c.code, c.title, c.status
		}
	}
	if p.Code == CodeFailed {
		h.log.Error("an operator's request failed", "error", err)
	}
	p.Type = "urn:signalbox:problem:" + p.Code
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}
