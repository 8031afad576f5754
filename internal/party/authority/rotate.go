package authority

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/durable"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/receipt"
)

// ring is the log keys of the authority's folder, of every generation. Those that the
// log began with are among Keys; each later generation has a file of its own, sealed
// to the authority's own sealing key, so that a running authority can draw and read
// it without a passphrase. No file is ever taken away: old checkpoints are signed
// again after a crash.
type ring struct {
	dir  party.Dir
	keys *Keys
	log  func() (receipt.Keys, int64, error) // as the chain knows them, and how many decisions there are

	mu    sync.Mutex // guards drawn, and the drawing of new keys
	drawn map[int]generation
}

// generation is log keys that sign together.
type generation struct {
	signers []note.Signer
	lines   []string // vkeys
}

func newRing(dir party.Dir, keys *Keys) *ring {
	return &ring{dir: dir, keys: keys, drawn: map[int]generation{}}
}

// of says what the chain knows of the log's keys.
func (r *ring) of(c *chain.Chain) {
	r.log = func() (receipt.Keys, int64, error) {
		k, err := c.LogKeys()
		return k, c.Size(), err
	}
}

func generationName(n int) string { return fmt.Sprintf("log-%d", n) }

// first are the keys that the log began with.
func (r *ring) first() (generation, error) {
	signers, err := r.keys.signers()
	return generation{signers, lines(r.keys.Published())}, err
}

func lines(text string) []string { return strings.Split(strings.TrimSpace(text), "\n") }

// signers finds the signers of the given keys, of whichever generation. It is the
// chain's Ring.
func (r *ring) signers(vkeys []string) ([]note.Signer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n := 2; ; n++ {
		g, ok, err := r.read(n)
		switch {
		case err != nil:
			return nil, err
		case !ok:
			return nil, fmt.Errorf("%w: there are %d generations in the folder", chain.ErrKeysElsewhere, n-1)
		case slices.Equal(g.lines, vkeys):
			return g.signers, nil
		}
	}
}

// read reads a generation's file; false when there is none. r.mu is held.
func (r *ring) read(n int) (generation, bool, error) {
	if g, ok := r.drawn[n]; ok {
		return g, true, nil
	}
	have, err := party.Exists(secretFile(r.dir, generationName(n)))
	if err != nil || !have {
		return generation{}, false, err
	}
	raw, err := r.keys.readSecret(r.dir, generationName(n))
	if err != nil {
		return generation{}, false, err
	}
	g, err := r.keys.decodeGeneration(string(raw))
	if err != nil {
		return generation{}, false, fmt.Errorf("reading log keys of generation %d: %w", n, err)
	}
	r.drawn[n] = g
	return g, true, nil
}

// draw makes a generation, or gives one that was drawn and never handed over to.
// r.mu is held.
func (r *ring) draw(n int) (generation, error) {
	if g, ok, err := r.read(n); ok || err != nil {
		return g, err
	}
	secret, vkey, err := receipt.NewLogKey(rand.Reader, r.keys.chain)
	if err != nil {
		return generation{}, err
	}
	text := []string{secret, vkey}
	if r.keys.suite.Name() == "gm" {
		k, err := r.keys.suite.GenerateKey(rand.Reader, envelope.Signing)
		if err != nil {
			return generation{}, fmt.Errorf("drawing a log key: %w", err)
		}
		within := make([]byte, 32) // key files have a passphrase; this one is sealed as a whole
		rand.Read(within)
		pem, err := envelope.EncodeKey(rand.Reader, k, []byte(hex.EncodeToString(within)))
		if err != nil {
			return generation{}, fmt.Errorf("drawing a log key: %w", err)
		}
		text = append(text, hex.EncodeToString(within), base64.StdEncoding.EncodeToString(pem))
	}
	if err := r.keys.writeSecret(r.dir, generationName(n), []byte(strings.Join(text, "\n"))); err != nil {
		return generation{}, err
	}
	g, _, err := r.read(n)
	return g, err
}

// decodeGeneration reads what draw has sealed.
func (k *Keys) decodeGeneration(text string) (generation, error) {
	part := strings.Split(text, "\n")
	if want := map[bool]int{true: 4, false: 2}[k.suite.Name() == "gm"]; len(part) != want {
		return generation{}, errors.New("malformed")
	}
	ed, err := note.NewSigner(part[0])
	if err != nil {
		return generation{}, errors.New("malformed")
	}
	g := generation{[]note.Signer{ed}, part[1:2]}
	if len(part) == 2 {
		return g, nil
	}
	pem, err := base64.StdEncoding.DecodeString(part[3])
	if err != nil {
		return generation{}, errors.New("malformed")
	}
	sm2, err := envelope.DecodeKey(pem, []byte(part[2]))
	if err != nil {
		return generation{}, err
	}
	g.signers = append(g.signers, receipt.SuiteSigner(k.chain, sm2, rand.Reader))
	g.lines = []string{part[1], receipt.SuiteKey(k.chain, sm2.Public())}
	return g, nil
}

// Now are the log's keys with every hand-over. It implements oversight.LogKeys.
func (r *ring) Now() (receipt.Keys, error) {
	known, _, err := r.log()
	if err != nil || known.Known() > 0 {
		return known, err
	}
	return receipt.ParseKeys(r.keys.Published())
}

// Propose draws the next generation of log keys and gives the statement by which
// those of now give way to them after so many further decisions. Nothing changes
// until an order carries it. It implements oversight.LogKeys.
func (r *ring) Propose(after int64) ([]byte, error) {
	known, size, err := r.log()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n := max(known.Generation(), 1)
	old, err := r.first()
	if n > 1 {
		old, _, err = r.read(n)
	}
	if err != nil {
		return nil, err
	}
	next, err := r.draw(n + 1)
	if err != nil {
		return nil, err
	}
	return receipt.SignHandover(receipt.Handover{
		Origin: r.keys.chain, Generation: n + 1, Size: size + after, Old: old.lines, New: next.lines,
	}, slices.Concat(old.signers, next.signers)...)
}

// Publish replaces what the authority publishes of its log keys: authority.pub, and
// authority.json where the folder has it.
func Publish(dir party.Dir, keys receipt.Keys) error {
	if have, err := party.Exists(dir.Path(trustFile)); err != nil || !have {
		return errors.Join(err, PublishTo(dir.Path(logKeysFile), keys))
	}
	a, err := party.ReadAdmission(dir.Path(trustFile))
	if err != nil {
		return err
	}
	a.Authority.Log = keys.String()
	data, err := a.Encode()
	if err != nil {
		return err
	}
	if err := durable.WriteFile(dir.Path(trustFile), data); err != nil {
		return fmt.Errorf("publishing log keys: %w", err)
	}
	return PublishTo(dir.Path(logKeysFile), keys)
}

// PublishTo replaces a file of log keys.
func PublishTo(file string, keys receipt.Keys) error {
	if err := durable.WriteFile(file, []byte(keys.String())); err != nil {
		return fmt.Errorf("publishing log keys: %w", err)
	}
	return nil
}
