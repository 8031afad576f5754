package api_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/api"
	"signalbox.dev/signalbox/internal/platform"
	"signalbox.dev/signalbox/internal/platform/authorise"
	"signalbox.dev/signalbox/internal/platform/dossier"
	"signalbox.dev/signalbox/internal/platform/event"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/internal/platform/reconcile"
	"signalbox.dev/signalbox/profile/prescription"
	"signalbox.dev/signalbox/profile/prescription/samples"
)

// fake is a platform in memory. Records are read by the real profile; decisions
// are the test's to make.
type fake struct {
	profile *prescription.Profile

	mu       sync.Mutex // guards all below
	changed  chan struct{}
	flows    []platform.FlowView
	records  []string // canonical, of flows
	keys     map[string]string
	events   []event.Event
	receipts map[flow.Hash][]byte
	filter   platform.Filter // the last one asked for
	asked    reconcile.Filter
	compared platform.Reconciliation
	err      error        // what every method gives
	hook     func()       // called by Register
	decide   outbox.State // what becomes of a registration at once; empty: nothing
}

func newFake(t testing.TB) *fake {
	t.Helper()
	p, err := prescription.New(prescription.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return &fake{profile: p, changed: make(chan struct{}), keys: map[string]string{}, receipts: map[flow.Hash][]byte{}}
}

// Register implements api.Platform.
func (f *fake) Register(_ context.Context, in authorise.Input) (authorise.Registration, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hook != nil {
		f.hook()
	}
	if f.err != nil {
		return authorise.Registration{}, f.err
	}
	rec, err := f.profile.Intake(in.Data)
	if err != nil {
		return authorise.Registration{}, err
	}
	if old, ok := f.keys[in.Key]; in.Key != "" && ok && old != string(in.Data) {
		return authorise.Registration{}, authorise.ErrKeyReused
	}
	f.keys[in.Key] = string(in.Data)
	if i := slices.Index(f.records, string(rec.Canonical)); i >= 0 {
		return authorise.Registration{Ref: f.flows[i].Ref, Flow: f.flows[i].Flow, State: state(f.flows[i]), Existing: true}, nil
	}
	ref := f.add(rec.Title, rec.Number, string(rec.Canonical))
	if f.decide != "" {
		f.end(ref, f.decide)
	}
	return authorise.Registration{Ref: ref}, nil
}

func state(v platform.FlowView) flow.State {
	if v.State == platform.Pending {
		return flow.Unregistered
	}
	return v.State
}

// add makes a flow whose registration is pending. The caller holds mu.
func (f *fake) add(title, number, canonical string) flow.ID {
	n := int64(len(f.flows) + 1)
	ref := refOf(n)
	f.flows = append(f.flows, platform.FlowView{
		Seq: n, Ref: ref, State: platform.Pending, Title: title, Number: number, CreatedAt: day, UpdatedAt: day,
		Steps: []platform.StepView{{ID: ref, Step: flow.Register, State: outbox.Pending, At: day}},
	})
	f.records = append(f.records, canonical)
	f.tell(event.Event{Kind: event.Submitted, Ref: ref.String(), Step: flow.Register})
	return ref
}

var day = time.Date(2026, 11, 4, 8, 0, 0, 0, time.UTC)

func refOf(n int64) flow.ID { return flow.ID{15: byte(n)} }

func txOf(ref flow.ID) flow.Hash { return flow.SumHash(ref[:]) }

// end decides a registration.
func (f *fake) end(ref flow.ID, as outbox.State) {
	v := &f.flows[ref[15]-1]
	s := &v.Steps[0]
	s.State, s.Tx = as, txOf(ref)
	switch as {
	case outbox.Done:
		v.Flow, v.State, s.Verdict, s.Receipt = s.Tx, flow.Registered, flow.Granted, true
	case outbox.Held:
		s.Verdict = flow.Held
	default:
		v.State, s.Verdict = dossier.Refused, flow.Refused
		s.Reasons = []flow.Reason{{Code: "LIST-SUBJECT", Path: "facts.subject", Zh: "受限患者", En: "restricted subject"}}
	}
	f.receipts[s.Tx] = []byte("c2sp.org/tlog-proof@v1\n")
	f.tell(event.Event{Kind: event.Done, Flow: txOf(ref).String(), Ref: ref.String(), Step: flow.Register, Verdict: s.Verdict})
}

// move puts a flow into a state, as a step would.
func (f *fake) move(ref flow.ID, to flow.State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.flows[ref[15]-1].State = to
	f.tell(event.Event{Kind: event.Done, Flow: txOf(ref).String(), Ref: ref.String()})
}

// with does something to the fake that a test needs.
func (f *fake) with(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn()
}

// tell adds an event and wakes whoever waits. The caller holds mu.
func (f *fake) tell(e event.Event) {
	e.ID, e.At = int64(len(f.events)+1), day
	f.events = append(f.events, e)
	close(f.changed)
	f.changed = make(chan struct{})
}

// Wait implements api.Platform.
func (f *fake) Wait(ctx context.Context, id flow.ID) (outbox.Outcome, error) {
	for {
		f.mu.Lock()
		changed, err := f.changed, f.err
		s := f.flows[id[15]-1].Steps[0]
		f.mu.Unlock()
		o := outbox.Outcome{ID: id, Ref: id, Step: s.Step, State: s.State, Verdict: s.Verdict, Reasons: s.Reasons, Tx: s.Tx}
		if err != nil || s.State.Final() || s.State == outbox.Held {
			return o, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return o, ctx.Err()
		}
	}
}

// Flow implements api.Platform.
func (f *fake) Flow(_ context.Context, id string) (platform.FlowView, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return platform.FlowView{}, f.err
	}
	for _, v := range f.flows {
		if v.Ref.String() == id || !v.Flow.IsZero() && v.Flow.String() == id {
			v.Steps = slices.Clone(v.Steps)
			return v, nil
		}
	}
	return platform.FlowView{}, dossier.ErrNotFound
}

// Flows implements api.Platform.
func (f *fake) Flows(_ context.Context, filter platform.Filter) ([]platform.FlowView, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.filter = filter
	var out []platform.FlowView
	for _, v := range slices.Backward(f.flows) {
		if len(out) < filter.Limit && (filter.Before == 0 || v.Seq < filter.Before) {
			out = append(out, v)
		}
	}
	return out, f.err
}

// Receipt implements api.Platform.
func (f *fake) Receipt(_ context.Context, tx flow.Hash) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if file, ok := f.receipts[tx]; ok || f.err != nil {
		return file, f.err
	}
	return nil, outbox.ErrNotFound
}

// Events implements api.Platform.
func (f *fake) Events(ctx context.Context, after int64, fn func(event.Event) error) error {
	for {
		f.mu.Lock()
		changed, err := f.changed, f.err
		more := slices.Clone(f.events[min(after, int64(len(f.events))):])
		f.mu.Unlock()
		if err != nil {
			return err
		}
		for _, e := range more {
			if err := fn(e); err != nil {
				return err
			}
			after = e.ID
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Reconciliation implements api.Platform.
func (f *fake) Reconciliation(_ context.Context, asked reconcile.Filter) (platform.Reconciliation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = asked
	return f.compared, f.err
}

const keys = "authority.example+0123abcd+AQIDBA==\n"

// serve makes a server over the fake; what it logs is in the buffer.
func serve(t testing.TB, f *fake) (*api.Server, *bytes.Buffer) {
	t.Helper()
	log := &bytes.Buffer{}
	return serveTo(t, f, nil, log), log
}

// serveTo makes a server that access guards.
func serveTo(t testing.TB, f *fake, access *api.Access, log io.Writer) *api.Server {
	t.Helper()
	s, err := api.New(api.Config{
		Platform: f, Keys: keys, Version: "1", Hosts: []string{"signalbox.example", "192.0.2.7"}, Access: access,
		Logger: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// request makes a request to a loopback name. Headers come in pairs.
func request(method, target, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:8080"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func do(s http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func sample(t testing.TB, name string) string {
	t.Helper()
	all, err := samples.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Name == name {
			return string(s.Data)
		}
	}
	t.Fatalf("no sample %s", name)
	return ""
}

const records, flows = "/api/v1/records", "/api/v1/flows"

func itoa(n int) string { return strconv.Itoa(n) }
