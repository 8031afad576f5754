package system

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// PassphraseEnv names the file that holds the passphrase of the key files; it
// is used instead of the data directory's own.
const PassphraseEnv = "SIGNALBOX_PASSPHRASE_FILE"

// layout is a data directory.
type layout struct{ dir string }

func (l layout) path(parts ...string) string {
	return filepath.Join(append([]string{l.dir}, parts...)...)
}

func (l layout) chain() string     { return l.path("authority", "chain") }
func (l layout) published() string { return l.path("authority.pub") }
func (l layout) ledger() string    { return l.path("business", "chain") }
func (l layout) database() string  { return l.path("platform", "platform.db") }
func (l layout) fusion() string    { return l.path("fusion") }
func (l layout) receipts() string  { return l.path("receipts") }
func (l layout) settings() string  { return l.path("signalbox.json") }

// write stores a file that its owner alone may read, and syncs it.
func (l layout) write(data []byte, parts ...string) error {
	name := l.path(parts...)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	_, werr := f.Write(data)
	return errors.Join(werr, f.Sync(), f.Close())
}

func (l layout) read(parts ...string) ([]byte, error) {
	b, err := os.ReadFile(l.path(parts...))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(parts...), err)
	}
	return b, nil
}

func exists(name string) (bool, error) {
	_, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// passphrase gives the passphrase of the key files: from the file that
// PassphraseEnv names, or from the data directory, where a random one is made.
func (l layout) passphrase() ([]byte, error) {
	name := os.Getenv(PassphraseEnv)
	if name == "" {
		name = l.path("passphrase")
		have, err := exists(name)
		if err != nil {
			return nil, fmt.Errorf("reading passphrase: %w", err)
		}
		if !have {
			secret := make([]byte, 24)
			rand.Read(secret)
			if err := l.write([]byte(base64.RawURLEncoding.EncodeToString(secret)+"\n"), "passphrase"); err != nil {
				return nil, err
			}
		}
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("reading passphrase: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("reading passphrase: %s can be read by others: chmod 600 it", name)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading passphrase: %w", err)
	}
	p := strings.TrimSpace(string(b))
	if p == "" {
		return nil, fmt.Errorf("reading passphrase: %s is empty", name)
	}
	return []byte(p), nil
}

// SupervisionChain is the directory of the supervision chain's node, for tools
// that read a stopped one.
func SupervisionChain(dir string) string { return layout{dir}.chain() }
