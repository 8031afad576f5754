package sealing

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/receipt"
)

// ErrUnproven is what errors about decisions wrap that their receipt does not
// prove. Such a decision is no decision: the outcome stays unknown.
var ErrUnproven = errors.New("the decision is not proven")

// ErrNoPermit is what errors of Permits wrap: the token does not permit this, or
// does so no more.
var ErrNoPermit = errors.New("no valid permit")

// Prove verifies a receipt and that it is about this platform. Hand-overs of the
// authority's log keys that it carries count from then on, if they follow on the
// keys that are trusted; a decision under keys that nothing leads to is unproven.
func (s *Sealer) Prove(file []byte) (receipt.Leaf, error) {
	p, err := s.proofs.Verify(file, s.log.now(), s.cfg.Chain)
	if err != nil {
		return receipt.Leaf{}, fmt.Errorf("%w: %w", ErrUnproven, err)
	}
	l := p.Leaf
	err = allHold(ErrUnproven, []check{
		{l.Suite == s.cfg.Suite.Name(), "it is of another suite"},
		{l.Network == s.cfg.Network, "it is for another network"},
		{l.Platform == s.cfg.Platform, "it is for another platform"},
		{l.Business == s.cfg.Business, "it is for another kind of business"},
	})
	if err != nil {
		return l, err
	}
	return l, s.log.follow(p.Handovers)
}

// logKeys are the authority's log keys, which it hands over from time to time.
type logKeys struct {
	keep func([][]byte) error

	mu   sync.RWMutex // guards keys; held for writing until what is followed is durable
	keys receipt.Keys
}

func (k *logKeys) now() receipt.Keys {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.keys
}

// follow takes hand-overs from a receipt that holds. An error that is not
// ErrUnproven is the storage's, and the receipt is to be judged again.
func (k *logKeys) follow(statements [][]byte) error {
	if len(statements) == 0 {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	keys, err := k.keys.Follow(statements...)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnproven, err)
	}
	if keys.Reach() != k.keys.Reach() && k.keep != nil {
		if err := k.keep(statements); err != nil {
			return fmt.Errorf("keeping a hand-over of the authority's keys: %w", err)
		}
	}
	k.keys = keys
	return nil
}

// Decides says whether a proven leaf decides exactly the submission with header
// h, and recomputes its token for the day of issue in the authority's zone
// (R2.3, R3.4).
func (s *Sealer) Decides(l receipt.Leaf, h flow.Header) error {
	granted := l.Verdict == flow.Granted
	err := allHold(ErrUnproven, []check{
		{l.Submission == h.ID, "it is for another submission"},
		{l.Step == h.Step, "it is for another step"},
		{l.Actor == h.Actor, "it is for another actor"},
		{l.Commitment == h.Commitment, "it is for another payload"},
		{l.Record == h.Record, "it is for another business record"},
		{!l.Tx.IsZero(), "it names no transaction"},
		{l.Flow == flowOf(l, h) || !granted && l.Flow.IsZero(), "it is for another flow"},
		{l.Expires == 0 || l.Expires > l.Issued, "it expires before it is issued"},
	})
	if err != nil {
		return err
	}
	if !granted || h.Step.TokenSuffix() == "" {
		return allHold(ErrUnproven, []check{{l.Token.IsZero(), "it carries a token that its step does not give"}})
	}
	return s.tokenIsTrue(l)
}

// flowOf is the flow that a decision must name: a granted registration makes it.
func flowOf(l receipt.Leaf, h flow.Header) flow.Hash {
	if h.Step == flow.Register && l.Verdict == flow.Granted {
		return l.Tx
	}
	return h.Flow
}

func (s *Sealer) tokenIsTrue(l receipt.Leaf) error {
	day := time.Unix(l.Issued, 0).In(s.cfg.Zone)
	return allHold(ErrUnproven, []check{
		{flow.TokenIsTrue(l.Token, day, l.Flow, l.Step), "its token is not true for the day of issue"},
		{l.Expires != 0, "its token never expires"},
	})
}

// Permit is what someone claims to be permitted.
type Permit struct {
	Step  flow.Step // ReviewRequest or Order
	Flow  flow.Hash
	Tx    flow.Hash // transaction of the granting decision
	Actor string
	Now   time.Time
}

// Permits judges a token again by its receipt, at the moment of use: it must
// prove this very permission, be true, and not have expired (R2.4, R4.1).
// Whether it was used before is for the caller to know.
func (s *Sealer) Permits(file []byte, p Permit) (receipt.Leaf, error) {
	l, err := s.Prove(file)
	if err != nil {
		return receipt.Leaf{}, fmt.Errorf("%w: %w", ErrNoPermit, err)
	}
	err = allHold(ErrNoPermit, []check{
		{l.Verdict == flow.Granted, "the step was not granted"},
		{l.Step == p.Step, "the token is for another step"},
		{l.Flow == p.Flow && l.Tx == p.Tx, "the token is for another flow"},
		{l.Actor == p.Actor, "the token is for someone else"},
		{l.Expires > p.Now.Unix(), "the token has expired"},
	})
	if err != nil {
		return receipt.Leaf{}, err
	}
	if err := s.tokenIsTrue(l); err != nil {
		return receipt.Leaf{}, fmt.Errorf("%w: %w", ErrNoPermit, err)
	}
	return l, nil
}

type check struct {
	holds bool
	what  string
}

func allHold(kind error, checks []check) error {
	for _, c := range checks {
		if !c.holds {
			return fmt.Errorf("%w: %s", kind, c.what)
		}
	}
	return nil
}
