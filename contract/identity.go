package contract

import (
	"errors"
	"fmt"
	"slices"

	"signalbox.dev/signalbox/flow"
)

// Errors of SetIdentityStatus.
var (
	ErrUnknownIdentity = errors.New("no such identity on the supervision chain")
	ErrRevoked         = errors.New("a revoked identity stays revoked")
	ErrStatus          = errors.New("no such status of an identity, or not from the one it has")
)

// IdentityOf returns an admitted participant; false when there is none of this id.
func IdentityOf(s State, id string) (Identity, bool, error) {
	var i Identity
	ok, err := load(s, identityKey(id), &i)
	return i, ok, err
}

// SetIdentityStatus verifies, activates, suspends, revokes or reactivates an
// identity, from the next decision on (R2.1, R7.1). Revocation is final, and
// nobody goes back to having applied.
func SetIdentityStatus(s State, id string, status Status) error {
	if !status.known() {
		return fmt.Errorf("setting the status of %s: %w: %q", id, ErrStatus, status)
	}
	i, ok, err := IdentityOf(s, id)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("setting the status of %s: %w", id, ErrUnknownIdentity)
	}
	if i.Status == Revoked && status != Revoked {
		return fmt.Errorf("setting the status of %s: %w", id, ErrRevoked)
	}
	if !status.follows(i.Status) {
		return fmt.Errorf("setting the status of %s: %w: %s on %s", id, ErrStatus, status, i.Status)
	}
	i.Status = status
	return store(s, identityKey(id), i)
}

func (s Status) known() bool {
	return slices.Contains([]Status{Applied, Verified, Active, Suspended, Revoked}, s)
}

// follows says whether s may follow on the status before: applied, verified,
// active, and between active and suspended both ways; revoked on any.
func (s Status) follows(before Status) bool {
	switch s {
	case Applied:
		return before == Applied
	case Verified:
		return before == Applied || before == Verified
	case Active:
		return before != Applied
	case Suspended:
		return before == Active || before == Suspended
	default:
		return true
	}
}

// AgainstActing gives the reasons for which an identity may not act in a role at
// now, Unix seconds; none when it may. The host asks before it lets a
// participant connect (R7.1).
func AgainstActing(s State, id string, role Role, now int64) ([]flow.Reason, error) {
	i, known, err := IdentityOf(s, id)
	if err != nil {
		return nil, err
	}
	return i.against(known, role, now, string(role)), nil
}

func (r Role) known() bool {
	return slices.Contains([]Role{RolePlatform, RoleOriginator, RoleProducer, RoleReviewer, RoleOfficer, RoleNode}, r)
}

// Validate says what is wrong with i, naming the field. An identity that signs
// submissions or orders itself must bring its key; any key must be named by the
// hash that flow.KeyID asks for.
func (i Identity) Validate() error {
	if err := flow.CheckName("id", i.ID); err != nil {
		return err
	}
	if !i.Role.known() {
		return fmt.Errorf("role: %q is no role", i.Role)
	}
	if !i.Status.known() {
		return fmt.Errorf("status: %q is no status", i.Status)
	}
	if len(i.SPKI) > maxSPKI {
		return fmt.Errorf("spki: over %d bytes", maxSPKI)
	}
	if len(i.SPKI) == 0 {
		if i.Key != (flow.KeyID{}) || i.Role == RolePlatform || i.Role == RoleOfficer {
			return errors.New("spki: missing")
		}
	} else if i.Key != keyID(i.SPKI) {
		return errors.New("key: is not the key id of spki")
	}
	if i.NotAfter <= i.NotBefore {
		return errors.New("not_after: ends before it begins")
	}
	if len(i.Licence) > maxText || !tagsInBounds(i.Tags) {
		return errors.New("licence, tags: too long")
	}
	return nil
}

// maxSPKI is well above an RSA key of 8192 bits.
const maxSPKI = 2048

// keyID names a key as flow.KeyID says.
func keyID(spki []byte) flow.KeyID {
	sum := flow.SumHash(spki)
	return flow.KeyID(sum[:len(flow.KeyID{})])
}

// validateIdentities checks each, and that none shares id, key or licence with another.
func validateIdentities(all []Identity) error {
	taken := make(map[string]bool)
	for n, i := range all {
		if err := i.Validate(); err != nil {
			return fmt.Errorf("identities: entry %d: %w", n+1, err)
		}
		for _, key := range i.names() {
			if taken[string(key)] {
				return fmt.Errorf("identities: entry %d: id, key or licence stands twice", n+1)
			}
			taken[string(key)] = true
		}
	}
	return nil
}

// names are the state keys that belong to one identity alone.
func (i Identity) names() [][]byte {
	names := [][]byte{identityKey(i.ID)}
	if len(i.SPKI) > 0 {
		names = append(names, keyKey(i.Key))
	}
	if i.Licence != "" {
		names = append(names, licenceKey(i.Licence))
	}
	return names
}

// putIdentity stores i and what finds it again. When it renews an identity the
// names it had before stay its own, so that nobody else can take them over.
func putIdentity(s State, i Identity) error {
	names := i.names()
	if err := store(s, names[0], i); err != nil {
		return err
	}
	for _, key := range names[1:] {
		if err := store(s, key, i.ID); err != nil {
			return err
		}
	}
	return nil
}

// against gives the reasons for which i may not act at now in the role; path
// names who it is in the submission. known says whether there is such an identity.
func (i Identity) against(known bool, role Role, now int64, path string) []flow.Reason {
	switch {
	case !known:
		return because("unknown_identity", path)
	case i.Role != role:
		return because("wrong_role", path)
	case i.Status == Revoked:
		return because("identity_revoked", path)
	case i.Status == Applied || i.Status == Verified:
		return because("identity_not_active", path)
	case i.Status != Active:
		return because("identity_suspended", path)
	case now < i.NotBefore || now > i.NotAfter:
		return because("identity_expired", path)
	}
	return nil
}
