package chain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"signalbox.dev/signalbox/committee"
	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/comet"
)

// Network makes a node one of several (R8.1). Who the others are stands on the
// chain; here is how to reach some of them.
type Network struct {
	ID     string              // the node's identity on the chain, of role node
	Key    envelope.PrivateKey // the identity's signing key
	Random io.Reader
	Listen string       // host:port to take other nodes' connections at
	Peers  []comet.Peer // nodes to keep connected to
}

// Ready is the body of KindReady: a candidate's word that it follows the chain,
// signed with the key of its identity.
type Ready struct {
	_ struct{} `cbor:",toarray"`

	ID     string
	Height int64 // of the block that it has come to
}

// founders are the validators that genesis begins with.
func founders(g contract.Genesis) ([]comet.Validator, error) {
	seats, err := g.Founders()
	if err != nil {
		return nil, err
	}
	return validators(seats), nil
}

func validators(seats []committee.Seat) []comet.Validator {
	var all []comet.Validator
	for _, s := range seats {
		all = append(all, comet.Validator{Key: s.Key, Power: s.Power})
	}
	return all
}

// begun keeps who votes at a block's beginning.
func (b *block) begun() error {
	c, err := contract.CommitteeOf(contractState{b.overlay})
	if err != nil {
		return err
	}
	b.before = c.Powers()
	return nil
}

// turn ends a block for the committee.
func (b *block) turn() ([]comet.Validator, error) {
	moved, err := contract.TurnCommittee(contractState{b.overlay}, b.height, b.now, b.work, b.voted, b.before)
	if err != nil {
		return nil, fmt.Errorf("turning the committee: %w", err)
	}
	return validators(moved), nil
}

func voted(all []comet.Voted) []committee.Voted {
	out := make([]committee.Voted, len(all))
	for i, v := range all {
		out[i] = committee.Voted{Address: v.Address, Signed: v.Signed}
	}
	return out
}

// readiness judges a candidate's word in the block at height: of a node that is
// asked for it, about a recent block, with the right key.
func (t trust) readiness(s contract.State, tx Transaction, r Ready, height, now int64) error {
	c, err := contract.CommitteeOf(s)
	if err != nil {
		return err
	}
	if err := c.Against(r.ID, r.Height, height, now); err != nil {
		return unheard(t.chain, r.ID, err)
	}
	return t.spokenBy(s, tx, r)
}

// unheard words why a candidate's word does not count.
func unheard(chain, id string, err error) error {
	if errors.Is(err, committee.ErrCandidate) {
		return refuse(codeSender, "%q is no candidate of chain %s", id, chain)
	}
	return refuse(codeKnown, "word of candidate %s: %w", id, err)
}

// spokenBy checks whose word it is.
func (t trust) spokenBy(s contract.State, tx Transaction, r Ready) error {
	id, ok, err := contract.IdentityOf(s, r.ID)
	if err != nil {
		return fmt.Errorf("reading identity: %w", err)
	}
	if !ok || len(id.SPKI) == 0 {
		return refuse(codeSender, "node %q has no key of its own on chain %s", r.ID, t.chain)
	}
	key, err := envelope.ParsePublicKey(t.suite.Name(), envelope.Signing, id.SPKI)
	if err != nil {
		return refuse(codeSender, "key of node %s: %w", r.ID, err)
	}
	if err := t.suite.Verify(key, signingInput(t.chain, tx.Kind, tx.Body), tx.Signature); err != nil {
		return refuse(codeSignature, "not signed by node %s", r.ID)
	}
	return nil
}

// checkReady says whether a word may enter the mempool. About a block that this
// node has not come to it can't say whether anybody asked: the signature counts.
func (a *application) checkReady(t trust, tx Transaction, r Ready) error {
	if at := a.position().Height; r.Height <= at {
		return t.readiness(readState{a.db}, tx, r, at+1, a.clock().Unix())
	}
	return t.spokenBy(readState{a.db}, tx, r)
}

// ready notes a candidate's word.
func (b *block) ready(tx Transaction) error {
	var body Ready
	if err := parseBody(tx, &body); err != nil {
		return refuse(codeMalformed, "%w", err)
	}
	if err := b.trust.readiness(contractState{b.overlay}, tx, body, b.height, b.now); err != nil {
		return err
	}
	return contract.NoteReady(contractState{b.overlay}, body.ID, body.Height, b.height, b.now)
}

// network joins the node to the others; nil for one that is alone.
func (c *Chain) network(n *Network) *comet.Network {
	if n == nil {
		return nil
	}
	return &comet.Network{Listen: n.Listen, Peers: n.Peers, Admit: c.admits}
}

// admits says whether a node may be connected (R7.1): what the chain knows of it
// counts. Of one that it does not know, this node may only be behind: it is
// admitted when the operator has named it as a peer.
func (c *Chain) admits(id string) error {
	against, known, err := contract.AgainstConnecting(c.State(), id, c.now().Unix())
	switch {
	case err != nil:
		return err
	case len(against) > 0:
		return errors.New(against[0].En)
	case known:
		return nil
	}
	for _, p := range c.cfg.Network.Peers {
		if strings.EqualFold(p.ID, id) {
			return nil
		}
	}
	return errors.New("the chain knows no such node")
}

const (
	lookEvery = 500 * time.Millisecond // at whom this node is connected to
	askEvery  = 100 * time.Millisecond // whether this node is asked for its word
	wordWait  = 2 * time.Second        // for a block to carry it; by then it may be about an old one
)

// attend ends connections to nodes that may not be connected any more.
func (c *Chain) attend(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, id := range c.node.Connected() {
			if err := c.admits(id); err != nil {
				c.cfg.Logger.Warn("a node is disconnected", "node", id, "reason", err)
				c.node.Disconnect(id)
			}
		}
	}
}

// answer gives this node's word when it is asked for it: while it waits and a seat
// is to be given. Each call ends after a few words, so that an idle chain rests.
func (c *Chain) answer(ctx context.Context) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.giveWord(ctx)
		}
	}
}

// giveWord gives it where it would count.
func (c *Chain) giveWord(ctx context.Context) {
	n := c.cfg.Network
	body := Ready{ID: n.ID, Height: c.app.position().Height}
	board, err := contract.CommitteeOf(c.State())
	if err != nil || board.Against(n.ID, body.Height, body.Height+1, c.now().Unix()) != nil {
		return
	}
	suite, err := envelope.ByName(c.cfg.Genesis.Contract.Suite)
	if err != nil {
		return
	}
	tx, err := Compose(c.id, KindReady, body, suite, n.Key, n.Random)
	if err != nil {
		c.cfg.Logger.Error("giving this node's word", "error", err)
		return
	}
	wait, stop := context.WithTimeout(ctx, wordWait)
	defer stop()
	if err := c.Submit(wait, tx); err != nil && ctx.Err() == nil {
		c.cfg.Logger.Debug("giving this node's word", "error", err)
	}
}

// Committee is who validates now and who waits.
func (c *Chain) Committee() (committee.Committee, error) { return contract.CommitteeOf(c.State()) }

// Connected are the network ids of the nodes that this one is connected to.
func (c *Chain) Connected() []string { return c.node.Connected() }

// AppHash binds the log and the state that this node has come to.
func (c *Chain) AppHash() []byte { return slices.Clone(c.app.position().AppHash) }

// MakeKeys draws the keys of a new node in the directory that its chain will
// have, or reads those that it has, and gives their public halves.
func MakeKeys(dir string) (comet.Keys, error) { return comet.MakeKeys(nodeDir(dir)) }
