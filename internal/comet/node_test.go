package comet

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestRestartKeepsHeightAndHash(t *testing.T) {
	dir := t.TempDir()
	n, app, shut := open(t, dir)
	fill(t, n, app, "tx", 100)
	quiet(t, n, app)
	height, at := n.Height(), app.position()
	shut()
	if height < 2 || at.Height != height {
		t.Fatalf("node at %d, application at %d: want the same, and at least 2", height, at.Height)
	}

	n, app, _ = open(t, dir)
	if got := n.Height(); got != height {
		t.Errorf("height after restart %d, want %d", got, height)
	}
	if got := app.position(); got.Height != at.Height || !bytes.Equal(got.AppHash, at.AppHash) {
		t.Errorf("application after restart at %d %x, want %d %x", got.Height, got.AppHash, at.Height, at.AppHash)
	}
	fill(t, n, app, "more", 3)
	if n.Height() <= height {
		t.Error("no block after the restart")
	}
}

// quiet waits until the last block is an empty one that repeats the app hash, so
// that nothing is left to make a block for.
func quiet(t testing.TB, n *Node, app *register) {
	t.Helper()
	for {
		at := app.position()
		if at.Height > 0 && at.Height == n.Height() {
			b, err := n.Block(at.Height)
			if err != nil {
				t.Fatal(err)
			}
			if len(b.Txs) == 0 && bytes.Equal(b.AppHash, at.AppHash) {
				return
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestEmptyBlocksEnd(t *testing.T) {
	n, app, _ := open(t, t.TempDir())
	fill(t, n, app, "tx", 1)
	quiet(t, n, app)
	first := n.Height()
	time.Sleep(300 * time.Millisecond)
	if got := n.Height(); got != first {
		t.Errorf("%d blocks came with nothing to do", got-first)
	}
	if first > 4 {
		t.Errorf("height %d after one transaction: want at most the first, its own, and an empty one after each", first)
	}
}

func TestBlocksAreReadable(t *testing.T) {
	n, app, _ := open(t, t.TempDir())
	if code, err := app.put(t.Context(), n, "hello"); err != nil || code != 0 {
		t.Fatalf("put: %d, %v", code, err)
	}
	b, err := n.Block(app.has(t, "hello"))
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Txs) != 1 || string(b.Txs[0]) != "hello" {
		t.Errorf("block holds %q, want the one transaction without the clock", b.Txs)
	}
	if b.ChainID != "test" || len(b.Hash) != 32 || len(b.AppHash) != 32 || b.Time.IsZero() {
		t.Errorf("block read incompletely: %+v", b)
	}
	if _, err := n.Block(99); !errors.Is(err, ErrNoBlock) {
		t.Errorf("block 99: %v, want ErrNoBlock", err)
	}
}

func TestSubmit(t *testing.T) {
	n, app, _ := open(t, t.TempDir(), func(c *Config) { c.MaxTxBytes = 1000 })
	var no *Refusal
	if err := n.Submit(t.Context(), []byte("bad idea")); !errors.As(err, &no) || no.Code != 7 || no.Log != "bad by name" {
		t.Errorf("refused by Check: %v, want the application's code 7", err)
	}
	if err := n.Submit(t.Context(), make([]byte, 1001)); !errors.As(err, &no) || no.Code != codeTooLarge {
		t.Errorf("too large: %v", err)
	}
	if err := n.Submit(t.Context(), clockTx(time.Now())); !errors.As(err, &no) || no.Code != codeClock {
		t.Errorf("a clock from outside: %v, want a refusal", err)
	}
	if code, err := app.put(t.Context(), n, "late excuse"); err != nil || code != 9 {
		t.Errorf("refused by Finalize: code %d, %v; want 9", code, err)
	}
	for range 3 {
		if err := n.Submit(t.Context(), []byte("again")); err != nil {
			t.Errorf("submitting again: %v", err)
		}
	}
}

// Every one of many that submit the same bad transaction at once learns that it is refused.
func TestSubmitSameAtOnce(t *testing.T) {
	n, _, _ := open(t, t.TempDir())
	errs := make(chan error, 64)
	for range cap(errs) {
		go func() { errs <- n.Submit(t.Context(), []byte("bad twin")) }()
	}
	for range cap(errs) {
		var no *Refusal
		if err := <-errs; !errors.As(err, &no) {
			t.Fatalf("one of them got %v, want a refusal", err)
		}
	}
}

func TestFullMempoolMakesSubmitWait(t *testing.T) {
	n, app, _ := open(t, t.TempDir(), func(c *Config) { c.MaxPending = 4 })
	fill(t, n, app, "crowd", 200)
}

func TestInUse(t *testing.T) {
	dir := t.TempDir()
	_, _, shut := open(t, dir)
	second, err := New(Config{Dir: filepath.Join(dir, "node"), ChainID: "test", App: newRegister(t, NewMemKV())})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Start(t.Context()); !errors.Is(err, ErrInUse) {
		t.Errorf("second node on the directory: %v, want ErrInUse", err)
	}
	if _, err := OpenBlocks(filepath.Join(dir, "node")); !errors.Is(err, ErrInUse) {
		t.Errorf("reading the directory meanwhile: %v, want ErrInUse", err)
	}
	if _, err := OpenKV(filepath.Join(dir, "state")); !errors.Is(err, ErrInUse) {
		t.Errorf("opening the state meanwhile: %v, want ErrInUse", err)
	}
	shut()
	if _, _, shut := open(t, dir); shut == nil {
		t.Error("directory was not released")
	}
}

func TestStartRefuses(t *testing.T) {
	dir := t.TempDir()
	n, app, shut := open(t, dir)
	fill(t, n, app, "tx", 2)
	shut()
	node := filepath.Join(dir, "node")
	cases := []struct {
		name  string
		spoil func()
		chain string
		fresh bool // application lost its state but claims to be elsewhere
		want  string
	}{
		{name: "other chain", chain: "other", want: "holds chain test"},
		{name: "application of another history", fresh: true, want: "do not fit together"},
		{name: "vote state lost", spoil: func() { os.Rename(voteFile(node), voteFile(node)+".lost") }, want: "two blocks of one height"},
		{name: "key lost", spoil: func() { os.Rename(keyFile(node), keyFile(node)+".lost") }, want: "validator key"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			kv, err := OpenKV(filepath.Join(dir, "state"))
			if err != nil {
				t.Fatal(err)
			}
			defer kv.Close()
			app := newRegister(t, kv)
			if c.fresh {
				app.at.AppHash = bytes.Repeat([]byte{1}, 32)
			}
			if c.spoil != nil {
				c.spoil()
			}
			n, err := New(Config{Dir: node, ChainID: cmp.Or(c.chain, "test"), App: app})
			if err != nil {
				t.Fatal(err)
			}
			if err := n.Start(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("start: %v, want something about %q", err, c.want)
			}
		})
	}
}

// An application that can't go on ends Run with its own reason.
func TestFailureEndsRun(t *testing.T) {
	dir := t.TempDir()
	var logged bytes.Buffer
	n, app, _ := open(t, dir, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
	app.breaks = "secret-poison"
	ended := make(chan error, 1)
	go func() { ended <- n.Run(t.Context()) }()
	if _, err := app.put(t.Context(), n, "secret-poison"); !errors.Is(err, ErrStopped) {
		t.Errorf("put: %v, want ErrStopped", err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("run: %v, want the application's error", err)
	}
	if !strings.Contains(logged.String(), haltMessage) {
		t.Error("the halt was not logged")
	}
	if strings.Contains(logged.String(), "secret") {
		t.Error("the log holds a payload")
	}
}

func TestRunEndsWithContext(t *testing.T) {
	app := newRegister(t, NewMemKV())
	n, err := New(Config{Dir: t.TempDir(), ChainID: "test", App: app})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	for n.Submit(ctx, []byte("x")) != nil {
		time.Sleep(time.Millisecond) // until it has started
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("run: %v, want nil", err)
	}
	if err := n.Submit(t.Context(), []byte("y")); !errors.Is(err, ErrStopped) {
		t.Errorf("submit after the end: %v, want ErrStopped", err)
	}
	if err := n.Start(t.Context()); err == nil {
		t.Error("a closed node started again")
	}
}

func TestNoGoroutineStays(t *testing.T) {
	round := func() {
		n, app, shut := open(t, t.TempDir())
		fill(t, n, app, "tx", 20)
		shut()
	}
	round() // what starts once in a process
	before := runtime.NumGoroutine()
	const rounds = 5
	for range rounds {
		round()
	}
	var after int
	for range 100 { // timers run out
		if after = runtime.NumGoroutine(); after <= before+2 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	buf := make([]byte, 1<<20)
	t.Errorf("%d goroutines before, %d after %d nodes:\n%s", before, after, rounds, buf[:runtime.Stack(buf, true)])
}

func TestFilesArePrivate(t *testing.T) {
	dir := t.TempDir()
	n, app, shut := open(t, dir)
	fill(t, n, app, "tx", 1)
	shut()
	err := filepath.WalkDir(filepath.Join(dir, "node"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		inStore := strings.Contains(path, extension+"/") // goleveldb's own files, inside private directories
		if info.Mode().Perm()&0o077 != 0 && !inStore {
			t.Errorf("%s: %v", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestConfigValidate(t *testing.T) {
	good := Config{Dir: "d", ChainID: "c", App: &register{}}
	if err := good.Validate(); err != nil {
		t.Fatalf("good configuration: %v", err)
	}
	cases := map[string]func(*Config){
		"Dir":           func(c *Config) { c.Dir = "" },
		"ChainID":       func(c *Config) { c.ChainID = strings.Repeat("x", 51) },
		"App":           func(c *Config) { c.App = nil },
		"Genesis":       func(c *Config) { c.Genesis = []byte("{") },
		"MaxBlockBytes": func(c *Config) { c.MaxBlockBytes = 1000 },
		"MaxPending":    func(c *Config) { c.MaxPending = -1 },
	}
	for field, spoil := range cases {
		c := good
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}
