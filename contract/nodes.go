package contract

import (
	"encoding/hex"
	"errors"
	"fmt"

	"signalbox.dev/signalbox/committee"
	"signalbox.dev/signalbox/flow"
)

// NodeSeat is the body of node.admit: it binds an identity of role node to the
// keys of its chain node, and makes it a candidate for a seat (R7.1, R8.1). An
// observer is one with Weight 0: it may connect and never sits.
type NodeSeat struct {
	_ struct{} `cbor:",toarray"`

	ID      string `json:"id"`      // the identity
	Vote    []byte `json:"vote"`    // with which it votes, Ed25519, 32 bytes
	Network string `json:"network"` // its id to other nodes, 40 hexadecimal digits
	Weight  int64  `json:"weight"`  // of its vote; 0: an observer
}

// NodeRef is the body of node.remove.
type NodeRef struct {
	_ struct{} `cbor:",toarray"`

	ID string
}

// networkDigits is how long a node's id to other nodes is.
const networkDigits = 40

// Validate says what is wrong with n, naming the field.
func (n NodeSeat) Validate() error {
	if err := flow.CheckName("id", n.ID); err != nil {
		return err
	}
	if len(n.Vote) != committee.KeySize {
		return fmt.Errorf("vote: want a key of %d bytes", committee.KeySize)
	}
	if raw, err := hex.DecodeString(n.Network); err != nil || hex.EncodeToString(raw) != n.Network || len(n.Network) != networkDigits {
		return fmt.Errorf("network: want %d hexadecimal digits in lower case", networkDigits)
	}
	if n.Weight < 0 || n.Weight > committee.MaxWeight {
		return fmt.Errorf("weight: want 0 to %d", committee.MaxWeight)
	}
	return nil
}

// address is how blocks name the validator of a vote's key.
func (n NodeSeat) address() []byte { return VoteAddress(n.Vote) }

// VoteAddress is how blocks name the validator that votes with a key.
func VoteAddress(vote []byte) []byte {
	sum := flow.SumHash(vote)
	return sum[:committee.AddressSize]
}

// CommitteeOf returns the committee; the zero value where genesis has none.
func CommitteeOf(s State) (committee.Committee, error) {
	var c committee.Committee
	_, err := load(s, committeeKey(), &c)
	return c, err
}

// NodeOf returns a node's keys; false when there is none of this id, or no more.
func NodeOf(s State, id string) (NodeSeat, bool, error) {
	var n NodeSeat
	ok, err := load(s, nodeKey(id), &n)
	return n, ok && n.Network != "", err
}

// NodeByNetwork finds the node behind an id that other nodes know it by.
func NodeByNetwork(s State, network string) (NodeSeat, bool, error) {
	var id string
	ok, err := load(s, networkKey(network), &id)
	if err != nil || !ok || id == "" {
		return NodeSeat{}, false, err
	}
	n, ok, err := NodeOf(s, id)
	return n, ok && n.Network == network, err
}

// AgainstConnecting gives the reasons for which a node may not be connected at
// now; none when it may (R7.1). known is false for one that the chain has never
// heard of, about which a node that is still catching up may know better.
func AgainstConnecting(s State, network string, now int64) (reasons []flow.Reason, known bool, err error) {
	n, known, err := NodeByNetwork(s, network)
	if err != nil || !known {
		return nil, known, err
	}
	reasons, err = AgainstActing(s, n.ID, RoleNode, now)
	return reasons, true, err
}

// TurnCommittee ends a block with transactions for the committee, and gives the
// votes that change. work says that there was more in it than candidates' words; before are the votes at the block's beginning, voted who
// signed the one before it.
func TurnCommittee(s State, height, now int64, work bool, voted []committee.Voted, before []committee.Seat) ([]committee.Seat, error) {
	c, err := CommitteeOf(s)
	if err != nil || c.Terms.Seats == 0 {
		return nil, err
	}
	moved := c.Turn(height, now, work, voted, before)
	return moved, store(s, committeeKey(), c)
}

// NoteReady takes a candidate's word, in the block at height, that it has come to
// the one at stated. The errors of committee.Committee.Against say why not.
func NoteReady(s State, id string, stated, height, now int64) error {
	c, err := CommitteeOf(s)
	if err != nil {
		return err
	}
	if err := c.Note(id, stated, height, now); err != nil {
		return err
	}
	return store(s, committeeKey(), c)
}

// putNode writes a node's keys and makes it a candidate, unless it observes.
func putNode(s State, n NodeSeat, height int64) error {
	before, had, err := NodeOf(s, n.ID)
	if err != nil {
		return err
	}
	other, taken, err := NodeByNetwork(s, n.Network)
	switch {
	case err != nil:
		return err
	case taken && other.ID != n.ID:
		return unfit{fmt.Errorf("network: it is that of node %s", other.ID)}
	case had && (before.Network != n.Network || string(before.Vote) != string(n.Vote)):
		return unfit{errors.New("this node has other keys: remove it first")}
	}
	c, err := CommitteeOf(s)
	if err != nil {
		return err
	}
	switch {
	case n.Weight > 0:
		err = c.Add(n.ID, n.Vote, n.address(), n.Weight, height)
	case had && before.Weight > 0:
		err = c.Remove(n.ID)
	}
	if err != nil {
		return unfit{err}
	}
	for key, v := range map[string]any{string(networkKey(n.Network)): n.ID, string(nodeKey(n.ID)): n, string(committeeKey()): c} {
		if err := store(s, []byte(key), v); err != nil {
			return err
		}
	}
	return nil
}

// dropNode takes a node out: from the committee, and from those who may connect.
func dropNode(s State, n NodeSeat) error {
	if err := unseat(s, n); err != nil {
		return err
	}
	if err := store(s, networkKey(n.Network), ""); err != nil {
		return err
	}
	return store(s, nodeKey(n.ID), NodeSeat{ID: n.ID})
}

// unseat takes a node's candidacy.
func unseat(s State, n NodeSeat) error {
	c, err := CommitteeOf(s)
	if err != nil {
		return err
	}
	if err := c.Remove(n.ID); err != nil && !errors.Is(err, committee.ErrCandidate) {
		return unfit{err}
	}
	return store(s, committeeKey(), c)
}

func (p *proceeding) admitNode(n NodeSeat) error {
	if err := n.Validate(); err != nil {
		return wrong(err)
	}
	against, err := AgainstActing(p.s, n.ID, RoleNode, p.at.Now)
	if err != nil {
		return err
	}
	if len(against) > 0 {
		return refuseOrder("node_identity", against[0].Zh, against[0].En)
	}
	return p.ofCommittee(putNode(p.s, n, p.at.Height))
}

func (p *proceeding) removeNode(r NodeRef) error {
	n, ok, err := NodeOf(p.s, r.ID)
	if err != nil {
		return err
	}
	if !ok {
		return refuseOrder("node_unknown")
	}
	return p.ofCommittee(dropNode(p.s, n))
}

// unfit is what the committee does not take, unlike a failure of the storage.
type unfit struct{ error }

func (u unfit) Unwrap() error { return u.error }

// ofCommittee words what the committee does not take.
func (p *proceeding) ofCommittee(err error) error {
	var no unfit
	switch {
	case !errors.As(err, &no):
		return err
	case errors.Is(err, committee.ErrLast):
		return refuseOrder("committee_last")
	default:
		return wrong(no.error)
	}
}

func (p *proceeding) setTerms(t committee.Terms) error {
	if err := t.Validate(); err != nil {
		return wrong(err)
	}
	c, err := CommitteeOf(p.s)
	if err != nil {
		return err
	}
	if c.Terms.Seats == 0 {
		return refuseOrder("committee_none")
	}
	c.Terms = t
	return store(p.s, committeeKey(), c)
}

// nodeStatus follows on a change of an identity's status: who may not act has no
// seat. Active again, it is a candidate as before.
func (p *proceeding) nodeStatus(id string, status Status) error {
	n, ok, err := NodeOf(p.s, id)
	if err != nil || !ok || n.Weight == 0 {
		return err
	}
	if status == Active {
		return p.ofCommittee(putNode(p.s, n, p.at.Height))
	}
	return p.ofCommittee(unseat(p.s, n))
}

// initNodes writes the nodes of genesis, the first of which sit.
func (g Genesis) initNodes(s State) error {
	if len(g.Nodes) == 0 {
		return nil
	}
	if err := store(s, committeeKey(), committee.Committee{Terms: g.Committee}); err != nil {
		return err
	}
	for _, n := range g.Nodes {
		if err := putNode(s, n, 0); err != nil {
			return err
		}
	}
	_, err := TurnCommittee(s, 0, 0, true, nil, nil)
	return err
}

// validateNodes checks the nodes that genesis names.
func (g Genesis) validateNodes() error {
	if len(g.Nodes) == 0 {
		return nil
	}
	if err := g.Committee.Validate(); err != nil {
		return fmt.Errorf("committee: %w", err)
	}
	nodes := map[string]bool{}
	for _, i := range g.Identities {
		nodes[i.ID] = i.Role == RoleNode && i.Status == Active
	}
	voters := 0
	for i, n := range g.Nodes {
		if err := n.Validate(); err != nil {
			return fmt.Errorf("nodes: entry %d: %w", i+1, err)
		}
		if !nodes[n.ID] {
			return fmt.Errorf("nodes: entry %d: id: %s is no active identity of role node", i+1, n.ID)
		}
		if n.Weight > 0 {
			voters++
		}
	}
	if voters == 0 {
		return errors.New("nodes: none of them votes")
	}
	return nil
}

// Founders are the votes that the chain begins with: none where genesis names no
// nodes.
func (g Genesis) Founders() ([]committee.Seat, error) {
	if len(g.Nodes) == 0 {
		return nil, nil
	}
	if err := g.validateNodes(); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	s := memory{}
	if err := g.initNodes(s); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	c, err := CommitteeOf(s)
	return c.Powers(), err
}

// memory is a state for working something out.
type memory map[string][]byte

func (m memory) Get(key []byte) ([]byte, error) { return m[string(key)], nil }
func (m memory) Set(key, value []byte)          { m[string(key)] = value }
