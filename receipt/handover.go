package receipt

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Errors of hand-overs.
var (
	// ErrHandover is what errors about a hand-over statement wrap.
	ErrHandover = errors.New("hand-over does not hold")
	// ErrForked says that keys were handed over twice, to different keys: the second
	// one never counts.
	ErrForked = errors.New("the same keys were handed over to others before")
)

const (
	// handoverTitle is the first line of a statement. No checkpoint begins like this,
	// since the second line of one is a number.
	handoverTitle = "signalbox.dev/log-handover/v1"
	// MaxHandover is the largest statement that is read, in bytes.
	MaxHandover = 16 << 10
	// MaxCarried is how many statements a checkpoint carries, the newest ones; who is
	// further behind needs a newer key file.
	MaxCarried = 16
	// maxGeneration bounds the generations of a log's keys.
	maxGeneration = 1 << 20
	maxTogether   = 8 // keys of one generation
)

// Handover says that a log's keys give way to others. Its statement is a signed
// note, signed by all the old keys and all the new ones: the old ones name their
// successors, the new ones prove that they are there. Up to Size checkpoints are
// signed by the old keys, beyond it by the new ones, and by nobody else.
type Handover struct {
	Origin     string   // the log
	Generation int      // of the new keys; those that the log began with are the first
	Size       int64    // of the largest checkpoint that the old keys sign
	Old, New   []string // vkey lines
}

// text is what is signed.
func (h Handover) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n%d\n%d\n", handoverTitle, h.Origin, h.Generation, h.Size)
	for _, line := range h.Old {
		b.WriteString("old " + line + "\n")
	}
	for _, line := range h.New {
		b.WriteString("new " + line + "\n")
	}
	return b.String()
}

// validate says what of a statement makes no sense, whoever has signed it.
func (h Handover) validate() (before, after generation, err error) {
	if h.Generation < 2 || h.Generation > maxGeneration || h.Size < 0 {
		return before, after, errors.New("generation or size out of bounds")
	}
	if len(h.Old) == 0 || len(h.New) == 0 || len(h.Old) > maxTogether || len(h.New) > maxTogether {
		return before, after, fmt.Errorf("want 1 to %d keys on each side", maxTogether)
	}
	if before, err = newGeneration(h.Old); err != nil {
		return before, after, fmt.Errorf("old keys: %w", err)
	}
	if after, err = newGeneration(h.New); err != nil {
		return before, after, fmt.Errorf("new keys: %w", err)
	}
	if before.verifiers[0].Name() != h.Origin || after.verifiers[0].Name() != h.Origin {
		return before, after, errors.New("keys of another log")
	}
	seen := map[string]bool{}
	for _, line := range slices.Concat(h.Old, h.New) {
		key, err := publicPart(line)
		if err != nil {
			return before, after, err
		}
		if seen[key] {
			return before, after, errors.New("the same key twice")
		}
		seen[key] = true
	}
	if !slices.Equal(before.sorts(), after.sorts()) {
		return before, after, errors.New("the new keys are of other kinds than the old ones")
	}
	return before, after, nil
}

// sorts are the kinds of a generation's keys, each once.
func (g generation) sorts() []string {
	var all []string
	for _, kind := range g.kinds {
		all = append(all, kind)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// same says whether two generations are of the same keys, in whatever order.
func (g generation) same(o generation) bool {
	a, b := slices.Sorted(slices.Values(g.lines)), slices.Sorted(slices.Values(o.lines))
	return slices.Equal(a, b)
}

// SignHandover gives the statement. The keys of signers must be exactly those that
// it names, old and new.
func SignHandover(h Handover, signers ...note.Signer) ([]byte, error) {
	signed, err := note.Sign(&note.Note{Text: h.text()}, signers...)
	if err != nil {
		return nil, fmt.Errorf("signing a hand-over: %w", err)
	}
	if _, err := ParseHandover(signed); err != nil {
		return nil, fmt.Errorf("signing a hand-over: %w", err)
	}
	return signed, nil
}

// ParseHandover reads a statement and checks that every key that it names, old and
// new, has signed it. Whether the old ones were ever a log's keys it can't say: that
// is for [Keys.Follow].
func ParseHandover(statement []byte) (Handover, error) {
	h, err := parseHandover(statement)
	return h.Handover, err
}

// handover is a statement that was checked.
type handover struct {
	Handover
	signed        []byte
	before, after generation
}

func parseHandover(statement []byte) (handover, error) {
	h, err := readHandover(statement)
	if err != nil {
		return handover{}, fmt.Errorf("%w: %w", ErrHandover, err)
	}
	all := slices.Concat(h.before.verifiers, h.after.verifiers)
	n, err := note.Open(statement, note.VerifierList(all...))
	if err != nil {
		return handover{}, fmt.Errorf("%w: %w", ErrHandover, withoutText(err))
	}
	if len(n.Sigs) != len(all) || len(n.UnverifiedSigs) > 0 || !strictLines(statement) {
		return handover{}, fmt.Errorf("%w: want one signature of each of its %d keys, and no others", ErrHandover, len(all))
	}
	return h, nil
}

// readHandover reads a statement without its signatures.
func readHandover(statement []byte) (handover, error) {
	var h handover
	i := bytes.LastIndex(statement, []byte("\n\n"))
	if i < 0 || len(statement) > MaxHandover {
		return h, errors.New("malformed")
	}
	lines := strings.Split(string(statement[:i]), "\n")
	if len(lines) < 6 || lines[0] != handoverTitle {
		return h, errors.New("malformed")
	}
	var err, more error
	h.Origin = lines[1]
	h.Generation, err = strconv.Atoi(lines[2])
	h.Size, more = strconv.ParseInt(lines[3], 10, 64)
	if err != nil || more != nil {
		return h, errors.New("malformed")
	}
	for _, line := range lines[4:] {
		if key, ok := strings.CutPrefix(line, "old "); ok {
			h.Old = append(h.Old, key)
		} else {
			h.New = append(h.New, strings.TrimPrefix(line, "new "))
		}
	}
	if h.text() != string(statement[:i+1]) {
		return h, errors.New("malformed")
	}
	h.signed = bytes.Clone(statement)
	h.before, h.after, err = h.validate()
	return h, err
}

// handoverHash is the key id of the lines that carry statements. No key has it:
// verifiers that know nothing of hand-overs pass such lines over, as signed notes ask.
func handoverHash(origin string) uint32 {
	sum := sha256.Sum256([]byte(origin + "\n\xffhandover\n"))
	return binary.BigEndian.Uint32(sum[:])
}

// Carry gives the lines by which a checkpoint of the log takes the newest hand-overs
// along, so that a receipt stays one file and whoever trusts earlier keys can
// verify it.
func (k Keys) Carry() []byte {
	var out []byte
	for _, h := range k.handovers[max(0, len(k.handovers)-MaxCarried):] {
		raw := binary.BigEndian.AppendUint32(nil, handoverHash(h.Origin))
		out = fmt.Appendf(out, "— %s %s\n", h.Origin, base64.StdEncoding.EncodeToString(append(raw, h.signed...)))
	}
	return out
}

// carried gives the statements that a checkpoint's lines carry.
func carried(signed []byte, origin string) [][]byte {
	_, lines, _ := bytes.Cut(signed, []byte("\n\n"))
	prefix := []byte("— " + origin + " ")
	var out [][]byte
	for line := range bytes.Lines(lines) {
		b64, ok := bytes.CutPrefix(bytes.TrimSuffix(line, []byte("\n")), prefix)
		if !ok {
			continue
		}
		raw, err := base64.StdEncoding.Strict().DecodeString(string(b64))
		if err == nil && len(raw) > 4 && binary.BigEndian.Uint32(raw) == handoverHash(origin) {
			out = append(out, raw[4:])
		}
	}
	return out[:min(len(out), MaxCarried)]
}
