package platform_test

import (
	"context"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/authorise"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/internal/platform/reconcile"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/ledger/ledgertest"
	"signalbox.dev/signalbox/ledger/memory"
	"signalbox.dev/signalbox/receipt"
)

// warped is a business chain that shows records otherwise than they were stored.
type warped struct {
	ledger.Ledger
	mu   sync.Mutex // guards warp
	warp func(*ledger.Stored) bool
}

// set has fn change what is shown; it hides a record by giving false.
func (l *warped) set(fn func(*ledger.Stored) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.warp = fn
}

func (l *warped) show(s *ledger.Stored) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.warp == nil || l.warp(s)
}

func (l *warped) Get(ctx context.Context, key ledger.Key) (ledger.Stored, error) {
	s, err := l.Ledger.Get(ctx, key)
	if err == nil && !l.show(&s) {
		return ledger.Stored{}, ledger.ErrNotFound
	}
	return s, err
}

func (l *warped) Follow(ctx context.Context, from uint64, fn func(ledger.Stored) error) error {
	return l.Ledger.Follow(ctx, from, func(s ledger.Stored) error {
		if !l.show(&s) {
			return nil
		}
		return fn(s)
	})
}

// reconciled is a world whose platform compares all the time.
func reconciled(t *testing.T, changes ...func(*world)) (*world, *warped) {
	t.Helper()
	l := &warped{}
	all := append([]func(*world){func(w *world) {
		w.chain = func(inner ledger.Ledger) ledger.Ledger { l.Ledger = inner; return l }
		w.reconcile = reconcile.Pace{
			Gather: time.Millisecond, Sweep: 2 * time.Millisecond, Round: time.Millisecond,
			Recheck: 5 * time.Millisecond, Overdue: time.Hour, Retry: time.Millisecond,
		}
	}}, changes...)
	return newWorld(t, all...), l
}

// findings lists open findings as kinds and keys.
func (w *world) findings(resolved bool) [][2]string {
	w.tb.Helper()
	list, err := w.Reconcile.Findings(context.Background(), reconcile.Filter{Resolved: resolved})
	if err != nil {
		w.tb.Fatal(err)
	}
	out := [][2]string{}
	for _, f := range list {
		if f.Zh == "" || f.En == "" || f.First.IsZero() || f.Last.Before(f.First) || resolved == f.Resolved.IsZero() {
			w.tb.Errorf("a finding without its texts or times: %+v", f)
		}
		out = append(out, [2]string{string(f.Kind), f.Key})
	}
	slices.SortFunc(out, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	return out
}

// finds waits for exactly these findings.
func (w *world) finds(want ...[2]string) {
	w.tb.Helper()
	if want == nil {
		want = [][2]string{}
	}
	var got [][2]string
	ok := false
	eventually(w.tb, "the findings are as they should be", func() bool {
		got = w.findings(false)
		ok = cmp.Equal(want, got)
		return ok
	})
	if !ok {
		w.tb.Errorf("findings (-want +got)\n%s", cmp.Diff(want, got))
	}
}

// swept waits until both sides have been gone over once more.
func (w *world) swept() {
	w.tb.Helper()
	began := w.now()
	for _, name := range []string{"sweep.intents", "sweep.records"} {
		eventually(w.tb, name+" is over", func() bool {
			var at, position int64
			err := w.store.DB().NewSelect().Table("reconcile_progress").Column("at", "position").Where("name = ?", name).Scan(context.Background(), &at, &position)
			return err == nil && position == 0 && at > began.Add(20*time.Millisecond).UnixMilli()
		})
	}
}

// A platform in good order has nothing to find, over a whole flow and a restart.
func TestReconcilerFindsNothingInGoodOrder(t *testing.T) {
	w, _ := reconciled(t)
	w.start()
	id := w.register(1)
	w.approve(id)
	w.order(id)
	w.swept()
	w.finds()
	w.stop()
	w.start()
	w.register(2)
	w.swept()
	w.finds()
	eventually(t, "the chain has been followed to its end", func() bool {
		c, err := w.Reconcile.Counts(w.ctx)
		return err == nil && c.Followed == 4 && !c.Swept.IsZero() && len(c.Open) == len(reconcile.Kinds())
	})
}

// Each kind of difference is made on purpose, found, kept over a restart, and
// resolved when it is gone (protocol, writes 5 to 7; R1.5, R1.7).
func TestReconcilerFindsDifferences(t *testing.T) {
	for _, c := range []struct {
		kind reconcile.Kind
		warp func(*ledger.Stored) bool
	}{
		{reconcile.MissingRecord, func(*ledger.Stored) bool { return false }},
		{reconcile.OtherTransaction, func(s *ledger.Stored) bool { s.TxID = "elsewhere"; return true }},
		{reconcile.OtherContent, func(s *ledger.Stored) bool { s.Value = []byte("something else"); return true }},
	} {
		t.Run(string(c.kind), func(t *testing.T) {
			t.Parallel()
			w, l := reconciled(t)
			w.start()
			tx := w.register(1)
			w.finds()
			l.set(c.warp)
			want := [2]string{string(c.kind), tx.String()}
			w.finds(want)
			w.stop()
			w.start()
			w.finds(want)
			l.set(nil)
			w.finds()
			if diff := cmp.Diff([][2]string{want}, w.findings(true)); diff != "" {
				t.Errorf("resolved (-want +got)\n%s", diff)
			}
			l.set(c.warp) // and again: the same finding is open once more
			w.finds(want)
		})
	}
}

// What the database says was refused, or has lapsed, and the chain has all the
// same, is found, also long after it was stored.
func TestReconcilerFindsRecordsThatShouldNotBe(t *testing.T) {
	w, _ := reconciled(t)
	w.start()
	tx := w.register(1)
	w.swept()
	w.tamper("UPDATE outbox SET state = 'lapsed', business_tx = '' WHERE tx = ?", tx.String())
	w.finds([2]string{"unexpected_record", tx.String()})
}

// tamper changes the database as nobody should.
func (w *world) tamper(query string, args ...any) {
	w.tb.Helper()
	err := w.store.Write(context.Background(), func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewRaw(query, args...).Exec(ctx)
		return err
	})
	if err != nil {
		w.tb.Fatal(err)
	}
}

// Attack: a business chain whose own check has failed, so that it takes a
// forger's receipt, is found out (R1.7).
func TestReconcilerFindsUnprovenRecords(t *testing.T) {
	w, l := reconciled(t)
	forger := ledgertest.NewAuthority(t, chainID)
	keys, err := receipt.ParseKeys(w.authority.log.Keys + "\n" + forger.Keys)
	if err != nil {
		t.Fatal(err)
	}
	lax, err := memory.New(memory.Config{Network: networkID, Chain: chainID, Keys: keys, Platforms: []string{platformID, "platform-2"}, Now: w.now})
	if err != nil {
		t.Fatal(err)
	}
	w.chain = func(ledger.Ledger) ledger.Ledger { l.Ledger = lax; return l }
	w.start()
	tx := w.register(1)
	stored, err := lax.Get(t.Context(), ledger.Key{Flow: tx, Tx: tx})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := receipt.Claimed(stored.Receipt)
	if err != nil {
		t.Fatal(err)
	}
	put := func(tx flow.Hash, platform string, by *ledgertest.Authority) {
		t.Helper()
		leaf.Tx, leaf.Flow, leaf.Platform = tx, tx, platform
		rec := ledger.Record{Key: ledger.Key{Flow: tx, Tx: tx}, Step: flow.Register, Value: stored.Value, Receipt: by.Receipt(t, leaf)}
		if _, err := lax.Put(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	other := flow.Hash{42}
	put(flow.Hash{41}, "platform-2", w.authority.log) // of the same network: none of ours
	put(other, platformID, forger)
	w.finds([2]string{"unproven_record", other.String()})
	w.swept()
	w.finds([2]string{"unproven_record", other.String()})
}

// A database restored from an older copy does not know its newest records and
// decisions. They are found when the chain is followed and when the authority
// publishes its decisions again, and nothing is done twice.
func TestReconcilerAfterAnOlderDatabase(t *testing.T) {
	w, _ := reconciled(t)
	w.start()
	w.register(1)
	w.swept()
	w.stop()
	copied := map[string][]byte{}
	for _, suffix := range []string{"", "-wal"} {
		if b, err := os.ReadFile(w.path + suffix); err == nil {
			copied[suffix] = b
		}
	}
	w.start()
	lost := w.register(2)
	eventually(t, "it is anchored", func() bool {
		w.authority.mu.Lock()
		defer w.authority.mu.Unlock()
		return w.authority.anchors[lost] != ""
	})
	w.stop()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		os.Remove(w.path + suffix)
		if b, ok := copied[suffix]; ok {
			if err := os.WriteFile(w.path+suffix, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.start()
	w.finds([2]string{"unknown_record", lost.String()})
	var d flow.Decision
	w.authority.mu.Lock()
	for _, one := range w.authority.decided {
		if one.Tx == lost {
			d = one
		}
	}
	w.authority.mu.Unlock()
	w.authority.deliver(d)
	w.finds([2]string{"unknown_decision", lost.String()}, [2]string{"unknown_record", lost.String()})
	lie := d
	lie.Receipt = mint(w, d.Receipt, ledgertest.NewAuthority(t, chainID))
	lie.ID[0] ^= 1
	w.authority.deliver(lie) // proves nothing: no finding
	w.register(3)            // and all goes on
	w.finds([2]string{"unknown_decision", lost.String()}, [2]string{"unknown_record", lost.String()})
}

// Write 7: an anchor that the fusion node took and lost is sent again when the
// authority publishes the decision once more.
func TestLostAnchorIsSentAgain(t *testing.T) {
	w, _ := reconciled(t)
	w.start()
	tx := w.register(1)
	anchored := func() bool {
		w.authority.mu.Lock()
		defer w.authority.mu.Unlock()
		return w.authority.anchors[tx] != ""
	}
	eventually(t, "it is anchored", anchored)
	eventually(t, "the database knows", func() bool {
		o, err := w.Platform.Receipt(w.ctx, tx)
		n, more := w.store.DB().NewSelect().Table("outbox").Where("anchored = 1").Count(w.ctx)
		return err == nil && more == nil && n == 1 && len(o) > 0
	})
	w.authority.mu.Lock()
	delete(w.authority.anchors, tx)
	var d flow.Decision
	for _, one := range w.authority.decided {
		d = one
	}
	w.authority.mu.Unlock()
	w.offset.Add(int64(time.Minute))
	w.authority.deliver(d)
	eventually(t, "it is anchored again", anchored)
	w.finds()
}

// What stays on its way for too long is told of while it lasts, and mended by the
// outbox: undecided, then not stored, then not anchored, then nothing.
func TestOverdueIsTold(t *testing.T) {
	var puts sync.Mutex // held: the business chain does not answer
	w, _ := reconciled(t, func(w *world) {
		inner := w.chain
		w.chain = func(l ledger.Ledger) ledger.Ledger { return inner(blocked{l, &puts}) }
	})
	w.reconcile.Overdue = time.Minute
	end := w.authority.ruleFor(flow.Register, func() ruling {
		return ruling{lie: true, decision: func(d *flow.Decision) { d.Receipt = nil }}
	})
	puts.Lock()
	w.start()
	r, err := w.Authorise.Register(w.ctx, authorise.Input{Data: prescription(1)})
	if err != nil {
		t.Fatal(err)
	}
	w.finds()
	w.offset.Add(int64(2 * time.Minute))
	w.finds([2]string{"undecided", r.Ref.String()})
	end()
	var tx flow.Hash
	eventually(t, "it is granted", func() bool {
		o, err := w.Outcome(w.ctx, r.Ref)
		tx = o.Tx
		return err == nil && o.State == outbox.Granted
	})
	w.finds([2]string{"not_stored", tx.String()})
	puts.Unlock()
	w.granted(r.Ref, nil)
	w.finds()
	if got := len(w.findings(true)); got != 2 {
		t.Errorf("%d findings were resolved, want 2", got)
	}
}

// blocked is a business chain that answers no put while mu is held.
type blocked struct {
	ledger.Ledger
	mu *sync.Mutex
}

func (b blocked) Put(ctx context.Context, rec ledger.Record) (ledger.TxID, error) {
	if !b.mu.TryLock() {
		return "", errInjected
	}
	defer b.mu.Unlock()
	return b.Ledger.Put(ctx, rec)
}

// Findings are bounded: beyond the bound they are counted, and resolved ones make
// room.
func TestReconcilerFindingsAreBounded(t *testing.T) {
	w, l := reconciled(t)
	w.reconcile.Findings = 2
	w.start()
	for n := range 4 {
		w.register(n)
	}
	l.set(func(*ledger.Stored) bool { return false })
	eventually(t, "two are kept and others counted", func() bool {
		c, err := w.Reconcile.Counts(w.ctx)
		return err == nil && c.Open[reconcile.MissingRecord] == 2 && c.Dropped > 0
	})
	if n := w.count("findings"); n != 2 {
		t.Errorf("%d findings are kept", n)
	}
	l.set(nil)
	w.finds()
	l.set(func(*ledger.Stored) bool { return false })
	eventually(t, "two are kept again", func() bool { return len(w.findings(false)) == 2 })
	if n := w.count("findings"); n != 2 {
		t.Errorf("%d findings are kept", n)
	}
}
