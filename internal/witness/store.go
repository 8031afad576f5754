package witness

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"signalbox.dev/signalbox/internal/durable"
)

// ErrInUse says that another process has the folder open. Two witnesses with one
// key would each keep a memory of their own, and cosign two histories.
var ErrInUse = errors.New("in use by a running signalbox")

// ErrDamaged says that a file of the memory is not what was written. The witness
// must not go on without it.
var ErrDamaged = errors.New("the witness's memory is damaged: don't delete it; restore it only from where nothing was cosigned since, or retire the key")

// store is a folder of small files, each written as a whole and durable before
// write returns. It holds the folder's lock.
type store struct {
	dir  string
	lock *os.File
}

func openStore(dir string) (*store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the witness's memory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the witness's memory: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrInUse
		}
		return nil, fmt.Errorf("opening the witness's memory: %s: %w", dir, err)
	}
	return &store{dir: dir, lock: lock}, nil
}

func (s *store) close() error { return s.lock.Close() }

// sealed is a file's content: a line with the hash of what follows, and that.
func sealed(data []byte) []byte {
	sum := sha256.Sum256(data)
	return append([]byte(hex.EncodeToString(sum[:])+"\n"), data...)
}

// read gives a file's content; nil where there is none. One that was changed is ErrDamaged.
func (s *store) read(name string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the witness's memory: %w", err)
	}
	_, data, _ := bytes.Cut(b, []byte("\n"))
	if !bytes.Equal(sealed(data), b) {
		return nil, fmt.Errorf("reading %s: %w", name, ErrDamaged)
	}
	return data, nil
}

// write replaces a file. When it returns nil the new content survives the loss of
// power; after an error, either the old or the new stands.
func (s *store) write(name string, data []byte) error {
	if err := durable.WriteFile(filepath.Join(s.dir, name), sealed(data)); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// note writes a file that may be lost with the power: what can be made again.
func (s *store) note(name string, data []byte) error {
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path+".new", sealed(data), 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// fileOf names the file of a log; origins may hold what no file name may.
func fileOf(origin, kind string) string { return OriginHash(origin) + "." + kind }

// OriginHash is what a log is called in a witness's addresses: the SHA-256 of its
// origin, lower-case hex (c2sp.org/tlog-witness).
func OriginHash(origin string) string {
	sum := sha256.Sum256([]byte(strings.TrimSuffix(origin, "\n")))
	return hex.EncodeToString(sum[:])
}
