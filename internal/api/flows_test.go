package api_test

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/api"
	"signalbox.dev/signalbox/internal/platform"
	"signalbox.dev/signalbox/internal/platform/dossier"
	"signalbox.dev/signalbox/internal/platform/outbox"
)

// fill adds n flows.
func (f *fake) fill(n int) {
	f.with(func() {
		for range n {
			f.add("阿莫西林 (+1)", "RX-1", "")
		}
	})
}

func TestListFlows(t *testing.T) {
	f := newFake(t)
	s, _ := serve(t, f)
	if got := do(s, request("GET", flows, "")).Body.String(); got != "{\"flows\":[]}\n" {
		t.Errorf("no flows: %s", got)
	}
	f.fill(5)
	var seen []int64
	for target := flows + "?limit=2"; target != ""; {
		w := do(s, request("GET", target, ""))
		if w.Code != http.StatusOK {
			t.Fatalf("status %d, body %s", w.Code, w.Body)
		}
		page := decode[api.FlowList](t, w)
		for _, v := range page.Flows {
			seen = append(seen, v.Seq)
			if len(v.Steps) != 1 {
				t.Errorf("flow %d has %d steps, want 1", v.Seq, len(v.Steps))
			}
		}
		target = ""
		if page.Next != 0 {
			target = flows + "?limit=2&before=" + itoa(int(page.Next))
		}
	}
	if d := cmp.Diff([]int64{5, 4, 3, 2, 1}, seen); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestListFlowsFilter(t *testing.T) {
	f := newFake(t)
	s, _ := serve(t, f)
	for query, want := range map[string]platform.Filter{
		"":                                    {Limit: 50},
		"?state=pending":                      {State: platform.Pending, Limit: 50},
		"?state=in_review&before=9&limit=500": {State: flow.InReview, Before: 9, Limit: 500},
	} {
		if w := do(s, request("GET", flows+query, "")); w.Code != http.StatusOK {
			t.Errorf("%q: status %d, body %s", query, w.Code, w.Body)
		}
		if d := cmp.Diff(want, f.filter); d != "" {
			t.Errorf("%q (-want +got):\n%s", query, d)
		}
	}
	for query, path := range map[string]string{
		"?limit=0": "query.limit", "?limit=501": "query.limit", "?limit=x": "query.limit", "?before=0": "query.before", "?before=-1": "query.before",
		"?before=99999999999999999999": "query.before", "?state=gone": "query.state", "?limit=": "", "?stat=pending": "query",
	} {
		w := do(s, request("GET", flows+query, ""))
		if path == "" {
			continue // an empty parameter is none
		}
		p := wantProblem(t, w, http.StatusUnprocessableEntity, "invalid-parameter")
		if len(p.Problems) != 1 || p.Problems[0].Path != path {
			t.Errorf("%s: problems %+v, want one of %s", query, p.Problems, path)
		}
	}
}

// A flow is found by its txhash and by its registration (R1.6).
func TestReadFlow(t *testing.T) {
	f := newFake(t)
	f.fill(1)
	f.with(func() { f.end(refOf(1), outbox.Done) })
	s, _ := serve(t, f)
	for _, id := range []string{refOf(1).String(), txOf(refOf(1)).String()} {
		w := do(s, request("GET", flows+"/"+id, ""))
		if v := decode[platform.FlowView](t, w); w.Code != http.StatusOK || v.Flow != txOf(refOf(1)) || v.Steps[0].Verdict != flow.Granted {
			t.Errorf("status %d, body %s", w.Code, w.Body)
		}
		if w.Header().Get("Preference-Applied") != "" {
			t.Error("a preference was applied that nobody had")
		}
	}
	wantProblem(t, do(s, request("GET", flows+"/"+refOf(2).String(), "", "Prefer", "wait=1")), http.StatusNotFound, "flow-not-found")
}

// A flow is followed until it has come where the caller wants it, or to its end.
func TestFollowFlow(t *testing.T) {
	const never = 30 * time.Second
	way := []flow.State{flow.InReview, flow.Approved, flow.Ordered, flow.Settled, flow.Delivered} // one a second, from 2 s on
	cases := []struct {
		until string
		way   []flow.State
		state flow.State
		after time.Duration
	}{
		{"", way, flow.Delivered, 6 * time.Second},
		{"?until=final", way, flow.Delivered, 6 * time.Second},
		{"?until=delivered", way, flow.Delivered, 6 * time.Second},
		{"?until=registered", way, flow.Registered, time.Second},
		{"?until=ordered", way, flow.Ordered, 4 * time.Second},
		{"?until=ordered", []flow.State{flow.InReview, flow.Rejected}, flow.Rejected, 3 * time.Second},
		{"?until=approved", []flow.State{flow.Settled}, flow.Settled, 2 * time.Second}, // past it
		{"?until=settled", way[:2], flow.Approved, never},
	}
	for _, c := range cases {
		t.Run(c.until+" "+string(c.state), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t)
				f.fill(1)
				s, _ := serve(t, f)
				began := time.Now()
				var moving sync.WaitGroup
				moving.Go(func() {
					time.Sleep(time.Second)
					f.with(func() { f.end(refOf(1), outbox.Done) })
					for _, to := range c.way {
						time.Sleep(time.Second)
						f.move(refOf(1), to)
					}
				})
				w := do(s, request("GET", flows+"/"+refOf(1).String()+c.until, "", "Prefer", "wait=30"))
				if v := decode[platform.FlowView](t, w); v.State != c.state || w.Header().Get("Preference-Applied") != "wait=30" {
					t.Errorf("state %s, want %s; headers %v", v.State, c.state, w.Header())
				}
				// It looks every 100 ms when nothing is under way.
				if took := time.Since(began); took < c.after || took > c.after+200*time.Millisecond {
					t.Errorf("took %v, want %v", took, c.after)
				}
				moving.Wait()
			})
		})
	}
}

// What can't change is not waited for.
func TestFollowEndedFlow(t *testing.T) {
	for _, state := range []flow.State{flow.Delivered, flow.Rejected, dossier.Refused} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t)
			f.fill(1)
			f.move(refOf(1), state)
			s, _ := serve(t, f)
			began := time.Now()
			if w := do(s, request("GET", flows+"/"+refOf(1).String()+"?until=settled", "", "Prefer", "wait=60")); w.Code != http.StatusOK || time.Since(began) != 0 {
				t.Errorf("%s: status %d after %v", state, w.Code, time.Since(began))
			}
		})
	}
}

// A held step is an officer's: the flow is followed on beyond it.
func TestFollowHeldFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.fill(1)
		f.with(func() { f.end(refOf(1), outbox.Held) })
		s, _ := serve(t, f)
		go func() {
			time.Sleep(5 * time.Second)
			f.with(func() { f.end(refOf(1), outbox.Done) })
		}()
		w := do(s, request("GET", flows+"/"+refOf(1).String()+"?until=registered", "", "Prefer", "wait=30"))
		if v := decode[platform.FlowView](t, w); v.State != flow.Registered {
			t.Errorf("state %s, want registered", v.State)
		}
	})
}

func TestReceipt(t *testing.T) {
	f := newFake(t)
	f.fill(1)
	f.with(func() { f.end(refOf(1), outbox.Done) })
	s, _ := serve(t, f)
	tx := txOf(refOf(1))
	w := do(s, request("GET", "/api/v1/receipts/"+tx.String(), ""))
	if w.Code != http.StatusOK || w.Body.String() != "c2sp.org/tlog-proof@v1\n" || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" ||
		w.Header().Get("Content-Disposition") != `attachment; filename="`+tx.String()+`.tlog-proof"` {
		t.Errorf("status %d, headers %v, body %s", w.Code, w.Header(), w.Body)
	}
	f.receipts[txOf(refOf(2))] = nil // decided, without a receipt
	for _, id := range []string{"x", txOf(refOf(2)).String(), txOf(refOf(3)).String(), "A" + tx.String()[1:]} {
		wantProblem(t, do(s, request("GET", "/api/v1/receipts/"+id, "")), http.StatusNotFound, "receipt-not-found")
	}
}

func TestKeys(t *testing.T) {
	s, _ := serve(t, newFake(t))
	w := do(s, request("GET", "/api/v1/authority/keys", ""))
	if w.Code != http.StatusOK || w.Body.String() != keys || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("status %d, headers %v, body %s", w.Code, w.Header(), w.Body)
	}
}

func TestHealth(t *testing.T) {
	ready := false
	s, err := api.New(api.Config{Platform: newFake(t), Keys: keys, Ready: func() bool { return ready }})
	if err != nil {
		t.Fatal(err)
	}
	if w := do(s, request("GET", "/healthz", "")); w.Code != http.StatusOK || w.Body.String() != "{\"status\":\"alive\"}\n" {
		t.Errorf("status %d, body %s", w.Code, w.Body)
	}
	w := do(s, request("GET", "/readyz", ""))
	wantProblem(t, w, http.StatusServiceUnavailable, "not-ready")
	if w.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	ready = true
	if w := do(s, request("GET", "/readyz", "")); w.Code != http.StatusOK || w.Body.String() != "{\"status\":\"ready\"}\n" {
		t.Errorf("status %d, body %s", w.Code, w.Body)
	}
}
