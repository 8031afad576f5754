package operator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/fusion"
	"signalbox.dev/signalbox/internal/socket"
)

// fake is a node that notes what it is told.
type fake struct {
	told []string
	fail error
}

func (f *fake) note(format string, v ...any) error {
	f.told = append(f.told, fmt.Sprintf(format, v...))
	return f.fail
}

func (f *fake) Health(context.Context) (fusion.Health, error) {
	return fusion.Health{Node: "node", Running: true, SetAside: uint64(len(f.told))}, nil
}
func (f *fake) Pause(_ context.Context, s fusion.Scope) error  { return f.note("pause %s", s) }
func (f *fake) Resume(_ context.Context, s fusion.Scope) error { return f.note("resume %s", s) }
func (f *fake) Drain(_ context.Context, p string) error        { return f.note("drain %s", p) }
func (f *fake) Release(_ context.Context, id string) error     { return f.note("release %s", id) }
func (f *fake) Discard(_ context.Context, id string) error     { return f.note("discard %s", id) }

var aside = []fusion.Quarantined{{ID: "p/1", Direction: "submissions", Platform: "p", Size: 7, Reason: "r", Failures: 20, Since: time.Unix(1, 0).UTC()}}

func (f *fake) Quarantine(context.Context) ([]fusion.Quarantined, error) { return aside, f.fail }

// serve runs the handler on a socket whose path is too long for an address.
func serve(t *testing.T) (*fake, *Client) {
	t.Helper()
	f := &fake{}
	path := Socket(filepath.Join(t.TempDir(), strings.Repeat("long", 30)))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- socket.Serve(ctx, path, NewHandler(f, nil)) }()
	c := NewClient(path)
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("serving: %v", err)
		}
		if _, err := c.Status(context.Background()); !errors.Is(err, socket.ErrNotRunning) {
			t.Errorf("asking where nobody serves: %v", err)
		}
		c.Close()
	})
	for {
		info, err := os.Stat(path)
		if err == nil && info.Mode().Perm() == 0o600 {
			return f, c
		}
		time.Sleep(time.Millisecond)
	}
}

func TestOrdersReachTheNode(t *testing.T) {
	f, c := serve(t)
	ctx := t.Context()
	var last fusion.Health
	for _, do := range []func() (fusion.Health, error){
		func() (fusion.Health, error) { return c.Pause(ctx, fusion.Scope{Platform: "p", Step: flow.Order}) },
		func() (fusion.Health, error) { return c.Resume(ctx, fusion.Scope{}) },
		func() (fusion.Health, error) { return c.Drain(ctx, "p") },
		func() (fusion.Health, error) { return c.Release(ctx, "p/1") },
		func() (fusion.Health, error) { return c.Discard(ctx, "p/2") },
	} {
		var err error
		if last, err = do(); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"pause platform p, step order", "resume every platform", "drain p", "release p/1", "discard p/2"}
	if diff := cmp.Diff(want, f.told); diff != "" {
		t.Errorf("the node was told (-want +got)\n%s", diff)
	}
	if last.Node != "node" || last.SetAside != uint64(len(want)) {
		t.Errorf("an order is answered with %+v", last)
	}
	list, err := c.Quarantine(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(aside, list); diff != "" {
		t.Errorf("quarantine (-want +got)\n%s", diff)
	}
}

func TestProblems(t *testing.T) {
	f, c := serve(t)
	for code, err := range map[string]error{
		CodeUnfit: fusion.ErrNoPower, CodeNone: fusion.ErrNotQuarantined, CodeStopped: fusion.ErrStopped, CodeFailed: errors.New("disk"),
	} {
		f.fail = fmt.Errorf("doing: %w", err)
		_, got := c.Release(t.Context(), "p/1")
		var p *Problem
		if !errors.As(got, &p) || p.Code != code || p.Detail != f.fail.Error() {
			t.Errorf("%v comes as %#v", err, got)
		}
	}
}

func TestUnreadableRequests(t *testing.T) {
	h := NewHandler(&fake{}, nil)
	for name, c := range map[string]struct {
		method, path, body string
		want               int
	}{
		"no JSON":       {"POST", "/v1/pause", "pause", 400},
		"unknown field": {"POST", "/v1/pause", `{"plattform":"p"}`, 400},
		"too long":      {"POST", "/v1/pause", `{"platform":"` + strings.Repeat("p", maxBody) + `"}`, 400},
		"drain a step":  {"POST", "/v1/drain", `{"step":"order"}`, 409},
		"nowhere":       {"GET", "/v1/nothing", "", 404},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.path, strings.NewReader(c.body)))
		if w.Code != c.want || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/pause", nil))
	if w.Code == http.StatusOK {
		t.Error("an order by GET is carried out")
	}
}
