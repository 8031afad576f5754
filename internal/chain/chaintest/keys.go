package chaintest

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/receipt"
)

// LogKeys are one generation of the log's keys.
type LogKeys struct {
	Signers []note.Signer
	Lines   []string // vkeys
}

// DrawLogKeys draws what the log is signed with: Ed25519, and SM2 in suite gm.
func (f *Fixture) DrawLogKeys(t testing.TB) LogKeys {
	t.Helper()
	secret, vkey, err := receipt.NewLogKey(rand.Reader, Chain)
	must(t, err)
	ed, err := note.NewSigner(secret)
	must(t, err)
	k := LogKeys{Signers: []note.Signer{ed}, Lines: []string{vkey}}
	if f.Suite.Name() == "gm" {
		sm2 := f.Key(t, envelope.Signing)
		k.Signers = append(k.Signers, receipt.SuiteSigner(Chain, sm2, rand.Reader))
		k.Lines = append(k.Lines, receipt.SuiteKey(Chain, sm2.Public()))
	}
	return k
}

// FirstLogKeys are those that the log began with.
func (f *Fixture) FirstLogKeys() LogKeys {
	return LogKeys{Signers: f.Signers, Lines: strings.Split(strings.TrimSpace(f.Published), "\n")}
}

// HandOver gives the statement by which k gives way to next after size decisions.
func (k LogKeys) HandOver(t testing.TB, next LogKeys, generation int, size int64) []byte {
	t.Helper()
	s, err := receipt.SignHandover(receipt.Handover{
		Origin: Chain, Generation: generation, Size: size, Old: k.Lines, New: next.Lines,
	}, slices.Concat(k.Signers, next.Signers)...)
	must(t, err)
	return s
}

// Ring holds several generations, as an authority's folder does.
func Ring(all ...LogKeys) func([]string) ([]note.Signer, error) {
	return func(lines []string) ([]note.Signer, error) {
		for _, k := range all {
			if slices.Equal(k.Lines, lines) {
				return k.Signers, nil
			}
		}
		return nil, fmt.Errorf("not among %d generations", len(all))
	}
}
