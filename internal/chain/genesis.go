package chain

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
)

// Genesis is what the supervision chain starts from: the contract's genesis and
// the authority's public keys. It holds nothing secret.
type Genesis struct {
	Contract     contract.Genesis `json:"contract"`
	Authority    []byte           `json:"authority"`    // DER SubjectPublicKeyInfo of the authority's signing key
	CA           []byte           `json:"ca"`           // DER certificate of the authority's CA
	Certificates [][]byte         `json:"certificates"` // DER, one for every identity of Contract, in its order

	// MemberSignatures has the nodes of the committee sign the log with their votes. It
	// is for chains whose genesis names nodes, and can't be changed afterwards.
	MemberSignatures bool `json:"member_signatures,omitempty"`
}

// Validate checks what can be checked without a clock, and that every identity
// at genesis holds a certificate of the authority's CA that was valid at the
// time the chain began (R7.1).
func (g Genesis) Validate(begun time.Time) error {
	if err := g.Contract.Validate(); err != nil {
		return fmt.Errorf("genesis: %w", err)
	}
	if len(g.Authority) == 0 || len(g.CA) == 0 {
		return errors.New("genesis: authority's key or CA certificate is missing")
	}
	if len(g.Certificates) != len(g.Contract.Identities) {
		return fmt.Errorf("genesis: %d certificates for %d identities", len(g.Certificates), len(g.Contract.Identities))
	}
	if g.MemberSignatures && len(g.Contract.Nodes) == 0 {
		return errors.New("genesis: member_signatures: no nodes are named")
	}
	for i, id := range g.Contract.Identities {
		if err := certifies(g.CA, g.Certificates[i], id, begun); err != nil {
			return fmt.Errorf("genesis: identity %s: %w", id.ID, err)
		}
	}
	return nil
}

// Encode gives the application state that CometBFT's genesis document carries.
func (g Genesis) Encode() (json.RawMessage, error) {
	b, err := json.Marshal(g)
	if err != nil {
		return nil, fmt.Errorf("encoding genesis: %w", err)
	}
	return b, nil
}

// IdentityOf reads from a checked certificate what the chain keeps of it.
func IdentityOf(c envelope.Certificate) contract.Identity {
	return contract.Identity{
		ID: c.ID, Role: contract.Role(c.Role), Status: contract.Active,
		Key: c.Key.ID(), SPKI: c.Key.SPKI(), Certificate: c.Hash,
		NotBefore: c.NotBefore.Unix(), NotAfter: c.NotAfter.Unix(),
	}
}

// certifies checks that the certificate is the CA's, valid at the time, and for
// this identity with this key and role.
func certifies(ca, der []byte, id contract.Identity, at time.Time) error {
	c, err := envelope.CheckCertificate(ca, der, at)
	if err != nil {
		return err
	}
	want := IdentityOf(c)
	if want.ID != id.ID || want.Role != id.Role || want.Key != id.Key ||
		want.Certificate != id.Certificate || want.NotBefore != id.NotBefore || want.NotAfter != id.NotAfter ||
		string(want.SPKI) != string(id.SPKI) {
		return errors.New("certificate is for another identity, key, role or time")
	}
	return nil
}
