// Package authorise takes records in and has them authorised (R1): it reads a
// record by its profile, which masks what is to be masked (R1.1), recognises one
// that it has already, and intends its registration. The outbox does the rest;
// a granted registration makes the flow (R1.5, R1.6), a refused one never
// reaches the business chain (R1.7).
package authorise

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/dossier"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/internal/platform/sealing"
	"signalbox.dev/signalbox/internal/store"
	"signalbox.dev/signalbox/profile"
)

// Errors of this package. Register also gives a *profile.Refusal for a record
// that was understood and is not taken, and a *profile.Problem, or several
// joined, for one that is malformed or incomplete.
var (
	ErrKeyReused = errors.New("the idempotency key was used for another record")
	ErrKey       = errors.New("the idempotency key is longer than 255 bytes")
)

const maxKey = 255

// Config is what the module works with.
type Config struct {
	Store   *store.Store
	Outbox  *outbox.Outbox
	Sealer  *sealing.Sealer
	Profile profile.Profile
	Clock   func() time.Time
}

// Module takes records in. It is safe for concurrent use.
type Module struct {
	cfg Config
}

// New registers the module's handler with the outbox.
func New(cfg Config) *Module {
	m := &Module{cfg: cfg}
	cfg.Outbox.Handle(flow.Register, m.registered)
	return m
}

// Input is a record as it comes in.
type Input struct {
	Data []byte // as the originator sent it
	Key  string // idempotency key, up to 255 bytes; empty: none
}

// Registration is where a record's registration stands.
type Registration struct {
	Ref      flow.ID    `json:"ref"`                // the submission's id: names the flow until it has its txhash
	Flow     flow.Hash  `json:"flow,omitzero"`      // zero until granted (R1.6)
	State    flow.State `json:"state"`              // empty while undecided
	Existing bool       `json:"existing,omitempty"` // the record was here before
}

// errExisting ends a transaction that has found the record here already.
var errExisting = errors.New("the record is here already")

// Register takes a record in and intends its registration. The very same record
// of the same originator gives the registration that there is; what bears a
// known number with other content goes to the authority, which refuses it as
// duplicate_record. With an idempotency key, the same input always gives the
// same registration and another input ErrKeyReused.
func (m *Module) Register(ctx context.Context, in Input) (Registration, error) {
	if len(in.Key) > maxKey {
		return Registration{}, ErrKey
	}
	rec, err := m.cfg.Profile.Intake(in.Data)
	if err != nil {
		return Registration{}, err
	}
	a := arrival{key: in.Key, body: flow.SumHash(in.Data).String(), rec: rec, content: flow.SumHash(rec.Canonical).String()}
	// Looked up first only to spare the sealing: the look in the transaction counts.
	if f, err := m.known(ctx, m.cfg.Store.DB(), a); err != nil {
		return Registration{}, err
	} else if f != nil {
		return m.existing(ctx, a, *f)
	}
	p, err := m.cfg.Outbox.Prepare(ctx, outbox.Intent{Step: flow.Register, Payload: rec.Canonical, To: m.cfg.Sealer.Own()})
	if err != nil {
		return Registration{}, fmt.Errorf("registering a record: %w", err)
	}
	var found *dossier.Flow
	_, err = m.cfg.Outbox.Do(ctx, p, func(ctx context.Context, tx bun.Tx) error {
		if found, err = m.known(ctx, tx, a); err != nil {
			return err
		}
		if found != nil {
			return errExisting
		}
		return m.insert(ctx, tx, a, p.ID())
	})
	if found != nil && errors.Is(err, errExisting) {
		return m.existing(ctx, a, *found)
	}
	if err != nil {
		return Registration{}, err
	}
	return Registration{Ref: p.ID()}, nil
}

// arrival is a record that has come in.
type arrival struct {
	key, body string
	rec       profile.Record
	content   string
}

// known finds the flow that a key or a record has already; nil for none.
func (m *Module) known(ctx context.Context, db bun.IDB, a arrival) (*dossier.Flow, error) {
	f, err := byKey(ctx, db, a)
	if err == nil && f == nil {
		var same dossier.Flow
		same, err = dossier.SameRecord(ctx, db, a.rec.Originator, a.rec.Number, a.content)
		f = &same
	}
	if errors.Is(err, dossier.ErrNotFound) {
		return nil, nil
	}
	return f, err
}

func byKey(ctx context.Context, db bun.IDB, a arrival) (*dossier.Flow, error) {
	if a.key == "" {
		return nil, nil
	}
	var k []idempotency
	if err := db.NewSelect().Model(&k).Where("key = ?", hashed(a.key)).Scan(ctx); err != nil {
		return nil, fmt.Errorf("reading idempotency key: %w", err)
	}
	if len(k) == 0 {
		return nil, nil
	}
	if k[0].Body != a.body {
		return nil, ErrKeyReused
	}
	ref, err := flow.ParseID(k[0].Ref)
	if err != nil {
		return nil, err
	}
	f, err := dossier.ByRef(ctx, db, ref)
	return &f, err
}

type idempotency struct {
	bun.BaseModel `bun:"table:idempotency"`

	Key       string `bun:",pk"` // SHA-256: a caller's key may hold anything
	Body      string
	Ref       string
	CreatedAt int64
}

func hashed(key string) string { return flow.SumHash([]byte(key)).String() }

// existing answers with the registration that there is, and remembers the key.
func (m *Module) existing(ctx context.Context, a arrival, f dossier.Flow) (Registration, error) {
	if a.key != "" {
		err := m.cfg.Store.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
			// Somebody may have used the key since.
			k, err := byKey(ctx, tx, a)
			if err != nil || k != nil {
				return err
			}
			return m.remember(ctx, tx, a, f.Ref)
		})
		if err != nil {
			return Registration{}, err
		}
	}
	ref, err := flow.ParseID(f.Ref)
	return Registration{Ref: ref, Flow: f.ID(), State: f.State, Existing: true}, err
}

func (m *Module) insert(ctx context.Context, tx bun.Tx, a arrival, ref flow.ID) error {
	now := m.cfg.Clock().UnixMilli()
	err := dossier.Insert(ctx, tx, dossier.Flow{
		Ref: ref.String(), Originator: a.rec.Originator, Number: a.rec.Number,
		Content: a.content, Title: a.rec.Title, CreatedAt: now, UpdatedAt: now,
	})
	if err != nil || a.key == "" {
		return err
	}
	return m.remember(ctx, tx, a, ref.String())
}

func (m *Module) remember(ctx context.Context, tx bun.Tx, a arrival, ref string) error {
	k := idempotency{Key: hashed(a.key), Body: a.body, Ref: ref, CreatedAt: m.cfg.Clock().UnixMilli()}
	if _, err := tx.NewInsert().Model(&k).Exec(ctx); err != nil {
		return fmt.Errorf("writing idempotency key: %w", err)
	}
	return nil
}

// registered handles the end of a registration.
func (m *Module) registered(ctx context.Context, tx bun.Tx, o outbox.Outcome) error {
	switch o.State {
	case outbox.Done:
		return dossier.Granted(ctx, tx, o.Ref, o.Flow, m.cfg.Clock())
	case outbox.Refused, outbox.Lapsed:
		return dossier.Refuse(ctx, tx, o.Ref, m.cfg.Clock())
	default:
		return nil
	}
}
