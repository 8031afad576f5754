package api_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"signalbox.dev/signalbox/internal/platform/outbox"
)

// A name that is not this server's is refused: a page could have pointed its own
// name here (DNS rebinding).
func TestHost(t *testing.T) {
	s, _ := serve(t, newFake(t))
	for host, served := range map[string]bool{
		"localhost": true, "LocalHost:8080": true, "127.0.0.1": true, "127.0.0.1:8080": true, "127.9.9.9:1": true,
		"[::1]": true, "[::1]:8080": true, "[::ffff:127.0.0.1]:80": true,
		"signalbox.example": true, "SIGNALBOX.example:443": true, "192.0.2.7:8080": true,
		"": false, "evil.example": false, "localhost.evil.example": false, "evil.example:8080": false, "127.0.0.1.evil.example": false,
		"0.0.0.0": false, "192.0.2.8": false, "[::]:8080": false, "[::1%25lo]:8080": false, "localhost:8080:8080": false, "xsignalbox.example": false,
	} {
		r := request("GET", "/healthz", "")
		r.Host = host
		w := do(s, r)
		if served && w.Code != http.StatusOK {
			t.Errorf("%q: status %d, want 200", host, w.Code)
		}
		if !served {
			wantProblem(t, w, http.StatusMisdirectedRequest, "host-not-served")
		}
	}
}

// A page of another origin can neither write nor read.
func TestOtherOrigins(t *testing.T) {
	s, _ := serve(t, newFake(t))
	body := sample(t, "respiratory-antibiotic")
	for _, h := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"},
	} {
		wantProblem(t, do(s, request("POST", records, body, h...)), http.StatusForbidden, "cross-origin")
	}
	for _, h := range [][]string{{"Sec-Fetch-Site", "same-origin"}, {"Origin", "http://127.0.0.1:8080"}, {}} {
		if w := do(s, request("POST", records, body, h...)); w.Code/100 != 2 {
			t.Errorf("%v: status %d", h, w.Code)
		}
	}
	w := do(s, request("GET", flows, "", "Origin", "https://evil.example"))
	for name := range w.Header() {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("%s: %s", name, w.Header().Get(name))
		}
	}
	w = do(s, request("OPTIONS", records, "", "Origin", "https://evil.example", "Access-Control-Request-Method", "POST"))
	wantProblem(t, w, http.StatusMethodNotAllowed, "method-not-allowed")
}

// Every answer, of whatever status, tells browsers the same.
func TestSecurityHeaders(t *testing.T) {
	f := newFake(t)
	f.decide = outbox.Done
	s, _ := serve(t, f)
	for _, r := range []*http.Request{
		request("POST", records, sample(t, "respiratory-antibiotic")), request("POST", records, "{"), request("GET", flows, ""),
		request("GET", "/nowhere", ""), request("PUT", flows, ""), request("GET", "/api/v1/openapi.json", ""),
		request("GET", "/healthz", ""), request("GET", "/api/v1/authority/keys", ""),
	} {
		w := do(s, r)
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s %s: %s %q, want %q", r.Method, r.URL.Path, name, got, want)
			}
		}
	}
}

func TestRoutes(t *testing.T) {
	s, _ := serve(t, newFake(t))
	for _, target := range []string{
		"/", "/api", "/api/v1", "/api/v1/", "/api/v2/flows", "/api/v1/flows/", "/api/v1//flows", "/api/v1/./flows", "/api/v1/x/../flows",
		"/docs", "/schemas/Flow.json", "/openapi.json", "/api/v1/openapi-3.0.json", "/pay/1", "/debug/pprof/",
	} {
		wantProblem(t, do(s, request("GET", target, "")), http.StatusNotFound, "route-not-found")
	}
	for _, c := range []struct{ method, target, allow string }{
		{"GET", records, "POST"},
		{"DELETE", flows, "GET, HEAD"},
		{"POST", flows + "/x", "GET, HEAD"},
		{"POST", "/api/v1/events", "GET, HEAD"},
		{"PUT", "/healthz", "GET, HEAD"},
		{"POST", "/api/v1/openapi.yaml", "GET, HEAD"},
	} {
		w := do(s, request(c.method, c.target, ""))
		wantProblem(t, w, http.StatusMethodNotAllowed, "method-not-allowed")
		if got := w.Header().Get("Allow"); got != c.allow {
			t.Errorf("%s %s: Allow %q, want %q", c.method, c.target, got, c.allow)
		}
	}
}

// A panic is answered without its value, and the log has the place, not the value.
func TestPanic(t *testing.T) {
	f := newFake(t)
	f.hook = func() { panic(marker) }
	s, log := serve(t, f)
	w := do(s, request("POST", records, sample(t, "respiratory-antibiotic")))
	p := wantProblem(t, w, http.StatusInternalServerError, "internal")
	if all := w.Body.String() + log.String(); strings.Contains(all, marker) {
		t.Errorf("the value shows: %s", all)
	}
	if !strings.Contains(log.String(), p.Instance) || !strings.Contains(log.String(), "fake).Register") {
		t.Errorf("log %s, want the instance and the place", log)
	}
	f.hook = nil
	if w := do(s, request("POST", records, sample(t, "respiratory-antibiotic"))); w.Code != http.StatusAccepted {
		t.Errorf("afterwards: status %d: something is still held", w.Code)
	}
	if n := s.InHand(); n != 0 {
		t.Errorf("%d are counted as under way, and none is", n)
	}
}

// torn loses what is first written to it.
type torn struct {
	*httptest.ResponseRecorder
	lost *bool
}

func (t torn) Write(b []byte) (int, error) {
	if !*t.lost {
		*t.lost = true
		return 0, errors.New("connection reset")
	}
	return t.ResponseRecorder.Write(b)
}

// An answer that broke off does not end as if it were whole, and no problem
// follows on it.
func TestBrokenAnswer(t *testing.T) {
	s, _ := serve(t, newFake(t))
	w := torn{httptest.NewRecorder(), new(bool)}
	defer func() {
		if v := recover(); v != http.ErrAbortHandler {
			t.Errorf("recovered %v, want http.ErrAbortHandler", v)
		}
		if strings.Contains(w.Body.String(), "urn:signalbox") {
			t.Errorf("body %q: a problem was added to half an answer", w.Body)
		}
	}()
	s.ServeHTTP(w, request("GET", flows, ""))
}

// Requests are logged by their route, and nothing that was sent.
func TestLog(t *testing.T) {
	s, log := serve(t, newFake(t))
	do(s, request("GET", flows+"/"+refOf(7).String()+"?until=final", "", "User-Agent", "somebody"))
	line := log.String()
	for _, want := range []string{`"method":"GET"`, `"route":"/api/v1/flows/{id}"`, `"status":404`, `"took":`, `"instance":"urn:signalbox:request:`} {
		if !strings.Contains(line, want) {
			t.Errorf("log %s lacks %s", line, want)
		}
	}
	for _, never := range []string{refOf(7).String(), "until", "somebody", "192.0.2.1"} {
		if strings.Contains(line, never) {
			t.Errorf("log %s holds %s", line, never)
		}
	}
}

// HEAD is GET without a body, and ends, also on a stream.
func TestHead(t *testing.T) {
	s, _ := serve(t, newFake(t))
	server := httptest.NewServer(s)
	defer server.Close()
	for _, target := range []string{flows, "/healthz", "/api/v1/events", "/api/v1/openapi.yaml"} {
		resp, err := http.Head(server.URL + target)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || len(body) != 0 {
			t.Errorf("%s: status %d, body %q, %v", target, resp.StatusCode, body, err)
		}
	}
}
