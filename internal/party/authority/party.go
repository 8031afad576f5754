package authority

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"slices"
	"time"

	"signalbox.dev/signalbox/envelope"
	role "signalbox.dev/signalbox/internal/authority"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/fusion"
	"signalbox.dev/signalbox/internal/oversight"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/socket"
	"signalbox.dev/signalbox/internal/witness"
	"signalbox.dev/signalbox/profile"
	"signalbox.dev/signalbox/receipt"
)

// Parts are what the authority is put together from.
type Parts struct {
	Dir        party.Dir
	Keys       *Keys
	Genesis    chain.Genesis
	Begun      time.Time      // genesis time
	Network    *chain.Network // nil: the authority's node is alone
	SubjectKey role.SubjectKeyMode
	Register   role.Register
	Profiles   []profile.Profile
	Nodes      *fusion.Directory
	Links      []party.Layer   // that run Nodes; none where they are in this process
	Archive    Archive         // its zero value: nothing is archived
	Snapshots  party.Snapshots // its zero value: none are taken
	Witnesses  []*witness.Client
	Published  string // file of log keys to keep current; empty: those of Dir
	Public     string // address of the log's public files; empty: they aren't served
	Clock      func() time.Time
	Logger     *slog.Logger
}

// Party is the authority's half, wired. Its layers run it.
type Party struct {
	Chain     *chain.Chain
	Authority *role.Authority
	Feeder    *witness.Feeder // has witnesses cosign the log; without witnesses it does nothing

	parts    Parts
	ring     *ring
	archiver *archiver
	release  func() error    // of the snapshots' place
	public   *party.Listener // nil: none
}

// ChainDir is the folder of the authority's node of the supervision chain.
func ChainDir(dir party.Dir) string { return dir.Path("chain") }

// New opens the chain and puts the rest upon it. It starts nothing.
func New(p Parts) (_ *Party, err error) {
	signers, err := p.Keys.signers()
	if err != nil {
		return nil, err
	}
	out := &Party{parts: p, ring: newRing(p.Dir, p.Keys)}
	if out.archiver, err = newArchiver(p.Archive, p.Keys.Published()); err != nil {
		return nil, err
	}
	snapshots, release, err := p.Snapshots.Open(p.Dir, p.Logger)
	if err != nil {
		return nil, errors.Join(err, out.archiver.close())
	}
	out.release = release
	out.Chain, err = chain.Open(chain.Config{
		Dir: ChainDir(p.Dir), Genesis: p.Genesis, Begun: p.Begun, Signers: signers, Clock: p.Clock, Network: p.Network,
		Ring: out.ring.signers, Handed: out.publish,
		Logger: p.Logger.With("part", "supervision chain"), Archive: out.archiver.archived(),
		Keep: int64(p.Archive.KeepBlocks), Snapshots: snapshots,
	})
	if err != nil {
		return nil, errors.Join(err, out.archiver.close(), release())
	}
	out.ring.of(out.Chain)
	side := p.Nodes.Authority()
	if err := side.Remember(p.Dir.Path("in-hand"), p.Logger.With("part", "authority")); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	out.Authority, err = role.New(role.Config{
		Suite: p.Keys.suite, Signing: p.Keys.Signing, Sealing: []envelope.PrivateKey{p.Keys.Sealing},
		PseudonymKey: p.Keys.pseudonym, SubjectKey: p.SubjectKey, CA: p.Genesis.CA,
		Profiles: p.Profiles, Register: p.Register, Random: rand.Reader, Clock: p.Clock,
		Logger: p.Logger.With("part", "authority"),
	}, out.Chain, side)
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	log := p.Logger.With("part", "witnesses")
	if out.Feeder, err = witness.NewFeeder(witness.FeederConfig{Log: out.Chain, Witnesses: p.Witnesses, Logger: log}); err != nil {
		return nil, errors.Join(err, out.Chain.Close())
	}
	if p.Public != "" {
		out.public = party.NewListener("public files", p.Public, func(ctx context.Context, l net.Listener) error {
			return witness.Serve(ctx, l, witness.PublicHandler(out.Chain), log)
		})
	}
	return out, nil
}

// publish keeps what is published of the log's keys current.
func (p *Party) publish(keys receipt.Keys) {
	var err error
	if p.parts.Published != "" {
		err = PublishTo(p.parts.Published, keys)
	} else {
		err = Publish(p.parts.Dir, keys)
	}
	log := p.parts.Logger.With("part", "log keys", "generation", keys.Generation())
	if err != nil {
		log.Error("what is published of the log's keys is out of date", "error", err)
		return
	}
	log.Info("the log's keys are published")
}

// Layers are the chain, its archive, the links to fusion nodes, what serves them,
// what goes to witnesses and to everybody, and the officers' socket, in the order
// in which they start. Backwards, they drain: no officer is let in any more, then
// what was taken from the nodes is answered, then the links close, then the chain ends.
func (p *Party) Layers() []party.Layer {
	layers := slices.Concat(
		[]party.Layer{{Name: "supervision chain", Run: p.Chain.Run, Ready: p.Chain.Ready()}},
		p.archiver.layers(p),
		p.parts.Links,
		[]party.Layer{{Name: "authority", Run: p.Authority.Run}, {Name: "witnesses", Run: p.Feeder.Run}},
	)
	if p.public != nil {
		layers = append(layers, p.public.Layer())
	}
	return append(layers, party.Layer{Name: "officers' socket", Run: p.serveOfficers})
}

// Listening gives the addresses that it has beside the operators'.
func (p *Party) Listening() map[string]string {
	if p.public == nil {
		return map[string]string{}
	}
	return map[string]string{"public": p.public.Addr()}
}

// Close releases what was opened and is not to run.
func (p *Party) Close() error {
	return errors.Join(p.Chain.Close(), p.archiver.close(), p.release())
}

// serveOfficers answers the officers' tools until ctx ends.
func (p *Party) serveOfficers(ctx context.Context) error {
	h, err := oversight.NewHandler(oversight.Config{
		Chain: p.Chain, Authority: p.Authority, Keys: p.ring, CA: p.parts.Genesis.CA, Node: ownNode(p.parts.Network), Clock: p.parts.Clock,
		Logger: p.parts.Logger.With("part", "oversight"),
	})
	if err != nil {
		return err
	}
	return socket.Serve(ctx, oversight.Socket(string(p.parts.Dir)), h)
}
