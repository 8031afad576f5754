package contract

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"signalbox.dev/signalbox/receipt"
)

// Handover is the body of keys.handover: a statement by which the log's keys give
// way to others (receipt.Handover). The old keys and the new ones have signed it;
// officers give the order.
type Handover struct {
	_ struct{} `cbor:",toarray"`

	Statement []byte
}

// LogKeysText is the key file (receipt.ParseKeys) of the chain's log as the chain
// knows it: the newest keys and every hand-over. It is empty where genesis named
// no log keys and none were handed over.
func LogKeysText(s State) (string, error) {
	var text string
	_, err := load(s, logKeysKey(), &text)
	return text, err
}

// handOver takes a hand-over of the log's keys. Where genesis named none, the first
// statement says which they were.
func (p *proceeding) handOver(h Handover) error {
	said, err := receipt.ParseHandover(h.Statement)
	if err != nil {
		return wrong(err)
	}
	text, err := LogKeysText(p.s)
	if err != nil {
		return err
	}
	if text == "" {
		text = strings.Join(said.Old, "\n")
	}
	keys, err := receipt.ParseKeys(text)
	if err != nil {
		return wrong(err)
	}
	next, err := keys.Follow(h.Statement)
	switch {
	case err != nil:
		return wrong(err)
	case said.Origin != p.c.params.Chain:
		return wrong(fmt.Errorf("it is of log %s, not of this chain's", said.Origin))
	case said.Generation != max(keys.Generation(), 1)+1 || next.Known() == keys.Known() || !slices.Equal(next.At(0), keys.At(0)):
		return wrong(errors.New("it does not hand over the keys of now"))
	case said.Size < p.at.Size:
		return wrong(fmt.Errorf("the old keys were to sign up to %d decisions, and there are %d already: let it begin later", said.Size, p.at.Size))
	}
	return store(p.s, logKeysKey(), next.String())
}
