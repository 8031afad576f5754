package api_test

import (
	"crypto/rand"
	"io"
	"net/http"
	"strings"
	"testing"

	"signalbox.dev/signalbox/internal/api"
)

// guarded serves f to two callers, one for each permission, and gives their tokens.
func guarded(t testing.TB, f *fake) (s *api.Server, submit, read string, log *strings.Builder) {
	t.Helper()
	submit, first, err := api.NewToken(rand.Reader, "hospital-1", api.Submit)
	if err != nil {
		t.Fatal(err)
	}
	read, second, err := api.NewToken(rand.Reader, "console", api.Read)
	if err != nil {
		t.Fatal(err)
	}
	access, err := api.ParseAccess("# who may call\n\n" + first + "\n" + second + "\n")
	if err != nil {
		t.Fatal(err)
	}
	log = &strings.Builder{}
	s = serveTo(t, f, access, log)
	return s, submit, read, log
}

// Every route but the open ones wants a caller's token, and one that permits it
// (R7.1). Each line is an entry point with every kind of credential.
func TestAccess(t *testing.T) {
	s, submit, read, log := guarded(t, newFake(t))
	other, _, err := api.NewToken(rand.Reader, "hospital-1", api.Submit, api.Read)
	if err != nil {
		t.Fatal(err)
	}
	body := sample(t, "respiratory-antibiotic")
	for _, route := range []struct {
		method, path, body string
		reader             bool // open to readers; to submitters otherwise
	}{
		{"POST", records, body, false},
		{"GET", flows, "", true},
		{"GET", flows + "/" + strings.Repeat("0", 64), "", true},
		{"GET", "/api/v1/receipts/" + strings.Repeat("0", 64), "", true},
		{"GET", "/api/v1/events?after=0", "", true},
	} {
		for name, credential := range map[string]string{
			"none": "", "no scheme": submit, "empty": "Bearer ", "basic": "Basic aG9zcGl0YWwtMTp4", "garbage": "Bearer sbx_AAAA",
			"another's": "Bearer " + other, "half": "Bearer " + submit[:len(submit)/2], "two": "Bearer " + submit + "," + read, "the hash": "Bearer sha256:" + strings.Repeat("0", 64),
		} {
			w := do(s, request(route.method, route.path, route.body, "Authorization", credential))
			wantProblem(t, w, http.StatusUnauthorized, "unauthenticated")
			if w.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%s %s, %s: no WWW-Authenticate", route.method, route.path, name)
			}
		}
		unfit := read
		if route.reader {
			unfit = submit
		}
		wantProblem(t, do(s, request(route.method, route.path, route.body, "Authorization", "Bearer "+unfit)), http.StatusForbidden, "not-permitted")
	}
	if w := do(s, request("POST", records, body, "Authorization", "bearer "+submit)); w.Code/100 != 2 {
		t.Errorf("a submitter's record: status %d", w.Code)
	}
	if w := do(s, request("GET", flows, "", "Authorization", "Bearer "+read)); w.Code != http.StatusOK {
		t.Errorf("a reader's list: status %d", w.Code)
	}
	for _, open := range []string{"/healthz", "/readyz", "/api/v1/openapi.json", "/api/v1/openapi.yaml", "/api/v1/authority/keys"} {
		if w := do(s, request("GET", open, "")); w.Code != http.StatusOK {
			t.Errorf("%s without a token: status %d", open, w.Code)
		}
	}
	for _, secret := range []string{submit, read, other, "sbx_"} {
		if strings.Contains(log.String(), secret) {
			t.Error("the log holds a token")
		}
	}
	if !strings.Contains(log.String(), `"caller":"hospital-1"`) {
		t.Error("the log does not name the caller who was turned away")
	}
}

// An access file that is not what it should be lets nobody in.
func TestParseAccessRefuses(t *testing.T) {
	_, line, err := api.NewToken(rand.Reader, "hospital-1", api.Submit)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty":            "",
		"comments alone":   "# nobody\n",
		"two words":        "hospital-1 submit",
		"bad permission":   strings.Replace(line, "submit", "admin", 1),
		"permission twice": strings.Replace(line, "submit", "submit,submit", 1),
		"no permission":    strings.Replace(line, "submit", ",", 1),
		"short hash":       line[:len(line)-2],
		"no hash":          strings.Replace(line, "sha256:", "", 1),
		"bad name":         strings.Replace(line, "hospital-1", "hospital/1", 1),
		"name twice":       line + "\n" + line,
	} {
		if _, err := api.ParseAccess(text); err == nil {
			t.Errorf("%s: taken", name)
		} else if strings.Contains(err.Error(), line[len(line)-20:]) {
			t.Errorf("%s: the error repeats the hash", name)
		}
	}
	if _, _, err := api.NewToken(rand.Reader, "no good name", api.Read); err == nil {
		t.Error("a name with blanks is taken")
	}
	if _, _, err := api.NewToken(rand.Reader, "hospital-1"); err == nil {
		t.Error("a token without permissions is taken")
	}
	if _, _, err := api.NewToken(io.LimitReader(rand.Reader, 8), "hospital-1", api.Read); err == nil {
		t.Error("a token of too little randomness is taken")
	}
}

func BenchmarkAccess(b *testing.B) {
	s, _, read, _ := guarded(b, newFake(b))
	b.ReportAllocs()
	for b.Loop() {
		do(s, request("GET", "/api/v1/receipts/"+strings.Repeat("0", 64), "", "Authorization", "Bearer "+read))
	}
}
