package authority_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/authority"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/chain/chaintest"
	"signalbox.dev/signalbox/internal/fusion"
	"signalbox.dev/signalbox/profile"
)

// post is a fusion node that can be out of reach and notes each publication.
type post struct {
	*line
	down atomic.Bool

	mu     sync.Mutex // guards sent
	sent   []string   // rounds and transactions, in order
	failed int        // publications while down
}

var errDown = errors.New("the fusion node is out of reach")

func (p *post) PublishAgain(ctx context.Context, round string, decisions ...flow.Decision) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down.Load() {
		p.failed++
		return errDown
	}
	for _, d := range decisions {
		p.sent = append(p.sent, round+" "+d.Tx.String()+" "+string(d.Verdict))
	}
	return p.line.PublishAgain(ctx, round, decisions...)
}

// times says how often a decision was published in a round.
func (p *post) times(round string, tx flow.Hash, verdict flow.Verdict) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.sent {
		if s == round+" "+tx.String()+" "+string(verdict) {
			n++
		}
	}
	return n
}

// office is an authority on a chain that outlives it.
type office struct {
	*chaintest.Fixture
	t     *testing.T
	chain *chain.Chain
	post  *post
	auth  *authority.Authority
	shift atomic.Int64 // seconds added to the authority's clock
}

func newOffice(t *testing.T) *office {
	f := chaintest.New(t, envelope.GM())
	o := &office{Fixture: f, t: t, post: &post{line: newLine()}}
	o.chain, _ = f.Open(t, t.TempDir())
	return o
}

// run starts an authority; the function that it gives kills it.
func (o *office) run() (kill func()) {
	o.t.Helper()
	var err error
	o.auth, err = authority.New(authority.Config{
		Suite: o.Suite, Signing: o.Signing, Sealing: []envelope.PrivateKey{o.Sealing}, PseudonymKey: make([]byte, authority.PseudonymKeySize),
		CA: o.CA.Certificate(), Profiles: []profile.Profile{notes{}}, Register: &register{}, Remind: time.Minute, Random: rand.Reader,
		Clock:  func() time.Time { return time.Now().Add(time.Duration(o.shift.Load()) * time.Second) },
		Logger: slog.New(slog.DiscardHandler),
	}, o.chain, o.post)
	must(o.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	auth := o.auth
	go func() { ended <- auth.Run(ctx) }()
	kill = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			o.t.Errorf("running the authority: %v", err)
		}
	})
	o.t.Cleanup(kill)
	return kill
}

func (o *office) give(kind contract.Kind, body any) {
	o.t.Helper()
	_, err := o.Give(o.t, o.chain, kind, body)
	must(o.t, err)
}

// held registers a record that waits for an officer.
func (o *office) held(number string) flow.Hash {
	o.t.Helper()
	institution := contract.Target{What: contract.FrozenInstitution, ID: chaintest.Platform}
	o.give(contract.Freeze, institution)
	d := o.Register(o.t, o.chain, number)
	if d.Leaf.Verdict != flow.Held {
		o.t.Fatalf("registration is %s", d.Leaf.Verdict)
	}
	o.give(contract.Unfreeze, institution)
	return d.Leaf.Tx
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never comes about that %s", what)
		}
	}
}

// R9.6: a hold that is resolved while no authority runs, as after a kill between
// the block and the answer, is answered when one runs again, and only once.
func TestResolvedHoldIsAnsweredAfterAKill(t *testing.T) {
	o := newOffice(t)
	kill := o.run()
	first := o.held("RX-1")
	o.give(contract.HoldDecide, contract.HoldDecision{Tx: first, Grant: true})
	eventually(t, "the first is answered", func() bool { return o.post.times("resolved", first, flow.Granted) == 1 })
	second := o.held("RX-2")
	kill()
	o.give(contract.HoldDecide, contract.HoldDecision{Tx: second, Grant: true})
	<-o.chain.Resolutions() // what told of it in the process that is gone
	if n := o.post.times("resolved", second, flow.Granted); n != 0 {
		t.Fatalf("answered %d times with no authority running", n)
	}

	o.run()
	eventually(t, "the second is answered", func() bool { return o.post.times("resolved", second, flow.Granted) == 1 })
	third := o.held("RX-3")
	o.give(contract.HoldDecide, contract.HoldDecision{Tx: third, Grant: false})
	eventually(t, "the third is answered", func() bool { return o.post.times("resolved", third, flow.Refused) == 1 })
	for _, tx := range []flow.Hash{first, second} {
		if n := o.post.times("resolved", tx, flow.Granted); n != 1 {
			t.Errorf("answered %d times", n)
		}
	}
}

// A fusion node that is out of reach gets its answers later, also from the next
// process.
func TestResolvedHoldWaitsForItsFusionNode(t *testing.T) {
	o := newOffice(t)
	kill := o.run()
	tx := o.held("RX-1")
	o.post.down.Store(true)
	o.give(contract.HoldDecide, contract.HoldDecision{Tx: tx, Grant: true})
	eventually(t, "it is tried", func() bool {
		o.post.mu.Lock()
		defer o.post.mu.Unlock()
		return o.post.failed > 0
	})
	kill()
	o.post.down.Store(false)
	o.run()
	eventually(t, "it is answered", func() bool { return o.post.times("resolved", tx, flow.Granted) == 1 })
}

// Write 7: a granted record without an anchor is brought to its platform's mind
// after its time, again and again in growing steps, over a restart too; with the
// anchor that ends, and nobody is reminded of what is anchored in time.
func TestRemindersOfMissingAnchors(t *testing.T) {
	o := newOffice(t)
	kill := o.run()
	anchored := o.Register(t, o.chain, "RX-1").Leaf.Tx
	open := o.Register(t, o.chain, "RX-2").Leaf.Tx
	o.post.anchors <- []fusion.AnchorDelivery{{Platform: chaintest.Platform, Business: "prescription", Anchors: []flow.Anchor{{Tx: anchored, BusinessTx: "b1"}}}}
	o.post.anchors <- nil
	late := func() []flow.Hash {
		list, err := o.auth.Unanchored(0, 10)
		must(t, err)
		out := []flow.Hash{}
		for _, u := range list {
			out = append(out, u.Leaf.Tx)
		}
		return out
	}
	if got := late(); len(got) != 0 {
		t.Errorf("%d late before their time", len(got))
	}
	o.shift.Store(61)
	eventually(t, "the platform is reminded", func() bool { return o.post.times("reminder-0", open, flow.Granted) == 1 })
	if diff := cmp.Diff([]flow.Hash{open}, late()); diff != "" {
		t.Errorf("late (-want +got)\n%s", diff)
	}
	kill()
	o.shift.Store(5 * 60) // the second and the third are due: one is enough
	o.run()
	eventually(t, "the platform is reminded again", func() bool { return o.post.times("reminder-2", open, flow.Granted) == 1 })
	eventually(t, "it is known how often", func() bool {
		list, err := o.auth.Unanchored(0, 10)
		return err == nil && len(list) == 1 && list[0].Reminded == 3
	})
	o.post.anchors <- []fusion.AnchorDelivery{{Platform: chaintest.Platform, Business: "prescription", Anchors: []flow.Anchor{{Tx: open, BusinessTx: "b2"}}}}
	o.post.anchors <- nil
	if got := late(); len(got) != 0 {
		t.Errorf("%d late after their anchors", len(got))
	}
	o.shift.Store(3600)
	last := o.Register(t, o.chain, "RX-3").Leaf.Tx
	o.shift.Store(3600 + 24*3600)
	eventually(t, "a later one is reminded of", func() bool { return o.post.times("reminder-9", last, flow.Granted) == 1 })
	o.post.mu.Lock()
	defer o.post.mu.Unlock()
	want := []string{
		"reminder-0 " + open.String() + " granted", "reminder-2 " + open.String() + " granted", "reminder-9 " + last.String() + " granted",
	}
	if diff := cmp.Diff(want, o.post.sent); diff != "" {
		t.Errorf("reminders (-want +got)\n%s", diff)
	}
}

// An anchor that can't stand becomes a finding that people see, and takes none of
// its batch with it (write 7, R1.7).
func TestAnchorsThatCannotStand(t *testing.T) {
	o := newOffice(t)
	o.run()
	var txs []flow.Hash
	for _, number := range []string{"RX-1", "RX-2", "RX-3"} {
		txs = append(txs, o.Register(t, o.chain, number).Leaf.Tx)
	}
	refused := o.Register(t, o.chain, "RX-1").Leaf
	if refused.Verdict != flow.Refused {
		t.Fatalf("the same record again is %s", refused.Verdict)
	}
	send := func(platform string, anchors ...flow.Anchor) {
		o.post.anchors <- []fusion.AnchorDelivery{{Platform: platform, Business: "prescription", Anchors: anchors}}
		o.post.anchors <- nil // taken when the batch before is done
	}
	send(chaintest.Platform, flow.Anchor{Tx: txs[0], BusinessTx: "b0"})
	send(chaintest.Platform,
		flow.Anchor{Tx: txs[0], BusinessTx: "elsewhere"}, flow.Anchor{Tx: flow.Hash{9}, BusinessTx: "b9"},
		flow.Anchor{Tx: refused.Tx, BusinessTx: "b8"}, flow.Anchor{Tx: txs[1], BusinessTx: "b1"},
		flow.Anchor{Tx: txs[1], BusinessTx: "b1-too"}, flow.Anchor{Tx: txs[2], BusinessTx: "b2"})
	send(chaintest.Platform, flow.Anchor{Tx: txs[0], BusinessTx: "elsewhere"}) // said again
	send("platform-9", flow.Anchor{Tx: txs[2], BusinessTx: "b2"})              // not its own
	for i, tx := range txs {
		d, err := o.chain.ByTx(tx)
		must(t, err)
		if want := []string{"b0", "b1", "b2"}[i]; d.Anchor != want {
			t.Errorf("anchored at %q, want %q", d.Anchor, want)
		}
	}
	var got []chain.AnchorFinding
	for cursor := ""; ; { // in pages of two
		page, next, err := o.auth.Findings(cursor, 2)
		must(t, err)
		for _, f := range page {
			if f.First == 0 || f.Last < f.First {
				t.Errorf("seen from %d to %d", f.First, f.Last)
			}
			got = append(got, chain.AnchorFinding{Kind: f.Kind, Platform: f.Platform, Tx: f.Tx, Stands: f.Stands, Claimed: f.Claimed, Count: f.Count})
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	want := []chain.AnchorFinding{
		{Kind: chain.AnchorConflict, Platform: chaintest.Platform, Tx: txs[0], Stands: "b0", Claimed: "elsewhere", Count: 2},
		{Kind: chain.AnchorConflict, Platform: chaintest.Platform, Tx: txs[1], Stands: "b1", Claimed: "b1-too", Count: 1},
		{Kind: chain.AnchorUngranted, Platform: chaintest.Platform, Tx: refused.Tx, Claimed: "b8", Count: 1},
		{Kind: chain.AnchorUnknown, Platform: chaintest.Platform, Tx: flow.Hash{9}, Claimed: "b9", Count: 1},
		{Kind: chain.AnchorUngranted, Platform: "platform-9", Tx: txs[2], Claimed: "b2", Count: 1},
	}
	slices.SortStableFunc(want[:2], func(a, b chain.AnchorFinding) int { return slices.Compare(a.Tx[:], b.Tx[:]) })
	if diff := cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == "._" }, cmp.Ignore())); diff != "" {
		t.Errorf("findings (-want +got)\n%s", diff)
	}
}

// What a platform claims is its own to invent: what is kept of it is bounded.
func TestFindingsAreBounded(t *testing.T) {
	o := newOffice(t)
	o.run()
	batch := make([]flow.Anchor, 0, 1100)
	for i := range cap(batch) {
		batch = append(batch, flow.Anchor{Tx: flow.SumHash([]byte{byte(i), byte(i >> 8)}), BusinessTx: "made up"})
	}
	o.post.anchors <- []fusion.AnchorDelivery{{Platform: chaintest.Platform, Business: "prescription", Anchors: batch}}
	o.post.anchors <- nil
	list, next, err := o.auth.Findings("", 5000)
	must(t, err)
	if len(list) != 1000 || next != "" {
		t.Errorf("%d findings kept", len(list))
	}
}
