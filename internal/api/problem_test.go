package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/internal/api"
	"signalbox.dev/signalbox/internal/platform/authorise"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/profile"
)

// Each error of the platform has its problem, also when it is wrapped.
func TestPlatformErrors(t *testing.T) {
	cases := []struct {
		err    error
		status int
		kind   string
	}{
		{authorise.ErrKeyReused, http.StatusUnprocessableEntity, "idempotency-key-reused"},
		{authorise.ErrKey, http.StatusUnprocessableEntity, "invalid-parameter"},
		{outbox.ErrTooLarge, http.StatusRequestEntityTooLarge, "record-too-large"},
		{outbox.ErrFull, http.StatusServiceUnavailable, "backlog-full"},
		{&profile.Refusal{}, http.StatusUnprocessableEntity, "record-refused"},
		{errors.Join(&profile.Problem{Path: "/a"}, &profile.Problem{Path: "/b"}), http.StatusBadRequest, "malformed-record"},
		{context.DeadlineExceeded, http.StatusServiceUnavailable, "busy"},
		{errors.New("the disk is full"), http.StatusInternalServerError, "internal"},
	}
	for _, c := range cases {
		t.Run(c.kind, func(t *testing.T) {
			f := newFake(t)
			s, log := serve(t, f)
			f.err = fmt.Errorf("writing to the database: %w", c.err)
			w := do(s, request("POST", records, sample(t, "respiratory-antibiotic")))
			p := wantProblem(t, w, c.status, c.kind)
			if strings.Contains(w.Body.String(), "database") {
				t.Errorf("the error itself is shown: %s", w.Body)
			}
			if logged := strings.Contains(log.String(), "the disk is full"); logged != (c.kind == "internal") || !strings.Contains(log.String(), p.Instance) {
				t.Errorf("log %s", log)
			}
		})
	}
	for _, target := range []string{flows, flows + "/" + refOf(1).String(), "/api/v1/receipts/" + txOf(refOf(1)).String(), "/api/v1/events?flow=" + refOf(1).String()} {
		f := newFake(t)
		f.err = errors.New("the disk is full")
		s, _ := serve(t, f)
		wantProblem(t, do(s, request("GET", target, "")), http.StatusInternalServerError, "internal")
	}
}

// marker is a value that stands for a person's.
const marker = "990101198505061077x"

// No answer that is an error, and no line of the log, repeats a value that was
// sent, wherever it was sent.
func TestNothingSentComesBack(t *testing.T) {
	record := func(old, with string) string {
		body := sample(t, "respiratory-antibiotic")
		changed := strings.Replace(body, old, with, 1)
		if changed == body {
			t.Fatalf("the sample holds no %s", old)
		}
		return changed
	}
	m := `"` + marker + `"`
	cases := map[string]*http.Request{
		"id number":        request("POST", records, record(`"990101198505061077"`, m)),
		"wrong type":       request("POST", records, record(`"唐若谷"`, `{"name":`+m+`}`)),
		"number":           request("POST", records, record(`"2"`, "990101198505061077e1")),
		"date":             request("POST", records, record(`"2026-11-04"`, m)),
		"code":             request("POST", records, record(`"resident-id"`, m)),
		"tag":              request("POST", records, record(`"antibiotic"`, m)),
		"unknown field":    request("POST", records, record(`"chronic": false`, `"chronic": false, "`+marker+`/~ `+strings.Repeat("名", 200)+`": 1`)),
		"after the record": request("POST", records, sample(t, "respiratory-antibiotic")+marker),
		"not json":         request("POST", records, marker),
		"a string":         request("POST", records, m),
		"resource":         request("POST", records, `{"resourceType":`+m+`}`, "Content-Type", "application/fhir+json"),
		"media type":       request("POST", records, m, "Content-Type", "text/"+marker),
		"coding":           request("POST", records, m, "Content-Encoding", marker),
		"key":              request("POST", records, m, "Idempotency-Key", strings.Repeat(marker, 20)),
		"preference":       request("POST", records, m, "Prefer", "wait="+marker),
		"language":         request("POST", records, m, "Accept-Language", marker),
		"accept":           request("POST", records, m, "Accept", "text/"+marker),
		"query value":      request("GET", flows+"?state="+marker, ""),
		"query number":     request("GET", flows+"?before="+marker, ""),
		"query name":       request("GET", flows+"?"+marker+"=1", ""),
		"until":            request("GET", flows+"/"+refOf(1).String()+"?until="+marker, ""),
		"flow":             request("GET", flows+"/"+marker, ""),
		"receipt":          request("GET", "/api/v1/receipts/"+marker, ""),
		"event":            request("GET", "/api/v1/events?flow="+marker, ""),
		"last event":       request("GET", "/api/v1/events", "", "Last-Event-ID", marker),
		"path":             request("GET", "/"+marker, ""),
		"unclean path":     request("GET", "//"+marker+"/..", ""),
		"method":           request("PUT", flows+"/"+marker, m),
		"unknown method":   request("X"+marker, flows, m),
		"origin":           request("POST", records, m, "Origin", "https://"+marker+".example"),
		"host":             func() *http.Request { r := request("GET", flows, ""); r.Host = marker; return r }(),
		"fragment":         func() *http.Request { r := request("GET", flows, ""); r.URL = &url.URL{Path: "/" + marker}; return r }(),
	}
	for name, r := range cases {
		t.Run(name, func(t *testing.T) {
			s, log := serve(t, newFake(t))
			w := do(s, r)
			if w.Code < 400 || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("status %d, type %q, want a problem", w.Code, w.Header().Get("Content-Type"))
			}
			all := w.Body.String() + fmt.Sprint(w.Header()) + log.String()
			// A field's name is the sender's word for a place, and is repeated
			// when it looks like one; this doesn't.
			if i := strings.Index(strings.ToLower(all), marker[:12]); i >= 0 {
				t.Errorf("it comes back: …%s…", all[max(i-60, 0):min(i+60, len(all))])
			}
		})
	}
}

// Every kind of problem is in the guide with its status, in both languages, and
// the guide has no other.
func TestKindsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "api.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]int{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| ([0-9]{3}) \\|").FindAllStringSubmatch(string(text), -1) {
		var status int
		if _, err := fmt.Sscan(m[2], &status); err != nil {
			t.Fatal(err)
		}
		documented[m[1]] = status
	}
	if d := cmp.Diff(api.Statuses(), documented); d != "" {
		t.Errorf("docs/api.md (-code +guide):\n%s", d)
	}
	for kind, texts := range api.Texts() {
		for _, text := range texts {
			if text == "" {
				t.Errorf("%s lacks a text: %q", kind, texts)
			}
		}
	}
}

func TestLanguage(t *testing.T) {
	s, _ := serve(t, newFake(t))
	w := do(s, request("GET", flows+"/x", "", "Accept-Language", "zh"))
	if p := wantProblem(t, w, http.StatusNotFound, "flow-not-found"); p.Title != "无此业务流转" || w.Header().Get("Vary") != "Accept-Language" {
		t.Errorf("title %q, Vary %q", p.Title, w.Header().Get("Vary"))
	}
	for accept, want := range map[string]string{
		"": "en", "en": "en", "zh": "zh", "zh-CN,zh;q=0.9,en;q=0.8": "zh", "zh-TW": "zh", "en-GB, zh": "en",
		"zh;q=0.1, en;q=0.9": "en", "fr": "en", "*": "en", "%%%": "en", "fr, zh;q=0.2": "zh",
	} {
		w := do(s, request("GET", "/nowhere", "", "Accept-Language", accept))
		p := wantProblem(t, w, http.StatusNotFound, "route-not-found")
		if got := w.Header().Get("Content-Language"); got != want || (p.Title == "无此地址") != (want == "zh") {
			t.Errorf("%q: language %q, title %q, want %s", accept, got, p.Title, want)
		}
		if w.Header().Get("Vary") != "Accept-Language" {
			t.Errorf("Vary %q", w.Header().Get("Vary"))
		}
	}
}
