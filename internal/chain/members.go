package chain

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/note"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/receipt"
)

// member is what a node signs the log with, beside its votes (R8.1): the key of its
// identity, and the one that it votes with. What it signs is the very text of the
// checkpoint of the log that the block before the one it votes on has left, so that
// its lines stand in that checkpoint.
type member struct {
	id      string
	address []byte   // how blocks name it
	keys    []string // vkeys
	signers []note.Signer

	size  int64 // of the log that lines are for
	lines []byte
}

// newMember reads the keys of this node; nil for one that is alone, or of a chain
// whose members don't sign.
func newMember(cfg Config) (*member, error) {
	if cfg.Network == nil || !cfg.Genesis.MemberSignatures {
		return nil, nil
	}
	vote, err := comet.VoteKey(nodeDir(cfg.Dir))
	if err != nil {
		return nil, err
	}
	origin, id, key := cfg.Genesis.Contract.Chain, cfg.Network.ID, cfg.Network.Key
	public := vote.Public().(ed25519.PublicKey) // it is what an ed25519.PrivateKey's Public is
	m := &member{id: id, address: contract.VoteAddress(public), size: -1}
	if m.keys, err = receipt.MemberKeys(origin, id, key.Public(), public); err != nil {
		return nil, err
	}
	name := receipt.MemberName(origin, id)
	ed, err := receipt.Ed25519Signer(name, vote)
	if err != nil {
		return nil, err
	}
	m.signers = []note.Signer{ed, receipt.SuiteSigner(name, key, cfg.Network.Random)}
	return m, nil
}

// memberKeys are the vkeys of the node that votes under an address: of a candidate
// for a seat, and of the keys that the chain knows it by.
func memberKeys(s contract.State, t trust, address []byte) (id string, keys []string, err error) {
	c, err := contract.CommitteeOf(s)
	if err != nil {
		return "", nil, err
	}
	for _, o := range c.Candidates {
		if !bytes.Equal(o.Address, address) {
			continue
		}
		known, ok, err := contract.IdentityOf(s, o.ID)
		if err != nil || !ok {
			return "", nil, errors.Join(err, fmt.Errorf("node %s has no identity", o.ID))
		}
		pub, err := envelope.ParsePublicKey(t.suite.Name(), envelope.Signing, known.SPKI)
		if err != nil {
			return "", nil, fmt.Errorf("key of node %s: %w", o.ID, err)
		}
		keys, err := receipt.MemberKeys(t.chain, o.ID, pub, o.Key)
		return o.ID, keys, err
	}
	return "", nil, errors.New("no node votes under this address")
}

// text is the checkpoint's of the committed log, and its size; 0 while it is empty.
func (a *application) text() ([]byte, int64, error) {
	at, t := a.committed()
	if at.Size == 0 {
		return nil, 0, nil
	}
	root, err := newOverlay(a.db).root(at.Size)
	if err != nil {
		return nil, 0, err
	}
	return receipt.CheckpointText(t.chain, at.Size, root), at.Size, nil
}

func (a *application) committed() (meta, trust) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at, a.trust
}

// Extend implements comet.Extender: this node's lines for the log as committed.
// Nothing while others would not take them: the vote counts all the same.
func (a *application) Extend() []byte {
	m := a.member
	if m == nil {
		return nil
	}
	lines, err := a.extend(m)
	if err != nil {
		a.log.Error("signing the log as a member of the committee", "error", err)
		return nil
	}
	return lines
}

// extend is called from consensus alone, as is what it keeps in m.
func (a *application) extend(m *member) ([]byte, error) {
	_, t := a.committed()
	id, keys, err := memberKeys(readState{a.db}, t, m.address)
	if err != nil || id != m.id || !slices.Equal(keys, m.keys) {
		return nil, nil // not admitted, or the chain knows it by another key than it has
	}
	text, size, err := a.text()
	switch {
	case err != nil || size == 0:
		return nil, err
	case size == m.size:
		return m.lines, nil
	}
	lines, err := receipt.SignMember(text, m.signers...)
	if err != nil {
		return nil, err
	}
	m.size, m.lines = size, lines
	return lines, nil
}

// CheckExtension implements comet.Extender: a member's lines must be those of the
// keys that the chain knows it by, and for the log that this node has come to.
func (a *application) CheckExtension(e comet.Extension) error {
	_, t := a.committed()
	_, keys, err := memberKeys(readState{a.db}, t, e.Address)
	if err != nil {
		return err
	}
	text, size, err := a.text()
	if err != nil {
		return err
	}
	if size == 0 {
		return fmt.Errorf("%w: the log is empty", receipt.ErrMember)
	}
	return receipt.CheckMember(text, e.Data, keys)
}

// Extended implements comet.Extender: the lines go to the checkpoint, on the node
// that makes receipts.
func (a *application) Extended(all []comet.Extension) {
	if a.lines == nil {
		return
	}
	at, _ := a.committed()
	if at.Size != a.gathered.size {
		a.gathered = gathered{size: at.Size, from: map[string]bool{}}
	}
	var lines [][]byte
	for _, e := range all {
		if a.gathered.from[string(e.Address)] || a.CheckExtension(e) != nil {
			continue
		}
		a.gathered.from[string(e.Address)] = true
		lines = append(lines, slices.Collect(bytes.Lines(e.Data))...)
	}
	if len(lines) == 0 {
		return
	}
	if err := a.lines(at.Size, lines); err != nil {
		a.log.Error("keeping the committee's signatures of the log", "size", at.Size, "error", err)
	}
}

// gathered is whose lines a checkpoint has.
type gathered struct {
	size int64
	from map[string]bool
}

// MemberKeys are the vkeys with which a node signs the log as a member of the
// committee, by what the chain knows of it; false for one that votes never.
func MemberKeys(s contract.State, id string) ([]string, bool, error) {
	n, ok, err := contract.NodeOf(s, id)
	if err != nil || !ok || n.Weight == 0 {
		return nil, false, err
	}
	founding, err := contract.FoundingOf(s)
	if err != nil {
		return nil, false, err
	}
	known, ok, err := contract.IdentityOf(s, id)
	if err != nil || !ok {
		return nil, false, err
	}
	pub, err := envelope.ParsePublicKey(founding.Suite, envelope.Signing, known.SPKI)
	if err != nil {
		return nil, false, fmt.Errorf("key of node %s: %w", id, err)
	}
	keys, err := receipt.MemberKeys(founding.Chain, id, pub, n.Vote)
	return keys, err == nil, err
}
