package fusion

import (
	role "signalbox.dev/signalbox/internal/fusion"
	"signalbox.dev/signalbox/internal/party"
)

// Party is a fusion node, wired. Its layers run it.
type Party struct{ Node *role.Node }

// New makes the node. It starts nothing.
func New(cfg role.NodeConfig) (*Party, error) {
	n, err := role.NewNode(cfg)
	if err != nil {
		return nil, err
	}
	return &Party{Node: n}, nil
}

// Layers is the node alone.
func (p *Party) Layers() []party.Layer {
	return []party.Layer{{Name: "fusion node", Run: p.Node.Run, Ready: p.Node.Ready()}}
}
