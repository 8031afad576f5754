package api_test

import (
	"bufio"
	"context"
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
	"signalbox.dev/signalbox/internal/platform/event"
	"signalbox.dev/signalbox/internal/platform/outbox"
)

// reader reads a stream of server-sent events.
type reader struct {
	t     *testing.T
	lines *bufio.Scanner
	close func()
}

func listen(t *testing.T, url string, headers ...string) *reader {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("status %d, headers %v", resp.StatusCode, resp.Header)
	}
	rd := &reader{t: t, lines: bufio.NewScanner(resp.Body), close: func() { cancel(); resp.Body.Close() }}
	t.Cleanup(rd.close)
	if got := rd.block(); got != "retry: 2000" {
		t.Errorf("first block %q", got)
	}
	return rd
}

// block reads up to an empty line; empty when the stream has ended.
func (r *reader) block() string {
	var lines []string
	for r.lines.Scan() && r.lines.Text() != "" {
		lines = append(lines, r.lines.Text())
	}
	return strings.Join(lines, "\n")
}

// ids reads n events and checks that each says its own id twice.
func (r *reader) ids(n int) []int64 {
	r.t.Helper()
	var out []int64
	for range n {
		block := r.block()
		id, data, ok := strings.Cut(strings.TrimPrefix(block, "id: "), "\ndata: ")
		var e event.Event
		if err := json.Unmarshal([]byte(data), &e); !ok || err != nil || id != itoa(int(e.ID)) {
			r.t.Fatalf("block %q: %v", block, err)
		}
		out = append(out, e.ID)
	}
	return out
}

// A client gets what it has not had, in order, and then what is new.
func TestEvents(t *testing.T) {
	cases := []struct {
		name    string
		query   string
		headers []string
		want    []int64
	}{
		{"from the beginning", "", nil, []int64{1, 2, 3, 4, 5}},
		{"after one", "?after=3", nil, []int64{4, 5}},
		{"coming back", "", []string{"Last-Event-ID", "2"}, []int64{3, 4, 5}},
		{"coming back to an address with after", "?after=1", []string{"Last-Event-ID", "4"}, []int64{5}},
		{"of one flow", "?flow=" + refOf(2).String(), nil, []int64{2, 4}},
		{"of one flow by its txhash, coming back", "?flow=" + txOf(refOf(2)).String(), []string{"Last-Event-ID", "2"}, []int64{4}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			f.fill(3)                                                  // 1, 2, 3
			f.with(func() { f.end(refOf(2), outbox.Done) })            // 4
			f.with(func() { f.tell(event.Event{Kind: "x", Ref: ""}) }) // 5
			s, _ := serve(t, f)
			server := httptest.NewServer(s)
			defer server.Close()
			r := listen(t, server.URL+"/api/v1/events"+c.query, c.headers...)
			if d := cmp.Diff(c.want, r.ids(len(c.want))); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			f.move(refOf(2), "settled") // 6
			if d := cmp.Diff([]int64{6}, r.ids(1)); d != "" {
				t.Errorf("new (-want +got):\n%s", d)
			}
			r.close()
		})
	}
}

// A client that loses its connection misses nothing and gets nothing twice.
func TestEventsResume(t *testing.T) {
	f := newFake(t)
	s, _ := serve(t, f)
	server := httptest.NewServer(s)
	defer server.Close()
	var got []int64
	last := "0"
	for round := range 4 {
		f.fill(3)
		r := listen(t, server.URL+"/api/v1/events", "Last-Event-ID", last)
		n := 2
		if round == 3 {
			n = 6 // all that is left
		}
		got = append(got, r.ids(n)...)
		last = itoa(int(got[len(got)-1]))
		r.close()
	}
	if d := cmp.Diff([]int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestEventsRefused(t *testing.T) {
	s, _ := serve(t, newFake(t))
	wantProblem(t, do(s, request("GET", "/api/v1/events?flow="+refOf(1).String(), "")), http.StatusNotFound, "flow-not-found")
	for path, r := range map[string]*http.Request{
		"query.after":          request("GET", "/api/v1/events?after=-1", ""),
		"header.Last-Event-ID": request("GET", "/api/v1/events", "", "Last-Event-ID", "x"),
	} {
		p := wantProblem(t, do(s, r), http.StatusUnprocessableEntity, "invalid-parameter")
		if len(p.Problems) != 1 || p.Problems[0].Path != path {
			t.Errorf("problems %+v, want %s", p.Problems, path)
		}
	}
}

// A quiet stream shows that it lives, and ends with its client.
func TestEventsHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := serve(t, newFake(t))
		ctx, cancel := context.WithTimeout(t.Context(), 2*api.Heartbeat+time.Second)
		defer cancel()
		w := do(s, request("GET", "/api/v1/events", "").WithContext(ctx))
		if got, want := w.Body.String(), "retry: 2000\n\n: alive\n\n: alive\n\n"; got != want {
			t.Errorf("body %q, want %q", got, want)
		}
		if !w.Flushed {
			t.Error("nothing was flushed")
		}
	})
}

// A client that takes nothing any more is let go, at the next sign of life.
func TestEventsToNobody(t *testing.T) {
	for _, takes := range []int{0, 1, 3} {
		synctest.Test(t, func(t *testing.T) {
			s, _ := serve(t, newFake(t))
			began := time.Now()
			s.ServeHTTP(&deaf{httptest.NewRecorder(), takes}, request("GET", "/api/v1/events", ""))
			if took := time.Since(began); took != time.Duration(takes)*api.Heartbeat {
				t.Errorf("let go after %v, having taken %d", took, takes)
			}
			if n := s.InHand(); n != 0 {
				t.Errorf("%d are counted as under way, and none is", n)
			}
		})
	}
}

// deaf takes so many writes.
type deaf struct {
	*httptest.ResponseRecorder
	takes int
}

func (d *deaf) Write(b []byte) (int, error) {
	if d.takes--; d.takes < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(b), nil
}
