package contract

import (
	"errors"
	"fmt"
	"slices"

	"signalbox.dev/signalbox/flow"
)

// Ground is why a payload may be erased.
type Ground string

// The grounds.
const (
	ByRetention Ground = "retention" // its time has passed; see Retention
	ByLaw       Ground = "law"       // a provision or a judgment asks for it, whatever its age
)

// Erasure is the body of payload.erase: the authority's copies of these decided
// submissions, sealed payload and facts, are to be destroyed (R10.1). The decisions
// and the proofs of them stay. It can't be undone, so two officers sign it, whatever
// the policy says.
type Erasure struct {
	_ struct{} `cbor:",toarray"`

	Ground   Ground
	Basis    string // with ByLaw: which provision, judgment or request
	Payloads []Payload
}

// Payload names a decided submission by its transaction.
type Payload struct {
	_ struct{} `cbor:",toarray"`

	Tx flow.Hash
	// Proof shows the decision to a chain whose state has it no more, since it was
	// archived; nil for others. The host checks it.
	Proof *Inclusion
}

// Inclusion proves that a leaf is in the log.
type Inclusion struct {
	_ struct{} `cbor:",toarray"`

	Leaf  []byte
	Index int64
	Path  []flow.Hash // RFC 6962, to the root that the chain keeps of what is archived
}

// MaxPayloads is how many payloads one order can name.
const MaxPayloads = 100

// Retention is the body of retention.set: how long payloads of a kind of business are
// kept at least, unless the law asks for them sooner.
type Retention struct {
	_ struct{} `cbor:",toarray"`

	Business string
	Days     int64 // since the decision; 0: for good
}

// maxRetention is a thousand years, in days.
const maxRetention = 365_250

// Decided is a decision as the host's log has it.
type Decided struct {
	Business string
	Issued   int64 // Unix seconds
	Held     bool  // it waits for an officer, who needs the payload
	Index    int64 // of the leaf
	Height   int64 // of the block that holds the transaction; 0: not known any more
}

// Erased is an erasure that was ordered. From the order on nobody is given the
// payload, also while a copy is still waiting to be destroyed.
type Erased struct {
	_ struct{} `cbor:",toarray"`

	Order  uint64
	At     int64 // Unix seconds
	Ground Ground
	Index  int64 // of the leaf in the log
	Height int64 // of the block that holds the transaction, as far as the host knows; 0: it is gone
}

// ErasureOf returns the erasure of a transaction; false when none was ordered.
func ErasureOf(s State, tx flow.Hash) (Erased, bool, error) {
	var e Erased
	ok, err := load(s, erasureKey(tx), &e)
	return e, ok, err
}

// RetentionOf returns how many days payloads of a kind of business are kept; 0: for good.
func RetentionOf(s State, business string) (int64, error) {
	var days int64
	_, err := load(s, retentionKey(business), &days)
	return days, err
}

// erase orders the destruction of payloads.
func (p *proceeding) erase(e Erasure) error {
	if p.second == "" {
		return refuseOrder("order_second", string(p.order.Kind))
	}
	switch {
	case len(e.Payloads) == 0 || len(e.Payloads) > MaxPayloads:
		return wrong(fmt.Errorf("payloads: want 1 to %d", MaxPayloads))
	case e.Ground != ByRetention && e.Ground != ByLaw:
		return wrong(fmt.Errorf("ground: %q: want retention or law", e.Ground))
	case len(e.Basis) > maxMessage:
		return wrong(fmt.Errorf("basis: at most %d bytes", maxMessage))
	case e.Ground == ByLaw && e.Basis == "":
		return refuseOrder("erase_basis")
	}
	for i, payload := range e.Payloads {
		if slices.ContainsFunc(e.Payloads[:i], func(other Payload) bool { return other.Tx == payload.Tx }) {
			return wrong(errors.New("payloads: one stands twice"))
		}
		if err := p.eraseOne(e.Ground, payload); err != nil {
			return err
		}
	}
	return nil
}

func (p *proceeding) eraseOne(ground Ground, payload Payload) error {
	done, before, err := ErasureOf(p.s, payload.Tx)
	if err != nil {
		return err
	}
	if before {
		return refuseOrder("erase_done", payload.Tx, done.Order)
	}
	if p.at.Decided == nil {
		return refuseOrder("erase_unknown", payload.Tx)
	}
	d, known, err := p.at.Decided(payload)
	switch {
	case err != nil:
		return err
	case !known:
		return refuseOrder("erase_unknown", payload.Tx)
	case d.Held:
		return refuseOrder("erase_held", payload.Tx)
	}
	if ground == ByRetention {
		if err := p.retained(payload.Tx, d); err != nil {
			return err
		}
	}
	p.out.Erased = append(p.out.Erased, payload.Tx)
	return store(p.s, erasureKey(payload.Tx), Erased{
		Order: p.order.Number, At: p.at.Now, Ground: ground, Index: d.Index, Height: d.Height,
	})
}

// retained refuses an erasure by retention before its time.
func (p *proceeding) retained(tx flow.Hash, d Decided) error {
	days, err := RetentionOf(p.s, d.Business)
	if err != nil {
		return err
	}
	if days == 0 {
		return refuseOrder("erase_forever", tx, d.Business)
	}
	if left := d.Issued + days*secondsPerDay - p.at.Now; left > 0 {
		return refuseOrder("erase_early", tx, days, (left+secondsPerDay-1)/secondsPerDay)
	}
	return nil
}

func (p *proceeding) setRetention(r Retention) error {
	if err := flow.CheckName("business", r.Business); err != nil {
		return wrong(err)
	}
	if r.Days < 0 || r.Days > maxRetention {
		return wrong(fmt.Errorf("days: want 0 to %d", int64(maxRetention)))
	}
	return store(p.s, retentionKey(r.Business), r.Days)
}
