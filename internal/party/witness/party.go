// Package witness wires a witness as a process of its own: an independent party,
// which has nothing of the supervision side but the log's public keys (R7.2, R7.3).
package witness

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/ops"
	"signalbox.dev/signalbox/internal/party"
	role "signalbox.dev/signalbox/internal/witness"
	"signalbox.dev/signalbox/receipt"
)

// Role is what the folder's card says.
const Role = "witness"

// PublicFile has the witness's vkey line, to be published.
const PublicFile = "witness.pub"

func keyFile(dir party.Dir) string { return dir.Path("keys", "witness.pem") }

// Found makes the witness's folder: its key, which stays there, and what it publishes.
func Found(dir party.Dir, name string, passphrase []byte) (receipt.Cosigner, error) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return receipt.Cosigner{}, fmt.Errorf("making a witness's key: %w", err)
	}
	c, err := receipt.NewCosigner(name, pub)
	if err != nil {
		return c, err
	}
	data, err := envelope.EncodeEd25519(rand.Reader, key, passphrase)
	if err != nil {
		return c, err
	}
	return c, errors.Join(
		party.Write(keyFile(dir), data),
		dir.Write([]byte(c.String()+"\n"), PublicFile),
		dir.WriteCard(party.Card{ID: name, Role: Role, Suite: "ed25519"}),
	)
}

// Open reads the folder and wires the witness.
func Open(c *Config, clock func() time.Time, log *slog.Logger) (*party.Process, error) {
	dir := party.Dir(c.Directory)
	card, err := dir.ReadCard(Role)
	if err != nil {
		return nil, err
	}
	passphrase, err := party.Passphrase(c.PassphraseFile)
	if err != nil {
		return nil, err
	}
	data, err := dir.Read("keys", "witness.pem")
	if err != nil {
		return nil, err
	}
	key, err := envelope.DecodeEd25519(data, passphrase)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", keyFile(dir), err)
	}
	logs, err := c.logs()
	if err != nil {
		return nil, err
	}
	w, err := role.Open(role.Config{Dir: dir.Path("memory"), Name: card.ID, Key: key, Logs: logs, Clock: clock, Logger: log.With("part", "witness")})
	if err != nil {
		return nil, err
	}
	l := party.NewListener("witness", c.Listen, func(ctx context.Context, on net.Listener) error {
		return role.Serve(ctx, on, w.Handler(), log.With("part", "witness"))
	})
	return &party.Process{
		Role: Role, Close: w.Close, Layers: []party.Layer{l.Layer()}, Sources: []ops.Source{Figures(w)},
		Listening: func() map[string]string { return map[string]string{"witness": l.Addr()} },
	}, nil
}

// Figures are a witness's for operators.
func Figures(w *role.Witness) ops.Source {
	return ops.Source{Part: "witness", Read: func(_ context.Context, emit ops.Emit) error {
		f := w.Figures()
		emit(ops.WitnessCosigned, float64(f.Cosigned))
		emit(ops.WitnessRefused, float64(f.Refused))
		emit(ops.WitnessForks, float64(f.Forks))
		for origin, size := range f.Sizes {
			emit(ops.WitnessSize, float64(size), origin)
		}
		return nil
	}}
}
