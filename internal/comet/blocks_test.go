package comet

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/store"
	"github.com/cometbft/cometbft/types"
)

// chain leaves a stopped node with count transactions and returns its
// directory, and the position of the application.
func chain(t *testing.T, count int) (string, Position) {
	t.Helper()
	dir := t.TempDir()
	n, app, shut := open(t, dir)
	fill(t, n, app, "first", 1) // so that the others are not in the first block
	fill(t, n, app, "tx", count)
	if _, err := app.put(t.Context(), n, "late"); err != nil {
		t.Fatal(err)
	}
	quiet(t, n, app)
	shut()
	return filepath.Join(dir, "node"), app.position()
}

func TestReplayFromFirstBlock(t *testing.T) {
	dir, at := chain(t, 60)
	b, err := OpenBlocks(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if g := b.Genesis(); g.ChainID != "test" || len(g.AppState) == 0 {
		t.Errorf("genesis read incompletely: %+v", g)
	}
	app := newRegister(t, NewMemKV())
	refused := 0
	done, err := b.Replay(t.Context(), app, func(s Stored, results []Result) error {
		if len(results) != len(s.Txs) {
			t.Errorf("block %d: %d results for %d transactions", s.Height, len(results), len(s.Txs))
		}
		for _, r := range results {
			if r.Code != 0 {
				refused++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if done.Txs != 62 || refused != 1 || done.Blocks != at.Height || done.Confirmed != at.Height-1 {
		t.Errorf("replayed %+v with %d refused, want 62 transactions, 1 refused, %d blocks", done, refused, at.Height)
	}
	if !bytes.Equal(done.AppHash, at.AppHash) {
		t.Errorf("app hash %x, want %x", done.AppHash, at.AppHash)
	}
	if app.has(t, "tx-007") == 0 {
		t.Error("the replayed state lacks a transaction")
	}
}

// An application that would decide otherwise today is found out.
func TestReplayFindsOtherOutcome(t *testing.T) {
	dir, _ := chain(t, 5)
	cases := map[string]struct {
		spoil func([]Result, *Outcome)
		want  string
	}{
		"state":   {func(_ []Result, o *Outcome) { o.AppHash = append([]byte{1}, o.AppHash[1:]...) }, "gives app hash"},
		"results": {func(r []Result, _ *Outcome) { r[0].Code = 99 }, "other results"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b, err := OpenBlocks(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			app := changed{newRegister(t, NewMemKV()), c.spoil}
			if _, err := b.Replay(t.Context(), app, func(Stored, []Result) error { return nil }); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("replay: %v, want something about %q", err, c.want)
			}
		})
	}
}

type changed struct {
	*register
	spoil func([]Result, *Outcome)
}

func (c changed) Finalize(b Block) (Outcome, error) {
	out, err := c.register.Finalize(b)
	if len(b.Txs) > 0 {
		c.spoil(out.Results, &out)
	}
	return out, err
}

// Blocks that were changed on disk are found: by their hashes, by the block
// that follows, or, where the forger made those fit, by the signatures.
func TestVerifyFindsForgery(t *testing.T) {
	cases := map[string]struct {
		forge func(*testing.T, *types.Block)
		want  string
	}{
		"transaction changed": {func(_ *testing.T, b *types.Block) { b.Txs[1] = types.Tx("forged") }, "wrong Header.DataHash"},
		"transaction changed, data hash made to fit": {func(_ *testing.T, b *types.Block) {
			b.Txs[1] = types.Tx("forged")
			b.DataHash = types.Data{Txs: b.Txs}.Txs.Hash()
		}, "not signed"},
		"app hash changed": {func(_ *testing.T, b *types.Block) { b.AppHash = bytes.Repeat([]byte{9}, 32) }, "not signed"},
		"other validators": {func(_ *testing.T, b *types.Block) { b.ValidatorsHash = bytes.Repeat([]byte{9}, 32) }, "other validators"},
		"other chain":      {func(_ *testing.T, b *types.Block) { b.ChainID = "other" }, "another chain"},
		"other predecessor": {func(_ *testing.T, b *types.Block) {
			b.LastBlockID.Hash = bytes.Repeat([]byte{9}, 32)
		}, "does not follow"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir, _ := chain(t, 5)
			rewrite(t, dir, c.forge)
			b, err := OpenBlocks(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			err = b.Verify(t.Context(), func(Stored) error { return nil })
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("verify: %v, want something about %q", err, c.want)
			}
		})
	}
}

// rewrite changes a block with transactions after the first, as someone with access to
// the disk could, and signs its commit with a key of their own.
func rewrite(t *testing.T, dir string, forge func(*testing.T, *types.Block)) {
	t.Helper()
	kv, err := OpenKV(dataDir(dir) + "/blockstore")
	if err != nil {
		t.Fatal(err)
	}
	defer kv.Close()
	s := store.NewBlockStore(kv)
	for h := int64(1); ; h++ {
		block := s.LoadBlock(h)
		if h == 1 || len(block.Txs) == 0 {
			continue
		}
		forge(t, block)
		commit := s.LoadBlockCommit(h)
		parts, err := block.MakePartSet(types.BlockPartSizeBytes)
		if err != nil {
			t.Fatal(err)
		}
		commit.BlockID = types.BlockID{Hash: block.Hash(), PartSetHeader: parts.Header()}
		vote := commit.GetVote(0).ToProto()
		sig, err := ed25519.GenPrivKey().Sign(types.VoteSignBytes("test", vote))
		if err != nil {
			t.Fatal(err)
		}
		commit.Signatures[0].Signature = sig
		write(t, kv, block, parts, commit)
		return
	}
}

func write(t *testing.T, kv KV, block *types.Block, parts *types.PartSet, commit *types.Commit) {
	t.Helper()
	for i := range int(parts.Total()) {
		p, err := parts.GetPart(i).ToProto()
		if err != nil {
			t.Fatal(err)
		}
		set(t, kv, fmt.Sprintf("P:%v:%v", block.Height, i), p)
	}
	meta := types.NewBlockMeta(block, parts).ToProto()
	set(t, kv, fmt.Sprintf("H:%v", block.Height), meta)
	set(t, kv, fmt.Sprintf("C:%v", block.Height), commit.ToProto())
}

func set(t *testing.T, kv KV, key string, m interface{ Marshal() ([]byte, error) }) {
	t.Helper()
	raw, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if old, err := kv.Get([]byte(key)); err != nil || old == nil {
		t.Fatalf("nothing is stored under %s: the test no longer fits CometBFT", key)
	}
	if err := kv.SetSync([]byte(key), raw); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyFindsGarbage(t *testing.T) {
	dir, _ := chain(t, 2)
	kv, err := OpenKV(dataDir(dir) + "/blockstore")
	if err != nil {
		t.Fatal(err)
	}
	if err := kv.SetSync([]byte("P:2:0"), []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	kv.Close()
	b, err := OpenBlocks(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Verify(t.Context(), func(Stored) error { return nil }); err == nil || !strings.Contains(err.Error(), "block 2") {
		t.Errorf("verify: %v, want an error about block 2", err)
	}
}

func TestOpenBlocksOfNothing(t *testing.T) {
	if _, err := OpenBlocks(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("opening: %v, want os.ErrNotExist", err)
	}
}
