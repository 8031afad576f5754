package system

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/archive"
	"signalbox.dev/signalbox/archive/blob"
	"signalbox.dev/signalbox/archive/segment"
	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/archiving"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/chain/chaintest"
	"signalbox.dev/signalbox/internal/witness"
	"signalbox.dev/signalbox/receipt"
)

// watchedChain is a stopped chain with an archive and a witness.
type watchedChain struct {
	*chaintest.Fixture
	at      chains
	decided []chain.Decided
	place   string
	memory  string
	key     ed25519.PrivateKey
}

func newWatchedChain(t *testing.T) *watchedChain {
	t.Helper()
	dir := t.TempDir()
	w := &watchedChain{Fixture: chaintest.New(t, envelope.GM()), place: filepath.Join(dir, "archive"), memory: filepath.Join(dir, "memory")}
	published := filepath.Join(dir, "authority.pub")
	must(t, os.WriteFile(published, []byte(w.Published), 0o600))
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	w.key = key
	cosigner, err := receipt.NewCosigner("w1", key.Public().(ed25519.PublicKey))
	must(t, err)
	w.at = chains{published, chaintest.Chain, filepath.Join(dir, "chain"), nil, Beside{w.place, []string{w.memory}, []receipt.Cosigner{cosigner}, ""}}
	c, stop := w.Open(t, w.at.dir)
	for i := range segment.Width + 4 {
		w.decided = append(w.decided, w.Register(t, c, chaintest.Numbered(i)))
	}
	_, err = w.GiveTwo(t, c, contract.PayloadErase, contract.Erasure{
		Ground: contract.ByLaw, Basis: "b", Payloads: []contract.Payload{{Tx: w.decided[3].Leaf.Tx}},
	})
	must(t, err)
	writer := archiving.Writer{Source: c.Source(), Store: w.store(t), Keys: w.Keys, Leaves: segment.Width}
	last, err := writer.Run(t.Context(), func(archiving.Written) error { return nil })
	must(t, err)
	must(t, w.Announce(c)(t.Context(), chain.ArchivedTo{Leaves: last.To, Blocks: last.Blocks}))
	signed, size, err := c.Checkpoint()
	must(t, err)
	must(t, c.Cosigned(size, w.cosign(t, w.memory, signed)))
	stop()
	return w
}

func (w *watchedChain) store(t *testing.T) archive.Store {
	t.Helper()
	s, err := blob.Open(t.Context(), w.place)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// cosign has a witness of that memory cosign a checkpoint.
func (w *watchedChain) cosign(t *testing.T, memory string, signed []byte) []byte {
	t.Helper()
	one, err := witness.Open(witness.Config{
		Dir: memory, Name: "w1", Key: w.key, Logs: []receipt.Keys{w.Keys}, Clock: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	defer one.Close()
	line, err := one.Add(witness.Request{Checkpoint: signed})
	must(t, err)
	return line
}

func (w *watchedChain) fsck(t *testing.T) Checked {
	t.Helper()
	found, err := check(t.Context(), w.at, time.Now(), func(string) {})
	must(t, err)
	return found
}

// again is a copy of it all, to be spoilt.
func (w *watchedChain) again(t *testing.T) *watchedChain {
	t.Helper()
	dir, from := t.TempDir(), filepath.Dir(w.place)
	must(t, os.CopyFS(dir, os.DirFS(from)))
	out := *w
	out.place, out.memory = filepath.Join(dir, "archive"), filepath.Join(dir, "memory")
	out.at.published, out.at.dir = filepath.Join(dir, "authority.pub"), filepath.Join(dir, "chain")
	out.at.beside = Beside{out.place, []string{out.memory}, slices.Clone(w.at.beside.Cosigners), ""}
	return &out
}

// lookAt has the witness's memory hold a signed checkpoint of another history.
func (w *watchedChain) lookAt(t *testing.T, size int64) {
	t.Helper()
	signed, err := receipt.SignCheckpoint(chaintest.Chain, size, tlog.Hash{1}, w.Signers...)
	must(t, err)
	must(t, os.RemoveAll(w.memory))
	w.cosign(t, w.memory, signed)
}

// R8.1, R10.1: fsck covers the archive and the witnesses, and names what does not fit.
func TestFsckBeside(t *testing.T) {
	whole := newWatchedChain(t)
	found := whole.again(t).fsck(t)
	if len(found.Inconsistencies) > 0 || found.Archive == nil || found.Archive.Erased != 1 || found.Witnesses != 1 || found.Cosignatures != 1 {
		t.Fatalf("a chain that is whole: %+v", found)
	}
	for _, attack := range []struct {
		what, want string
		do         func(*testing.T, *watchedChain)
	}{
		{"a byte of the archive", "archive: segment 0, tile/entries/000", func(t *testing.T, w *watchedChain) {
			flip(t, filepath.Join(w.place, "tile", "entries", "000"))
		}},
		{"an archive that is gone", "256 decisions are archived, and here are 0", func(t *testing.T, w *watchedChain) {
			must(t, os.RemoveAll(w.place))
			w.store(t)
		}},
		{"an archive that erased what the chain did not", "the chain does not have", func(t *testing.T, w *watchedChain) {
			statement, err := receipt.SignErasure(receipt.Erasure{Chain: chaintest.Chain, Tx: w.decided[5].Leaf.Tx, Order: 9, Ground: "law"}, w.Signers...)
			must(t, err)
			data, err := w.store(t).Get(t.Context(), segment.Name(0, segment.Erased))
			must(t, err)
			all, err := segment.DecodeErased(data)
			must(t, err)
			data, err = w.store(t).Get(t.Context(), segment.Name(0, segment.Transactions))
			must(t, err)
			transactions, err := segment.DecodeTransactions(data)
			must(t, err)
			transactions[5].Erased, transactions[5].Raw = 9, nil
			data, err = segment.EncodeTransactions(transactions)
			must(t, err)
			must(t, w.store(t).Put(t.Context(), segment.Name(0, segment.Transactions), data))
			data, err = segment.EncodeErased(append(all, segment.Erasure{Tx: w.decided[5].Leaf.Tx, Order: 9, Statement: statement, After: flow.SumHash(data)}))
			must(t, err)
			must(t, w.store(t).Put(t.Context(), segment.Name(0, segment.Erased), data))
		}},
		{"a witness of another log", "remembers nothing", func(t *testing.T, w *watchedChain) { w.at.beside.Witnesses = []string{t.TempDir()} }},
		{"a damaged memory", "memory is damaged", func(t *testing.T, w *watchedChain) {
			flip(t, filepath.Join(w.memory, witness.OriginHash(chaintest.Chain)+".head"))
		}},
		{"a witness that saw another history", "two histories", func(t *testing.T, w *watchedChain) { w.lookAt(t, 200) }},
		{"a chain that was set back", "it was set back", func(t *testing.T, w *watchedChain) { w.lookAt(t, 5000) }},
		{"evidence", "has evidence", func(t *testing.T, w *watchedChain) {
			_, err := witness.Evidence{Origin: chaintest.Chain}.Keep(filepath.Join(w.memory, "evidence"))
			must(t, err)
		}},
		{"a cosignature that is not valid", "cosignature is malformed", func(t *testing.T, w *watchedChain) { w.forge(t) }},
	} {
		t.Run(attack.what, func(t *testing.T) {
			w := whole.again(t)
			attack.do(t, w)
			got := w.fsck(t).Inconsistencies
			if !slices.ContainsFunc(got, func(i string) bool { return strings.Contains(i, attack.want) }) {
				t.Errorf("want %q, found %q", attack.want, got)
			}
		})
	}
}

// forge puts a line of the witness's name and key id, with another signature, under a
// checkpoint that has none yet.
func (w *watchedChain) forge(t *testing.T) {
	t.Helper()
	c, stop := w.Open(t, w.at.dir)
	w.Register(t, c, "RX-more")
	signed, size, err := c.Checkpoint()
	must(t, err)
	line := w.cosign(t, t.TempDir(), signed)
	raw, err := base64.StdEncoding.DecodeString(string(line[bytes.LastIndexByte(line, ' ')+1 : len(line)-1]))
	must(t, err)
	raw[len(raw)-1] ^= 1
	must(t, c.Cosigned(size, []byte("— w1 "+base64.StdEncoding.EncodeToString(raw)+"\n")))
	stop()
}

func flip(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	b[len(b)/2] ^= 1
	must(t, os.WriteFile(file, b, 0o600))
}
