package comet

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/types"
)

// anchorOf is that of a chain of one validator, at a block with another after it.
func anchorOf(t *testing.T) []byte {
	t.Helper()
	n, app, _ := open(t, t.TempDir())
	for _, tx := range []string{"one", "two", "three"} {
		if _, err := app.put(t.Context(), n, tx); err != nil {
			t.Fatal(err)
		}
	}
	quiet(t, n, app)
	a, err := n.Anchor(n.Height() - 1)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := a.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseAnchor(raw)
	if err != nil {
		t.Fatal(err)
	}
	if back.Fingerprint() != a.Fingerprint() || back.Height() != a.Height() || string(back.AppHash()) != string(a.AppHash()) {
		t.Error("an anchor that was stored is another")
	}
	return raw
}

// Nothing of an anchor can be changed: it does not fit the headers, or has another
// fingerprint. Other validators, such as those of once, are found by both.
func TestAnchorForged(t *testing.T) {
	raw := anchorOf(t)
	good, err := ParseAnchor(raw)
	if err != nil {
		t.Fatal(err)
	}
	key := ed25519.GenPrivKey()
	others := types.NewValidatorSet([]*types.Validator{types.NewValidator(key.PubKey(), 1)})
	for name, c := range map[string]struct {
		forge func(*Anchor)
		want  string // of the error; empty: it fits, and has another fingerprint
	}{
		"validators of another time": {func(a *Anchor) {
			a.state.LastValidators, a.state.Validators, a.state.NextValidators = others, others, others
		}, "validators"},
		"the next validators": {func(a *Anchor) { a.state.NextValidators = others }, "next validators"},
		"validators in the headers too": {func(a *Anchor) {
			a.state.LastValidators, a.state.Validators, a.state.NextValidators = others, others, others
			a.last.ValidatorsHash, a.last.NextValidatorsHash = others.Hash(), others.Hash()
			a.next.ValidatorsHash, a.next.NextValidatorsHash = others.Hash(), others.Hash()
			a.state.LastBlockID.Hash = a.last.Hash()
			a.next.LastBlockID = a.state.LastBlockID
		}, "anchor"},
		"whose turn it is to propose": {func(a *Anchor) { a.state.NextValidators.Validators[0].ProposerPriority += 7 }, ""},
		"application hash":            {func(a *Anchor) { a.state.AppHash = make([]byte, 32) }, "application's hash"},
		"results":                     {func(a *Anchor) { a.state.LastResultsHash = make([]byte, 32) }, "application's hash"},
		"parameters":                  {func(a *Anchor) { a.state.ConsensusParams.Block.MaxBytes++ }, "parameters"},
		"parameters without a hash":   {func(a *Anchor) { a.state.ConsensusParams.Evidence.MaxAgeNumBlocks++ }, ""},
		"time":                        {func(a *Anchor) { a.state.LastBlockTime = a.state.LastBlockTime.Add(time.Second) }, "time"},
		"height":                      {func(a *Anchor) { a.state.LastBlockHeight++ }, "header"},
		"chain":                       {func(a *Anchor) { a.state.ChainID = "other" }, "header"},
		"votes for the block":         {func(a *Anchor) { a.commit.Signatures[0].Signature[0] ^= 1 }, "votes"},
		"votes after it":              {func(a *Anchor) { a.next.Commit.Signatures[0].Signature[0] ^= 1 }, "not signed"},
		"no votes after it":           {func(a *Anchor) { a.next.Commit.Signatures = nil }, "no signatures"},
	} {
		a, err := ParseAnchor(raw)
		if err != nil {
			t.Fatal(err)
		}
		c.forge(a)
		forged, err := a.Encode()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		read, err := ParseAnchor(forged)
		switch {
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want something about %s", name, err, c.want)
		case c.want == "" && err == nil && read.Fingerprint() == good.Fingerprint():
			t.Errorf("%s: the same fingerprint", name)
		}
	}
}

// What is no anchor is an error, never a panic.
func TestAnchorGarbage(t *testing.T) {
	raw := anchorOf(t)
	var in anchored
	if err := json.Unmarshal(raw, &in); err != nil {
		t.Fatal(err)
	}
	for _, part := range []*[]byte{&in.State, &in.Last, &in.Commit, &in.Next} {
		was := *part
		for _, bad := range [][]byte{nil, was[:len(was)/2], append([]byte{0xff}, was...)} {
			*part = bad
			forged, err := json.Marshal(in)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ParseAnchor(forged); err == nil {
				t.Errorf("%d bytes in place of %d: read", len(bad), len(was))
			}
		}
		*part = was
	}
	if _, err := ParseAnchor([]byte("{}")); err == nil {
		t.Error("nothing: read")
	}
}
