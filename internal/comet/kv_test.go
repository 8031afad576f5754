package comet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
)

func TestScan(t *testing.T) {
	disk, err := OpenKV(filepath.Join(t.TempDir(), "kv"))
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	for name, kv := range map[string]KV{"memory": NewMemKV(), "disk": disk} {
		t.Run(name, func(t *testing.T) {
			for _, k := range []string{"a/1", "a/2", "a/3", "b", "a0", "\xff\xff", "\xff\xffz"} {
				if err := kv.Set([]byte(k), []byte("v")); err != nil {
					t.Fatal(err)
				}
			}
			cases := []struct {
				prefix, from string
				want         []string
			}{
				{"a/", "a/", []string{"a/1", "a/2", "a/3"}},
				{"a/", "a/2", []string{"a/2", "a/3"}},
				{"c", "c", nil},
				{"", "", []string{"a/1", "a/2", "a/3", "a0", "b", "\xff\xff", "\xff\xffz"}},
				{"\xff\xff", "\xff\xff", []string{"\xff\xff", "\xff\xffz"}},
			}
			for _, c := range cases {
				var got []string
				err := ScanFrom(kv, []byte(c.prefix), []byte(c.from), func(k, _ []byte) error {
					got = append(got, string(k))
					return nil
				})
				if err != nil || !slices.Equal(got, c.want) {
					t.Errorf("scan %q from %q: %q, %v; want %q", c.prefix, c.from, got, err, c.want)
				}
			}
			stop := fmt.Errorf("stop")
			if err := Scan(kv, []byte("a/"), func(_, _ []byte) error { return stop }); !errors.Is(err, stop) {
				t.Errorf("scan: %v, want fn's error", err)
			}
		})
	}
}

func TestReadOnlyChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kv")
	if _, err := OpenKVReadOnly(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("opening what is not there: %v, want os.ErrNotExist", err)
	}
	kv, err := OpenKV(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := kv.SetSync([]byte("k"), []byte("v")); err != nil {
		t.Fatal(err)
	}
	kv.Close()
	before := listing(t, path+extension)
	if kv, err = OpenKVReadOnly(path); err != nil {
		t.Fatal(err)
	}
	if v, err := kv.Get([]byte("k")); err != nil || string(v) != "v" {
		t.Errorf("reading: %q, %v", v, err)
	}
	if err := kv.SetSync([]byte("k"), []byte("w")); err == nil {
		t.Error("a read-only store took a write")
	}
	kv.Close()
	if after := listing(t, path+extension); !slices.Equal(before, after) {
		t.Errorf("files before %v, after %v", before, after)
	}
}

func listing(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all = append(all, fmt.Sprintf("%s %x", path, b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// What CometBFT still reads of a store that was closed is missing; before that a
// failure is a failure.
func TestGoneStoreIsEmpty(t *testing.T) {
	kv, err := OpenKV(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var gone atomic.Bool
	k := keptOpen{kv, &gone}
	if err := kv.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Get([]byte("key")); err == nil {
		t.Error("a closed store answers although it is not gone")
	}
	gone.Store(true)
	if v, err := k.Get([]byte("key")); v != nil || err != nil {
		t.Errorf("gone: %x, %v", v, err)
	}
	if ok, err := k.Has([]byte("key")); ok || err != nil {
		t.Errorf("gone: %t, %v", ok, err)
	}
}
