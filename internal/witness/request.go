package witness

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// MaxRequest is the largest add-checkpoint request that is read, in bytes: 63
// hashes, and a checkpoint with more signatures than the standard asks for.
const MaxRequest = 128 << 10

// maxProof is how many hashes a consistency proof may have (c2sp.org/tlog-witness).
const maxProof = 63

// Request is the body of add-checkpoint.
type Request struct {
	Old        int64          // size that the witness is thought to have cosigned last
	Proof      tlog.TreeProof // from Old to the checkpoint's size
	Checkpoint []byte         // signed
}

// Encode gives the body.
func (r Request) Encode() []byte {
	b := fmt.Appendf(nil, "old %d\n", r.Old)
	for _, h := range r.Proof {
		b = fmt.Appendf(b, "%s\n", h)
	}
	return append(append(b, '\n'), r.Checkpoint...)
}

// ErrMalformed says that a request is none.
var ErrMalformed = errors.New("request is malformed")

// ParseRequest reads what Encode wrote, and nothing else.
func ParseRequest(body []byte) (Request, error) {
	if len(body) > MaxRequest {
		return Request{}, fmt.Errorf("%w: over %d bytes", ErrMalformed, MaxRequest)
	}
	head, checkpoint, ok := bytes.Cut(body, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	text, isOld := strings.CutPrefix(lines[0], "old ")
	old, err := strconv.ParseInt(text, 10, 64)
	if !ok || !isOld || err != nil || old < 0 || strconv.FormatInt(old, 10) != text {
		return Request{}, fmt.Errorf("%w: want the line `old <size>`, a proof, an empty line and a checkpoint", ErrMalformed)
	}
	if len(lines)-1 > maxProof {
		return Request{}, fmt.Errorf("%w: a proof of %d hashes, at most %d", ErrMalformed, len(lines)-1, maxProof)
	}
	r := Request{Old: old, Checkpoint: checkpoint}
	for i, l := range lines[1:] {
		h, err := base64.StdEncoding.Strict().DecodeString(l)
		if err != nil || len(h) != tlog.HashSize {
			return Request{}, fmt.Errorf("%w: hash %d of the proof is not 32 bytes in base64", ErrMalformed, i+1)
		}
		r.Proof = append(r.Proof, tlog.Hash(h))
	}
	return r, nil
}
