package fusion

import (
	"log/slog"
	"time"

	role "signalbox.dev/signalbox/internal/fusion"
	"signalbox.dev/signalbox/internal/link"
	"signalbox.dev/signalbox/internal/ops"
	"signalbox.dev/signalbox/internal/party"
)

// Open reads the node's folder and wires it as a process of its own.
func Open(c *Config, clock func() time.Time, log *slog.Logger) (*party.Process, error) {
	dir := party.Dir(c.Directory)
	a, err := party.OpenAdmitted(dir, link.RoleNode, c.PassphraseFile, c.Admission, clock, log)
	if err != nil {
		return nil, err
	}
	authority, err := a.Trust.SigningKey()
	if err != nil {
		return nil, err
	}
	p, err := New(role.NodeConfig{
		Name: a.Card.ID, Dir: c.Directory, Routes: party.Routes(c.Routes),
		Listen: c.Listen, Identity: a.Identity, Trust: role.Trust{Chain: a.Trust.Chain, Authority: authority},
		Logger: log.With("part", "fusion node"), Redeliver: c.Redeliver, MaxWaiting: c.MaxWaiting,
		MaxBytes: int64(c.MaxBytes), DecisionAge: c.DecisionAge, Rate: float64(c.Rate), Tries: c.Tries,
		External: c.External.cluster(),
	})
	if err != nil {
		return nil, err
	}
	return &party.Process{
		Role: "fusion", Layers: p.Layers(), Sources: []ops.Source{Figures(p.Node)}, Close: func() error { return nil },
		Listening: func() map[string]string { return map[string]string{"fusion": p.Node.Addr()} },
	}, nil
}
