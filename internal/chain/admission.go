package chain

import (
	"fmt"
	"sync"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
)

// Codes of a transaction's result. They stand in blocks: never renumber.
const (
	codeOK        uint32 = 0
	codeMalformed uint32 = 1 // not a transaction
	codeSignature uint32 = 2 // not signed by the authority
	codeSender    uint32 = 3 // submission not signed by an admitted platform
	codeKnown     uint32 = 4 // this submission has its decision already
	codeConflict  uint32 = 5 // another submission under the same id
	codeOrder     uint32 = 6 // an order that may not be carried out
	codeTooEarly  uint32 = 7 // anchor of a transaction that is not there or not granted
	codeStorage   uint32 = 8 // this node could not look; only ever an answer of Check
)

// refusal is a transaction that gets no decision.
type refusal struct {
	code uint32
	err  error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

func refuse(code uint32, format string, args ...any) *refusal {
	return &refusal{code, fmt.Errorf(format, args...)}
}

// verified remembers which signatures were found good, so that each is checked
// once: by CheckTx, not again in the block. An entry names the transaction and
// the keys it was checked under; a changed key misses.
type verified struct {
	mu   sync.Mutex // guards the maps
	now  map[flow.Hash]bool
	past map[flow.Hash]bool
}

const verifiedGeneration = 16384 // entries; two generations are kept

func newVerified() *verified {
	return &verified{now: map[flow.Hash]bool{}, past: map[flow.Hash]bool{}}
}

func (v *verified) has(k flow.Hash) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now[k] || v.past[k]
}

func (v *verified) add(k flow.Hash) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.now) >= verifiedGeneration {
		v.past, v.now = v.now, map[flow.Hash]bool{}
	}
	v.now[k] = true
}

// trust is what signatures are checked against; fixed at genesis.
type trust struct {
	chain     string
	suite     envelope.Suite
	authority envelope.PublicKey
	ca        []byte
}

func newTrust(g Genesis) (trust, error) {
	suite, err := envelope.ByName(g.Contract.Suite)
	if err != nil {
		return trust{}, fmt.Errorf("reading genesis: %w", err)
	}
	key, err := envelope.ParsePublicKey(suite.Name(), envelope.Signing, g.Authority)
	if err != nil {
		return trust{}, fmt.Errorf("reading genesis: authority's key: %w", err)
	}
	return trust{chain: g.Contract.Chain, suite: suite, authority: key, ca: g.CA}, nil
}

// checkSignature checks the authority's signature of a transaction.
func (t trust) checkSignature(cache *verified, hash flow.Hash, tx Transaction) error {
	if cache.has(hash) {
		return nil
	}
	if err := t.suite.Verify(t.authority, signingInput(t.chain, tx.Kind, tx.Body), tx.Signature); err != nil {
		return refuse(codeSignature, "not signed by the authority of chain %s", t.chain)
	}
	cache.add(hash)
	return nil
}

// checkSender checks that the submission is for this chain and signed by the
// platform it names, with the key that the chain knows (R7.1). Whether the
// platform may act now is the contract's to decide.
// Errors other than a *refusal are failures of the storage.
func (t trust) checkSender(s contract.State, cache *verified, sub flow.Submission, h flow.Header) error {
	if h.Chain != t.chain || h.Suite != t.suite.Name() {
		return refuse(codeSender, "submission is for chain %s, suite %s; this is chain %s, suite %s", h.Chain, h.Suite, t.chain, t.suite.Name())
	}
	id, ok, err := contract.IdentityOf(s, h.Platform)
	if err != nil {
		return fmt.Errorf("reading identity: %w", err)
	}
	if !ok || id.Role != contract.RolePlatform {
		return refuse(codeSender, "no platform %s is admitted to chain %s", h.Platform, t.chain)
	}
	return t.checkSubmission(cache, sub, id)
}

func (t trust) checkSubmission(cache *verified, sub flow.Submission, id contract.Identity) error {
	input := sub.SigningInput()
	k := flow.SumHash(input, sub.Signature, id.SPKI)
	if cache.has(k) {
		return nil
	}
	key, err := envelope.ParsePublicKey(t.suite.Name(), envelope.Signing, id.SPKI)
	if err != nil {
		return refuse(codeSender, "key of platform %s: %w", id.ID, err)
	}
	if err := t.suite.Verify(key, input, sub.Signature); err != nil {
		return refuse(codeSender, "submission is not signed by platform %s", id.ID)
	}
	cache.add(k)
	return nil
}

// checkOfficer checks an officer's signature of an order, with the key that the
// chain knows. Whether the officer may give it now is the contract's to judge.
func (t trust) checkOfficer(s contract.State, id string, order, signature []byte) error {
	officer, ok, err := contract.IdentityOf(s, id)
	if err != nil {
		return fmt.Errorf("reading identity: %w", err)
	}
	if !ok || officer.Role != contract.RoleOfficer {
		return refuse(codeSender, "%q is no officer of chain %s", id, t.chain)
	}
	key, err := envelope.ParsePublicKey(t.suite.Name(), envelope.Signing, officer.SPKI)
	if err != nil {
		return refuse(codeSender, "key of officer %s: %w", id, err)
	}
	if err := t.suite.Verify(key, OrderInput(t.chain, order), signature); err != nil {
		return refuse(codeSender, "order is not signed by officer %s", id)
	}
	return nil
}
