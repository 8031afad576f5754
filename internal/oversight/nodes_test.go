package oversight

import (
	"crypto/rand"
	"errors"
	"testing"

	"signalbox.dev/signalbox/committee"
	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/contracts"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
)

// R8.1: nodes and committee as the chain has them; a chain of one validator has
// neither.
func TestNodes(t *testing.T) {
	f, c := serve(t)
	ctx := t.Context()
	var p *Problem
	if _, err := c.Committee(ctx); !errors.As(err, &p) || p.Status != 404 || p.In(true) == p.In(false) {
		t.Errorf("the committee of one validator: %v", err)
	}
	if all, err := c.Nodes(ctx); err != nil || len(all) != 0 {
		t.Errorf("the nodes of one validator: %v, %v", all, err)
	}
	clear(f.memory)
	g := contract.Genesis{Chain: "c", Suite: "gm", Bundle: contracts.Prescription(), Identities: f.ids, Committee: committee.Terms{Seats: 1, Epoch: 9}}
	for i, id := range []string{"node-1", "node-2", "watcher"} {
		key, err := envelope.GM().GenerateKey(rand.Reader, envelope.Signing)
		must(t, err)
		spki := key.Public().SPKI()
		sum := flow.SumHash(spki)
		g.Identities = append(g.Identities, contract.Identity{ID: id, Role: contract.RoleNode, Status: contract.Active, Key: flow.KeyID(sum[:20]), SPKI: spki, NotAfter: now + int64(1000*i)})
		g.Nodes = append(g.Nodes, contract.NodeSeat{ID: id, Vote: sum[:], Network: sum.String()[:40], Weight: int64(2 - i)})
	}
	g.Nodes[1].Network = f.Connected()[0]
	f.ids = g.Identities
	must(t, contract.Init(f.memory, g))
	board, err := c.Committee(ctx)
	must(t, err)
	if board.Terms != g.Committee || board.Seated != 1 || board.Candidates != 2 {
		t.Errorf("committee: %+v", board)
	}
	all, err := c.Nodes(ctx)
	must(t, err)
	if len(all) != 3 || !all[0].Seated || all[0].Weight != 2 || all[0].Connected || !all[1].Connected || all[1].Seated || all[2].Weight != 0 || all[2].Status != contract.Active ||
		len(all[0].Keys) != 2 || len(all[2].Keys) != 0 {
		t.Errorf("nodes: %+v", all)
	}
	for kind, body := range map[contract.Kind]any{
		contract.NodeAdmit: g.Nodes[0], contract.NodeRemove: contract.NodeRef{ID: "node-1"}, contract.CommitteeSet: g.Committee,
		contract.RetentionSet: contract.Retention{Business: "prescription", Days: 30}, contract.PayloadErase: contract.Erasure{Ground: contract.ByLaw},
	} {
		encoded, err := flow.Marshal(body)
		must(t, err)
		if about(contract.Order{Kind: kind, Body: encoded}) == "" {
			t.Errorf("%s: nothing is said of it", kind)
		}
	}
}
