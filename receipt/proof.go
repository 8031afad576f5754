package receipt

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// MaxReceipt is the largest receipt that is read, in bytes.
const MaxReceipt = 64 << 10

// Errors of verification.
var (
	// ErrReceipt is what all of them wrap.
	ErrReceipt = errors.New("receipt does not hold")
	// ErrUnsigned says that the log's keys have not signed a checkpoint, or not all kinds of them.
	ErrUnsigned = errors.New("not signed by the log")
)

// Proven is what a verified receipt proves.
type Proven struct {
	Leaf      Leaf
	LeafBytes []byte
	Index     int64     // of the leaf in the log, from 0
	Size      int64     // of the log at the checkpoint
	Root      tlog.Hash // of the log at that size
	Signers   []string  // kinds of the log's valid signature lines: "ed25519", "sm2"

	Generation int      // of the log's keys that signed; 0 where no hand-over is known
	Handovers  [][]byte // statements that the receipt carried and the verifier's keys did not know

	// What follows is known only to who verified by a Policy that names them.
	Witnesses []Cosigned // that cosigned the checkpoint, by name
	Members   []string   // of the committee that signed it, by name
}

// New composes a receipt from a leaf's bytes, its index, its inclusion proof
// and a signed checkpoint that covers it.
func New(leaf []byte, index int64, inclusion tlog.RecordProof, checkpoint []byte) []byte {
	p := proof.TLogProof{Index: uint64(index), Checkpoint: checkpoint, ExtraData: leaf}
	for _, h := range inclusion {
		p.Hashes = append(p.Hashes, h)
	}
	return p.Marshal()
}

// SignCheckpoint gives the signed checkpoint of a log of the given size and
// root: origin, size, root, then a line for each signer.
func SignCheckpoint(origin string, size int64, root tlog.Hash, signers ...note.Signer) ([]byte, error) {
	b, err := note.Sign(&note.Note{Text: string(CheckpointText(origin, size, root))}, signers...)
	if err != nil {
		return nil, fmt.Errorf("signing checkpoint of size %d: %w", size, err)
	}
	return b, nil
}

// Checkpoint is a verified tree head.
type Checkpoint struct {
	Origin  string // the log
	Size    int64
	Root    tlog.Hash
	Signers []string // kinds of the log's valid signature lines

	Generation int      // of the log's keys that signed; 0 where no hand-over is known
	Handovers  [][]byte // statements that it carried and the verifier's keys did not know: see Keys.Follow

	// What follows is known only to who verified by a Policy that names them.
	Witnesses []Cosigned // that cosigned it, by name
	Members   []string   // of the committee that signed it, by name
}

// VerifyCheckpoint checks a signed checkpoint of the log named origin. For every
// kind of key in keys, at least one line must be valid, so that a verifier who
// knows an SM2 key never makes do with Ed25519 alone. Extension lines are
// refused, since nothing of ours writes them.
func VerifyCheckpoint(signed []byte, keys Keys, origin string) (Checkpoint, error) {
	o, err := open(signed, keys)
	if err != nil {
		return Checkpoint{}, err
	}
	h, err := parseHead(o.note.Text)
	switch {
	case err == nil && h.Origin != origin:
		err = fmt.Errorf("of another log than %s", origin)
	case err == nil && h.Extended:
		err = errors.New("want three lines")
	}
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: checkpoint: %w", ErrReceipt, err)
	}
	return Checkpoint{
		Origin: origin, Size: h.Size, Root: h.Root, Signers: o.kinds,
		Generation: o.keys.from(h.Size), Handovers: o.keys.learnt(keys),
	}, nil
}

// opened is a checkpoint whose signature lines were checked.
type opened struct {
	note  *note.Note
	kinds []string // of the log's keys that have signed
	keys  Keys     // with what hand-overs it carries
}

// open checks the signature lines of a checkpoint: those of the generation of keys
// that signs its size. Hand-overs that it carries count where they continue keys; one
// that does not hold spoils it.
func open(signed []byte, keys Keys) (opened, error) {
	keys, _, err := keys.attach(carried(signed, keys.Origin()))
	if err != nil {
		return opened{}, fmt.Errorf("%w: checkpoint: %w", ErrReceipt, err)
	}
	size := int64(math.MaxInt64)
	if h, err := ReadHead(signed); err == nil {
		size = h.Size
	}
	n, kinds, err := keys.at(size).open(signed)
	if err != nil {
		return opened{}, fmt.Errorf("%w%s", err, keys.others(signed, size))
	}
	return opened{note: n, kinds: kinds, keys: keys}, nil
}

// open checks the signature lines of a note: of each kind of key one must be valid.
func (g generation) open(signed []byte) (*note.Note, []string, error) {
	n, err := note.Open(signed, note.VerifierList(g.verifiers...))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: checkpoint: %w", ErrReceipt, withoutText(err))
	}
	if !strictLines(signed) {
		return nil, nil, fmt.Errorf("%w: checkpoint: a signature line is not canonical base64", ErrReceipt)
	}
	var kinds []string
	have := map[string]bool{}
	for _, s := range n.Sigs {
		kind := g.kinds[slot(s.Name, s.Hash)]
		if !have[kind] {
			have[kind] = true
			kinds = append(kinds, kind)
		}
	}
	for _, v := range g.verifiers {
		if kind := g.kinds[slot(v.Name(), v.KeyHash())]; !have[kind] {
			return nil, nil, fmt.Errorf("%w: checkpoint: %w: no valid %s signature of the log", ErrReceipt, ErrUnsigned, kind)
		}
	}
	return n, kinds, nil
}

// others says, of a checkpoint that the right keys have not signed, whether others
// of the log's claim to have.
func (k Keys) others(signed []byte, size int64) string {
	if len(k.handovers) == 0 {
		return ""
	}
	for line := range strings.Lines(string(signed)) {
		name, raw, _ := strings.Cut(strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "— "), " ")
		sig, err := base64.StdEncoding.DecodeString(raw)
		if err != nil || len(sig) < 4 {
			continue
		}
		for _, g := range k.generations {
			if g.kinds[slot(name, binary.BigEndian.Uint32(sig))] != "" {
				return fmt.Sprintf(", but by keys that do not sign size %d: keys were handed over", size)
			}
		}
	}
	return ""
}

// strictLines says whether every signature line has the one encoding of its
// bytes: note.Open alone passes over stray trailing bits.
func strictLines(signed []byte) bool {
	_, lines, _ := bytes.Cut(signed, []byte("\n\n"))
	for line := range bytes.Lines(lines) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		if _, err := base64.StdEncoding.Strict().DecodeString(string(line[bytes.LastIndexByte(line, ' ')+1:])); err != nil {
			return false
		}
	}
	return true
}

// Head is what a checkpoint says, whoever has signed it.
type Head struct {
	Origin   string
	Size     int64
	Root     tlog.Hash
	Text     []byte // all of it that is signed
	Extended bool   // it has extension lines, which no one answers for
	Signed   []byte // the checkpoint with the log's valid lines alone, and hand-overs; only from OpenHead
	// Handovers are statements that it carried and the keys did not know; only from OpenHead.
	Handovers [][]byte
}

// ReadHead reads what a checkpoint claims and checks no signature.
func ReadHead(signed []byte) (Head, error) {
	i := bytes.LastIndex(signed, []byte("\n\n"))
	if i < 0 {
		return Head{}, fmt.Errorf("%w: checkpoint: malformed", ErrReceipt)
	}
	h, err := parseHead(string(signed[:i+1]))
	if err != nil {
		return Head{}, fmt.Errorf("%w: checkpoint: %w", ErrReceipt, err)
	}
	return h, nil
}

// OpenHead reads a checkpoint of any log and checks the log's signatures as
// VerifyCheckpoint does. Extension lines are allowed. What is not signed by the
// log is ErrUnsigned.
func OpenHead(signed []byte, keys Keys) (Head, error) {
	o, err := open(signed, keys)
	if err != nil {
		return Head{}, err
	}
	h, err := parseHead(o.note.Text)
	if err == nil && h.Origin != keys.Origin() {
		err = fmt.Errorf("of another log than %s", keys.Origin())
	}
	if err != nil {
		return Head{}, fmt.Errorf("%w: checkpoint: %w", ErrReceipt, err)
	}
	h.Signed = append(bytes.Clone(h.Text), '\n')
	for _, s := range o.note.Sigs {
		h.Signed = fmt.Appendf(h.Signed, "— %s %s\n", s.Name, s.Base64)
	}
	h.Signed = append(h.Signed, o.keys.Carry()...)
	h.Handovers = o.keys.learnt(keys)
	return h, nil
}

// parseHead reads origin, size and root, and passes over extension lines.
func parseHead(text string) (Head, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 3 || !strings.HasSuffix(text, "\n") || slices.Contains(lines, "") {
		return Head{}, errors.New("want three lines")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return Head{}, errors.New("size malformed")
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil || root.String() != lines[2] {
		return Head{}, errors.New("root malformed")
	}
	return Head{Origin: lines[0], Size: size, Root: root, Text: []byte(text), Extended: len(lines) > 3}, nil
}

// Verify checks a receipt offline: the checkpoint's signatures, the leaf's
// inclusion under its root, and that the leaf is of this log. What the leaf
// permits is for Admits or the caller to judge.
func Verify(file []byte, keys Keys, origin string) (Proven, error) {
	return verify(file, func(signed []byte) (Checkpoint, error) { return VerifyCheckpoint(signed, keys, origin) })
}

// verify checks a receipt whose checkpoint is for head to judge.
func verify(file []byte, head func(signed []byte) (Checkpoint, error)) (Proven, error) {
	p, err := parse(file)
	if err != nil {
		return Proven{}, err
	}
	cp, err := head(p.Checkpoint)
	if err != nil {
		return Proven{}, err
	}
	if p.Index >= uint64(cp.Size) {
		return Proven{}, fmt.Errorf("%w: index %d is not in a log of %d", ErrReceipt, p.Index, cp.Size)
	}
	inclusion := make(tlog.RecordProof, len(p.Hashes))
	for i, h := range p.Hashes {
		inclusion[i] = h
	}
	if err := tlog.CheckRecord(inclusion, cp.Size, cp.Root, int64(p.Index), tlog.RecordHash(p.ExtraData)); err != nil {
		return Proven{}, fmt.Errorf("%w: the leaf is not in the log under this checkpoint", ErrReceipt)
	}
	leaf, err := DecodeLeaf(p.ExtraData)
	if err != nil {
		return Proven{}, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	if leaf.Chain != cp.Origin {
		return Proven{}, fmt.Errorf("%w: leaf names another supervision chain than %s", ErrReceipt, cp.Origin)
	}
	return Proven{
		Leaf: leaf, LeafBytes: p.ExtraData, Index: int64(p.Index), Size: cp.Size, Root: cp.Root, Signers: cp.Signers,
		Generation: cp.Generation, Handovers: cp.Handovers, Witnesses: cp.Witnesses, Members: cp.Members,
	}, nil
}

// Claimed reads the leaf that a receipt claims to prove and checks nothing of the
// proof: good for turning something away early, never for letting it in.
func Claimed(file []byte) (Leaf, error) {
	p, err := parse(file)
	if err != nil {
		return Leaf{}, err
	}
	leaf, err := DecodeLeaf(p.ExtraData)
	if err != nil {
		return Leaf{}, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	return leaf, nil
}

// parse reads the one form that a receipt has.
func parse(file []byte) (proof.TLogProof, error) {
	if len(file) > MaxReceipt {
		return proof.TLogProof{}, fmt.Errorf("%w: %d bytes, at most %d", ErrReceipt, len(file), MaxReceipt)
	}
	var p proof.TLogProof
	if err := p.Unmarshal(file); err != nil {
		return proof.TLogProof{}, fmt.Errorf("%w: %w", ErrReceipt, withoutText(err))
	}
	if !bytes.Equal(p.Marshal(), file) {
		return proof.TLogProof{}, fmt.Errorf("%w: not in the form of c2sp.org/tlog-proof@v1", ErrReceipt)
	}
	return p, nil
}

// withoutText keeps foreign bytes out of error texts.
func withoutText(err error) error {
	var unverified *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case errors.As(err, &unverified):
		return fmt.Errorf("%w: not by any of its keys", ErrUnsigned)
	case errors.As(err, &invalid):
		return fmt.Errorf("%w: a signature line of the log is not valid", ErrUnsigned)
	default:
		return errors.New("malformed")
	}
}
