package oversight

import (
	"net/http"
	"slices"

	"signalbox.dev/signalbox/committee"
	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/internal/chain"
)

// CommitteeView is who validates the supervision chain (R8.1).
type CommitteeView struct {
	Terms      committee.Terms `json:"terms"`
	Seated     int             `json:"seated"`
	Candidates int             `json:"candidates"`
	Epoch      uint64          `json:"epoch"`  // rotations so far
	Blocks     int64           `json:"blocks"` // since the last one
}

// committee is not found where the chain has one validator.
func (h *handler) committee(*http.Request) (any, error) {
	c, err := contract.CommitteeOf(h.Chain.State())
	if err != nil {
		return nil, err
	}
	if c.Terms.Seats == 0 {
		return nil, notFound("this chain has one validator, for good: it has no committee", "本监管链只有一个验证节点，没有委员会")
	}
	out := CommitteeView{Terms: c.Terms, Candidates: len(c.Candidates), Epoch: c.Epoch, Blocks: c.Blocks}
	for _, o := range c.Candidates {
		if o.Seated {
			out.Seated++
		}
	}
	return out, nil
}

// NodeView is a node of the supervision chain.
type NodeView struct {
	ID        string          `json:"id"`
	Status    contract.Status `json:"status"` // of its identity
	Expired   bool            `json:"expired"`
	Network   string          `json:"network"` // its id to other nodes
	Vote      []byte          `json:"vote"`    // its vote's key, Ed25519
	Weight    int64           `json:"weight"`  // 0: an observer
	Seated    bool            `json:"seated"`
	Since     int64           `json:"since"`     // height since which it sits or waits
	Ready     Moment          `json:"ready"`     // when a candidate last showed that it follows the chain
	Connected bool            `json:"connected"` // to the authority's node, or that itself
	Keys      []string        `json:"keys"`      // vkeys that it signs the log with as a member; none of an observer
}

// NodeList is the nodes, by id.
type NodeList struct {
	Nodes []NodeView `json:"nodes"`
}

func (h *handler) nodes(*http.Request) (any, error) {
	s := h.Chain.State()
	all, err := h.Chain.Identities(contract.RoleNode)
	if err != nil {
		return nil, err
	}
	board, err := contract.CommitteeOf(s)
	if err != nil {
		return nil, err
	}
	connected, out := h.Chain.Connected(), NodeList{Nodes: []NodeView{}}
	for _, i := range all {
		n, ok, err := contract.NodeOf(s, i.ID)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue // a fusion node, or removed
		}
		v := NodeView{
			ID: n.ID, Status: i.Status, Expired: h.now() > i.NotAfter, Network: n.Network, Vote: n.Vote, Weight: n.Weight,
			Connected: slices.Contains(connected, n.Network) || n.ID == h.Node,
		}
		if at := slices.IndexFunc(board.Candidates, func(o committee.Candidate) bool { return o.ID == n.ID }); at >= 0 {
			o := board.Candidates[at]
			v.Seated, v.Since, v.Ready = o.Seated, o.Since, Moment(o.Ready)
		}
		if v.Keys, _, err = chain.MemberKeys(s, n.ID); err != nil {
			return nil, err
		}
		out.Nodes = append(out.Nodes, v)
	}
	return out, nil
}
