package chain_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/committee"
	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/chain/chaintest"
	"signalbox.dev/signalbox/receipt"
)

// signedBy waits for a receipt that a policy takes.
func signedBy(t *testing.T, c *chain.Chain, d chain.Decided, p receipt.Policy) (file []byte, proven receipt.Proven) {
	t.Helper()
	eventually(t, "the receipt has the committee's lines", func() bool {
		var err error
		file, err = c.Receipt(d)
		must(t, err)
		proven, err = p.Verify(file)
		return err == nil
	})
	return file, proven
}

// R8.1: the members of the committee sign the log with SM2 and Ed25519, beside their
// votes; receipts carry their lines, and a policy asks for three of four. Decisions
// and receipts go on with one of four away.
func TestMembersSignTheLog(t *testing.T) {
	c := chaintest.Convene(t, envelope.GM(), committee.Terms{Seats: 4}, 4)
	for _, m := range c.Members {
		m.Start(t)
	}
	f, first := c.Fixture, c.Members[0].Chain
	policy := c.Policy(t, 3)
	file, p := signedBy(t, first, f.Register(t, first, "RX-1"), policy)
	if len(p.Members) < 6 || len(p.Signers) != 2 {
		t.Errorf("signed by %v and %v", p.Signers, p.Members)
	}
	if _, err := receipt.Verify(file, f.Keys, chaintest.Chain); err != nil { // one file, for everybody
		t.Errorf("without a policy: %v", err)
	}
	keys, ok, err := chain.MemberKeys(first.State(), "node-2")
	if err != nil || !ok || !slices.Equal(keys, c.Members[1].VKeys(t)) {
		t.Errorf("the chain names other keys of node-2 than it has: %v, %v", keys, err)
	}
	attackReceipt(t, c, file, policy)
	attackVotes(t, c)

	c.Members[3].Stop()
	_, p = signedBy(t, first, f.Register(t, first, "RX-2"), policy)
	if slices.Contains(p.Members, receipt.MemberName(chaintest.Chain, "node-4")) {
		t.Error("the node that is away has signed")
	}
	dir := c.Members[0].Dir()
	c.Members[0].Stop()
	if checked, err := chain.Replay(t.Context(), dir, f.Keys, func(chain.Decided) error { return nil }); err != nil || len(checked.Problems) > 0 {
		t.Errorf("replay: %v %v", err, checked.Problems)
	}
}

// attackReceipt: lines that are stripped, forged, another's or of a node outside the
// committee don't make a policy's number.
func attackReceipt(t *testing.T, c *chaintest.Council, file []byte, policy receipt.Policy) {
	t.Helper()
	without := func(names ...string) []byte {
		var out []byte
		for line := range bytes.Lines(file) {
			if !slices.ContainsFunc(names, func(n string) bool {
				return bytes.HasPrefix(line, []byte("— "+receipt.MemberName(chaintest.Chain, n)+" "))
			}) {
				out = append(out, line...)
			}
		}
		return out
	}
	two := without("node-1", "node-2")
	if _, err := policy.Verify(two); !errors.Is(err, receipt.ErrQuorum) {
		t.Errorf("lines stripped: %v", err)
	}
	head, err := receipt.ReadHead(file[bytes.Index(file, []byte("\n\n"))+2:])
	must(t, err)
	sign := func(text []byte, signers []note.Signer) []byte {
		lines, err := receipt.SignMember(text, signers...)
		must(t, err)
		return lines
	}
	outside, _ := c.Join(t, "node-9")
	defer func() { c.Members = c.Members[:4] }()
	if _, err := policy.Verify(append(slices.Clone(two), sign(head.Text, outside.Signers(t))...)); !errors.Is(err, receipt.ErrQuorum) {
		t.Errorf("a node outside the committee: %v", err)
	}
	other := bytes.Replace(slices.Clone(head.Text), []byte("\n1\n"), []byte("\n2\n"), 1)
	if _, err := policy.Verify(append(slices.Clone(two), sign(other, c.Members[0].Signers(t))...)); err == nil {
		t.Error("a member's lines for another size are taken")
	}
	if _, err := policy.Verify(append(slices.Clone(two), sign(head.Text, c.Members[0].Signers(t)[:1])...)); !errors.Is(err, receipt.ErrQuorum) {
		t.Errorf("one of a member's two keys: %v", err)
	}
	if _, err := policy.Verify(append(without("node-1"), sign(head.Text, c.Members[0].Signers(t))...)); err != nil {
		t.Errorf("a member's own lines, signed again: %v", err)
	}
}

// attackVotes: what a member's vote carries must be its signatures of the very log
// that everybody has; another root, another's lines, one of two, or more, cost the vote.
func attackVotes(t *testing.T, c *chaintest.Council) {
	t.Helper()
	first := c.Members[0].Chain
	agree(t, c.Members...)
	cp, size, err := first.Checkpoint()
	must(t, err)
	head, err := receipt.ReadHead(cp)
	must(t, err)
	address := contract.VoteAddress(c.Members[1].Keys.Validator)
	lines := func(text []byte, by int) []byte {
		out, err := receipt.SignMember(text, c.Members[by].Signers(t)...)
		must(t, err)
		return out
	}
	good := lines(head.Text, 1)
	if err := first.CheckExtension(address, good); err != nil {
		t.Errorf("a member's own lines: %v", err)
	}
	one := good[:bytes.IndexByte(good, '\n')+1]
	for name, data := range map[string][]byte{
		"another root":          lines(receipt.CheckpointText(chaintest.Chain, size, tlog.Hash{1}), 1),
		"another size":          lines(receipt.CheckpointText(chaintest.Chain, size+1, head.Root), 1),
		"another log":           lines(receipt.CheckpointText("supervision-other", size, head.Root), 1),
		"another member's":      lines(head.Text, 2),
		"one of two lines":      one,
		"the same line twice":   append(slices.Clone(one), one...),
		"a line more":           append(slices.Clone(good), lines(head.Text, 2)...),
		"a checkpoint before":   append(slices.Clone(head.Text), append([]byte("\n"), good...)...),
		"nonsense":              []byte("nonsense\nnonsense\n"),
		"without its last byte": good[:len(good)-1],
		"too long":              []byte(strings.Repeat(string(one), 40)),
	} {
		if err := first.CheckExtension(address, data); err == nil {
			t.Errorf("%s is taken for a member's signatures", name)
		}
	}
	if err := first.CheckExtension(make([]byte, 20), good); err == nil {
		t.Error("a vote of nobody is taken")
	}
}

// R8.1: a chain whose genesis says nothing of members' signatures goes on without
// them, and one whose members wait for a new key goes on with the others' lines.
func TestMembersMayBeSilent(t *testing.T) {
	t.Run("a chain without", func(t *testing.T) {
		c := chaintest.Convene(t, envelope.GM(), committee.Terms{Seats: 2}, 2)
		c.Fixture.Genesis.MemberSignatures = false
		for _, m := range c.Members {
			m.Start(t)
		}
		first := c.Members[0].Chain
		d := c.Fixture.Register(t, first, "RX-1")
		time.Sleep(100 * time.Millisecond) // for lines that must not come
		file, err := first.Receipt(d)
		must(t, err)
		if bytes.Contains(file, []byte("— "+chaintest.Chain+"/")) {
			t.Error("members have signed")
		}
	})
	t.Run("a member with another key", func(t *testing.T) {
		c := chaintest.Convene(t, envelope.GM(), committee.Terms{Seats: 4}, 4)
		c.Members[2].Rekey(t)
		for _, m := range c.Members {
			m.Start(t)
		}
		first := c.Members[0].Chain
		policy := c.Policy(t, 2) // the votes of three make a block final, the silent one's may be among them
		for _, record := range []string{"RX-1", "RX-2"} {
			_, p := signedBy(t, first, c.Fixture.Register(t, first, record), policy)
			if slices.Contains(p.Members, receipt.MemberName(chaintest.Chain, "node-3")) {
				t.Error("a key that the chain does not know has signed")
			}
		}
	})
}

// R8.3: in suite intl members sign with RSA and Ed25519.
func TestMembersSignInIntl(t *testing.T) {
	c := chaintest.Convene(t, envelope.Intl(), committee.Terms{Seats: 1}, 1)
	c.Members[0].Start(t)
	first := c.Members[0].Chain
	_, p := signedBy(t, first, c.Fixture.Register(t, first, "RX-1"), c.Policy(t, 1))
	if len(p.Members) != 2 {
		t.Errorf("signed by %v", p.Members)
	}
}
