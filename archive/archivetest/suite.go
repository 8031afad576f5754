// Package archivetest holds implementations of archive.Store to their word.
package archivetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"signalbox.dev/signalbox/archive"
)

// Kind is an implementation under test.
type Kind struct {
	// Open gives a new, empty store. The suite closes it.
	Open func(t *testing.T) archive.Store
	// Reopen gives the same objects again after the store was closed; nil where they
	// don't outlive it. The store that it gives is for reading when readOnly says so.
	Reopen func(t *testing.T, readOnly bool) archive.Store
}

// Run runs the suite (R10.1).
func Run(t *testing.T, k Kind) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Kind)
	}{
		{"what was put is got", testPut},
		{"what is not there", testMissing},
		{"listing in order", testList},
		{"names", testNames},
		{"at the same time", testConcurrent},
		{"readers see whole objects", testWhole},
		{"opened again", testReopen},
		{"for reading", testReadOnly},
		{"an ended context", testContext},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, k) })
	}
}

func open(t *testing.T, k Kind) archive.Store {
	t.Helper()
	s := k.Open(t)
	t.Cleanup(func() { s.Close() })
	return s
}

func testPut(t *testing.T, k Kind) {
	s := open(t, k)
	for _, data := range [][]byte{{}, []byte("one"), bytes.Repeat([]byte{0xa5, 0}, 1<<20), []byte("another in its place")} {
		must(t, s.Put(t.Context(), "tile/0/x001/002", data))
		got, err := s.Get(t.Context(), "tile/0/x001/002")
		must(t, err)
		if !bytes.Equal(got, data) {
			t.Fatalf("got %d bytes back, put %d", len(got), len(data))
		}
	}
}

func testMissing(t *testing.T, k Kind) {
	s := open(t, k)
	if _, err := s.Get(t.Context(), "nothing"); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("getting what is not there: %v, want ErrNotFound", err)
	}
	must(t, s.Delete(t.Context(), "nothing"))
	must(t, s.Put(t.Context(), "a/b", []byte("x")))
	if _, err := s.Get(t.Context(), "a"); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("getting a prefix of a name: %v, want ErrNotFound", err)
	}
	must(t, s.Delete(t.Context(), "a/b"))
	if _, err := s.Get(t.Context(), "a/b"); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("getting what was deleted: %v, want ErrNotFound", err)
	}
}

func testList(t *testing.T, k Kind) {
	s := open(t, k)
	names := []string{"tile/0/000", "tile/0/001.p/5", "tile/0/x001/000", "tile/1/000.p/1", "segment/000/manifest", "checkpoint"}
	for _, n := range slices.Backward(names) {
		must(t, s.Put(t.Context(), n, []byte(n)))
	}
	if diff := cmp.Diff(names[:3], listed(t, s, "tile/0/")); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	if got := listed(t, s, ""); len(got) != len(names) || !slices.IsSorted(got) {
		t.Errorf("everything listed: %q, want %d names in order", got, len(names))
	}
	stop, calls := errors.New("stop"), 0
	if err := s.List(t.Context(), "", func(string) error { calls++; return stop }); !errors.Is(err, stop) || calls != 1 {
		t.Errorf("a listing that was stopped: %v after %d calls, want the error after one", err, calls)
	}
}

func testNames(t *testing.T, k Kind) {
	s := open(t, k)
	for _, n := range []string{"", "/", "/a", "a/", "a//b", "..", "a/../b", ".a", "a/.hidden", "A", "a b", "a\x00", "é", "a\\b", string(bytes.Repeat([]byte("a"), 600))} {
		if err := s.Put(t.Context(), n, nil); !errors.Is(err, archive.ErrName) {
			t.Errorf("putting under %.20q: %v, want ErrName", n, err)
		}
	}
	if got := listed(t, s, ""); len(got) != 0 {
		t.Errorf("listed %q after refused names, want nothing", got)
	}
}

func testConcurrent(t *testing.T, k Kind) {
	s := open(t, k)
	var g errgroup.Group
	for i := range 8 {
		g.Go(func() error {
			name := fmt.Sprintf("p%d/object", i)
			for j := range 16 {
				want := fmt.Appendf(nil, "%d-%d", i, j)
				if err := s.Put(t.Context(), name, want); err != nil {
					return err
				}
				if got, err := s.Get(t.Context(), name); err != nil || !bytes.Equal(got, want) {
					return fmt.Errorf("got %q, %v; want %q", got, err, want)
				}
			}
			return nil
		})
	}
	must(t, g.Wait())
}

func testWhole(t *testing.T, k Kind) {
	s := open(t, k)
	const size = 256 << 10
	must(t, s.Put(t.Context(), "object", bytes.Repeat([]byte{0}, size)))
	var g errgroup.Group
	g.Go(func() error {
		for i := range 20 {
			if err := s.Put(t.Context(), "object", bytes.Repeat([]byte{byte(i)}, size)); err != nil {
				return err
			}
		}
		return nil
	})
	g.Go(func() error {
		for range 40 {
			got, err := s.Get(t.Context(), "object")
			if err != nil {
				return err
			}
			if len(got) != size || !bytes.Equal(got, bytes.Repeat(got[:1], size)) {
				return fmt.Errorf("read %d bytes of which not all are of one write", len(got))
			}
		}
		return nil
	})
	must(t, g.Wait())
}

func testReopen(t *testing.T, k Kind) {
	if k.Reopen == nil {
		t.Skip("its objects don't outlive it")
	}
	s := k.Open(t)
	must(t, s.Put(t.Context(), "a/kept", []byte("kept")))
	must(t, s.Put(t.Context(), "gone", []byte("gone")))
	must(t, s.Delete(t.Context(), "gone"))
	must(t, s.Close())
	s = k.Reopen(t, false)
	defer s.Close()
	if diff := cmp.Diff([]string{"a/kept"}, listed(t, s, "")); diff != "" {
		t.Errorf("opened again (-want +got):\n%s", diff)
	}
	must(t, s.Put(t.Context(), "a/more", nil))
}

func testReadOnly(t *testing.T, k Kind) {
	if k.Reopen == nil {
		t.Skip("its objects don't outlive it")
	}
	s := k.Open(t)
	must(t, s.Put(t.Context(), "kept", []byte("kept")))
	must(t, s.Close())
	s = k.Reopen(t, true)
	defer s.Close()
	if err := s.Put(t.Context(), "kept", []byte("changed")); !errors.Is(err, archive.ErrReadOnly) {
		t.Errorf("putting: %v, want ErrReadOnly", err)
	}
	if err := s.Delete(t.Context(), "kept"); !errors.Is(err, archive.ErrReadOnly) {
		t.Errorf("deleting: %v, want ErrReadOnly", err)
	}
	got, err := s.Get(t.Context(), "kept")
	must(t, err)
	if string(got) != "kept" {
		t.Errorf("got %q, want what was there", got)
	}
}

func testContext(t *testing.T, k Kind) {
	s := open(t, k)
	must(t, s.Put(t.Context(), "object", []byte("before")))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Put(ended, "object", []byte("after")); !errors.Is(err, context.Canceled) {
		t.Errorf("putting: %v, want the context's error", err)
	}
	if got, err := s.Get(t.Context(), "object"); err != nil || string(got) != "before" {
		t.Errorf("got %q, %v; want what was there before", got, err)
	}
}

func listed(t *testing.T, s archive.Store, prefix string) (all []string) {
	t.Helper()
	must(t, s.List(t.Context(), prefix, func(name string) error {
		all = append(all, name)
		return nil
	}))
	return all
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
