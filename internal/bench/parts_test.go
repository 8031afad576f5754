package bench

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/pprof/profile"

	"signalbox.dev/signalbox/internal/party"
)

// TestPartOf says whose processor time is whose (R10.2).
func TestPartOf(t *testing.T) {
	cases := map[string]struct {
		stack []string // the innermost first
		layer string
		want  Part
	}{
		"the platform's module": {
			[]string{ours + "internal/platform/outbox.(*Outbox).Do", ours + "internal/platform/authorise.(*Module).Register"}, "participants", Platform,
		},
		"sealing, called by the platform": {
			[]string{"github.com/emmansun/gmsm/sm2.Sign", ours + "envelope.gm.Sign", ours + "internal/platform/sealing.(*Sealer).Draft"}, "", Platform,
		},
		"SQLite, called by the platform": {
			[]string{"runtime.mallocgc", "modernc.org/sqlite/lib._sqlite3VdbeExec", "database/sql.(*Stmt).ExecContext", ours + "internal/store.Exec", ours + "internal/platform/outbox.(*Outbox).Do"},
			"platform", Database,
		},
		"the platform within a transaction": {
			[]string{ours + "internal/platform/dossier.Insert", "github.com/uptrace/bun.(*DB).RunInTx", ours + "internal/store.(*Store).Write", ours + "internal/platform/outbox.(*Outbox).Do"},
			"platform", Platform,
		},
		"the chain checks what the authority submits": {
			[]string{ours + "internal/chain.(*application).Check", "github.com/cometbft/cometbft/mempool.(*CListMempool).CheckTx", ours + "internal/comet.(*Node).Submit", ours + "internal/authority.(*Authority).serve"},
			"authority", Supervision,
		},
		"consensus of the supervision chain": {
			[]string{"syscall.Syscall", "github.com/cometbft/cometbft/consensus.(*State).receiveRoutine"}, "supervision chain", Supervision,
		},
		"consensus of the business chain": {
			[]string{"syscall.Syscall", "github.com/cometbft/cometbft/consensus.(*State).receiveRoutine"}, "business chain", Business,
		},
		"the business chain's contract, anywhere": {
			[]string{ours + "receipt.Verify", ours + "ledger/embedded.(*contract).judge", "github.com/cometbft/cometbft/proxy.f"}, "platform", Business,
		},
		"a chain's own store is the chain's": {
			[]string{"github.com/syndtr/goleveldb/leveldb.(*DB).Write", ours + "internal/comet.(*levels).Write", ours + "internal/chain.(*application).Commit"}, "supervision chain", Supervision,
		},
		"NATS":                           {[]string{"github.com/nats-io/nats-server/v2/server.(*client).readLoop"}, "fusion node", Fusion},
		"NATS's client, at the platform": {[]string{"github.com/nats-io/nats.go.(*Conn).readLoop", ours + "internal/platform/outbox.x"}, "platform", Fusion},
		"rules, called by the authority": {[]string{"cel.dev/cel-go/interpreter.Eval", ours + "contract.Decide", ours + "internal/authority.(*Authority).examine"}, "authority", Authority},
		"a producer opens its order": {
			[]string{ours + "envelope.gm.Open", ours + "internal/platform/process.OpenOrder", ours + "internal/sandbox.(*Sandbox).make"}, "participants", Participants,
		},
		"people":                       {[]string{"encoding/json.Marshal", ours + "internal/sandbox.(*Sandbox).act"}, "participants", Participants},
		"the load":                     {[]string{"bytes.Replace", ours + "profile/prescription/samples.Series.func1", ours + "internal/bench.(*load).one"}, "", Participants},
		"collecting garbage":           {[]string{"runtime.scanobject", "runtime.gcBgMarkWorker"}, "", Other},
		"an unknown layer":             {[]string{"runtime.memmove"}, "kitchen", Other},
		"nothing":                      {nil, "", Other},
		"what only begins like a part": {[]string{ours + "internal/chaintools.Run"}, "", Other},
		"a layer by itself":            {[]string{"runtime.memmove"}, "witnesses", Authority},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := partOf(c.stack, c.layer); got != c.want {
				t.Errorf("partOf gives %s, want %s", got, c.want)
			}
		})
	}
}

// TestEveryPartIsShown keeps a part from being counted and left out.
func TestEveryPartIsShown(t *testing.T) {
	shown := map[Part]bool{}
	for _, p := range Parts() {
		shown[p] = true
	}
	for _, of := range []map[string]Part{owners, layers} {
		for what, p := range of {
			if !shown[p] {
				t.Errorf("%s is of part %s, which is not shown", what, p)
			}
		}
	}
}

func TestShares(t *testing.T) {
	in := func(name string) *profile.Location {
		return &profile.Location{Line: []profile.Line{{Function: &profile.Function{Name: name}}}}
	}
	labelled := func(layer string) map[string][]string { return map[string][]string{party.LayerLabel: {layer}} }
	p := &profile.Profile{Sample: []*profile.Sample{
		{Location: []*profile.Location{in("runtime.memmove"), in(ours + "internal/chain.(*Chain).Run")}, Value: []int64{1, 10}},
		{Location: []*profile.Location{in("github.com/cometbft/cometbft/types.Hash")}, Value: []int64{1, 20}, Label: labelled("business chain")},
		{Location: []*profile.Location{in("modernc.org/libc.Xwrite")}, Value: []int64{3, 30}, Label: labelled("platform")},
		{Location: []*profile.Location{in("runtime.gcBgMarkWorker")}, Value: []int64{2, 20}},
	}}
	want := map[Part]float64{Supervision: 0.125, Business: 0.25, Database: 0.375, Other: 0.25}
	if diff := cmp.Diff(want, sharesOf(p), cmpopts.EquateApprox(1e-9, 0)); diff != "" {
		t.Errorf("shares (-want +got):\n%s", diff)
	}
	if got := sharesOf(&profile.Profile{}); len(got) != 0 {
		t.Errorf("shares of nothing: %v", got)
	}
	if _, err := shares([]byte("no profile")); err == nil {
		t.Error("what is no profile is read")
	}
}

// TestProfiling takes a profile of this very goroutine's work.
func TestProfiling(t *testing.T) {
	var p profiling
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	var sum byte
	for begun := time.Now(); time.Since(begun) < 300*time.Millisecond; {
		for i := range byte(255) {
			sum ^= i
		}
	}
	parts, err := p.stop()
	if err != nil {
		t.Fatal(err)
	}
	all := 0.0
	for _, v := range parts {
		all += v
	}
	if len(parts) > 0 && (all < 0.999 || all > 1.001) { // a busy machine may have given it no sample
		t.Errorf("shares %v add up to %f", parts, all)
	}
	_ = sum
}
