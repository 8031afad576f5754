package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/text/language"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/authorise"
	"signalbox.dev/signalbox/internal/platform/dossier"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/profile"
)

// Problem is the body of every answer that is not a success (RFC 9457).
type Problem struct {
	Type     string        `json:"type" format:"uri" doc:"Stable and for programs: urn:signalbox:problem: and the kind."`
	Title    string        `json:"title" doc:"The kind in words, in the language of the answer."`
	Status   int           `json:"status" doc:"The HTTP status."`
	Detail   string        `json:"detail" doc:"What is wrong, for people, in the language of the answer."`
	Instance string        `json:"instance" format:"uri" doc:"This one occurrence: the log has the request under it."`
	Reasons  []flow.Reason `json:"reasons,omitempty" doc:"Why the record or its registration was refused."`
	Problems []Place       `json:"problems,omitempty" doc:"What is malformed or missing, and where."`
	Ref      flow.ID       `json:"ref,omitzero" doc:"The refused registration."`
	Tx       flow.Hash     `json:"tx,omitzero" doc:"The decision's transaction; its receipt proves the refusal."`
}

// Place is one thing that is malformed or missing. It repeats no value.
type Place struct {
	Path string `json:"path" doc:"A JSON pointer into the body (RFC 6901), or query, query.NAME, header.NAME."`
	Zh   string `json:"zh" doc:"What is wrong, in Chinese."`
	En   string `json:"en" doc:"What is wrong, in English."`
}

const problemType = "application/problem+json"

// fault is a problem before it has a language. It holds nothing that was sent.
type fault struct {
	kind   kind
	header http.Header

	reasons  []flow.Reason
	problems []Place
	ref      flow.ID
	tx       flow.Hash
}

func (f *fault) Error() string { return string(f.kind) }

// GetStatus implements huma.StatusError.
func (f *fault) GetStatus() int { return f.kind.class().status }

// GetHeaders implements huma.HeadersError.
func (f *fault) GetHeaders() http.Header {
	h := f.header.Clone()
	if h == nil {
		h = http.Header{}
	}
	switch f.kind {
	case busy:
		h.Set("Retry-After", "1")
	case notReady:
		h.Set("Retry-After", "2")
	case backlogFull:
		h.Set("Retry-After", "5") // as long as the outbox waits before it pushes again
	case contentTooLarge, requestTimeout:
		h.Set("Connection", "close") // the rest of the body is not worth reading
	}
	return h
}

// ContentType implements huma.ContentTypeFilter.
func (*fault) ContentType(string) string { return problemType }

// problem says f in a language.
func (f *fault) problem(zh bool, instance string) Problem {
	c := f.kind.class()
	p := Problem{
		Type: prefix + string(f.kind), Title: c.title.in(zh), Status: c.status, Detail: c.detail.in(zh),
		Instance: instance, Reasons: f.reasons, Problems: f.problems, Ref: f.ref, Tx: f.tx,
	}
	var said []string
	for _, r := range f.reasons {
		said = append(said, text{r.En, r.Zh}.in(zh))
	}
	if len(said) > 0 {
		p.Detail += text{" ", ""}.in(zh) + strings.Join(said, text{"; ", "；"}.in(zh))
	}
	return p
}

// translate is the huma.Transformer that puts every error into words, and
// replaces huma's own, which repeat what was sent.
func (s *Server) translate(ctx huma.Context, _ string, v any) (any, error) {
	var f *fault
	switch e := v.(type) {
	case *fault:
		f = e
	case *huma.ErrorModel:
		f = ofModel(e)
	default:
		return v, nil
	}
	zh := s.chinese(ctx.Header("Accept-Language"))
	ctx.SetHeader("Content-Language", tag(zh))
	ctx.AppendHeader("Vary", "Accept-Language")
	p := f.problem(zh, instance(ctx.Context()))
	if e, ok := v.(*huma.ErrorModel); ok {
		p.Status = e.Status // huma has decided on it
	}
	return p, nil
}

// ofModel keeps of huma's error nothing but its status and, of what it found in
// parameters, which parameter it was.
func ofModel(e *huma.ErrorModel) *fault {
	switch {
	case e.Status == http.StatusUnprocessableEntity:
		f := &fault{kind: invalidParameter}
		for _, d := range e.Errors {
			f.problems = append(f.problems, parameter(d.Location))
		}
		return f
	case e.Status >= 500:
		return &fault{kind: internalError}
	default:
		return &fault{kind: malformedRequest}
	}
}

// parameter says what a parameter should be. A name that is not ours is not
// repeated: it was sent.
func parameter(location string) Place {
	for _, p := range []Place{
		{"query.limit", "应为 1 至 500 的整数", "want a whole number from 1 to 500"},
		{"query.before", "应为不小于 1 的整数", "want a whole number, 1 or more"},
		{"query.state", "应为该列表的状态之一", "want one of the states that this list has"},
		{"query.until", "应为 final 或业务流转的状态", "want final or a state of a flow"},
		{"query.after", "应为不小于 0 的整数", "want a whole number, 0 or more"},
		{"query.flow", "应为业务流转编号", "want the id of a flow"},
		{"header.Last-Event-ID", "应为不小于 0 的整数", "want a whole number, 0 or more"},
		{"header.Idempotency-Key", "最长 255 字节", "want up to 255 bytes"},
	} {
		if p.Path == location {
			return p
		}
	}
	return Place{"query", "含有不认识的参数", "holds a parameter that is not known"}
}

// write answers with a fault outside of huma.
func (s *Server) write(w http.ResponseWriter, r *http.Request, f *fault) {
	zh := s.chinese(r.Header.Get("Accept-Language"))
	h := w.Header()
	for name, values := range f.GetHeaders() {
		h[name] = values
	}
	h.Set("Content-Type", problemType)
	h.Set("Content-Language", tag(zh))
	h.Add("Vary", "Accept-Language")
	w.WriteHeader(f.GetStatus())
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(f.problem(zh, instance(r.Context()))) // who asked may be gone
}

// fail makes a fault of what the platform gave. What it does not know it logs:
// errors of the platform hold no content of any record.
func (s *Server) fail(ctx context.Context, doing string, err error) error {
	var refusal *profile.Refusal
	if errors.As(err, &refusal) {
		return &fault{kind: recordRefused, reasons: []flow.Reason{refusal.Reason}}
	}
	if places := placesIn(err, nil); len(places) > 0 {
		return &fault{kind: malformedRecord, problems: places}
	}
	switch {
	case errors.Is(err, authorise.ErrKeyReused):
		return &fault{kind: keyReused}
	case errors.Is(err, authorise.ErrKey):
		return &fault{kind: invalidParameter, problems: []Place{parameter("header.Idempotency-Key")}}
	case errors.Is(err, outbox.ErrTooLarge):
		return &fault{kind: recordTooLarge}
	case errors.Is(err, outbox.ErrFull):
		return &fault{kind: backlogFull}
	case errors.Is(err, dossier.ErrNotFound):
		return &fault{kind: flowNotFound}
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &fault{kind: busy}
	}
	s.log.LogAttrs(ctx, slog.LevelError, doing, slog.Any("error", err), slog.String("instance", instance(ctx)))
	return &fault{kind: internalError}
}

// placesIn collects the problems of a profile from an error and all it joins.
func placesIn(err error, found []Place) []Place {
	switch e := err.(type) {
	case nil:
	case *profile.Problem:
		found = append(found, Place{Path: e.Path, Zh: e.Zh, En: e.En})
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			found = placesIn(one, found)
		}
	case interface{ Unwrap() error }:
		found = placesIn(e.Unwrap(), found)
	}
	return found
}

// chinese says whether somebody would rather read Chinese than English.
func (s *Server) chinese(accept string) bool {
	_, i := language.MatchStrings(s.speech, accept)
	return i == 1
}

func tag(zh bool) string { return text{"en", "zh"}.in(zh) }
