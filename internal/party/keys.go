package party

import (
	"crypto/rand"
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"

	"signalbox.dev/signalbox/envelope"
)

// Slot is one key file: where the key goes, what it is for, and its file.
type Slot struct {
	Key  *envelope.PrivateKey
	Use  envelope.Use
	File string
}

// each runs fn on every slot, on all cores: RSA keys and scrypt take their time.
func each(slots []Slot, fn func(Slot) error) error {
	var g errgroup.Group
	for _, s := range slots {
		g.Go(func() error { return fn(s) })
	}
	return g.Wait()
}

// LoadKeys reads key files.
func LoadKeys(passphrase []byte, slots []Slot) error {
	return each(slots, func(s Slot) error {
		data, err := os.ReadFile(s.File)
		if err != nil {
			return fmt.Errorf("reading a key: %w", err)
		}
		k, err := envelope.DecodeKey(data, passphrase)
		if err != nil {
			return fmt.Errorf("reading %s: %w", s.File, err)
		}
		if k.Public().Use() != s.Use {
			return fmt.Errorf("reading %s: holds a %s key, want a %s key", s.File, k.Public().Use(), s.Use)
		}
		*s.Key = k
		return nil
	})
}

// MakeKeys makes keys and writes their files; it overwrites none.
func MakeKeys(suite envelope.Suite, passphrase []byte, slots []Slot) error {
	return each(slots, func(s Slot) error {
		k, err := suite.GenerateKey(rand.Reader, s.Use)
		if err != nil {
			return fmt.Errorf("making %s: %w", s.File, err)
		}
		data, err := envelope.EncodeKey(rand.Reader, k, passphrase)
		if err != nil {
			return fmt.Errorf("making %s: %w", s.File, err)
		}
		*s.Key = k
		return Write(s.File, data)
	})
}
