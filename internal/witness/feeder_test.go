package witness_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/internal/witness"
	"signalbox.dev/signalbox/internal/witness/witnesstest"
	"signalbox.dev/signalbox/receipt"
)

func client(t testing.TB, url string, key receipt.Cosigner) *witness.Client {
	t.Helper()
	c, err := witness.NewClient(url+"/", key, witness.NewHTTP(10*time.Second))
	must(t, err)
	return c
}

// feed runs a feeder until the test ends.
func feed(t testing.TB, l witness.Log, timeout time.Duration, clients ...*witness.Client) *witness.Feeder {
	t.Helper()
	f, err := witness.NewFeeder(witness.FeederConfig{Log: l, Witnesses: clients, Every: 5 * time.Millisecond, Timeout: timeout, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() { cancel(); must(t, <-ended) })
	return f
}

// eventually waits for what does not come about at once; the bound is for a test that fails.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came about that %s", what)
		}
	}
}

// The log's newest checkpoint gets its cosignatures, also from a witness that knew
// the log before, and a witness that never answers holds up nobody (R10.2).
func TestFeeder(t *testing.T) {
	l := witnesstest.New(t, origin)
	l.Grow(t, 5, "x")
	a := open(t, config(t, t.TempDir(), newKey(t), l))
	b := open(t, config(t, t.TempDir(), newKey(t), l))
	if _, err := b.Add(request(t, l, 0, 4)); err != nil { // it has seen the log already
		t.Fatal(err)
	}
	sa, sb := httptest.NewServer(a.Handler()), httptest.NewServer(b.Handler())
	defer sa.Close()
	defer sb.Close()
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer silent.Close()
	key, err := receipt.NewCosigner("silent", newKey(t).Public().(ed25519.PublicKey))
	must(t, err)
	f := feed(t, l, 10*time.Second, client(t, silent.URL, key), client(t, sa.URL, a.Key()), client(t, sb.URL, b.Key()))
	for _, size := range []int64{5, 12, 300} {
		if more := int(size) - int(sizeOf(t, l)); more > 0 {
			l.Grow(t, more, "x")
		}
		eventually(t, "both witnesses cosign", func() bool {
			signed, _, err := l.Checkpoint()
			must(t, err)
			_, who, err := receipt.Cosignatures(signed, a.Key(), b.Key())
			return err == nil && len(who) == 2
		})
	}
	s := f.Standings()
	if s[0].Size != 0 || s[0].Reached || s[1].Size != 300 || !s[2].Reached || s[2].Refusals != 0 {
		t.Errorf("%+v", s)
	}
}

func sizeOf(t testing.TB, l *witnesstest.Log) int64 {
	t.Helper()
	_, size, err := l.Checkpoint()
	must(t, err)
	return size
}

// A log that was set back, or that has another history than the witness knows,
// is told so by its own feeder.
func TestFeederNoticesSetBack(t *testing.T) {
	l := witnesstest.New(t, origin)
	l.Grow(t, 9, "x")
	fork := l.Fork(t, 3)
	fork.Grow(t, 9, "y")
	w := open(t, config(t, t.TempDir(), newKey(t), l))
	if _, err := w.Add(request(t, l, 0, 9)); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(w.Handler())
	defer s.Close()
	l.Show(6)
	back := feed(t, l, time.Second, client(t, s.URL, w.Key()))
	other := feed(t, fork, time.Second, client(t, s.URL, w.Key()))
	eventually(t, "the set-back log is told", func() bool { return back.Standings()[0].Refusals > 0 })
	eventually(t, "the forked log is told", func() bool { return other.Standings()[0].Refusals > 0 })
	if l.Lines(6) != nil || fork.Lines(12) != nil {
		t.Error("something was cosigned")
	}
}

// What a witness answers is believed only if it is its line on this very checkpoint.
func TestClientBelievesNothing(t *testing.T) {
	l := witnesstest.New(t, origin)
	l.Grow(t, 9, "x")
	w := open(t, config(t, t.TempDir(), newKey(t), l))
	replayed, err := w.Add(request(t, l, 0, 4))
	must(t, err)
	stranger := open(t, config(t, t.TempDir(), newKey(t), l))
	foreign, err := stranger.Add(request(t, l, 0, 9))
	must(t, err)
	for name, answer := range map[string]func(http.ResponseWriter){
		"replayed from another checkpoint": func(w http.ResponseWriter) { w.Write(replayed) },
		"another witness's":                func(w http.ResponseWriter) { w.Write(foreign) },
		"nothing":                          func(http.ResponseWriter) {},
		"nonsense":                         func(w http.ResponseWriter) { w.Write([]byte("<html>")) },
		"endless":                          func(w http.ResponseWriter) { w.Write(bytes.Repeat([]byte("— a b\n"), 1<<17)) },
		"elsewhere":                        func(w http.ResponseWriter) { w.Header().Set("Location", "/x"); w.WriteHeader(302) },
		"conflict without a size":          func(w http.ResponseWriter) { w.WriteHeader(409) },
		"conflict below zero":              func(w http.ResponseWriter) { w.WriteHeader(409); w.Write([]byte("-5\n")) },
		"status":                           func(w http.ResponseWriter) { w.WriteHeader(503) },
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			answer(w)
		}))
		line, err := client(t, s.URL, w.Key()).Add(t.Context(), request(t, l, 0, 9))
		if !errors.Is(err, witness.ErrAnswer) {
			t.Errorf("%s: %q, %v", name, line, err)
		}
		s.Close()
	}
	for _, url := range []string{"", "witness.example", "ftp://witness.example", "http://user@witness.example", "http://w/?q", "http://w/#f"} {
		if _, err := witness.NewClient(url, w.Key(), http.DefaultClient); err == nil {
			t.Errorf("%q is taken for an address", url)
		}
	}
}

// From a log's public files anyone checks that it only grew; entries are not among them.
func TestPublicFiles(t *testing.T) {
	l := witnesstest.New(t, origin)
	s := httptest.NewServer(witness.PublicHandler(l))
	defer s.Close()
	c, err := witness.NewLogClient(s.URL, witness.NewHTTP(10*time.Second))
	must(t, err)
	if _, err := c.Checkpoint(t.Context()); !errors.Is(err, witness.ErrUnreached) {
		t.Errorf("of an empty log: %v", err)
	}
	l.Grow(t, 1000, "x")
	signed, err := c.Checkpoint(t.Context())
	must(t, err)
	head, err := receipt.OpenHead(signed, l.Keys)
	must(t, err)
	tree := c.Tree(t.Context(), head)
	for _, size := range []int64{1, 2, 255, 256, 257, 999, 1000} {
		if root, err := tlog.TreeHash(size, tree); err != nil || root != l.Root(t, size) {
			t.Errorf("root of size %d: %v", size, err)
		}
	}
	head.Root[0] ^= 1
	if _, err := tlog.TreeHash(500, c.Tree(t.Context(), head)); err == nil || errors.Is(err, witness.ErrUnreached) {
		t.Errorf("tiles under another root: %v", err)
	}
	for path, status := range map[string]int{
		"/tile/0/000": 200, "/tile/0/003.p/232": 200, "/tile/1/000.p/3": 200,
		"/tile/0/003": 404, "/tile/0/003.p/233": 404, "/tile/0/004.p/1": 404, "/tile/1/000": 404, "/tile/2/000.p/1": 404,
		"/tile/entries/000": 404, "/tile/-1/000": 404, "/tile/0/0": 404, "/tile/0/000.p/256": 404, "/tile/63/000.p/1": 404, "/tile/": 404, "/": 404,
		"/tile/0/x999/x999/x999/x999/x999/x999/999": 404,
	} {
		r, err := http.Get(s.URL + path)
		must(t, err)
		r.Body.Close()
		if r.StatusCode != status {
			t.Errorf("%s: status %d, want %d", path, r.StatusCode, status)
		}
	}
}

// What one cosignature costs, memory included.
func BenchmarkAdd(b *testing.B) {
	l := witnesstest.New(b, origin)
	l.Grow(b, 1, "x")
	w := open(b, config(b, b.TempDir(), newKey(b), l))
	if _, err := w.Add(request(b, l, 0, 1)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	size := int64(1)
	for b.Loop() {
		b.StopTimer()
		l.Grow(b, 1, "x")
		r := request(b, l, size, size+1)
		size++
		b.StartTimer()
		if _, err := w.Add(r); err != nil {
			b.Fatal(err)
		}
	}
}
