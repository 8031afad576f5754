package prescription

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"signalbox.dev/signalbox/profile/jsontree"
)

// The content digest says whether two inputs are the same record: SHA-256 over
// the canonical form of the source document (package jsontree), so that also
// what the canonical prescription has no field for counts.
//
// Two things are left out. A bundle's own id, identifier, timestamp and meta:
// they are new with every sending. And what says who the patient is, but for
// the id: those fields can be masked (R1.1), and the digest travels beside the
// masked record, where a phone number could be found again by trying them all.
// They are left out whether masked or not, so that two platforms with different
// masks give one digest.

// contentDigest is lower hex.
func contentDigest(root *jsontree.Node, source Source) string {
	skip := func(parent string, _ *jsontree.Node, member string) bool {
		return parent == "patient" && slices.Contains(Maskable(), "/patient/"+member)
	}
	if source == FHIR {
		bundle := root.Str("resourceType") == "Bundle"
		skip = func(parent string, object *jsontree.Node, member string) bool {
			switch {
			case bundle && object == root:
				return member == "id" || member == "identifier" || member == "timestamp" || member == "meta"
			case object.Str("resourceType") == "Patient":
				return member != "resourceType" && member != "id" && member != "identifier"
			}
			return parent == "subject" && member == "display"
		}
	}
	sum := sha256.Sum256(jsontree.AppendCanonical(nil, root, skip))
	return hex.EncodeToString(sum[:])
}
