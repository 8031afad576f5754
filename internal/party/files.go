package party

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
// is used instead of the one that a configuration names.
const PassphraseEnv = "SIGNALBOX_PASSPHRASE_FILE"

// Dir is a party's folder.
type Dir string

// Path is that of a file in the folder.
func (d Dir) Path(parts ...string) string {
	return filepath.Join(append([]string{string(d)}, parts...)...)
}

// Write stores a file that its owner alone may read, and syncs it. One that is
// there already is left as it is, and an error that wraps fs.ErrExist.
func (d Dir) Write(data []byte, parts ...string) error { return Write(d.Path(parts...), data) }

// Write is Dir.Write for a path.
func Write(name string, data []byte) error {
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

// Read reads a file of the folder.
func (d Dir) Read(parts ...string) ([]byte, error) {
	b, err := os.ReadFile(d.Path(parts...))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(parts...), err)
	}
	return b, nil
}

// Exists says whether a file is there.
func Exists(name string) (bool, error) {
	_, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Passphrase gives the passphrase of key files: from the file that PassphraseEnv
// names, or else from file. A file that others can read is refused.
func Passphrase(file string) ([]byte, error) {
	if name := os.Getenv(PassphraseEnv); name != "" {
		file = name
	}
	if file == "" {
		return nil, fmt.Errorf("reading the passphrase: no file named: set passphrase_file or %s", PassphraseEnv)
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("reading the passphrase: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("reading the passphrase: %s can be read by others: chmod 600 it", file)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the passphrase: %w", err)
	}
	p := strings.TrimSpace(string(b))
	if p == "" {
		return nil, fmt.Errorf("reading the passphrase: %s is empty", file)
	}
	return []byte(p), nil
}

// NewPassphrase is Passphrase, but makes the file with a random passphrase when
// neither it nor PassphraseEnv is there.
func NewPassphrase(file string) ([]byte, error) {
	if os.Getenv(PassphraseEnv) == "" {
		have, err := Exists(file)
		if err != nil {
			return nil, fmt.Errorf("reading the passphrase: %w", err)
		}
		if !have {
			secret := make([]byte, 24)
			rand.Read(secret)
			if err := Write(file, []byte(base64.RawURLEncoding.EncodeToString(secret)+"\n")); err != nil {
				return nil, err
			}
		}
	}
	return Passphrase(file)
}
