// Package chaintest makes an authority, a platform and participants with keys
// and certificates, and supervision chains that admit them, for tests.
package chaintest

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/contracts"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/receipt"
)

// Names of the chains and of who takes part.
const (
	Chain    = "supervision-test"
	Network  = "network-test"
	Platform = "platform-1"
	Reviewer = "reviewer-1" // admitted at genesis
	Producer = "producer-1"
	Officer  = "officer-1"
	Officer2 = "officer-2"
)

// Fixture is an authority, a platform, a reviewer and a producer with keys and
// certificates, and the genesis that admits them.
type Fixture struct {
	Suite     envelope.Suite
	CA        envelope.CA
	Signing   envelope.PrivateKey // the authority's
	Sealing   envelope.PrivateKey // the authority's
	Platform  envelope.PrivateKey // the platform's signing key
	Others    map[string]envelope.PrivateKey
	Genesis   chain.Genesis
	Signers   []note.Signer
	Keys      receipt.Keys
	Begun     time.Time
	Published string // the authority's log keys, vkey lines

	// Ring gives the signers of later log keys; nil: there are none. Set it on a copy:
	// a fixture is shared.
	Ring func(vkeys []string) ([]note.Signer, error)
}

var made sync.Map // suite name -> *Fixture; key generation is slow in suite intl

// New makes a fixture; one per suite and process, since RSA keys take their time.
func New(t testing.TB, suite envelope.Suite) *Fixture {
	t.Helper()
	if f, ok := made.Load(suite.Name()); ok {
		return f.(*Fixture)
	}
	f := &Fixture{Suite: suite, Begun: time.Now().Add(-time.Hour).Truncate(time.Second), Others: map[string]envelope.PrivateKey{}}
	var err error
	f.CA, err = envelope.NewCA(rand.Reader, suite.Name(), "test-authority", f.Begun.Add(-time.Hour), f.Begun.AddDate(10, 0, 0))
	must(t, err)
	f.Signing = f.Key(t, envelope.Signing)
	f.Sealing = f.Key(t, envelope.Sealing)
	f.Platform = f.Key(t, envelope.Signing)
	f.Genesis = chain.Genesis{
		Contract:  contract.Genesis{Chain: Chain, Suite: suite.Name(), Bundle: contracts.Prescription()},
		Authority: f.Signing.Public().SPKI(), CA: f.CA.Certificate(),
	}
	f.admit(t, Platform, contract.RolePlatform, f.Platform)
	for id, role := range map[string]contract.Role{Reviewer: contract.RoleReviewer, Producer: contract.RoleProducer, Officer: contract.RoleOfficer, Officer2: contract.RoleOfficer} {
		f.Others[id] = f.Key(t, envelope.Signing)
		f.admit(t, id, role, f.Others[id])
	}
	f.logKeys(t)
	made.Store(suite.Name(), f)
	return f
}

// Key draws a key pair.
func (f *Fixture) Key(t testing.TB, use envelope.Use) envelope.PrivateKey {
	t.Helper()
	k, err := f.Suite.GenerateKey(rand.Reader, use)
	must(t, err)
	return k
}

// Certificate issues one of the authority's certificates.
func (f *Fixture) Certificate(t testing.TB, id string, role contract.Role, key envelope.PrivateKey) []byte {
	t.Helper()
	der, err := f.CA.Issue(rand.Reader, envelope.Subject{ID: id, Role: string(role)}, key.Public(), f.Begun.Add(-time.Minute), f.Begun.AddDate(1, 0, 0))
	must(t, err)
	return der
}

func (f *Fixture) admit(t testing.TB, id string, role contract.Role, key envelope.PrivateKey) {
	t.Helper()
	der := f.Certificate(t, id, role, key)
	c, err := envelope.CheckCertificate(f.CA.Certificate(), der, f.Begun)
	must(t, err)
	f.Genesis.Certificates = append(f.Genesis.Certificates, der)
	f.Genesis.Contract.Identities = append(f.Genesis.Contract.Identities, chain.IdentityOf(c))
}

func (f *Fixture) logKeys(t testing.TB) {
	t.Helper()
	k := f.DrawLogKeys(t)
	f.Signers, f.Published = k.Signers, strings.Join(k.Lines, "\n")+"\n"
	var err error
	f.Keys, err = receipt.ParseKeys(f.Published)
	must(t, err)
}

// Open starts a node in dir and stops it when the test ends or stop is called.
func (f *Fixture) Open(t testing.TB, dir string) (c *chain.Chain, stop func()) {
	t.Helper()
	return f.OpenArchived(t, dir, nil, 0)
}

// OpenArchived is Open of a chain that keeps some blocks and reads from an archive what it has pruned.
func (f *Fixture) OpenArchived(t testing.TB, dir string, a chain.Archived, keep int64) (c *chain.Chain, stop func()) {
	t.Helper()
	c, err := chain.Open(chain.Config{Dir: dir, Genesis: f.Genesis, Begun: f.Begun, Signers: f.Signers, Ring: f.Ring, Archive: a, Keep: keep})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	select {
	case <-c.Ready():
	case err := <-done:
		t.Fatalf("running the chain: %v", err)
	}
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("running the chain: %v", err)
		}
	})
	t.Cleanup(stop)
	return c, stop
}

// Registration composes a submission that registers a record, and its facts.
func (f *Fixture) Registration(t testing.TB, number string) (flow.Submission, flow.Header, contract.Facts) {
	t.Helper()
	h := flow.Header{Step: flow.Register, Record: flow.SumHash([]byte("value of " + number))}
	facts := contract.Facts{
		Business: "prescription", Subject: Name("subject", "s1"), Originator: Name("originator", "o1"),
		Record: Name("record", number), Content: Name("content", number), Currency: "CNY",
		Items:  []contract.ItemFacts{{Item: Name("item", "i1"), Quantity: 1000, DaysSupply: 7, Amount: 1250}},
		Amount: 1250, DaysSupply: 7,
	}
	sub, h := f.Submission(t, h, []byte(`{"number":"`+number+`"}`))
	return sub, h, facts
}

// Name is a stand-in for the authority's pseudonyms.
func Name(kind, id string) string { return flow.SumHash([]byte(kind), []byte{0}, []byte(id)).String() }

// Submission completes the header, seals and signs.
func (f *Fixture) Submission(t testing.TB, h flow.Header, payload []byte) (flow.Submission, flow.Header) {
	t.Helper()
	h.Version, h.Suite, h.Chain, h.Network = 1, f.Suite.Name(), Chain, Network
	h.Platform, h.Business = Platform, "prescription"
	h.Sender, h.Recipients = f.Platform.Public().ID(), []flow.KeyID{f.Sealing.Public().ID()}
	if h.ID == (flow.ID{}) {
		id, err := flow.NewID(rand.Reader)
		must(t, err)
		h.ID = id
	}
	m := envelope.Message{Payload: payload}
	rand.Read(m.Salt[:])
	h.Commitment = envelope.Commit(f.Suite, m)
	var sub flow.Submission
	var err error
	sub.Header, err = flow.Marshal(h)
	must(t, err)
	sub.Sealed, err = f.Suite.Seal(rand.Reader, envelope.SubmissionContext(h), m, f.Sealing.Public())
	must(t, err)
	sub.Signature, err = f.Suite.Sign(rand.Reader, f.Platform, sub.SigningInput())
	must(t, err)
	return sub, h
}

// Compose makes the authority's transaction for a submission.
func (f *Fixture) Compose(t testing.TB, sub flow.Submission, facts contract.Facts) []byte {
	t.Helper()
	enc, err := flow.Marshal(facts)
	must(t, err)
	tx, err := chain.Compose(Chain, chain.KindDecide, chain.Decide{Submission: sub, Facts: enc}, f.Suite, f.Signing, rand.Reader)
	must(t, err)
	return tx
}

// Order composes and signs an officer's order.
func (f *Fixture) Order(t testing.TB, o contract.Order) chain.SignedOrder {
	t.Helper()
	enc, err := flow.Marshal(o)
	must(t, err)
	sig, err := f.Suite.Sign(rand.Reader, f.Others[o.Officer], chain.OrderInput(Chain, enc))
	must(t, err)
	return chain.SignedOrder{Order: enc, Signature: sig}
}

// Announce says on a chain what its archive has.
func (f *Fixture) Announce(c *chain.Chain) func(context.Context, chain.ArchivedTo) error {
	return func(ctx context.Context, to chain.ArchivedTo) error {
		tx, err := chain.Compose(Chain, chain.KindArchive, to, f.Suite, f.Signing, rand.Reader)
		if err != nil {
			return err
		}
		return c.Submit(ctx, tx)
	}
}

// Give has the chain carry out the next order of the first officer.
func (f *Fixture) Give(t testing.TB, c *chain.Chain, kind contract.Kind, body any) (contract.OrderOutcome, error) {
	t.Helper()
	return f.give(t, c, kind, body, "")
}

// GiveTwo is Give of an order that the second officer signs too.
func (f *Fixture) GiveTwo(t testing.TB, c *chain.Chain, kind contract.Kind, body any) (contract.OrderOutcome, error) {
	t.Helper()
	return f.give(t, c, kind, body, Officer2)
}

func (f *Fixture) give(t testing.TB, c *chain.Chain, kind contract.Kind, body any, second string) (contract.OrderOutcome, error) {
	t.Helper()
	last, err := contract.LastOrder(c.State())
	must(t, err)
	enc, err := flow.Marshal(body)
	must(t, err)
	now := time.Now()
	o := f.Order(t, contract.Order{
		Number: last + 1, Kind: kind, Officer: Officer, Reason: "test", Issued: now.Unix(), Expires: now.Add(time.Hour).Unix(), Body: enc,
	})
	if o.Second = second; second != "" {
		o.SecondSignature, err = f.Suite.Sign(rand.Reader, f.Others[second], chain.OrderInput(Chain, o.Order))
		must(t, err)
	}
	tx, err := chain.Compose(Chain, chain.KindOrder, o, f.Suite, f.Signing, rand.Reader)
	must(t, err)
	return c.Order(t.Context(), tx)
}

// Register registers a record and gives its decision.
func (f *Fixture) Register(t testing.TB, c *chain.Chain, number string) chain.Decided {
	t.Helper()
	sub, h, facts := f.Registration(t, number)
	d, err := c.Decide(t.Context(), h.ID, f.Compose(t, sub, facts))
	must(t, err)
	return d
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Numbered is a record number.
func Numbered(i int) string { return fmt.Sprintf("RX-%06d", i) }
