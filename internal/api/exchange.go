package api

import (
	"bytes"
	"errors"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// Exchange is part of an input: the request itself and its answer, for what huma
// does not read. It is exported for huma's sake.
type Exchange struct {
	request *http.Request
	writer  http.ResponseWriter
}

// Resolve implements huma.Resolver.
func (x *Exchange) Resolve(ctx huma.Context) []error {
	x.request, x.writer = humago.Unwrap(ctx)
	return nil
}

// wait reads Prefer: wait=N (RFC 7240, 4.3), bounded to maxWait. As the RFC has
// it, the first of several counts, and what is not understood is passed over.
func (x *Exchange) wait() (d time.Duration, asked bool) {
	for _, line := range x.request.Header.Values("Prefer") {
		for preference := range strings.SplitSeq(line, ",") {
			first, _, _ := strings.Cut(preference, ";")
			name, value, _ := strings.Cut(first, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
			if err != nil {
				return 0, false
			}
			return min(time.Duration(n)*time.Second, maxWait), true
		}
	}
	return 0, false
}

// applied is the Preference-Applied header of a wait.
func applied(d time.Duration) string { return "wait=" + strconv.Itoa(int(d/time.Second)) }

// allow gives the answer d longer than usual. A recorder has no deadlines to move.
func (x *Exchange) allow(d time.Duration) {
	_ = http.NewResponseController(x.writer).SetWriteDeadline(time.Now().Add(d + writeTime))
}

// record reads the body: JSON of either kind, up to maxRecord bytes.
func (x *Exchange) record() ([]byte, error) {
	r := x.request
	if !understood(r.Header) {
		return nil, &fault{kind: mediaType, header: http.Header{"Accept-Post": {"application/fhir+json, application/json"}}}
	}
	if r.ContentLength > maxRecord {
		return nil, &fault{kind: contentTooLarge}
	}
	var b bytes.Buffer
	b.Grow(max(int(r.ContentLength), 0) + bytes.MinRead)
	_, err := b.ReadFrom(http.MaxBytesReader(x.writer, r.Body, maxRecord))
	var large *http.MaxBytesError
	var slow net.Error
	switch {
	case err == nil:
		return b.Bytes(), nil
	case errors.As(err, &large):
		return nil, &fault{kind: contentTooLarge}
	case errors.As(err, &slow) && slow.Timeout():
		return nil, &fault{kind: requestTimeout}
	default:
		return nil, &fault{kind: malformedRequest}
	}
}

// understood says whether a body is of a type that is taken. That a type must be
// named keeps forms of other pages out: they can't name these.
func understood(h http.Header) bool {
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || kind != "application/json" && kind != "application/fhir+json" {
		return false
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return false
	}
	coding := h.Get("Content-Encoding")
	return coding == "" || strings.EqualFold(coding, "identity")
}
