package fusion

import (
	"context"
	"log/slog"

	role "signalbox.dev/signalbox/internal/fusion"
	"signalbox.dev/signalbox/internal/operator"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/socket"
)

// Party is a fusion node, wired. Its layers run it.
type Party struct {
	Node *role.Node

	dir string
	log *slog.Logger
}

// New makes the node. It starts nothing.
func New(cfg role.NodeConfig) (*Party, error) {
	n, err := role.NewNode(cfg)
	if err != nil {
		return nil, err
	}
	return &Party{Node: n, dir: cfg.Dir, log: cfg.Logger}, nil
}

// Layers are the node and its operator's socket.
func (p *Party) Layers() []party.Layer {
	return []party.Layer{
		{Name: "fusion node", Run: p.Node.Run, Ready: p.Node.Ready()},
		{Name: "operator's socket", Run: p.serveOperator},
	}
}

// serveOperator answers the operator's tools until ctx ends.
func (p *Party) serveOperator(ctx context.Context) error {
	return socket.Serve(ctx, operator.Socket(p.dir), operator.NewHandler(p.Node, p.log))
}
