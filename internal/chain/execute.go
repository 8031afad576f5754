package chain

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/receipt"
)

// block is one block being executed: staged changes and where the log stands.
type block struct {
	*overlay
	height int64
	now    int64 // block time, Unix seconds
	size   int64 // leaves, with those of this block
	trust  trust
	rules  *contract.Contract
	cache  *verified
}

// execute carries out one transaction. A *refusal is its result; any other
// error is a failure of the storage and ends the block.
func (b *block) execute(slot int, raw []byte) error {
	hash := TxHash(raw)
	tx, err := parseTransaction(raw)
	if err != nil {
		return refuse(codeMalformed, "%w", err)
	}
	if err := b.trust.checkSignature(b.cache, hash, tx); err != nil {
		return err
	}
	switch tx.Kind {
	case KindDecide:
		return b.decide(slot, hash, tx)
	case KindAnchor:
		return b.anchor(tx)
	case KindStatus:
		return b.status(tx)
	default:
		return refuse(codeMalformed, "unknown kind of transaction %d", tx.Kind)
	}
}

// decide gives the decision on a submission, once.
func (b *block) decide(slot int, hash flow.Hash, tx Transaction) error {
	var body Decide
	if err := parseBody(tx, &body); err != nil {
		return refuse(codeMalformed, "%w", err)
	}
	h, err := body.Submission.Open()
	if err != nil {
		return refuse(codeMalformed, "%w", err)
	}
	digest := submissionDigest(body.Submission)
	if err := known(b.get, h.ID, digest); err != nil {
		return err
	}
	if err := b.trust.checkSender(contractState{b.overlay}, b.cache, body.Submission, h); err != nil {
		return err
	}
	var facts contract.Facts
	if err := flow.Unmarshal(body.Facts, &facts); err != nil {
		return refuse(codeMalformed, "facts: %w", err)
	}
	if err := b.checkEnrolment(h, body, facts); err != nil {
		return err
	}
	d, err := b.rules.Decide(contractState{b.overlay}, contract.Request{Header: h, Tx: hash, Facts: facts, Now: b.now})
	if err != nil {
		return fmt.Errorf("deciding: %w", err)
	}
	return b.record(slot, hash, h, body, facts, d, digest)
}

// checkEnrolment demands, for an enrolment, a certificate of the authority's CA
// that says what the facts say (R2.1, R7.1).
func (b *block) checkEnrolment(h flow.Header, body Decide, facts contract.Facts) error {
	if h.Step != flow.Enrol || facts.Enrol == nil {
		return nil
	}
	if err := certifies(b.trust.ca, body.Certificate, *facts.Enrol, time.Unix(b.now, 0)); err != nil {
		return refuse(codeMalformed, "enrolment: %w", err)
	}
	return nil
}

// record stages everything that a decision leaves.
func (b *block) record(slot int, hash flow.Hash, h flow.Header, body Decide, facts contract.Facts, d contract.Decision, digest flow.Hash) error {
	leaf, err := leafOf(hash, h, flow.SumHash(body.Facts), d, b.now).Encode()
	if err != nil {
		return refuse(codeMalformed, "%w", err)
	}
	index := b.size
	if err := b.appendLeaf(index, leaf); err != nil {
		return err
	}
	b.size++
	if facts.Subject != "" {
		b.set(subjectPrefix(facts.Subject)+ordinal(index), hash[:])
	}
	if !d.Flow.IsZero() {
		b.set(flowPrefix(d.Flow)+ordinal(index), hash[:])
	}
	for key, v := range map[string]any{
		subKey(h.ID):      submitted{Tx: hash, Digest: digest},
		txKey(hash):       located{Height: b.height, Slot: slot, Index: index},
		decisionKey(hash): decided{Reasons: d.Reasons, Basis: string(d.Basis), Flags: d.Flags, Observed: d.Observed, Subject: facts.Subject},
	} {
		if err := b.store(key, v); err != nil {
			return err
		}
	}
	return nil
}

func leafOf(hash flow.Hash, h flow.Header, facts flow.Hash, d contract.Decision, now int64) receipt.Leaf {
	l := receipt.Leaf{
		Suite: h.Suite, Chain: h.Chain, Network: h.Network, Platform: h.Platform,
		Business: h.Business, Actor: h.Actor, Step: h.Step, Verdict: d.Verdict,
		Issued: now, Expires: d.Expires, ContractVersion: d.Version, Contract: d.Contract,
		Flow: d.Flow, Tx: hash, Commitment: h.Commitment, Record: h.Record,
		Token: d.Token, Facts: facts, Submission: h.ID,
	}
	for _, r := range d.Reasons {
		l.Reasons = append(l.Reasons, r.Code)
	}
	return l
}

// submissionDigest tells two submissions of one id apart. The signature counts:
// it is part of what was received.
func submissionDigest(s flow.Submission) flow.Hash {
	return flow.SumHash(s.SigningInput(), s.Signature)
}

// known refuses a submission that has its decision, so that a replay is never
// counted twice, and another one that comes under the same id.
func known(get func(string) ([]byte, error), id flow.ID, digest flow.Hash) error {
	var s submitted
	ok, err := load(get, subKey(id), &s)
	switch {
	case err != nil:
		return err
	case !ok:
		return nil
	case s.Digest == digest:
		return refuse(codeKnown, "submission %s was decided by transaction %s", id, s.Tx)
	default:
		return refuse(codeConflict, "another submission was decided under id %s by transaction %s", id, s.Tx)
	}
}

// anchor notes where granted records stand on the business chain. A repeated
// anchor changes nothing; one that differs is refused and left for people.
func (b *block) anchor(tx Transaction) error {
	var body Anchors
	if err := parseBody(tx, &body); err != nil {
		return refuse(codeMalformed, "%w", err)
	}
	for _, a := range body.Anchors {
		var at located
		ok, err := b.load(txKey(a.Tx), &at)
		if err != nil {
			return err
		}
		if !ok {
			return refuse(codeTooEarly, "no transaction %s to anchor", a.Tx)
		}
		raw, err := b.get(leafKey(at.Index))
		if err != nil {
			return err
		}
		leaf, err := receipt.DecodeLeaf(raw)
		if err != nil {
			return fmt.Errorf("reading leaf %d: %w", at.Index, err)
		}
		if leaf.Platform != body.Platform || leaf.Verdict != flow.Granted || !leaf.Step.Recorded() {
			return refuse(codeTooEarly, "transaction %s is not a granted record of platform %s", a.Tx, body.Platform)
		}
		if err := b.noteAnchor(a); err != nil {
			return err
		}
	}
	return nil
}

func (b *block) noteAnchor(a flow.Anchor) error {
	enc, err := flow.Marshal(a)
	if err != nil {
		return refuse(codeMalformed, "anchor: %w", err)
	}
	old, err := b.get(anchorKey(a.Tx))
	switch {
	case err != nil:
		return err
	case old == nil:
		b.set(anchorKey(a.Tx), enc)
	case !bytes.Equal(old, enc):
		return refuse(codeConflict, "transaction %s is anchored elsewhere", a.Tx)
	}
	return nil
}

// status carries out an order on an identity (R7.1).
func (b *block) status(tx Transaction) error {
	var body StatusOrder
	if err := parseBody(tx, &body); err != nil {
		return refuse(codeMalformed, "%w", err)
	}
	var last uint64
	if _, err := b.load(orderKey(), &last); err != nil {
		return err
	}
	if body.Number != last+1 {
		return refuse(codeOrder, "order %d: the next order is %d", body.Number, last+1)
	}
	if b.now >= body.Expires {
		return refuse(codeOrder, "order %d has expired", body.Number)
	}
	err := contract.SetIdentityStatus(contractState{b.overlay}, body.Identity, contract.Status(body.Status))
	switch {
	case errors.Is(err, contract.ErrUnknownIdentity), errors.Is(err, contract.ErrRevoked), errors.Is(err, contract.ErrStatus):
		return refuse(codeOrder, "order %d: %w", body.Number, err)
	case err != nil:
		return err
	}
	return b.store(orderKey(), body.Number)
}
