package ops

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

var update = flag.Bool("update", false, "write the table of metrics into docs/operations.md")

// run starts a server and gives its address.
func run(t *testing.T, c Config) string {
	t.Helper()
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
		if err := s.Run(context.Background()); err == nil {
			t.Error("it ran twice")
		}
	})
	<-s.Bound()
	return s.Addr().String()
}

// get gives status and body.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	w, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	body, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.StatusCode, string(body)
}

func TestHealth(t *testing.T) {
	ok, why := false, "the supervision chain is starting"
	addr := run(t, Config{Ready: func() (bool, string) { return ok, why }})
	for _, c := range []struct {
		path   string
		ready  bool
		status int
		want   health
	}{
		{"/healthz", false, 200, health{Ok: true}},
		{"/readyz", false, 503, health{Reason: "the supervision chain is starting"}},
		{"/readyz", true, 200, health{Ok: true}},
	} {
		if ok = c.ready; ok {
			why = ""
		}
		status, body := get(t, "http://"+addr+c.path)
		var got health
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Errorf("%s: %v in %q", c.path, err, body)
		}
		if diff := cmp.Diff(c.want, got); status != c.status || diff != "" {
			t.Errorf("%s: status %d, want %d (-want +got):\n%s", c.path, status, c.status, diff)
		}
	}
	for _, path := range []string{"/", "/debug/pprof/", "/debug/pprof/heap"} {
		if status, _ := get(t, "http://"+addr+path); status != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, status)
		}
	}
	w, err := http.Post("http://"+addr+"/healthz", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	w.Body.Close()
	if w.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("post: status %d, want 405", w.StatusCode)
	}
}

func TestMetrics(t *testing.T) {
	r := NewRegistry("v1")
	height := 0.0
	r.MustRegister(Collect(
		Source{Part: "chain", Read: func(_ context.Context, emit Emit) error {
			height++
			emit(ChainHeight, height)
			emit(Decisions, 3, "granted")
			return nil
		}},
		Links(map[string]func() bool{"node-1": func() bool { return true }, "node-2": func() bool { return false }}),
		Source{Part: "disk", Read: func(context.Context, Emit) error { return errors.New("it is gone") }},
	))
	addr := run(t, Config{Registry: r})
	get(t, "http://"+addr+"/metrics")
	_, body := get(t, "http://"+addr+"/metrics")
	for _, line := range []string{
		"signalbox_chain_height 2", // asked anew at every look
		`signalbox_decisions_total{verdict="granted"} 3`,
		"# TYPE signalbox_decisions_total counter",
		"# TYPE signalbox_chain_height gauge",
		`signalbox_part_unread{part="chain"} 0`,
		`signalbox_part_unread{part="disk"} 1`,
		`signalbox_link_up{peer="node-1"} 1`,
		`signalbox_link_up{peer="node-2"} 0`,
		`signalbox_build_info{version="v1"} 1`,
		"signalbox_ready 1",
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("no line %q in the metrics", line)
		}
	}
	for _, name := range []string{"go_goroutines ", "go_memstats_heap_alloc_bytes ", "process_open_fds "} {
		if !strings.Contains(body, "\n"+name) {
			t.Errorf("no %s in the metrics", name)
		}
	}
}

// What is not in the vocabulary, or has other labels, does not pass unnoticed.
func TestCollectRefuses(t *testing.T) {
	for name, emit := range map[string]func(Emit){
		"unknown name":  func(emit Emit) { emit("signalbox_mood", 1) },
		"label missing": func(emit Emit) { emit(Decisions, 1) },
	} {
		r := prometheus.NewRegistry()
		r.MustRegister(Collect(Source{Part: "p", Read: func(_ context.Context, e Emit) error {
			emit(e)
			return nil
		}}))
		if _, err := r.Gather(); err == nil {
			t.Errorf("%s: gathered", name)
		}
	}
}

func TestVocabulary(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range Vocabulary() {
		if seen[m.Name] || m.En == "" || m.Zh == "" || m.Role == "" {
			t.Errorf("%s: stands twice, or without a role or a text", m.Name)
		}
		seen[m.Name] = true
		if m.Counter != strings.HasSuffix(m.Name, "_total") {
			t.Errorf("%s: a counter's name ends with _total, no other does", m.Name)
		}
	}
	const begin, end = "-update -->\n", "<!-- end of the table -->"
	const file = "../../docs/operations.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", file)
	}
	want := head + begin + Table() + end + tail
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("%s is stale: go test ./internal/ops -update (-want +got):\n%s", file, diff)
	}
}

func TestProfiles(t *testing.T) {
	addr := run(t, Config{Profile: true})
	if status, body := get(t, "http://"+addr+"/debug/pprof/goroutine?debug=1"); status != 200 || !strings.Contains(body, "goroutine profile") {
		t.Errorf("status %d", status)
	}
	for _, listen := range []string{"0.0.0.0:0", ":0", "192.0.2.1:9", "[::]:0", "example.org:1"} {
		if _, err := New(Config{Listen: listen, Profile: true}); err == nil {
			t.Errorf("profiles on %s", listen)
		}
		if _, err := New(Config{Listen: listen}); err != nil {
			t.Errorf("without profiles on %s: %v", listen, err)
		}
	}
	if _, err := New(Config{Listen: "here"}); err == nil {
		t.Error("an address without port")
	}
}

// A page in a browser on the machine can't read it under another name.
func TestHosts(t *testing.T) {
	for _, c := range []struct {
		listen, host string
		status       int
	}{
		{"127.0.0.1:1", "127.0.0.1:1", 200},
		{"127.0.0.1:1", "localhost", 200},
		{"[::1]:1", "[::1]:1", 200},
		{"127.0.0.1:1", "evil.example:1", 421},
		{"127.0.0.1:1", "", 421},
		{"0.0.0.0:1", "node-1.example:1", 200},
	} {
		s, err := New(Config{Listen: c.listen})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "/healthz", nil)
		r.Host = c.host
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != c.status {
			t.Errorf("host %q on %s: status %d, want %d", c.host, c.listen, w.Code, c.status)
		}
	}
}

func TestPortTaken(t *testing.T) {
	addr := run(t, Config{})
	s, err := New(Config{Listen: addr})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); err == nil {
		t.Error("it listens on a port that is taken")
	}
}
