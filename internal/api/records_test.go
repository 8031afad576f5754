package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/internal/api"
	"signalbox.dev/signalbox/internal/platform"
	"signalbox.dev/signalbox/internal/platform/outbox"
)

func decode[T any](t *testing.T, w *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("status %d, body %q: %v", w.Code, w.Body, err)
	}
	return v
}

// wantProblem checks an answer of RFC 9457 and gives it.
func wantProblem(t *testing.T, w *httptest.ResponseRecorder, status int, kind string) api.Problem {
	t.Helper()
	if w.Code != status || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Fatalf("status %d, type %q, want %d and a problem; body %s", w.Code, w.Header().Get("Content-Type"), status, w.Body)
	}
	p := decode[api.Problem](t, w)
	if p.Type != "urn:signalbox:problem:"+kind || p.Status != status || p.Title == "" || p.Detail == "" || !strings.HasPrefix(p.Instance, "urn:signalbox:request:") {
		t.Errorf("problem %+v, want kind %s", p, kind)
	}
	return p
}

// A record is taken in at once, and its flow is where Location says (R1.1).
func TestPostRecord(t *testing.T) {
	for _, c := range []struct{ sample, contentType string }{
		{"respiratory-antibiotic", "application/json"},
		{"respiratory-antibiotic", "application/json; charset=UTF-8"},
		{"fhir-request-statin", "application/fhir+json"},
		{"fhir-request-statin", "application/fhir+json; fhirVersion=4.0"},
	} {
		t.Run(c.sample+" "+c.contentType, func(t *testing.T) {
			s, _ := serve(t, newFake(t))
			w := do(s, request("POST", records, sample(t, c.sample), "Content-Type", c.contentType))
			if w.Code != http.StatusAccepted || w.Header().Get("Location") != flows+"/"+refOf(1).String() {
				t.Fatalf("status %d, headers %v, body %s", w.Code, w.Header(), w.Body)
			}
			want := api.Registration{Ref: refOf(1), State: platform.Pending}
			if d := cmp.Diff(want, decode[api.Registration](t, w)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if w.Header().Get("Preference-Applied") != "" {
				t.Error("a preference was applied that nobody had")
			}
			if w := do(s, request("GET", w.Header().Get("Location"), "")); w.Code != http.StatusOK {
				t.Errorf("Location: status %d", w.Code)
			}
		})
	}
}

// With Prefer: wait the answer says what became of the registration.
func TestPostRecordAndWait(t *testing.T) {
	reasons := "受限患者"
	cases := []struct {
		name   string
		decide outbox.State
		status int
		kind   string
	}{
		{"granted", outbox.Done, http.StatusCreated, ""},
		{"refused", outbox.Refused, http.StatusUnprocessableEntity, "registration-refused"},
		{"lapsed", outbox.Lapsed, http.StatusUnprocessableEntity, "registration-lapsed"},
		{"held", outbox.Held, http.StatusAccepted, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			f.decide = c.decide
			s, _ := serve(t, f)
			w := do(s, request("POST", records, sample(t, "respiratory-antibiotic"), "Prefer", "wait=10"))
			if c.kind != "" {
				p := wantProblem(t, w, c.status, c.kind)
				if len(p.Reasons) != 1 || p.Reasons[0].Zh != reasons || p.Ref != refOf(1) || p.Tx != txOf(refOf(1)) {
					t.Errorf("problem %+v", p)
				}
				return
			}
			v := decode[platform.FlowView](t, w)
			if w.Code != c.status || w.Header().Get("Preference-Applied") != "wait=10" || v.Ref != refOf(1) || len(v.Steps) != 1 {
				t.Errorf("status %d, headers %v, body %s", w.Code, w.Header(), w.Body)
			}
			if want := flows + "/" + txOf(v.Ref).String(); c.decide == outbox.Done && w.Header().Get("Location") != want { // R1.6
				t.Errorf("Location %q, want %q", w.Header().Get("Location"), want)
			}
		})
	}
}

// When time runs out the outcome is unknown: neither granted nor refused.
func TestPostRecordOutOfTime(t *testing.T) {
	for prefer, want := range map[string]time.Duration{
		"wait=2":                   2 * time.Second,
		"respond-async, WAIT = 3 ": 3 * time.Second,
		`wait="4";x=y, wait=9`:     4 * time.Second,
		"wait=0":                   0,
		"wait=3600":                api.MaxWait,
	} {
		t.Run(prefer, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := serve(t, newFake(t))
				began := time.Now()
				w := do(s, request("POST", records, sample(t, "respiratory-antibiotic"), "Prefer", prefer))
				if w.Code != http.StatusAccepted || decode[platform.FlowView](t, w).State != platform.Pending {
					t.Errorf("status %d, body %s", w.Code, w.Body)
				}
				if took := time.Since(began); took != want {
					t.Errorf("waited %v, want %v", took, want)
				}
				if got := w.Header().Get("Preference-Applied"); got != "wait="+itoa(int(want.Seconds())) {
					t.Errorf("Preference-Applied %q", got)
				}
			})
		})
	}
	for _, prefer := range []string{"wait", "wait=-1", "wait=soon", "waiting=3", "return=minimal", "wait=99999999999999999999"} {
		t.Run(prefer, func(t *testing.T) {
			s, _ := serve(t, newFake(t))
			w := do(s, request("POST", records, sample(t, "respiratory-antibiotic"), "Prefer", prefer))
			if w.Code != http.StatusAccepted || w.Header().Get("Preference-Applied") != "" {
				t.Errorf("status %d, headers %v", w.Code, w.Header())
			}
		})
	}
}

// The same record again is the same registration.
func TestPostRecordAgain(t *testing.T) {
	f := newFake(t)
	s, _ := serve(t, f)
	body := sample(t, "respiratory-antibiotic")
	if w := do(s, request("POST", records, body)); w.Code != http.StatusAccepted {
		t.Fatalf("status %d", w.Code)
	}
	w := do(s, request("POST", records, body))
	if d := cmp.Diff(api.Registration{Ref: refOf(1), State: platform.Pending, Existing: true}, decode[api.Registration](t, w)); w.Code != http.StatusOK || d != "" {
		t.Errorf("status %d (-want +got):\n%s", w.Code, d)
	}
	if w := do(s, request("POST", records, body, "Prefer", "wait=0")); w.Code != http.StatusAccepted {
		t.Errorf("undecided: status %d, want 202", w.Code)
	}
	f.with(func() { f.end(refOf(1), outbox.Done) })
	w = do(s, request("POST", records, body, "Prefer", "wait=5"))
	if v := decode[platform.FlowView](t, w); w.Code != http.StatusOK || v.Flow != txOf(refOf(1)) {
		t.Errorf("status %d, body %s", w.Code, w.Body)
	}
}

func TestIdempotencyKey(t *testing.T) {
	s, _ := serve(t, newFake(t))
	one, other := sample(t, "respiratory-antibiotic"), sample(t, "hypertension-chronic")
	post := func(body, key string) *httptest.ResponseRecorder {
		return do(s, request("POST", records, body, "Idempotency-Key", key))
	}
	if w := post(one, "k1"); w.Code != http.StatusAccepted {
		t.Fatalf("status %d", w.Code)
	}
	if w := post(one, "k1"); w.Code != http.StatusOK || decode[api.Registration](t, w).Ref != refOf(1) {
		t.Errorf("again: status %d, body %s", w.Code, w.Body)
	}
	wantProblem(t, post(other, "k1"), http.StatusUnprocessableEntity, "idempotency-key-reused")
	p := wantProblem(t, post(one, strings.Repeat("k", 256)), http.StatusUnprocessableEntity, "invalid-parameter")
	if len(p.Problems) != 1 || p.Problems[0].Path != "header.Idempotency-Key" {
		t.Errorf("problems %+v", p.Problems)
	}
}

// What is malformed is all said at once, with its places, in both languages.
func TestMalformedRecord(t *testing.T) {
	s, _ := serve(t, newFake(t))
	body := strings.Replace(sample(t, "respiratory-antibiotic"), `"2026-11-04"`, `"yesterday"`, 1)
	body = strings.Replace(body, `"resident-id"`, `"nickname"`, 1)
	p := wantProblem(t, do(s, request("POST", records, body, "Accept-Language", "de, zh-Hans-CN;q=0.8, en;q=0.5")), http.StatusBadRequest, "malformed-record")
	var paths []string
	for _, one := range p.Problems {
		paths = append(paths, one.Path)
		if one.Zh == "" || one.En == "" {
			t.Errorf("%+v lacks a language", one)
		}
	}
	if d := cmp.Diff([]string{"/issued", "/patient/id_type"}, paths); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if p.Title != "业务信息格式有误" {
		t.Errorf("title %q, want Chinese", p.Title)
	}
	for _, body := range []string{"", "{", "[]", "null", "\xff"} {
		wantProblem(t, do(s, request("POST", records, body, "Content-Type", "application/json")), http.StatusBadRequest, "malformed-record")
	}
}

// What is understood and not taken is refused by name.
func TestRecordRefused(t *testing.T) {
	s, _ := serve(t, newFake(t))
	w := do(s, request("POST", records, `{"resourceType":"Patient"}`, "Content-Type", "application/fhir+json"))
	p := wantProblem(t, w, http.StatusUnprocessableEntity, "record-refused")
	if len(p.Reasons) != 1 || p.Reasons[0].Code != "resource_not_supported" || p.Reasons[0].Path != "/resourceType" {
		t.Errorf("reasons %+v", p.Reasons)
	}
	if !strings.Contains(p.Detail, p.Reasons[0].En) || w.Header().Get("Content-Language") != "en" {
		t.Errorf("detail %q, language %q", p.Detail, w.Header().Get("Content-Language"))
	}
}

func TestMediaType(t *testing.T) {
	s, _ := serve(t, newFake(t))
	for _, h := range [][]string{
		{"Content-Type", ""},
		{"Content-Type", "text/plain"}, // what a page of another origin can send
		{"Content-Type", "application/x-www-form-urlencoded"},
		{"Content-Type", "application/fhir+xml"},
		{"Content-Type", "application/json; charset=gb18030"},
		{"Content-Type", "application/json; charset"},
		{"Content-Type", "application/json", "Content-Encoding", "gzip"},
	} {
		w := do(s, request("POST", records, sample(t, "respiratory-antibiotic"), h...))
		wantProblem(t, w, http.StatusUnsupportedMediaType, "media-type-not-supported")
	}
}

// A body is bounded, whether it says its length or not.
func TestBodyTooLarge(t *testing.T) {
	s, _ := serve(t, newFake(t))
	for _, length := range []int64{api.MaxRecord + 1, -1} {
		r := request("POST", records, strings.Repeat(" ", api.MaxRecord+1))
		r.ContentLength = length
		w := do(s, r)
		wantProblem(t, w, http.StatusRequestEntityTooLarge, "content-too-large")
		if w.Header().Get("Connection") != "close" {
			t.Error("the connection goes on")
		}
	}
	r := httptest.NewRequest("POST", "http://localhost"+records, unread{t})
	r.ContentLength = api.MaxRecord + 1
	r.Header.Set("Content-Type", "application/json")
	wantProblem(t, do(s, r), http.StatusRequestEntityTooLarge, "content-too-large")
	body := sample(t, "respiratory-antibiotic")
	body += strings.Repeat(" ", api.MaxRecord-len(body))
	if w := do(s, request("POST", records, body)); w.Code != http.StatusAccepted {
		t.Errorf("just not too large: status %d", w.Code)
	}
}

// unread is a body that says of itself that it is too large.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("it was read all the same")
	return 0, io.EOF
}

// late is a body that never ends, and broken one that ends early.
type late struct{}

func (late) Error() string              { return "late" }
func (late) Timeout() bool              { return true }
func (late) Temporary() bool            { return true }
func (l late) Read([]byte) (int, error) { return 0, l }

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, http.ErrBodyReadAfterClose }

func TestBodyThatDoesNotCome(t *testing.T) {
	s, _ := serve(t, newFake(t))
	r := httptest.NewRequest("POST", "http://localhost"+records, late{})
	r.Header.Set("Content-Type", "application/json")
	wantProblem(t, do(s, r), http.StatusRequestTimeout, "request-timeout")
	r = httptest.NewRequest("POST", "http://localhost"+records, broken{})
	r.Header.Set("Content-Type", "application/json")
	wantProblem(t, do(s, r), http.StatusBadRequest, "malformed-request")
}

// A crowd is turned away, or told less, and comes in again later.
func TestBusy(t *testing.T) {
	f := newFake(t)
	f.decide = outbox.Done
	s, _ := serve(t, f)
	free := s.Crowd()
	body := sample(t, "respiratory-antibiotic")
	w := do(s, request("POST", records, body))
	wantProblem(t, w, http.StatusServiceUnavailable, "busy")
	if w.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	wantProblem(t, do(s, request("GET", "/api/v1/events", "")), http.StatusServiceUnavailable, "busy")
	free()
	for range 2 { // what was entered is left again
		if w := do(s, request("POST", records, body, "Prefer", "wait=1")); w.Code/100 != 2 || w.Header().Get("Preference-Applied") == "" {
			t.Errorf("afterwards: status %d, headers %v", w.Code, w.Header())
		}
	}
	do(s, request("GET", flows+"/"+refOf(1).String(), "", "Prefer", "wait=0"))
	do(s, request("POST", records, "{"))
	if n := s.InHand(); n != 0 {
		t.Errorf("%d are counted as under way, and none is", n)
	}
}
