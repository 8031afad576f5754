package api_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"signalbox.dev/signalbox/internal/api"
	"signalbox.dev/signalbox/internal/platform"
)

func TestConfig(t *testing.T) {
	good := api.Config{Platform: newFake(t), Keys: keys, Hosts: []string{"signalbox.example", "192.0.2.7", "2001:db8::7"}}
	if _, err := api.New(good); err != nil {
		t.Errorf("good: %v", err)
	}
	for want, change := range map[string]func(*api.Config){
		"platform": func(c *api.Config) { c.Platform = nil },
		"keys":     func(c *api.Config) { c.Keys = " \n" },
		`""`:       func(c *api.Config) { c.Hosts = []string{""} },
		`"*"`:      func(c *api.Config) { c.Hosts = []string{"*"} },
		`"a:80"`:   func(c *api.Config) { c.Hosts = []string{"a:80"} },
		`"//a"`:    func(c *api.Config) { c.Hosts = []string{"//a"} },
	} {
		c := good
		change(&c)
		if _, err := api.New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", want, err)
		}
	}
}

// running is a server that runs, and what it needs to end.
type running struct {
	url  string
	stop context.CancelFunc
	done chan error
}

func run(t *testing.T, s *api.Server) running {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	r := running{url: "http://" + l.Addr().String(), stop: stop, done: make(chan error, 1)}
	go func() { r.done <- s.Run(ctx, l) }()
	t.Cleanup(stop)
	return r
}

// When the server ends, streams and waits end with it, and what was asked for is
// answered still.
func TestRunDrains(t *testing.T) {
	f := newFake(t)
	arrived := make(chan struct{}, 1)
	f.hook = func() { arrived <- struct{}{} }
	s, _ := serve(t, f)
	r := run(t, s)
	stream := listen(t, r.url+"/api/v1/events")

	answered := make(chan *http.Response, 1)
	go func() {
		req, err := http.NewRequest("POST", r.url+records, strings.NewReader(sample(t, "respiratory-antibiotic")))
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Prefer", "wait=60")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
		}
		answered <- resp
	}()
	<-arrived
	stream.ids(1) // it is registered, and waited for
	r.stop()
	if err := <-r.done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if got := stream.block(); got != "" || stream.lines.Err() != nil {
		t.Errorf("the stream goes on: %q, or broke off: %v", got, stream.lines.Err())
	}
	resp := <-answered
	if resp == nil {
		t.Fatal("no answer")
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusAccepted || !strings.Contains(string(body), string(platform.Pending)) {
		t.Errorf("status %d, body %s", resp.StatusCode, body)
	}
	wantProblem(t, do(s, request("GET", "/readyz", "")), http.StatusServiceUnavailable, "not-ready")
	if err := s.Run(t.Context(), closed{}); err == nil || !strings.Contains(err.Error(), "run before") {
		t.Errorf("second Run: %v", err)
	}
}

// closed is a listener on an address that others reach.
type closed struct{}

func (closed) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (closed) Close() error              { return nil }
func (closed) Addr() net.Addr            { return &net.TCPAddr{IP: net.IPv4zero, Port: 80} }

// What is served beyond this machine has callers and names; it isn't by mistake.
func TestRunBeyondLoopback(t *testing.T) {
	s, err := api.New(api.Config{Platform: newFake(t), Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context(), closed{}); err == nil || !strings.Contains(err.Error(), "no loopback address") {
		t.Errorf("error %v", err)
	}
	named, _ := serve(t, newFake(t))
	if err := named.Run(t.Context(), closed{}); err == nil || !strings.Contains(err.Error(), "no loopback address") {
		t.Errorf("with hosts, without access: error %v", err)
	}
	both, _, _, _ := guarded(t, newFake(t))
	if err := both.Run(t.Context(), closed{}); err == nil || strings.Contains(err.Error(), "loopback") {
		t.Errorf("with hosts and access: error %v, want the listener's", err)
	}
}

// Headers are bounded, and what net/http itself says of them repeats nothing.
func TestRunBoundsHeaders(t *testing.T) {
	s, _ := serve(t, newFake(t))
	r := run(t, s)
	c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\nX: "+strings.Repeat(marker, 4000)+"\r\n\r\n")
	}()
	answer, err := io.ReadAll(c)
	if !strings.HasPrefix(string(answer), "HTTP/1.1 431 ") || strings.Contains(string(answer), marker) {
		t.Errorf("answer %q, %v", answer, err)
	}
}
