package receipt

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/envelope"
)

// ErrMember is what errors about a member's lines wrap.
var ErrMember = errors.New("not this member's signatures of the checkpoint")

// MaxMemberLines is the largest that a member's lines for one checkpoint are, in bytes.
const MaxMemberLines = 4 << 10

// memberLines is how many lines a member has: one by each of its keys.
const memberLines = 2

// CheckpointText is what the log and the members of the committee sign: origin, size
// and root, a line each.
func CheckpointText(origin string, size int64, root tlog.Hash) []byte {
	return fmt.Appendf(nil, "%s\n%d\n%s\n", origin, size, root)
}

// MemberName is what a member of the committee's keys are named: never as the log's.
func MemberName(origin, id string) string { return origin + "/" + id }

// MemberKeys are the vkey lines of a member of the chain's committee: of its
// identity's signing key (SM2 in gm, RSA in intl), and of the Ed25519 key that it
// votes with. They stand after the word member in a policy.
func MemberKeys(origin, id string, identity envelope.PublicKey, vote ed25519.PublicKey) ([]string, error) {
	name := MemberName(origin, id)
	ed, err := Ed25519Key(name, vote)
	if err != nil {
		return nil, err
	}
	return []string{ed, SuiteKey(name, identity)}, nil
}

// SignMember gives a member's lines for a checkpoint's text.
func SignMember(text []byte, signers ...note.Signer) ([]byte, error) {
	signed, err := note.Sign(&note.Note{Text: string(text)}, signers...)
	if err != nil {
		return nil, fmt.Errorf("signing a checkpoint as a member: %w", err)
	}
	return signed[len(text)+1:], nil
}

// CheckMember says whether lines are signatures of the text by each of the member's
// keys, and nothing else.
func CheckMember(text, lines []byte, vkeys []string) error {
	if len(lines) > MaxMemberLines || bytes.Count(lines, []byte("\n")) != memberLines || len(vkeys) != memberLines {
		return fmt.Errorf("%w: want %d lines", ErrMember, memberLines)
	}
	g, err := newGeneration(vkeys)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMember, err)
	}
	signed := bytes.Join([][]byte{text, lines}, []byte("\n"))
	n, err := note.Open(signed, note.VerifierList(g.verifiers...))
	if err != nil || len(n.Sigs) != memberLines || n.Text != string(text) || !strictLines(signed) {
		return ErrMember
	}
	return nil
}
