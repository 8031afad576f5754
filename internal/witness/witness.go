package witness

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/receipt"
)

// What a witness refuses with. Each is one status of c2sp.org/tlog-witness;
// ErrMalformed is one more.
var (
	ErrUnknownLog   = errors.New("this witness knows no log of that origin")
	ErrNotTheLog    = errors.New("the checkpoint is not signed by the log's keys")
	ErrInconsistent = errors.New("the checkpoint does not continue the one that was cosigned last")
)

// Conflict says that the witness has last cosigned another size than the request
// begins at.
type Conflict struct{ Size int64 }

func (c *Conflict) Error() string {
	return fmt.Sprintf("the last size that was cosigned is %d", c.Size)
}

// Config is what a witness runs with.
type Config struct {
	Dir    string // its memory; of this witness alone
	Name   string // in its lines
	Key    ed25519.PrivateKey
	Logs   []receipt.Keys // the logs that it cosigns, each by its keys
	Clock  func() time.Time
	Logger *slog.Logger
}

// Validate says what is missing.
func (c Config) Validate() error {
	if c.Dir == "" || c.Clock == nil || c.Logger == nil || len(c.Key) != ed25519.PrivateKeySize {
		return errors.New("witness: directory, key, clock or logger is missing")
	}
	if len(c.Logs) == 0 {
		return errors.New("witness: no log")
	}
	seen := map[string]bool{}
	for _, l := range c.Logs {
		if l.Origin() == "" || seen[l.Origin()] {
			return fmt.Errorf("witness: log %q has no keys or stands twice", l.Origin())
		}
		seen[l.Origin()] = true
	}
	return nil
}

// Witness cosigns. It is safe for concurrent use.
type Witness struct {
	cfg   Config
	key   receipt.Cosigner
	store *store
	logs  map[string]*memory // by origin; the map does not change

	cosigned, refused, forks atomic.Int64
}

// memory is what the witness remembers of a log.
type memory struct {
	origin string

	mu       sync.Mutex   // guards what follows, and is held from the check until the head is durable
	keys     receipt.Keys // configured, and as the heads that were cosigned have handed them on
	head     receipt.Head
	signed   []byte // head's checkpoint as the log signed it; nil: none was cosigned yet
	cosigned []byte // the same with the witness's line
}

// Open takes the witness's memory into use; nobody else may have it open. What was
// remembered and not cosigned, because a crash came between, is cosigned now.
func Open(cfg Config) (*Witness, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	key, err := receipt.NewCosigner(cfg.Name, cfg.Key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, fmt.Errorf("witness: %w", err)
	}
	s, err := openStore(cfg.Dir)
	if err != nil {
		return nil, err
	}
	w := &Witness{cfg: cfg, key: key, store: s, logs: map[string]*memory{}}
	for _, keys := range cfg.Logs {
		m := &memory{origin: keys.Origin(), keys: keys}
		if err := w.recall(m); err != nil {
			return nil, errors.Join(err, s.close())
		}
		w.logs[keys.Origin()] = m
	}
	return w, nil
}

// Close gives the memory free. No call may be in hand.
func (w *Witness) Close() error { return w.store.close() }

// Key is the witness's public key.
func (w *Witness) Key() receipt.Cosigner { return w.key }

// recall reads what is remembered of a log.
func (w *Witness) recall(m *memory) error {
	origin := m.origin
	signed, err := w.store.read(fileOf(origin, "head"))
	if err != nil || signed == nil {
		return err
	}
	if m.head, err = receipt.ReadHead(signed); err != nil || m.head.Origin != origin {
		return fmt.Errorf("reading what is remembered of %s: %w", origin, ErrDamaged)
	}
	m.signed = signed
	// What the head has carried of hand-overs goes on to count. With keys that were
	// configured anew it may say nothing.
	if h, err := receipt.OpenHead(signed, m.keys); err == nil {
		if m.keys, err = m.keys.Follow(h.Handovers...); err != nil {
			return fmt.Errorf("reading what is remembered of %s: %w", origin, err)
		}
	}
	// The line that was given out is kept for monitors. It may be older than the
	// head, or torn: it carries no promise that the head does not.
	kept, err := w.store.read(fileOf(origin, "cosigned"))
	if err == nil {
		_, who, verr := receipt.Cosignatures(kept, w.key)
		if h, herr := receipt.ReadHead(kept); verr == nil && herr == nil && len(who) == 1 && bytes.Equal(h.Text, m.head.Text) {
			m.cosigned = kept
			return nil
		}
	}
	_, err = w.sign(m)
	return err
}

// Add is add-checkpoint: it gives the witness's line for the request's checkpoint.
// The error is ErrMalformed, ErrUnknownLog, ErrNotTheLog, *Conflict or
// ErrInconsistent; with any other, what came of it is unknown, and nothing was signed.
func (w *Witness) Add(r Request) ([]byte, error) {
	line, err := w.add(r)
	switch {
	case err == nil:
		w.cosigned.Add(1)
	case errors.Is(err, ErrInconsistent):
		w.refused.Add(1)
	}
	return line, err
}

func (w *Witness) add(r Request) ([]byte, error) {
	claimed, err := receipt.ReadHead(r.Checkpoint)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	m := w.logs[claimed.Origin]
	if m == nil {
		return nil, ErrUnknownLog
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	head, err := receipt.OpenHead(r.Checkpoint, m.keys)
	switch {
	case errors.Is(err, receipt.ErrHandover):
		return nil, fmt.Errorf("%w: %w", ErrNotTheLog, err)
	case errors.Is(err, receipt.ErrUnsigned):
		return nil, fmt.Errorf("%w: %w", ErrNotTheLog, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	case r.Old > head.Size:
		return nil, fmt.Errorf("%w: the old size %d is larger than the checkpoint's %d", ErrMalformed, r.Old, head.Size)
	}
	if r.Old != m.head.Size {
		return nil, &Conflict{Size: m.head.Size}
	}
	if err := w.continues(m, r, head); err != nil {
		w.cfg.Logger.Warn("refused to cosign", "log", head.Origin, "size", head.Size, "root", head.Root, "cosigned_size", m.head.Size, "err", err)
		return nil, err
	}
	if m.signed == nil || !bytes.Equal(m.head.Text, head.Text) {
		if err := w.remember(m, head); err != nil {
			return nil, err
		}
	}
	return w.sign(m)
}

// continues says whether head is a continuation of what is remembered: by the
// request's proof, which begins there.
func (w *Witness) continues(m *memory, r Request, head receipt.Head) error {
	empty := tlog.Hash(sha256.Sum256(nil))
	switch {
	case head.Size == 0 && head.Root != empty:
		return fmt.Errorf("%w: an empty log with another root than the empty log's", ErrInconsistent)
	case r.Old == 0 && len(r.Proof) > 0:
		return fmt.Errorf("%w: a proof from size 0, where none is possible", ErrInconsistent)
	case r.Old == 0:
		return nil
	case head.Size == m.head.Size && head.Root != m.head.Root:
		return errors.Join(fmt.Errorf("%w: another root at the same size", ErrInconsistent), w.keepFork(m, head.Signed))
	}
	if err := tlog.CheckTree(r.Proof, head.Size, head.Root, m.head.Size, m.head.Root); err != nil {
		return fmt.Errorf("%w: the proof from size %d to %d does not hold", ErrInconsistent, m.head.Size, head.Size)
	}
	return nil
}

// maxForks bounds what is kept of a log that signs one history after another;
// the first is proof enough.
const maxForks = 64

// keepFork keeps two checkpoints of one size as evidence.
func (w *Witness) keepFork(m *memory, second []byte) error {
	if w.forks.Add(1) > maxForks {
		return nil
	}
	file, err := Evidence{
		Origin: m.head.Origin, Why: fmt.Sprintf("two roots at size %d", m.head.Size), Found: w.cfg.Clock(), First: m.signed, Second: second,
	}.Keep(filepath.Join(w.cfg.Dir, "evidence"))
	w.cfg.Logger.Error("THE LOG HAS SIGNED TWO HISTORIES", "log", m.head.Origin, "size", m.head.Size, "evidence", file)
	return err
}

// remember makes a head durable. From here on nothing else of its size, and
// nothing smaller, is cosigned, whatever happens to the process.
func (w *Witness) remember(m *memory, head receipt.Head) error {
	if err := w.store.write(fileOf(head.Origin, "head"), head.Signed); err != nil {
		// Which of the two stands now is known again at the next start.
		return fmt.Errorf("remembering size %d of %s: %w", head.Size, head.Origin, err)
	}
	keys, err := m.keys.Follow(head.Handovers...)
	if err != nil {
		return fmt.Errorf("remembering size %d of %s: %w", head.Size, head.Origin, err)
	}
	m.keys, m.head, m.signed, m.cosigned = keys, head, head.Signed, nil
	return nil
}

// sign cosigns what is remembered.
func (w *Witness) sign(m *memory) ([]byte, error) {
	line, err := receipt.Cosign(w.cfg.Name, w.cfg.Key, m.head.Text, w.cfg.Clock())
	if err != nil {
		return nil, err
	}
	if m.cosigned != nil {
		return line, nil // monitors have a line for it
	}
	m.cosigned = append(bytes.Clone(m.signed), line...)
	if err := w.store.note(fileOf(m.head.Origin, "cosigned"), m.cosigned); err != nil {
		return nil, err
	}
	return line, nil
}

// Latest is the last checkpoint of a log that was cosigned, with the witness's
// line; ErrUnknownLog where there is none.
func (w *Witness) Latest(originHash string) ([]byte, error) {
	for origin, m := range w.logs {
		if OriginHash(origin) != originHash {
			continue
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.cosigned == nil {
			break
		}
		return bytes.Clone(m.cosigned), nil
	}
	return nil, ErrUnknownLog
}

// Figures are counts since the process began, and sizes as they are.
type Figures struct {
	Cosigned, Refused, Forks int64
	Sizes                    map[string]int64 // by origin
}

// Figures gives them.
func (w *Witness) Figures() Figures {
	f := Figures{Cosigned: w.cosigned.Load(), Refused: w.refused.Load(), Forks: w.forks.Load(), Sizes: map[string]int64{}}
	for origin, m := range w.logs {
		m.mu.Lock()
		f.Sizes[origin] = m.head.Size
		m.mu.Unlock()
	}
	return f
}
