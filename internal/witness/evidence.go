package witness

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/internal/durable"
)

// Evidence is two checkpoints that one log has signed and that don't fit. With two
// roots of one size, or with Proof, whoever has the log's public keys can check it
// and nobody has to be believed. Of a log that was set back, or whose tiles don't
// fit, it says what its finder saw.
type Evidence struct {
	Origin string
	Why    string    // in English
	Found  time.Time // by the finder's clock
	First  []byte    // signed checkpoint
	Second []byte    // signed checkpoint

	// Where the second is larger: what its log has as root at the first's size, and
	// the consistency proof of that (RFC 6962, section 2.1.2). So the first's own root
	// is not in it, which can be checked without the log.
	Root  tlog.Hash
	Proof tlog.TreeProof
}

// String is the file's text.
func (e Evidence) String() string {
	b := fmt.Appendf(nil, "signalbox evidence against log %s\nfound %s\n%s\n\n--- first\n%s--- second\n%s",
		e.Origin, e.Found.UTC().Format(time.RFC3339), e.Why, e.First, e.Second)
	if len(e.Proof) > 0 {
		b = fmt.Appendf(b, "--- consistency of the second with another root at the first's size\n%s\n", e.Root)
		for _, h := range e.Proof {
			b = fmt.Appendf(b, "%s\n", h)
		}
	}
	return string(b)
}

// Keep stores the evidence in the folder, durably, and gives the file's name. The
// same two checkpoints are kept once, whenever they are found again.
func (e Evidence) Keep(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("keeping evidence: %w", err)
	}
	pair := fmt.Appendf(nil, "%d\n%s%s", len(e.First), e.First, e.Second)
	name := filepath.Join(dir, OriginHash(e.Origin)[:16]+"-"+OriginHash(string(pair))[:16]+".evidence")
	_, err := os.Stat(name)
	if err == nil {
		return name, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = durable.WriteFile(name, []byte(e.String()))
	}
	if err != nil {
		return "", fmt.Errorf("keeping evidence: %w", err)
	}
	return name, nil
}
