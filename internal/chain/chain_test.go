package chain_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/chain/chaintest"
	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/receipt"
)

// R1.4: a registration is decided, its transaction hash is the flow's id, and it
// is found by transaction, by subject key in order, by flow and by submission.
func TestDecideAndFind(t *testing.T) {
	f := chaintest.New(t, envelope.GM())
	c, _ := f.Open(t, t.TempDir())
	sub, h, facts := f.Registration(t, "RX-1")
	tx := f.Compose(t, sub, facts)
	d, err := c.Decide(t.Context(), h.ID, tx)
	must(t, err)
	if d.Leaf.Verdict != flow.Granted || d.Leaf.Flow != chain.TxHash(tx) || d.Leaf.Tx != chain.TxHash(tx) {
		t.Fatalf("leaf = %+v, want a granted registration whose flow is its transaction hash", d.Leaf)
	}
	if d.Leaf.Commitment != h.Commitment || d.Leaf.Record != h.Record || d.Leaf.Submission != h.ID {
		t.Errorf("leaf does not bind the submission: %+v", d.Leaf)
	}
	second := f.Register(t, c, "RX-2")
	bySubject, err := c.BySubject(facts.Subject)
	must(t, err)
	if len(bySubject) != 2 || bySubject[0].Leaf.Tx != d.Leaf.Tx || bySubject[1].Leaf.Tx != second.Leaf.Tx {
		t.Errorf("by subject: %d decisions, want the two in order", len(bySubject))
	}
	byFlow, err := c.ByFlow(d.Leaf.Flow)
	must(t, err)
	if len(byFlow) != 1 || byFlow[0].Leaf.Tx != d.Leaf.Tx {
		t.Errorf("by flow: %d decisions, want one", len(byFlow))
	}
	stored, storedFacts, err := c.Submission(d)
	must(t, err)
	if string(stored.Sealed) != string(sub.Sealed) || storedFacts.Record != facts.Record {
		t.Error("the submission on the chain is not the one received")
	}
	if _, err := c.ByTx(flow.Hash{1}); !errors.Is(err, chain.ErrNotFound) {
		t.Errorf("unknown transaction: %v", err)
	}
}

// The receipt is a c2sp.org/tlog-proof that golang.org/x/mod/sumdb checks with
// nothing of ours.
func TestReceiptWithSumdbAlone(t *testing.T) {
	f := chaintest.New(t, envelope.GM())
	c, _ := f.Open(t, t.TempDir())
	var file []byte
	for i := range 5 {
		d := f.Register(t, c, chaintest.Numbered(i))
		var err error
		file, err = c.Receipt(d)
		must(t, err)
		p, err := receipt.Verify(file, f.Keys, chaintest.Chain)
		must(t, err)
		if p.Leaf.Tx != d.Leaf.Tx || len(p.Signers) != 2 {
			t.Errorf("proven %s by %v, want %s by ed25519 and sm2", p.Leaf.Tx, p.Signers, d.Leaf.Tx)
		}
	}
	lines := strings.Split(string(file), "\n")
	leaf, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	must(t, err)
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	must(t, err)
	var proof tlog.RecordProof
	rest := lines[3:]
	for ; rest[0] != ""; rest = rest[1:] {
		h, err := tlog.ParseHash(rest[0])
		must(t, err)
		proof = append(proof, h)
	}
	v, err := note.NewVerifier(strings.SplitN(f.Published, "\n", 2)[0])
	must(t, err)
	n, err := note.Open([]byte(strings.Join(rest[1:], "\n")), note.VerifierList(v))
	must(t, err)
	head := strings.Split(n.Text, "\n")
	size, err := strconv.ParseInt(head[1], 10, 64)
	must(t, err)
	root, err := tlog.ParseHash(head[2])
	must(t, err)
	if err := tlog.CheckRecord(proof, size, root, index, tlog.RecordHash(leaf)); err != nil {
		t.Errorf("x/mod/sumdb does not accept the receipt: %v", err)
	}
}

// Attack: a submission that comes again, by itself or in another transaction, is
// counted once; another one under its id is refused.
func TestReplayedSubmission(t *testing.T) {
	f := chaintest.New(t, envelope.GM())
	c, _ := f.Open(t, t.TempDir())
	sub, h, facts := f.Registration(t, "RX-1")
	first, err := c.Decide(t.Context(), h.ID, f.Compose(t, sub, facts))
	must(t, err)
	again, err := c.Decide(t.Context(), h.ID, f.Compose(t, sub, facts)) // SM2 signatures differ: another transaction
	must(t, err)
	if again.Leaf.Tx != first.Leaf.Tx || c.Size() != 1 {
		t.Errorf("replay: decided by %s, log of %d; want %s, 1", again.Leaf.Tx, c.Size(), first.Leaf.Tx)
	}
	other, _ := f.Submission(t, flow.Header{Step: flow.Register, ID: h.ID, Record: flow.Hash{7}}, []byte(`{}`))
	if _, err := c.Decide(t.Context(), h.ID, f.Compose(t, other, facts)); !errors.Is(err, chain.ErrConflict) {
		t.Errorf("another submission under the same id: %v, want ErrConflict", err)
	}
	if err := c.Check(sub); !errors.Is(err, chain.ErrKnown) {
		t.Errorf("checking a decided submission: %v, want ErrKnown", err)
	}
}

// The same submission many times in flight, in different transactions, possibly
// in one block, gives one decision.
func TestReplayInOneBlock(t *testing.T) {
	f := chaintest.New(t, envelope.GM())
	c, _ := f.Open(t, t.TempDir())
	sub, h, facts := f.Registration(t, "RX-1")
	var wg sync.WaitGroup
	for range 16 {
		tx := f.Compose(t, sub, facts)
		wg.Go(func() {
			if _, err := c.Decide(t.Context(), h.ID, tx); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if c.Size() != 1 {
		t.Errorf("log of %d, want 1", c.Size())
	}
}

// Attacks on who may put something on the chain (R7.1).
func TestNobodyElseGetsIn(t *testing.T) {
	f := chaintest.New(t, envelope.GM())
	c, _ := f.Open(t, t.TempDir())
	sub, _, facts := f.Registration(t, "RX-1")
	enc, err := flow.Marshal(facts)
	must(t, err)
	body := chain.Decide{Submission: sub, Facts: enc}
	stranger := f.Key(t, envelope.Signing)
	compose := func(id string, key envelope.PrivateKey, body chain.Decide) []byte {
		tx, err := chain.Compose(id, chain.KindDecide, body, f.Suite, key, rand.Reader)
		must(t, err)
		return tx
	}
	tampered := body
	tampered.Submission.Sealed = append([]byte(nil), sub.Sealed...)
	tampered.Submission.Sealed[len(sub.Sealed)/2] ^= 1
	forged := body
	forged.Submission.Signature, err = f.Suite.Sign(rand.Reader, stranger, sub.SigningInput())
	must(t, err)
	cases := []struct {
		name string
		tx   []byte
		want error
	}{
		{"not a transaction", []byte("hello"), chain.ErrRefused},
		{"not signed by the authority", compose(chaintest.Chain, stranger, body), chain.ErrRefused},
		{"signed by the platform as authority", compose(chaintest.Chain, f.Platform, body), chain.ErrRefused},
		{"signed for another chain", compose("supervision-other", f.Signing, body), chain.ErrRefused},
		{"payload tampered with after the platform signed", compose(chaintest.Chain, f.Signing, tampered), chain.ErrSender},
		{"platform's signature forged", compose(chaintest.Chain, f.Signing, forged), chain.ErrSender},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if err := c.Submit(t.Context(), tc.tx); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
	if c.Size() != 0 {
		t.Errorf("log of %d, want none", c.Size())
	}
}

// Anchors stand once; others than the platform's granted records are refused.
func TestAnchors(t *testing.T) {
	f := chaintest.New(t, envelope.GM())
	c, _ := f.Open(t, t.TempDir())
	d := f.Register(t, c, "RX-1")
	anchor := func(platform string, tx flow.Hash, business string) error {
		raw, err := chain.Compose(chaintest.Chain, chain.KindAnchor, chain.Anchors{Platform: platform, Anchors: []flow.Anchor{{Tx: tx, BusinessTx: business}}}, f.Suite, f.Signing, rand.Reader)
		must(t, err)
		return c.Submit(t.Context(), raw)
	}
	must(t, anchor("platform-1", d.Leaf.Tx, "b1"))
	must(t, anchor("platform-1", d.Leaf.Tx, "b1"))
	if err := anchor("platform-1", d.Leaf.Tx, "b2"); !errors.Is(err, chain.ErrConflict) {
		t.Errorf("anchored elsewhere: %v", err)
	}
	if err := anchor("platform-2", d.Leaf.Tx, "b1"); !errors.Is(err, chain.ErrRefused) {
		t.Errorf("another platform's: %v", err)
	}
	if err := anchor("platform-1", flow.Hash{9}, "b1"); !errors.Is(err, chain.ErrRefused) {
		t.Errorf("unknown transaction: %v", err)
	}
	if d, err := c.ByTx(d.Leaf.Tx); err != nil || d.Anchor != "b1" {
		t.Errorf("anchor = %q, %v", d.Anchor, err)
	}
}

// A chain goes on after a restart with the same log, and its checkpoints and
// receipts still hold; replaying it from the first block finds nothing wrong.
func TestRestartAndReplay(t *testing.T) {
	f := chaintest.New(t, envelope.GM())
	dir := t.TempDir()
	c, stop := f.Open(t, dir)
	for i := range 3 {
		f.Register(t, c, chaintest.Numbered(i))
	}
	stop()
	c, stop = f.Open(t, dir)
	if c.Size() != 3 {
		t.Fatalf("log of %d after restart, want 3", c.Size())
	}
	d := f.Register(t, c, chaintest.Numbered(3))
	file, err := c.Receipt(d)
	must(t, err)
	if _, err := receipt.Verify(file, f.Keys, chaintest.Chain); err != nil {
		t.Error(err)
	}
	stop()
	seen := 0
	r, err := chain.Replay(t.Context(), dir, f.Keys, func(chain.Decided) error { seen++; return nil })
	must(t, err)
	if len(r.Problems) != 0 || seen != 4 || r.Decisions != 4 || r.Checkpoints != 4 {
		t.Errorf("replay: %d seen, %+v", seen, r)
	}
}

// Whatever is changed in the node's database on disk is found and named.
func TestReplayFindsTampering(t *testing.T) {
	f := chaintest.New(t, envelope.GM())
	for _, tc := range []struct {
		name, key, want string
	}{
		{"a leaf", chain.LeafKey(1), "another value"},
		{"a log hash", chain.HashKey(0), "another value"},
		{"a checkpoint", chain.CheckpointKey(1), "checkpoint of size 1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			c, stop := f.Open(t, dir)
			f.Register(t, c, "RX-1")
			f.Register(t, c, "RX-2")
			stop()
			db, err := comet.OpenKV(filepath.Join(dir, "decisions"))
			must(t, err)
			v, err := db.Get([]byte(tc.key))
			must(t, err)
			v = append([]byte(nil), v...)
			v[len(v)/2] ^= 1
			must(t, db.SetSync([]byte(tc.key), v))
			must(t, db.Close())
			r, err := chain.Replay(t.Context(), dir, f.Keys, func(chain.Decided) error { return nil })
			must(t, err)
			if len(r.Problems) == 0 || !strings.Contains(r.Problems[0], tc.want) {
				t.Errorf("problems %q, want one that says %q", r.Problems, tc.want)
			}
		})
	}
}

// A database that is one block behind is what a crash leaves, and the next start
// makes up for it; one that is further behind has lost something.
func TestReplayOfDatabaseBehind(t *testing.T) {
	f := chaintest.New(t, envelope.GM())
	for by, want := range map[int64]bool{1: false, 5: true} {
		dir := t.TempDir()
		c, stop := f.Open(t, dir)
		var last chain.Decided
		for i := range 3 {
			last = f.Register(t, c, chaintest.Numbered(i))
		}
		for c.Height() == last.Height { // an empty block follows, with the application hash
			time.Sleep(time.Millisecond)
		}
		stop()
		kv, err := comet.OpenKV(filepath.Join(dir, "decisions"))
		must(t, err)
		must(t, chain.StepBack(kv, by))
		must(t, kv.Close())
		r, err := chain.Replay(t.Context(), dir, f.Keys, func(chain.Decided) error { return nil })
		must(t, err)
		if (len(r.Problems) > 0) != want {
			t.Errorf("%d blocks behind: problems %q", by, r.Problems)
		}
	}
}

// Genesis admits nobody without a certificate of the authority's CA (R7.1).
func TestGenesisNeedsCertificates(t *testing.T) {
	f := chaintest.New(t, envelope.GM())
	foreign, err := envelope.NewCA(rand.Reader, "gm", "other-authority", f.Begun.Add(-time.Hour), f.Begun.AddDate(1, 0, 0))
	must(t, err)
	bad := f.Genesis
	bad.Certificates = append([][]byte(nil), f.Genesis.Certificates...)
	bad.Certificates[0], err = foreign.Issue(rand.Reader, envelope.Subject{ID: "platform-1", Role: "platform"}, f.Platform.Public(), f.Begun.Add(-time.Minute), f.Begun.AddDate(1, 0, 0))
	must(t, err)
	if _, err := chain.Open(chain.Config{Dir: t.TempDir(), Genesis: bad, Begun: f.Begun}); err == nil {
		t.Error("a platform certified by another CA was admitted")
	}
}

// BenchmarkDecide measures a registration through consensus: alone, and with
// many in flight.
func BenchmarkDecide(b *testing.B) {
	for _, inFlight := range []int{1, 256} {
		b.Run("inflight="+strconv.Itoa(inFlight), func(b *testing.B) {
			f := chaintest.New(b, envelope.GM())
			c, _ := f.Open(b, b.TempDir())
			type job struct {
				id flow.ID
				tx []byte
			}
			jobs := make(chan job, b.N)
			for i := range b.N {
				sub, h, facts := f.Registration(b, chaintest.Numbered(i))
				jobs <- job{h.ID, f.Compose(b, sub, facts)}
			}
			close(jobs)
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for range inFlight {
				wg.Go(func() {
					for j := range jobs {
						if _, err := c.Decide(context.Background(), j.id, j.tx); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
