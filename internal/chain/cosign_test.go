package chain_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/chain/chaintest"
	"signalbox.dev/signalbox/internal/witness"
	"signalbox.dev/signalbox/receipt"
)

// Witnesses cosign the chain's checkpoints, receipts that are fetched later carry
// their lines in the same file, and the chain's public files prove the rest (R8.1, R10.1).
func TestReceiptsCarryCosignatures(t *testing.T) {
	f := chaintest.New(t, envelope.GM())
	dir := t.TempDir()
	c, stop := f.Open(t, dir)
	d := f.Register(t, c, chaintest.Numbered(1))
	early, err := c.Receipt(d)
	must(t, err)

	policy := "log " + strings.Fields(f.Published)[0] + "\nlog " + strings.Fields(f.Published)[1] + "\n"
	var clients []*witness.Client
	for i, name := range []string{"witness.example/1", "witness.example/2"} {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		must(t, err)
		w, err := witness.Open(witness.Config{
			Dir: t.TempDir(), Name: name, Key: key, Logs: []receipt.Keys{f.Keys}, Clock: time.Now, Logger: slog.New(slog.DiscardHandler),
		})
		must(t, err)
		t.Cleanup(func() { w.Close() })
		s := httptest.NewServer(w.Handler())
		t.Cleanup(s.Close)
		client, err := witness.NewClient(s.URL, w.Key(), witness.NewHTTP(10*time.Second))
		must(t, err)
		clients = append(clients, client)
		policy += "witness w" + string(rune('1'+i)) + " " + w.Key().String() + "\n"
	}
	p, err := receipt.ParsePolicy(policy + "group both all w1 w2\nquorum both\n")
	must(t, err)
	if _, err := p.Verify(early); !errors.Is(err, receipt.ErrQuorum) {
		t.Errorf("before anybody cosigned: %v", err)
	}
	feeder, err := witness.NewFeeder(witness.FeederConfig{Log: c, Witnesses: clients, Every: 5 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- feeder.Run(ctx) }()
	for n := 2; ; n++ { // the log grows meanwhile, and the chain waits for no witness
		later := f.Register(t, c, chaintest.Numbered(n))
		file, err := c.Receipt(d)
		must(t, err)
		if proven, err := p.Verify(file); err == nil {
			if len(proven.Witnesses) != 2 || proven.Leaf.Tx != d.Leaf.Tx || proven.Size <= d.Index {
				t.Errorf("%+v", proven)
			}
			if _, err := receipt.Verify(file, f.Keys, chaintest.Chain); err != nil {
				t.Errorf("by the log's keys alone: %v", err)
			}
			break
		}
		if n > 2000 {
			t.Fatalf("no receipt has both cosignatures; the log has %d decisions", later.Index+1)
		}
	}
	cancel()
	must(t, <-ended)
	publicFiles(t, c, f.Keys)
	stop()
	found, err := chain.Replay(context.Background(), dir, f.Keys, func(chain.Decided) error { return nil })
	must(t, err)
	if len(found.Problems) > 0 {
		t.Errorf("problems %v", found.Problems)
	}
}

// publicFiles reads the chain's tree from outside.
func publicFiles(t *testing.T, c *chain.Chain, keys receipt.Keys) {
	t.Helper()
	s := httptest.NewServer(witness.PublicHandler(c))
	defer s.Close()
	log, err := witness.NewLogClient(s.URL, witness.NewHTTP(10*time.Second))
	must(t, err)
	signed, err := log.Checkpoint(t.Context())
	must(t, err)
	head, err := receipt.OpenHead(signed, keys)
	must(t, err)
	if head.Size != c.Size() {
		t.Errorf("the newest checkpoint is of size %d, the log of %d", head.Size, c.Size())
	}
	root, err := tlog.TreeHash(head.Size, log.Tree(t.Context(), head))
	if err != nil || root != head.Root {
		t.Errorf("tiles: %v", err)
	}
}

// A line is kept once for each key, with the checkpoint that it is for.
func TestCosignedOnce(t *testing.T) {
	f := chaintest.New(t, envelope.GM())
	c, _ := f.Open(t, t.TempDir())
	if signed, size, err := c.Checkpoint(); err != nil || signed != nil || size != 0 {
		t.Errorf("of an empty log: %q, %d, %v", signed, size, err)
	}
	f.Register(t, c, chaintest.Numbered(1))
	signed, size, err := c.Checkpoint()
	must(t, err)
	head, err := receipt.ReadHead(signed)
	must(t, err)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	line, err := receipt.Cosign("witness.example/1", key, head.Text, time.Unix(5, 0))
	must(t, err)
	again, err := receipt.Cosign("witness.example/1", key, head.Text, time.Unix(6, 0))
	must(t, err)
	must(t, c.Cosigned(size, line))
	must(t, c.Cosigned(size, again))
	with, _, err := c.Checkpoint()
	must(t, err)
	if string(with) != string(signed)+string(line) {
		t.Errorf("the checkpoint is now\n%s", with)
	}
	for name, bad := range map[string][]byte{"two lines": append(line, line...), "nothing": nil, "no line": []byte("x\n")} {
		if c.Cosigned(size, bad) == nil {
			t.Errorf("%s is kept", name)
		}
	}
	if c.Cosigned(size+1, line) == nil {
		t.Error("a line is kept for a checkpoint that is not there")
	}
	if _, err := c.Consistency(0, size); err == nil {
		t.Error("a proof from nothing is given")
	}
}
