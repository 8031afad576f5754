package receipt

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"signalbox.dev/signalbox/flow"
)

// Leaf is one decision as it stands in the supervision chain's log. It holds
// nothing that the platform may not see: the authority's pseudonyms stay out,
// payloads are named by their commitment alone, so that they can be archived or
// erased while proofs hold.
//
// Its encoding is fixed, so that the contract of any business chain can read
// it: a header of LeafHeader bytes at constant offsets (all integers big
// endian), then strings with a length byte each.
//
//	  0  4  "SBL1"
//	  4  1  step code            5  1  verdict code
//	  6  2  zero
//	  8  8  issued, Unix seconds
//	 16  8  expires, Unix seconds; 0 is never
//	 24  8  contract version
//	 32 32  flow id (R1.6); for a refused registration, zero
//	 64 32  transaction hash
//	 96 32  commitment to the payload
//	128 32  SHA-256 of the value for the business chain; zero for none
//	160 32  token (R2.3, R3.3); zero for none
//	192 32  contract address
//	224 32  SHA-256 of the encoded facts
//	256 16  submission id
//	272     suite, chain id, network, platform, business, actor (length byte, bytes)
//	        reason codes (count byte, then length byte and bytes each)
type Leaf struct {
	Suite           string
	Chain           string // the supervision chain's id; the log's origin
	Network         string // the business chain that may store the record
	Platform        string
	Business        string
	Actor           string
	Step            flow.Step
	Verdict         flow.Verdict
	Reasons         []string // codes
	Issued          int64    // block time, Unix seconds
	Expires         int64    // Unix seconds; 0 is never
	ContractVersion uint64
	Contract        flow.Hash // address of the rule contract that decided (R6.1)
	Flow            flow.Hash
	Tx              flow.Hash
	Commitment      flow.Hash
	Record          flow.Hash
	Token           flow.Hash
	Facts           flow.Hash
	Submission      flow.ID
}

const (
	leafMagic = "SBL1"
	// LeafHeader is the size of a leaf's fixed part, in bytes.
	LeafHeader = 272
	// MaxLeaf is the largest leaf that is read, in bytes.
	MaxLeaf = 16 << 10
)

// ErrLeaf is what errors about a leaf's bytes wrap.
var ErrLeaf = errors.New("leaf is malformed")

// Encode gives the leaf's only encoding.
func (l Leaf) Encode() ([]byte, error) {
	if l.Step.Code() == 0 || l.Verdict.Code() == 0 {
		return nil, fmt.Errorf("%w: unknown step or verdict", ErrLeaf)
	}
	if l.Issued < 0 || l.Expires < 0 {
		return nil, fmt.Errorf("%w: time before 1970", ErrLeaf)
	}
	if len(l.Reasons) > 255 {
		return nil, fmt.Errorf("%w: %d reasons, at most 255", ErrLeaf, len(l.Reasons))
	}
	b := cryptobyte.NewFixedBuilder(make([]byte, 0, MaxLeaf))
	b.AddBytes([]byte(leafMagic))
	b.AddUint8(l.Step.Code())
	b.AddUint8(l.Verdict.Code())
	b.AddUint16(0)
	b.AddUint64(uint64(l.Issued))
	b.AddUint64(uint64(l.Expires))
	b.AddUint64(l.ContractVersion)
	for _, h := range l.hashes() {
		b.AddBytes(h[:])
	}
	b.AddBytes(l.Submission[:])
	for _, s := range l.names() {
		addString(b, *s)
	}
	b.AddUint8(uint8(len(l.Reasons)))
	for _, r := range l.Reasons {
		addString(b, r)
	}
	out, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLeaf, err)
	}
	return out, nil
}

// DecodeLeaf reads a leaf; anything that Encode would not have written is an error.
func DecodeLeaf(data []byte) (Leaf, error) {
	if len(data) > MaxLeaf {
		return Leaf{}, fmt.Errorf("%w: %d bytes, at most %d", ErrLeaf, len(data), MaxLeaf)
	}
	s := cryptobyte.String(data)
	var (
		l                         Leaf
		magic                     []byte
		step, verdict             uint8
		zero                      uint16
		issued, expires, cversion uint64
	)
	ok := s.ReadBytes(&magic, len(leafMagic)) && string(magic) == leafMagic &&
		s.ReadUint8(&step) && s.ReadUint8(&verdict) && s.ReadUint16(&zero) && zero == 0 &&
		s.ReadUint64(&issued) && s.ReadUint64(&expires) && s.ReadUint64(&cversion)
	for _, h := range l.hashes() {
		ok = ok && s.CopyBytes(h[:])
	}
	ok = ok && s.CopyBytes(l.Submission[:]) && issued < 1<<62 && expires < 1<<62
	for _, name := range l.names() {
		ok = ok && readString(&s, name)
	}
	var count uint8
	ok = ok && s.ReadUint8(&count)
	for range int(count) {
		var r string
		ok = ok && readString(&s, &r)
		l.Reasons = append(l.Reasons, r)
	}
	if !ok || !s.Empty() {
		return Leaf{}, ErrLeaf
	}
	var err error
	if l.Step, err = flow.StepOf(step); err != nil {
		return Leaf{}, fmt.Errorf("%w: %w", ErrLeaf, err)
	}
	if l.Verdict, err = flow.VerdictOf(verdict); err != nil {
		return Leaf{}, fmt.Errorf("%w: %w", ErrLeaf, err)
	}
	l.Issued, l.Expires, l.ContractVersion = int64(issued), int64(expires), cversion
	return l, nil
}

func (l *Leaf) hashes() []*flow.Hash {
	return []*flow.Hash{&l.Flow, &l.Tx, &l.Commitment, &l.Record, &l.Token, &l.Contract, &l.Facts}
}

func (l *Leaf) names() []*string {
	return []*string{&l.Suite, &l.Chain, &l.Network, &l.Platform, &l.Business, &l.Actor}
}

func addString(b *cryptobyte.Builder, s string) {
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(s)) })
}

func readString(s *cryptobyte.String, out *string) bool {
	var v cryptobyte.String
	if !s.ReadUint8LengthPrefixed(&v) {
		return false
	}
	*out = string(v)
	return true
}
