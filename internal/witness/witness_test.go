package witness_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/internal/witness"
	"signalbox.dev/signalbox/internal/witness/witnesstest"
	"signalbox.dev/signalbox/receipt"
)

const origin = "supervision-test"

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	return key
}

func config(t testing.TB, dir string, key ed25519.PrivateKey, logs ...*witnesstest.Log) witness.Config {
	t.Helper()
	c := witness.Config{Dir: dir, Name: "witness.example/1", Key: key, Clock: func() time.Time { return time.Unix(1_700_000_000, 0) }, Logger: slog.New(slog.DiscardHandler)}
	for _, l := range logs {
		c.Logs = append(c.Logs, l.Keys)
	}
	return c
}

func open(t testing.TB, cfg witness.Config) *witness.Witness {
	t.Helper()
	w, err := witness.Open(cfg)
	must(t, err)
	t.Cleanup(func() { w.Close() })
	return w
}

// request asks for a log's checkpoint of a size from an old one.
func request(t testing.TB, l *witnesstest.Log, old, size int64) witness.Request {
	t.Helper()
	r := witness.Request{Old: old, Checkpoint: l.At(t, size)}
	if old > 0 && old < size {
		var err error
		r.Proof, err = l.Consistency(old, size)
		must(t, err)
	}
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A witness cosigns each continuation of each of its logs, and what it signs verifies.
func TestCosigns(t *testing.T) {
	a, b := witnesstest.New(t, origin), witnesstest.New(t, "other.example/log")
	a.Grow(t, 9, "a")
	b.Grow(t, 300, "b")
	w := open(t, config(t, t.TempDir(), newKey(t), a, b))
	for _, step := range []struct {
		log       *witnesstest.Log
		old, size int64
	}{{a, 0, 1}, {b, 0, 257}, {a, 1, 1}, {a, 1, 7}, {a, 7, 9}, {b, 257, 300}} {
		r := request(t, step.log, step.old, step.size)
		line, err := w.Add(r)
		must(t, err)
		_, who, err := receipt.Cosignatures(append(bytes.Clone(r.Checkpoint), line...), w.Key())
		if err != nil || len(who) != 1 || who[0].At.Unix() != 1_700_000_000 {
			t.Errorf("%+v: %v, %v", step, who, err)
		}
	}
	latest, err := w.Latest(witness.OriginHash(origin))
	must(t, err)
	if h, err := receipt.OpenHead(latest, a.Keys); err != nil || h.Size != 9 {
		t.Errorf("latest is %+v, %v", h, err)
	}
	if _, who, err := receipt.Cosignatures(latest, w.Key()); err != nil || len(who) != 1 {
		t.Errorf("latest is not cosigned: %v", err)
	}
	if f := w.Figures(); f.Cosigned != 6 || f.Refused != 0 || f.Sizes["other.example/log"] != 300 {
		t.Errorf("%+v", f)
	}
}

// A witness follows the log's keys from the checkpoints that it cosigns, also after a
// restart, and cosigns nothing by a key that was handed over, nor by one that it was
// handed to a second time.
func TestFollowsKeys(t *testing.T) {
	l := witnesstest.New(t, origin)
	l.Grow(t, 5, "same")
	thief := l.Fork(t, 5)
	cfg := config(t, t.TempDir(), newKey(t), l)
	w, err := witness.Open(cfg)
	must(t, err)
	_, err = w.Add(request(t, l, 0, 5))
	must(t, err)
	old := l.Fork(t, 5)
	l.HandOver(t)
	l.Grow(t, 2, "same")
	_, err = w.Add(request(t, l, 5, 7))
	must(t, err)
	must(t, w.Close())
	w = open(t, cfg)
	for name, x := range map[string]*witnesstest.Log{"by the key that was handed over": old, "handed over a second time": thief} {
		if x == thief {
			x.HandOver(t)
		}
		x.Grow(t, 4, "same")
		if _, err := w.Add(request(t, x, 7, 9)); !errors.Is(err, witness.ErrNotTheLog) {
			t.Errorf("%s: %v", name, err)
		}
	}
	l.HandOver(t)
	l.Grow(t, 2, "same")
	_, err = w.Add(request(t, l, 7, 9))
	must(t, err)
}

// Every attack on a witness that has cosigned size 7, by what the standard has it
// answer (c2sp.org/tlog-witness).
func TestRefuses(t *testing.T) {
	l := witnesstest.New(t, origin)
	l.Grow(t, 5, "same")
	fork := l.Fork(t, 5)
	l.Grow(t, 7, "here")
	fork.Grow(t, 7, "there")
	unknown := witnesstest.New(t, "unknown.example")
	unknown.Grow(t, 9, "x")
	impostor := witnesstest.New(t, origin)
	impostor.Grow(t, 9, "here")
	cfg := config(t, t.TempDir(), newKey(t), l)
	w := open(t, cfg)
	if _, err := w.Add(request(t, l, 0, 7)); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w.Handler())
	defer server.Close()

	mixed := request(t, fork, 7, 9)
	forged := request(t, l, 7, 9)
	forged.Proof[0][0] ^= 1
	short := request(t, l, 7, 9)
	short.Proof = short.Proof[1:]
	long := request(t, l, 7, 9)
	long.Proof = append(long.Proof, tlog.Hash{})
	withProof := request(t, l, 7, 7)
	withProof.Proof = tlog.TreeProof{{}}
	tampered := request(t, l, 7, 9)
	tampered.Checkpoint = bytes.Replace(tampered.Checkpoint, []byte("\n9\n"), []byte("\n8\n"), 1)
	for _, tc := range []struct {
		name   string
		body   []byte
		status int
		answer string
	}{
		{"rolled back", request(t, l, 5, 6).Encode(), 409, "7\n"},
		{"rolled back to nothing", request(t, l, 0, 6).Encode(), 409, "7\n"},
		{"from before", request(t, l, 5, 9).Encode(), 409, "7\n"},
		{"from after", request(t, l, 8, 9).Encode(), 409, "7\n"},
		{"smaller than old", request(t, l, 7, 6).Encode(), 400, "larger than"},
		{"forked log, same size", request(t, fork, 7, 7).Encode(), 422, "another root"},
		{"forked log, larger", mixed.Encode(), 422, "does not hold"},
		{"forged proof", forged.Encode(), 422, "does not hold"},
		{"short proof", short.Encode(), 422, "does not hold"},
		{"long proof", long.Encode(), 422, "does not hold"},
		{"proof of the same size", withProof.Encode(), 422, "does not hold"},
		{"unknown log", request(t, unknown, 0, 9).Encode(), 404, "no log of that origin"},
		{"another key of the origin", request(t, impostor, 7, 9).Encode(), 403, "not signed by the log"},
		{"tampered", tampered.Encode(), 403, "not signed by the log"},
		{"oversized", append(request(t, l, 7, 9).Encode(), bytes.Repeat([]byte("x"), witness.MaxRequest)...), 413, "over"},
		{"empty", nil, 400, "malformed"},
		{"no checkpoint", []byte("old 7\n\n"), 400, "malformed"},
		{"no old", l.At(t, 9), 400, "malformed"},
		{"leading zero", bytes.Replace(request(t, l, 7, 9).Encode(), []byte("old 7"), []byte("old 07"), 1), 400, "malformed"},
		{"negative", bytes.Replace(request(t, l, 7, 9).Encode(), []byte("old 7"), []byte("old -7"), 1), 400, "malformed"},
		{"proof of 64", append(append([]byte("old 7\n"), bytes.Repeat([]byte(tlog.Hash{}.String()+"\n"), 64)...), append([]byte("\n"), l.At(t, 9)...)...), 400, "at most 63"},
		{"proof not base64", bytes.Replace(request(t, l, 7, 9).Encode(), []byte("old 7\n"), []byte("old 7\n!\n"), 1), 400, "malformed"},
	} {
		r, err := http.Post(server.URL+"/add-checkpoint", "text/plain", bytes.NewReader(tc.body))
		must(t, err)
		body, err := io.ReadAll(r.Body)
		must(t, err)
		r.Body.Close()
		if r.StatusCode != tc.status || !strings.Contains(string(body), tc.answer) {
			t.Errorf("%s: status %d, %q; want %d, %q", tc.name, r.StatusCode, body, tc.status, tc.answer)
		}
		if tc.status == 409 && (r.Header.Get("Content-Type") != "text/x.tlog.size" || string(body) != tc.answer) {
			t.Errorf("%s: %q as %s", tc.name, body, r.Header.Get("Content-Type"))
		}
	}
	// None of it moved the witness, and a fork of one size is kept as evidence of both.
	if _, err := w.Add(request(t, l, 7, 9)); err != nil {
		t.Error(err)
	}
	files, err := filepath.Glob(filepath.Join(cfg.Dir, "evidence", "*.evidence"))
	must(t, err)
	if len(files) != 1 {
		t.Fatalf("%d pieces of evidence, want 1", len(files))
	}
	text, err := os.ReadFile(files[0])
	must(t, err)
	if !bytes.Contains(text, l.At(t, 7)) || !bytes.Contains(text, fork.At(t, 7)) {
		t.Errorf("evidence:\n%s", text)
	}
	for path, status := range map[string]int{
		"/" + witness.OriginHash(origin) + "/checkpoint": 200, "/" + witness.OriginHash("unknown.example") + "/checkpoint": 404, "/add-checkpoint": 405,
	} {
		r, err := http.Get(server.URL + path)
		must(t, err)
		r.Body.Close()
		if r.StatusCode != status {
			t.Errorf("GET %s: status %d, want %d", path, r.StatusCode, status)
		}
	}
}

// A log may begin empty, and an empty log has one root.
func TestEmptyLog(t *testing.T) {
	l := witnesstest.New(t, origin)
	l.Grow(t, 3, "x")
	w := open(t, config(t, t.TempDir(), newKey(t), l))
	if _, err := w.Add(witness.Request{Checkpoint: l.Sign(t, 0, tlog.Hash{1})}); !errors.Is(err, witness.ErrInconsistent) {
		t.Errorf("another root: %v", err)
	}
	if _, err := w.Add(witness.Request{Checkpoint: l.Sign(t, 0, sha256.Sum256(nil))}); err != nil {
		t.Error(err)
	}
	withProof := request(t, l, 0, 3)
	withProof.Proof = tlog.TreeProof{{}}
	if _, err := w.Add(withProof); !errors.Is(err, witness.ErrInconsistent) {
		t.Errorf("a proof from nothing: %v", err)
	}
	if _, err := w.Add(request(t, l, 0, 3)); err != nil {
		t.Error(err)
	}
}

// What was cosigned is remembered over a restart, and the same line of it is served.
func TestRemembers(t *testing.T) {
	l := witnesstest.New(t, origin)
	l.Grow(t, 9, "x")
	cfg := config(t, t.TempDir(), newKey(t), l)
	w := open(t, cfg)
	line, err := w.Add(request(t, l, 0, 7))
	must(t, err)
	if _, err := witness.Open(cfg); !errors.Is(err, witness.ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
	must(t, w.Close())
	w = open(t, cfg)
	latest, err := w.Latest(witness.OriginHash(origin))
	if err != nil || !bytes.HasSuffix(latest, line) {
		t.Errorf("%q, %v", latest, err)
	}
	var at *witness.Conflict
	if _, err := w.Add(request(t, l, 0, 9)); !errors.As(err, &at) || at.Size != 7 {
		t.Errorf("%v", err)
	}
	must(t, w.Close())

	// A crash between memory and signature: the head alone is there.
	must(t, os.Remove(filepath.Join(cfg.Dir, witness.OriginHash(origin)+".cosigned")))
	w = open(t, cfg)
	if latest, err = w.Latest(witness.OriginHash(origin)); err != nil {
		t.Error(err)
	}
	if _, who, err := receipt.Cosignatures(latest, w.Key()); err != nil || len(who) != 1 {
		t.Errorf("not cosigned: %v", err)
	}
	must(t, w.Close())

	head := filepath.Join(cfg.Dir, witness.OriginHash(origin)+".head")
	good, err := os.ReadFile(head)
	must(t, err)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		must(t, os.WriteFile(head, bad, 0o600))
		if _, err := witness.Open(cfg); !errors.Is(err, witness.ErrDamaged) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
}

// A witness that can't remember does not sign (state before signature).
func TestNoMemoryNoSignature(t *testing.T) {
	l := witnesstest.New(t, origin)
	l.Grow(t, 9, "x")
	cfg := config(t, filepath.Join(t.TempDir(), "memory"), newKey(t), l)
	w := open(t, cfg)
	if _, err := w.Add(request(t, l, 0, 3)); err != nil {
		t.Fatal(err)
	}
	must(t, os.Rename(cfg.Dir, cfg.Dir+".away"))
	if line, err := w.Add(request(t, l, 3, 5)); err == nil {
		t.Errorf("signed %q without memory", line)
	}
	server := httptest.NewServer(w.Handler())
	defer server.Close()
	r, err := http.Post(server.URL+"/add-checkpoint", "text/plain", bytes.NewReader(request(t, l, 3, 5).Encode()))
	must(t, err)
	body, _ := io.ReadAll(r.Body)
	r.Body.Close()
	if r.StatusCode != 500 || bytes.Contains(body, []byte("—")) || bytes.Contains(body, []byte(cfg.Dir)) {
		t.Errorf("status %d: %s", r.StatusCode, body)
	}
	must(t, os.Rename(cfg.Dir+".away", cfg.Dir))
	if _, err := w.Add(request(t, l, 3, 5)); err != nil {
		t.Error(err)
	}
}

// Of many requests at once that contradict each other, one history comes through.
func TestConcurrentForks(t *testing.T) {
	l := witnesstest.New(t, origin)
	l.Grow(t, 1, "same")
	cfg := config(t, t.TempDir(), newKey(t), l)
	w := open(t, cfg)
	if _, err := w.Add(request(t, l, 0, 1)); err != nil {
		t.Fatal(err)
	}
	var forks []*witnesstest.Log
	var requests []witness.Request
	for i := range 8 {
		f := l.Fork(t, 1)
		f.Grow(t, 9, fmt.Sprint("fork ", i))
		forks = append(forks, f)
		requests = append(requests, request(t, f, 1, 10))
	}
	var wg sync.WaitGroup
	signed := make([]bool, len(forks))
	for i, r := range requests {
		wg.Go(func() {
			_, err := w.Add(r)
			signed[i] = err == nil
		})
	}
	wg.Wait()
	n := 0
	for _, s := range signed {
		if s {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d histories were cosigned", n)
	}
}

// Extension lines are the log's affair: they are signed along.
func TestExtensionLines(t *testing.T) {
	l := witnesstest.New(t, origin)
	l.Grow(t, 2, "x")
	w := open(t, config(t, t.TempDir(), newKey(t), l))
	r := witness.Request{Checkpoint: l.SignText(t, fmt.Sprintf("%s\n2\n%s\nmore\n", origin, l.Root(t, 2)))}
	line, err := w.Add(r)
	must(t, err)
	if _, who, err := receipt.Cosignatures(append(r.Checkpoint, line...), w.Key()); err != nil || len(who) != 1 {
		t.Errorf("%v, %v", who, err)
	}
	for name, text := range map[string]string{
		"two lines": origin + "\n2\n", "empty line": fmt.Sprintf("%s\n2\n%s\n\nmore\n", origin, l.Root(t, 2)),
		"no number": fmt.Sprintf("%s\nx\n%s\n", origin, l.Root(t, 2)), "leading zero": fmt.Sprintf("%s\n02\n%s\n", origin, l.Root(t, 2)),
		"short root": origin + "\n2\nAAAA\n",
	} {
		if _, err := w.Add(witness.Request{Old: 2, Checkpoint: l.SignText(t, text)}); !errors.Is(err, witness.ErrMalformed) && !errors.Is(err, witness.ErrUnknownLog) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte("old 7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\nlog\n9\nx\n"))
	f.Add([]byte("old 0\n\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := witness.ParseRequest(body)
		if err == nil && !bytes.Equal(r.Encode(), body) {
			t.Errorf("%q reads as %+v", body, r)
		}
	})
}
