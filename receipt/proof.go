package receipt

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// MaxReceipt is the largest receipt that is read, in bytes.
const MaxReceipt = 64 << 10

// ErrReceipt is what errors of Verify wrap.
var ErrReceipt = errors.New("receipt does not hold")

// Proven is what a verified receipt proves.
type Proven struct {
	Leaf      Leaf
	LeafBytes []byte
	Index     int64     // of the leaf in the log, from 0
	Size      int64     // of the log at the checkpoint
	Root      tlog.Hash // of the log at that size
	Signers   []string  // kinds of the log's valid signature lines: "ed25519", "sm2"

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
	text := fmt.Sprintf("%s\n%d\n%s\n", origin, size, root)
	b, err := note.Sign(&note.Note{Text: text}, signers...)
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

	// What follows is known only to who verified by a Policy that names them.
	Witnesses []Cosigned // that cosigned it, by name
	Members   []string   // of the committee that signed it, by name
}

// VerifyCheckpoint checks a signed checkpoint of the log named origin. For every
// kind of key in keys, at least one line must be valid, so that a verifier who
// knows an SM2 key never makes do with Ed25519 alone.
func VerifyCheckpoint(signed []byte, keys Keys, origin string) (Checkpoint, error) {
	n, err := note.Open(signed, note.VerifierList(keys.verifiers...))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: checkpoint: %w", ErrReceipt, withoutText(err))
	}
	if !strictLines(signed) {
		return Checkpoint{}, fmt.Errorf("%w: checkpoint: a signature line is not canonical base64", ErrReceipt)
	}
	c := Checkpoint{Origin: origin}
	have := map[string]bool{}
	for _, s := range n.Sigs {
		kind := keys.kinds[slot(s.Name, s.Hash)]
		if !have[kind] {
			have[kind] = true
			c.Signers = append(c.Signers, kind)
		}
	}
	for _, v := range keys.verifiers {
		if kind := keys.kinds[slot(v.Name(), v.KeyHash())]; !have[kind] {
			return Checkpoint{}, fmt.Errorf("%w: checkpoint has no valid %s signature of the authority", ErrReceipt, kind)
		}
	}
	if c.Size, c.Root, err = parseTree(n.Text, origin); err != nil {
		return Checkpoint{}, fmt.Errorf("%w: checkpoint: %w", ErrReceipt, err)
	}
	return c, nil
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

// parseTree reads exactly origin, size and root; extension lines are refused,
// since nothing of ours writes them.
func parseTree(text, origin string) (int64, tlog.Hash, error) {
	lines := bytes.Split([]byte(text), []byte("\n"))
	if len(lines) != 4 {
		return 0, tlog.Hash{}, errors.New("want three lines")
	}
	if string(lines[0]) != origin {
		return 0, tlog.Hash{}, fmt.Errorf("of another log than %s", origin)
	}
	size, err := strconv.ParseInt(string(lines[1]), 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != string(lines[1]) {
		return 0, tlog.Hash{}, errors.New("size malformed")
	}
	root, err := tlog.ParseHash(string(lines[2]))
	if err != nil || root.String() != string(lines[2]) {
		return 0, tlog.Hash{}, errors.New("root malformed")
	}
	return size, root, nil
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
		Witnesses: cp.Witnesses, Members: cp.Members,
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
		return errors.New("not signed by any of the authority's keys")
	case errors.As(err, &invalid):
		return errors.New("a signature line of the authority is not valid")
	default:
		return errors.New("malformed")
	}
}
