package party

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
)

// SiteFile is the public file of a chain node, in its folder.
const SiteFile = "node.json"

// maxSite bounds a node file, in bytes.
const maxSite = 64 << 10

// Site is node.json: what a node of the supervision chain shows of itself, made
// where it will run. Only public parts are in it. The signature, by the
// identity's signing key, binds the keys with which the node votes and meets
// other nodes to the request that the authority certifies (R7.1): nobody on the
// way can put other keys in their place.
type Site struct {
	ID        string `json:"id"`        // its identity on the chain, of role node
	Request   []byte `json:"request"`   // the certificate request, PEM
	Vote      []byte `json:"vote"`      // with which it votes, Ed25519
	Network   string `json:"network"`   // its id to other nodes, 40 hexadecimal digits
	Address   string `json:"address"`   // host:port at which other nodes reach it
	Signature []byte `json:"signature"` // over all of the above
}

// Input is what the signature covers.
func (s Site) Input() []byte {
	return flow.Frame("signalbox/node/v1\n", []byte(s.ID), s.Request, s.Vote, []byte(s.Network), []byte(s.Address))
}

// Fingerprint names all of it: what the site's operator reads out to the
// authority by another way than files.
func (s Site) Fingerprint() flow.Hash { return flow.SumHash(s.Input()) }

// Seat is the body of the order that makes the node a candidate of that weight.
func (s Site) Seat(weight int64) contract.NodeSeat {
	return contract.NodeSeat{ID: s.ID, Vote: s.Vote, Network: s.Network, Weight: weight}
}

// Check gives the request, once everything holds together: its proof of
// possession, the identity, and the signature over the node's keys by the key
// that the request is for.
func (s Site) Check() (envelope.Request, error) {
	r, err := envelope.ParseRequest(s.Request)
	switch {
	case err != nil:
		return r, err
	case r.Subject.ID != s.ID || r.Subject.Role != string(contract.RoleNode):
		return r, fmt.Errorf("the request is for %s %s, the file for node %s", r.Subject.Role, r.Subject.ID, s.ID)
	case r.Transport != nil:
		return r, errors.New("the request asks for a certificate for links: it is a fusion node's")
	}
	if err := s.Seat(1).Validate(); err != nil {
		return r, err
	}
	if err := CheckReachable(s.Address); err != nil {
		return r, err
	}
	suite, err := envelope.ByName(r.Signing.Suite())
	if err != nil {
		return r, err
	}
	if err := suite.Verify(r.Signing, s.Input(), s.Signature); err != nil {
		return r, fmt.Errorf("its keys are not signed by the identity of %s: it was changed on its way, or put together from two", s.ID)
	}
	return r, nil
}

// CheckReachable wants a host:port that other machines can dial.
func CheckReachable(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("address: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return fmt.Errorf("address: %q names no machine: say at which address others reach it", address)
	}
	return nil
}

// ReadSite reads a node file and checks it.
func ReadSite(file string) (Site, envelope.Request, error) {
	var s Site
	data, err := os.ReadFile(file)
	if err != nil {
		return s, envelope.Request{}, fmt.Errorf("reading a node file: %w", err)
	}
	if err := decodeStrictly(data, maxSite, &s); err != nil {
		return s, envelope.Request{}, fmt.Errorf("reading the node file %s: %w", file, err)
	}
	r, err := s.Check()
	if err != nil {
		return s, r, fmt.Errorf("%s: %w", file, err)
	}
	return s, r, nil
}

// MakeSite makes a chain node's folder: the identity's signing key and request,
// the node's own keys in chainDir, and the public file.
func (d Dir) MakeSite(id, suiteName, chainDir, address string, passphrase []byte) (Site, error) {
	if err := CheckReachable(address); err != nil {
		return Site{}, err
	}
	role := string(contract.RoleNode)
	if _, err := d.Apply(Application{Card: Card{ID: id, Role: role, Suite: suiteName}}, passphrase); err != nil {
		return Site{}, err
	}
	keys, err := chain.MakeKeys(chainDir)
	if err != nil {
		return Site{}, err
	}
	s := Site{ID: id, Vote: keys.Validator, Network: keys.ID, Address: address}
	if s.Request, err = d.Read(RequestFile); err != nil {
		return s, err
	}
	suite, err := envelope.ByName(suiteName)
	if err != nil {
		return s, err
	}
	key, err := d.loadSigning(passphrase)
	if err != nil {
		return s, err
	}
	if s.Signature, err = suite.Sign(rand.Reader, key, s.Input()); err != nil {
		return s, fmt.Errorf("signing the node file: %w", err)
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return s, fmt.Errorf("encoding the node file: %w", err)
	}
	return s, d.Write(append(data, '\n'), SiteFile)
}

func (d Dir) loadSigning(passphrase []byte) (envelope.PrivateKey, error) {
	var key envelope.PrivateKey
	err := LoadKeys(passphrase, []Slot{{Key: &key, Use: envelope.Signing, File: d.SigningFile()}})
	return key, err
}

// OwnSite is a chain node's folder as the node runs with it.
type OwnSite struct {
	Site
	Request envelope.Request
	Key     envelope.PrivateKey // the identity's signing key
}

// OpenSite reads the folder of a chain node. The node file must be that of the
// keys that are there.
func (d Dir) OpenSite(chainDir string, passphrase []byte) (OwnSite, error) {
	var own OwnSite
	var err error
	if own.Site, own.Request, err = ReadSite(d.Path(SiteFile)); err != nil {
		return own, err
	}
	if own.Key, err = d.loadSigning(passphrase); err != nil {
		return own, err
	}
	keys, err := chain.MakeKeys(chainDir)
	if err != nil {
		return own, err
	}
	if own.Key.Public().ID() != own.Request.Signing.ID() || keys.ID != own.Network || !bytes.Equal(keys.Validator, own.Vote) {
		return own, fmt.Errorf("%s is not of the keys in this folder: they were made anew, or the file comes from another", d.Path(SiteFile))
	}
	return own, nil
}

// decodeStrictly reads one JSON value of at most limit bytes.
func decodeStrictly(data []byte, limit int, into any) error {
	if len(data) > limit {
		return fmt.Errorf("over %d bytes", limit)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.More() {
		return errors.New("there is something after its end")
	}
	return nil
}
