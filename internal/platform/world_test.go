package platform_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform"
	"signalbox.dev/signalbox/internal/platform/authorise"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/internal/platform/payment"
	"signalbox.dev/signalbox/internal/platform/process"
	"signalbox.dev/signalbox/internal/platform/reconcile"
	"signalbox.dev/signalbox/internal/platform/review"
	"signalbox.dev/signalbox/internal/platform/sealing"
	"signalbox.dev/signalbox/internal/store"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/ledger/memory"
	"signalbox.dev/signalbox/profile"
	"signalbox.dev/signalbox/receipt"
)

const (
	chainID    = "supervision-test"
	networkID  = "network-test"
	platformID = "platform-test"

	reviewer = "reviewer-1"
	pharmacy = "pharmacy-1"
	rival    = "pharmacy-2"
)

// What must never stand in the database or in an error.
const (
	patientName = "Ouyang Mingzhu"
	patientID   = "11010519491231002X"
	itemCode    = "urn:item|AMOX-0500"
	itemName    = "Amoxicillin capsules"
)

// world is everything around one platform. The platform can be killed and
// started again on the same database; the rest lives on.
type world struct {
	tb        testing.TB
	path      string
	suite     envelope.Suite
	zone      *time.Location
	offset    atomic.Int64 // nanoseconds added to the clock
	faults    *faults
	signing   envelope.PrivateKey
	sealing   envelope.PrivateKey
	network   envelope.PrivateKey
	producers map[string]envelope.PrivateKey
	keys      receipt.Keys
	authority *authority
	ledger    *memory.Ledger
	pace      outbox.Pace
	reconcile reconcile.Pace
	provider  func(payment.Provider) payment.Provider
	chain     func(ledger.Ledger) ledger.Ledger

	// Of the running platform.
	*platform.Platform
	sandbox *payment.Sandbox
	store   *store.Store
	ctx     context.Context
	kill    context.CancelFunc
	ended   chan error
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.offset.Load())) }

// newWorld builds a world of suite gm with no platform running in it.
func newWorld(tb testing.TB, changes ...func(*world)) *world {
	tb.Helper()
	w := &world{
		tb: tb, path: filepath.Join(tb.TempDir(), "platform.db"), suite: envelope.GM(),
		zone: time.FixedZone("Asia/Shanghai", 8*3600), faults: &faults{},
		producers: map[string]envelope.PrivateKey{}, provider: func(p payment.Provider) payment.Provider { return p },
		chain: func(l ledger.Ledger) ledger.Ledger { return l },
		pace: outbox.Pace{
			Retry: time.Millisecond, Resend: 30 * time.Millisecond, Longest: 60 * time.Millisecond,
			Poll: 10 * time.Millisecond, AnchorEvery: time.Millisecond,
		},
	}
	for _, change := range changes {
		change(w)
	}
	w.signing, w.sealing = generate(tb, w.suite, envelope.Signing), generate(tb, w.suite, envelope.Sealing)
	w.network = generate(tb, w.suite, envelope.Sealing)
	for _, id := range []string{pharmacy, rival} {
		w.producers[id] = generate(tb, w.suite, envelope.Sealing)
	}
	w.authority = newAuthority(tb, w)
	var err error
	if w.keys, err = receipt.ParseKeys(w.authority.log.Keys); err != nil {
		tb.Fatal(err)
	}
	w.ledger, err = memory.New(memory.Config{Network: networkID, Chain: chainID, Keys: w.keys, Platforms: []string{platformID}, Now: w.now})
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

// started builds a world with a running platform.
func started(tb testing.TB, changes ...func(*world)) *world {
	w := newWorld(tb, changes...)
	w.start()
	return w
}

// build opens the database and makes a platform that does not run.
func (w *world) build() {
	w.tb.Helper()
	s, err := store.Open(context.Background(), w.path)
	if err != nil {
		w.tb.Fatal(err)
	}
	w.store = s
	w.sandbox = payment.NewSandbox(s, "http://pay.test", w.now)
	producers := process.Fixed{}
	for id, k := range w.producers {
		producers[id] = process.Producer{Name: id, Key: k.Public()}
	}
	w.Platform, err = platform.New(platform.Config{
		Keys: sealing.Config{
			Suite: w.suite, Chain: chainID, Network: networkID, Platform: platformID,
			Signing: w.signing, Sealing: w.sealing, NetworkKey: w.network.Public(),
			Authority: []envelope.PublicKey{w.authority.sealing.Public()}, Log: w.keys, Zone: w.zone,
		},
		Profile: records{}, Store: s, Ledger: w.chain(faultyLedger{w.ledger, w.faults}), Transport: w.authority,
		Producers: producers, Prices: prices{}, Provider: w.provider(faultyProvider{w.sandbox, w.faults}),
		Clock: w.now, Pace: w.pace, Reconcile: w.reconcile, Watch: 25 * time.Millisecond,
	})
	if err != nil {
		w.tb.Fatal(err)
	}
}

func (w *world) start() {
	w.tb.Helper()
	w.build()
	ctx, kill := context.WithCancel(context.Background())
	w.ctx, w.kill, w.ended = ctx, kill, make(chan error, 1)
	w.faults.crash = kill
	p, ended := w.Platform, w.ended
	go func() { ended <- p.Run(ctx) }()
	w.tb.Cleanup(kill)
}

// stop ends the platform and closes its database.
func (w *world) stop() {
	w.tb.Helper()
	w.kill()
	if err := <-w.ended; !errors.Is(err, context.Canceled) {
		w.tb.Errorf("Run ended with %v", err)
	}
	if err := w.store.Close(); err != nil {
		w.tb.Error(err)
	}
}

// await waits for a submission's end.
func (w *world) await(id flow.ID, err error) outbox.Outcome {
	w.tb.Helper()
	if err != nil {
		w.tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.ctx, 30*time.Second)
	defer cancel()
	o, err := w.Wait(ctx, id)
	if err != nil {
		w.tb.Fatalf("waiting for %s: %v (%s)", o.Step, err, o.Problem)
	}
	return o
}

// granted waits for a submission that must be granted.
func (w *world) granted(id flow.ID, err error) outbox.Outcome {
	w.tb.Helper()
	o := w.await(id, err)
	if o.State != outbox.Done {
		w.tb.Fatalf("%s is %s: %v", o.Step, o.State, o.Reasons)
	}
	return o
}

func (w *world) register(number int) flow.Hash {
	w.tb.Helper()
	r, err := w.Authorise.Register(w.ctx, authorise.Input{Data: prescription(number)})
	return w.granted(r.Ref, err).Flow
}

func (w *world) approve(id flow.Hash) {
	w.tb.Helper()
	w.granted(w.Review.Request(w.ctx, id, reviewer))
	w.granted(w.Review.Submit(w.ctx, review.Result{Flow: id, Reviewer: reviewer, Opinion: flow.Approve}))
}

func (w *world) order(id flow.Hash) outbox.Outcome {
	w.tb.Helper()
	return w.granted(w.Process.Order(w.ctx, process.OrderRequest{Flow: id, Producer: pharmacy, Delivery: "pickup"}))
}

func (w *world) reader() sealing.Reader {
	return sealing.Reader{Suite: w.suite, Chain: chainID, Log: w.keys, Sender: w.signing.Public()}
}

// makeUp is the pharmacy's part: fetch, open with its own key, make up.
func (w *world) makeUp(ctx context.Context, id flow.Hash) (process.Bill, error) {
	stored, err := w.Process.Fetch(ctx, id, pharmacy)
	if err != nil {
		return process.Bill{}, err
	}
	purchase, err := process.OpenOrder(w.reader(), stored, w.producers[pharmacy])
	if err != nil {
		return process.Bill{}, err
	}
	return w.Process.MakeUp(ctx, process.MadeUp{Flow: id, Producer: pharmacy, Lines: purchase.Lines})
}

// advance takes the next action of the flow under ref, as its participants
// would who only know where the flow stands. It says whether the flow has ended.
func (w *world) advance(ref string) (bool, error) {
	ctx := w.ctx
	v, err := w.Flow(ctx, ref)
	if err != nil {
		return false, err
	}
	if last := v.Steps[len(v.Steps)-1]; !last.State.Final() {
		_, err := w.Wait(ctx, last.ID)
		return false, err
	}
	switch v.State {
	case flow.Registered:
		_, err = w.Review.Request(ctx, v.Flow, reviewer)
	case flow.InReview:
		if _, err = w.Review.Read(ctx, v.Flow, reviewer); err == nil {
			_, err = w.Review.Submit(ctx, review.Result{Flow: v.Flow, Reviewer: reviewer, Opinion: flow.Approve})
		}
	case flow.Approved:
		_, err = w.Process.Order(ctx, process.OrderRequest{Flow: v.Flow, Producer: pharmacy, Delivery: "courier"})
	case flow.Ordered:
		var b process.Bill
		if b, err = w.makeUp(ctx, v.Flow); err == nil && b.State == "open" {
			if err = w.sandbox.Pay(ctx, b.Payment); err == nil {
				_, err = w.Process.Paid(ctx, b.Payment)
			}
		}
	case flow.Settled:
		_, err = w.Process.Deliver(ctx, v.Flow, pharmacy)
	default:
		return true, nil
	}
	return false, err
}

// records is a small kind of business.
type records struct{}

type form struct {
	Number     string      `json:"number"`
	Originator string      `json:"originator"`
	Name       string      `json:"name"`
	Patient    string      `json:"patient"`
	Items      []formItem  `json:"items"`
	Refuse     string      `json:"refuse,omitempty"`
	Secret     *secretText `json:"secret,omitempty"`
}

// secretText is masked at intake (R1.1).
type secretText string

type formItem struct {
	Code     string `json:"code"`
	Name     string `json:"name"`
	Quantity int64  `json:"quantity"`
	Price    int64  `json:"price"`
	Ratio    int64  `json:"ratio"`
}

func (records) Business() string { return "prescription" }

func (r records) Intake(input []byte) (profile.Record, error) {
	var f form
	if err := json.Unmarshal(input, &f); err != nil {
		return profile.Record{}, &profile.Problem{En: "not JSON", Zh: "不是 JSON"}
	}
	if f.Refuse != "" {
		return profile.Record{}, &profile.Refusal{Reason: flow.Reason{Code: f.Refuse}}
	}
	f.Secret = nil
	canonical, err := json.Marshal(f)
	if err != nil {
		return profile.Record{}, err
	}
	return r.Parse(canonical)
}

func (records) Parse(canonical []byte) (profile.Record, error) {
	var f form
	if err := json.Unmarshal(canonical, &f); err != nil {
		return profile.Record{}, err
	}
	rec := profile.Record{
		Canonical: canonical, Number: f.Number, Originator: f.Originator, SubjectID: f.Patient,
		Title: fmt.Sprintf("%d item(s)", len(f.Items)), Currency: "CNY",
	}
	for _, it := range f.Items {
		rec.Items = append(rec.Items, profile.Item{Code: it.Code, Name: it.Name, Quantity: it.Quantity, Unit: "box", Price: it.Price, Ratio: it.Ratio})
	}
	return rec, nil
}

func (records) Facts(flow.Step, []byte, profile.Pseudonym) (contract.Facts, error) {
	return contract.Facts{}, errors.New("the platform derives no facts")
}

// prescription gives a record with two items, one without a price.
func prescription(number int, changes ...func(*form)) []byte {
	f := form{
		Number: fmt.Sprintf("RX-%05d", number), Originator: "hospital-1", Name: patientName, Patient: "cn-id:" + patientID,
		Items: []formItem{
			{Code: itemCode, Name: itemName, Quantity: 2000, Price: 2350, Ratio: 700},
			{Code: "urn:item|PARA-0250", Name: "Paracetamol tablets", Quantity: 1000, Ratio: 0},
		},
	}
	for _, change := range changes {
		change(&f)
	}
	b, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return b
}

// prices is a price list with one price.
type prices struct{}

func (prices) Price(_ context.Context, _ string, it profile.Item) (int64, error) {
	if it.Code == "urn:item|PARA-0250" {
		return 990, nil
	}
	return 0, process.ErrNoPrice
}

// list gives a flow's records on the business chain.
func (w *world) list(id flow.Hash) []ledger.Stored {
	w.tb.Helper()
	out, err := w.ledger.List(context.Background(), id)
	if err != nil {
		w.tb.Fatal(err)
	}
	return out
}
