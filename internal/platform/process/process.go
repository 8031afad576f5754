// Package process is the platform's part from order to delivery (R3, R4, R5):
//
//   - Order: the subject orders an approved record from a producer; granted, the
//     order stands on the business chain, sealed to that producer's key alone.
//   - Fetch and OpenOrder: the producer asks for it, takes it, and opens it with
//     its own key, on its own machine. The platform itself can't (R4.2).
//   - MakeUp: the producer makes it up; amounts follow from each item's
//     reimbursement ratio; the subject's part gets a payment link.
//   - Paid: when the provider confirms payment, the settlement is submitted.
//   - Deliver: the producer reports that the subject has the goods.
//
// Between two steps the platform keeps amounts as integers and whatever names
// items sealed to its own key. When a payment comes for an order whose token has
// ended, the settlement is refused by the authority, the payment is marked
// failed and an event tells of it; giving the money back is the producer's and
// the provider's business.
package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/dossier"
	"signalbox.dev/signalbox/internal/platform/event"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/internal/platform/payment"
	"signalbox.dev/signalbox/internal/platform/sealing"
	"signalbox.dev/signalbox/internal/store"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/profile"
)

// Errors of this package. A step out of turn is flow.ErrOutOfOrder.
var (
	// ErrNotYours is the one answer to every producer that holds no valid order
	// for the flow, whatever the reason.
	ErrNotYours   = errors.New("no valid order of this flow for this producer")
	ErrNoProducer = errors.New("no such producer")
	ErrOrdered    = errors.New("another order of this record is in force")
	ErrDelivery   = errors.New("delivery is pickup or courier")
	ErrNoPrice    = errors.New("an item has no price")
	ErrLines      = errors.New("the lines are not those of the order")
	ErrMadeUp     = errors.New("the order was made up with other lines")
	ErrNotPaid    = errors.New("the provider has no payment")
	ErrPayment    = errors.New("the provider's payment is not the one that was asked for")
	ErrFailed     = errors.New("the settlement of this payment was not granted")
)

// Producer is a producer as the platform knows it.
type Producer struct {
	Name string
	Key  envelope.PublicKey // its sealing key (R4.1)
}

// Producers finds producers.
type Producers interface {
	// Producer gives the producer of that identity, or ErrNoProducer. Safe for
	// concurrent use.
	Producer(ctx context.Context, id string) (Producer, error)
}

// Fixed is a list of producers that does not change.
type Fixed map[string]Producer

// Producer implements Producers.
func (f Fixed) Producer(_ context.Context, id string) (Producer, error) {
	p, ok := f[id]
	if !ok {
		return Producer{}, ErrNoProducer
	}
	return p, nil
}

// Prices knows producers' price lists.
type Prices interface {
	// Price gives the price of a whole line, for a record that names none, in
	// minor units of the record's currency; ErrNoPrice where there is none. Safe
	// for concurrent use.
	Price(ctx context.Context, producer string, item profile.Item) (int64, error)
}

// Config is what the module works with.
type Config struct {
	Store     *store.Store
	Events    *event.Log
	Outbox    *outbox.Outbox
	Sealer    *sealing.Sealer
	Ledger    ledger.Ledger
	Profile   profile.Profile
	Producers Producers
	Prices    Prices // nil: every record names its prices
	Provider  payment.Provider
	Clock     func() time.Time
	Logger    *slog.Logger
	Watch     time.Duration // between two looks at open payments; 0: 5 s
}

// Module is the platform's part from order to delivery. It is safe for concurrent use.
type Module struct {
	cfg Config
}

// New registers the module's handlers with the outbox. It starts nothing.
func New(cfg Config) *Module {
	if cfg.Watch <= 0 {
		cfg.Watch = 5 * time.Second
	}
	m := &Module{cfg: cfg}
	cfg.Outbox.Handle(flow.Order, m.ordered)
	cfg.Outbox.Handle(flow.Settle, m.settled)
	cfg.Outbox.Handle(flow.Deliver, m.delivered)
	return m
}

// OrderRequest is a subject's wish (R3.1).
type OrderRequest struct {
	Flow     flow.Hash
	Producer string
	Delivery string // "pickup" or "courier"
}

// Order submits an order of an approved record. On any other record it is
// flow.ErrOutOfOrder, and nothing is sent. While an order is in force there is no
// other; one whose token has ended may be replaced.
func (m *Module) Order(ctx context.Context, r OrderRequest) (flow.ID, error) {
	if r.Delivery != "pickup" && r.Delivery != "courier" {
		return flow.ID{}, ErrDelivery
	}
	producer, err := m.cfg.Producers.Producer(ctx, r.Producer)
	if err != nil {
		return flow.ID{}, fmt.Errorf("ordering from %s: %w", r.Producer, err)
	}
	// Looked at first so that no record is opened for an order that can't be.
	f, err := dossier.ByFlow(ctx, m.cfg.Store.DB(), r.Flow)
	if err != nil {
		return flow.ID{}, err
	}
	if _, err := flow.Next(f.State, flow.Order, false); err != nil {
		return flow.ID{}, err
	}
	purchase, amount, err := m.purchase(ctx, r)
	if err != nil {
		return flow.ID{}, fmt.Errorf("ordering %s: %w", r.Flow, err)
	}
	payload, err := flow.EncodePayload(purchase)
	if err != nil {
		return flow.ID{}, fmt.Errorf("ordering %s: %w", r.Flow, err)
	}
	p, err := m.cfg.Outbox.Prepare(ctx, outbox.Intent{Step: flow.Order, Flow: r.Flow, Actor: r.Producer, Payload: payload, To: producer.Key})
	if err != nil {
		return flow.ID{}, fmt.Errorf("ordering %s: %w", r.Flow, err)
	}
	row := order{
		Submission: p.ID().String(), Flow: r.Flow.String(), Producer: r.Producer, Delivery: r.Delivery,
		Currency: purchase.Currency, Amount: amount, State: asked, CreatedAt: m.now(), UpdatedAt: m.now(),
	}
	return m.cfg.Outbox.Do(ctx, p, func(ctx context.Context, tx bun.Tx) error {
		return m.place(ctx, tx, row)
	})
}

// purchase opens the record and makes the order of it.
func (m *Module) purchase(ctx context.Context, r OrderRequest) (flow.Purchase, int64, error) {
	rec, err := m.record(ctx, r.Flow)
	if err != nil {
		return flow.Purchase{}, 0, err
	}
	out := flow.Purchase{
		Flow: r.Flow, SubjectID: rec.SubjectID, Producer: r.Producer, Currency: rec.Currency,
		Delivery: r.Delivery, OrderedAt: m.cfg.Clock().UTC(),
	}
	for i, it := range rec.Items {
		price := it.Price
		if price == 0 {
			if price, err = m.price(ctx, r.Producer, it); err != nil {
				return flow.Purchase{}, 0, fmt.Errorf("item %d: %w", i+1, err)
			}
		}
		out.Lines = append(out.Lines, flow.OrderLine{
			Item: it.Code, Name: it.Name, Quantity: it.Quantity, Unit: it.Unit, Price: price, Ratio: it.Ratio,
		})
	}
	_, sum, err := profile.Settle(out.Lines)
	return out, sum.Total, err
}

func (m *Module) price(ctx context.Context, producer string, it profile.Item) (int64, error) {
	if m.cfg.Prices == nil {
		return 0, ErrNoPrice
	}
	return m.cfg.Prices.Price(ctx, producer, it)
}

// record takes a record from the business chain and opens it.
func (m *Module) record(ctx context.Context, id flow.Hash) (profile.Record, error) {
	stored, err := m.cfg.Ledger.Get(ctx, ledger.Key{Flow: id, Tx: id})
	if err != nil {
		return profile.Record{}, fmt.Errorf("fetching record: %w", err)
	}
	plain, err := m.cfg.Sealer.OpenStored(stored)
	if err != nil {
		return profile.Record{}, err
	}
	rec, err := m.cfg.Profile.Parse(plain)
	if err != nil {
		return profile.Record{}, fmt.Errorf("reading record: %w", err)
	}
	return rec, nil
}

func (m *Module) now() int64 { return m.cfg.Clock().UnixMilli() }
