package party

import (
	"fmt"
	"log/slog"
	"time"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/fusion"
	"signalbox.dev/signalbox/internal/link"
)

// Routes are the fusion package's.
func Routes(in []Route) []fusion.Route {
	var out []fusion.Route
	for _, r := range in {
		out = append(out, fusion.Route{Platform: r.Platform, Business: r.Business})
	}
	return out
}

// Nodes are the fusion nodes as a party reaches them.
type Nodes struct {
	Directory *fusion.Directory
	remotes   []*fusion.Remote
	names     []string
}

// Reach makes the links; it dials nothing.
func Reach(nodes ...fusion.RemoteConfig) (Nodes, error) {
	var out Nodes
	var all []fusion.Endpoint
	for _, c := range nodes {
		r, err := fusion.NewRemote(c)
		if err != nil {
			return out, err
		}
		out.remotes, out.names, all = append(out.remotes, r), append(out.names, c.Name), append(all, r)
	}
	var err error
	out.Directory, err = fusion.NewDirectory(all...)
	return out, err
}

// Layers run the links.
func (n Nodes) Layers() []Layer {
	var out []Layer
	for i, r := range n.remotes {
		out = append(out, Layer{Name: "link to " + n.names[i], Run: r.Run})
	}
	return out
}

// Up says of each link whether it stands, by the node's name.
func (n Nodes) Up() map[string]func() bool {
	out := map[string]func() bool{}
	for i, r := range n.remotes {
		out[n.names[i]] = func() bool { return r.Connected() == nil }
	}
	return out
}

// Unready says to which node there is no link.
func (n Nodes) Unready() string {
	for i, r := range n.remotes {
		if err := r.Connected(); err != nil {
			return fmt.Sprintf("no link to fusion node %s: %v", n.names[i], err)
		}
	}
	return ""
}

// Admitted is what a party that was admitted runs with.
type Admitted struct {
	Card       Card
	Suite      envelope.Suite
	Trust      Trust
	Admission  Admission
	Signing    envelope.PrivateKey
	Identity   link.Identity
	Passphrase []byte
}

// OpenAdmitted reads an admitted party's folder: whose it is, its signing and
// transport keys, and the admission file, whose certificates must be for these
// very keys.
func OpenAdmitted(dir Dir, role, passphraseFile, admissionFile string, clock func() time.Time, log *slog.Logger) (Admitted, error) {
	var a Admitted
	var err error
	if a.Card, err = dir.ReadCard(role); err != nil {
		return a, err
	}
	if a.Passphrase, err = Passphrase(passphraseFile); err != nil {
		return a, err
	}
	if a.Suite, err = envelope.ByName(a.Card.Suite); err != nil {
		return a, err
	}
	if a.Admission, err = ReadAdmission(admissionFile); err != nil {
		return a, err
	}
	a.Trust = a.Admission.Authority
	if a.Trust.Suite != a.Card.Suite {
		return a, fmt.Errorf("the authority's suite is %s, the keys in %s are of %s: make them anew", a.Trust.Suite, dir, a.Card.Suite)
	}
	if err := LoadKeys(a.Passphrase, []Slot{{Key: &a.Signing, Use: envelope.Signing, File: dir.SigningFile()}}); err != nil {
		return a, err
	}
	own, err := a.Admission.Of(a.Card.ID, a.Signing.Public(), clock())
	if err != nil {
		return a, err
	}
	key, err := LoadTransport(dir.TransportFile(), a.Passphrase)
	if err != nil {
		return a, err
	}
	a.Identity = link.Identity{CA: a.Trust.CA, Certificate: own.Transport, Key: key.Signer(), Clock: clock}
	if err := a.Identity.Validate(); err != nil {
		return a, fmt.Errorf("%s: %w", admissionFile, err)
	}
	log.Info("admitted", "id", a.Card.ID, "role", role, "chain", a.Trust.Chain, "authority_fingerprint", a.Trust.Fingerprint())
	return a, nil
}
