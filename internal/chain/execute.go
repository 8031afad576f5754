package chain

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"signalbox.dev/signalbox/committee"
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
	voted  []committee.Voted                            // of the block before
	before []committee.Seat                             // who votes at the block's beginning
	work   bool                                         // there is more in it than candidates' words
	watch  func(contract.State, contract.Request) error // sees what is about to be decided; nil for nobody

	outcome  contract.OrderOutcome // of the order executed last
	erased   []flow.Hash           // transactions whose payload was erased in this block
	resolved int                   // held submissions that got a decision in this block
	handed   bool                  // the log's keys were handed over in this block
}

// at is where on the chain a transaction stands.
func (b *block) at(tx flow.Hash) contract.Block {
	return contract.Block{Height: b.height, Now: b.now, Tx: tx, Size: b.size, Decided: b.decided}
}

// begin does what is due before a block's first transaction: bundles take force
// (R6.1), holds whose deadline has passed are refused (R9.6).
func (b *block) begin() error {
	if err := b.begun(); err != nil {
		return err
	}
	state := contractState{b.overlay}
	due, err := contract.Due(state, b.height, b.now)
	if err != nil {
		return err
	}
	if due {
		if b.rules, err = contract.New(state); err != nil {
			return err
		}
	}
	if err := b.forget(); err != nil {
		return err
	}
	expired, err := b.rules.ExpireHolds(state, b.at(flow.Hash{}))
	if err != nil {
		return err
	}
	return b.resolve(expired)
}

// execute carries out one transaction. A *refusal is its result; any other
// error is a failure of the storage and ends the block.
func (b *block) execute(slot int, raw []byte) error {
	hash := TxHash(raw)
	tx, err := parseTransaction(raw)
	if err != nil {
		return refuse(codeMalformed, "%w", err)
	}
	if tx.Kind == KindReady {
		return b.ready(tx)
	}
	b.work = true
	if err := b.trust.checkSignature(b.cache, hash, tx); err != nil {
		return err
	}
	switch tx.Kind {
	case KindDecide:
		return b.decide(slot, hash, tx)
	case KindAnchor:
		return b.anchor(tx)
	case KindOrder:
		return b.order(hash, tx)
	case KindArchive:
		return b.archive(tx)
	case KindTick:
		return nil // begin did what was due
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
	r := contract.Request{Header: h, Tx: hash, Facts: facts, Now: b.now}
	if err := b.watched(r); err != nil {
		return err
	}
	d, err := b.rules.Decide(contractState{b.overlay}, r)
	if err != nil {
		return fmt.Errorf("deciding: %w", err)
	}
	return b.record(slot, hash, h, body, facts, d, digest)
}

func (b *block) watched(r contract.Request) error {
	if b.watch == nil {
		return nil
	}
	return b.watch(contractState{b.overlay}, r)
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

// record stages everything that the decision on a submission leaves.
func (b *block) record(slot int, hash flow.Hash, h flow.Header, body Decide, facts contract.Facts, d contract.Decision, digest flow.Hash) error {
	if err := b.store(subKey(h.ID), submitted{Tx: hash, Digest: digest}); err != nil {
		return err
	}
	return b.enter(hash, h, flow.SumHash(body.Facts), facts.Subject, d, located{Height: b.height, Slot: slot})
}

// enter makes a decision a leaf of the log and indexes it. at says where the
// transaction stands; a later decision on it takes the earlier one's place in
// the indexes, and its leaf comes after.
func (b *block) enter(hash flow.Hash, h flow.Header, facts flow.Hash, subject string, d contract.Decision, at located) error {
	leaf, err := leafOf(hash, h, facts, d, b.now).Encode()
	if err != nil {
		return refuse(codeMalformed, "%w", err)
	}
	at.Index = b.size
	if err := b.appendLeaf(at.Index, leaf); err != nil {
		return err
	}
	b.size++
	if subject != "" {
		b.set(subjectPrefix(subject)+ordinal(at.Index), hash[:])
	}
	if !d.Flow.IsZero() {
		b.set(flowPrefix(d.Flow)+ordinal(at.Index), hash[:])
	}
	if d.Verdict == flow.Granted && h.Step.Recorded() {
		b.set(openKey(at.Index), hash[:])
	}
	for key, v := range map[string]any{
		txKey(hash): at,
		decisionKey(hash): decided{
			Reasons: d.Reasons, Basis: string(d.Basis), Flags: d.Flags, Observed: d.Observed, Subject: subject,
			Order: d.Order, Grant: d.Grant,
		},
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
	if err == nil && !ok {
		if old, err := get(idKey(id)); err != nil || old != nil {
			return cmp.Or(err, error(refuse(codeKnown, "submission %s was decided, and archived since", id)))
		}
	}
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
		if stands, err := b.anchored(body.Platform, a); err != nil {
			return err
		} else if stands {
			continue
		}
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
		if err := b.noteAnchor(body.Platform, a, at.Index); err != nil {
			return err
		}
	}
	return nil
}

// anchored says whether the very anchor stands already.
func (b *block) anchored(platform string, a flow.Anchor) (bool, error) {
	var old noted
	ok, err := b.load(anchorKey(a.Tx), &old)
	if err != nil || !ok {
		return false, err
	}
	if old.Platform != platform {
		return false, refuse(codeTooEarly, "transaction %s is not a granted record of platform %s", a.Tx, platform)
	}
	if old.Anchor != a {
		return false, refuse(codeConflict, "transaction %s is anchored elsewhere", a.Tx)
	}
	return true, nil
}

func (b *block) noteAnchor(platform string, a flow.Anchor, index int64) error {
	if err := b.store(anchorKey(a.Tx), noted{Anchor: a, Platform: platform, Height: b.height}); err != nil {
		return refuse(codeMalformed, "anchor: %w", err)
	}
	b.set(openKey(index), nil)
	to, err := forgotten(b.get)
	if err != nil || index >= to {
		return err
	}
	return b.forgetLeaf(index, 0) // it was kept for this
}

// order carries out an officer's order. The signatures of the officers that it
// names are checked here, everything else is the contract's to judge.
func (b *block) order(hash flow.Hash, tx Transaction) error {
	var body SignedOrder
	if err := parseBody(tx, &body); err != nil {
		return refuse(codeMalformed, "%w", err)
	}
	var o contract.Order
	if err := flow.Unmarshal(body.Order, &o); err != nil {
		return refuse(codeMalformed, "order: %w", err)
	}
	signers := map[string][]byte{o.Officer: body.Signature}
	if body.Second != "" && body.Second != o.Officer {
		signers[body.Second] = body.SecondSignature
	}
	for _, id := range slices.Sorted(maps.Keys(signers)) {
		if err := b.trust.checkOfficer(contractState{b.overlay}, id, body.Order, signers[id]); err != nil {
			return err
		}
	}
	out, err := b.rules.Apply(contractState{b.overlay}, o, body.Second, b.at(hash))
	var no *contract.OrderRefused
	switch {
	case errors.As(err, &no):
		return &refusal{codeOrder, no}
	case err != nil:
		return err
	}
	b.outcome = out
	b.handed = b.handed || o.Kind == contract.KeysHandover
	if err := b.erase(out.Erased); err != nil {
		return err
	}
	return b.resolve(out.Resolved)
}

// resolve records the decisions that held submissions got: new leaves for their
// own transactions, which keep their hashes.
func (b *block) resolve(all []contract.Resolved) error {
	for _, r := range all {
		var at located
		ok, err := b.load(txKey(r.Request.Tx), &at)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("resolving a hold: transaction %s is missing", r.Request.Tx)
		}
		if err := b.watched(r.Request); err != nil {
			return err
		}
		facts, err := flow.Marshal(r.Request.Facts)
		if err != nil {
			return err
		}
		if err := b.outlived(at.Index, r.Request); err != nil {
			return err
		}
		if err := b.enter(r.Request.Tx, r.Request.Header, flow.SumHash(facts), r.Request.Facts.Subject, r.Decision, at); err != nil {
			return err
		}
		b.set(resolvedKey(b.size-1), r.Request.Tx[:])
		b.resolved++
	}
	return nil
}

// outlived takes a hold's leaf out of the state that was kept for being one.
func (b *block) outlived(index int64, r contract.Request) error {
	to, err := forgotten(b.get)
	if err != nil || index >= to {
		return err
	}
	raw, err := b.get(leafKey(index))
	if err != nil || raw == nil {
		return err
	}
	leaf, err := receipt.DecodeLeaf(raw)
	if err != nil {
		return fmt.Errorf("reading leaf %d: %w", index, err)
	}
	b.dropLeaf(index, leaf, r.Facts.Subject)
	return nil
}
