package blob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox.dev/signalbox/archive"
	"signalbox.dev/signalbox/archive/archivetest"
	"signalbox.dev/signalbox/archive/blob"
)

// R10.1: both kinds of store that every build has keep the port's word.
func TestFiles(t *testing.T) {
	var dir string
	archivetest.Run(t, archivetest.Kind{
		Open: func(t *testing.T) archive.Store {
			dir = filepath.Join(t.TempDir(), "archive")
			return opened(t, dir)
		},
		Reopen: func(t *testing.T, readOnly bool) archive.Store {
			if !readOnly {
				return opened(t, "file://"+dir)
			}
			s, err := blob.OpenReadOnly(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	})
}

func TestMemory(t *testing.T) {
	archivetest.Run(t, archivetest.Kind{Open: func(t *testing.T) archive.Store { return opened(t, "mem://") }})
}

func opened(t *testing.T, place string) archive.Store {
	t.Helper()
	s, err := blob.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPlaces(t *testing.T) {
	if _, err := blob.OpenReadOnly(t.Context(), filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opening for reading what is not there: %v", err)
	}
	for _, place := range []string{"", "ftp://host/x", "file://host/x", "file:///x?metadata=skip"} {
		if _, err := blob.Open(t.Context(), place); err == nil {
			t.Errorf("opened %q", place)
		}
	}
}

// What is archived is read by its owner alone.
func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "archive")
	s := opened(t, dir)
	defer s.Close()
	if err := s.Put(t.Context(), "segment/0/transactions", []byte("sealed")); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// child puts large objects until it is killed.
const child = "SIGNALBOX_TEST_PUT_INTO"

func TestMain(m *testing.M) {
	if dir := os.Getenv(child); dir != "" {
		putForEver(dir)
	}
	os.Exit(m.Run())
}

func putForEver(dir string) {
	ctx := context.Background()
	s, err := blob.Open(ctx, dir)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for i := 0; ; i++ {
		if err := s.Put(ctx, "object", bytes.Repeat([]byte{byte(i)}, 8<<20)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		if i == 0 {
			fmt.Println("put")
		}
	}
}

// Attack: kill -9 in the middle of writes leaves whole objects alone to be seen,
// and the next opening clears away what was begun.
func TestKilled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "archive")
	for range 3 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), child+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line := make([]byte, 4)
		if _, err := out.Read(line); err != nil || string(line[:3]) != "put" {
			t.Fatalf("the child said %q, %v", line, err)
		}
		awaitUnfinished(t, dir)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		s, err := blob.OpenReadOnly(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		checkWhole(t, s)
		s = opened(t, dir).(*blob.Store)
		checkWhole(t, s)
		if left, err := filepath.Glob(filepath.Join(dir, "*.tmp")); err != nil || len(left) > 0 {
			t.Errorf("left after opening: %q, %v", left, err)
		}
	}
}

// awaitUnfinished waits until the child is in the middle of a write.
func awaitUnfinished(t *testing.T, dir string) {
	t.Helper()
	for {
		left, err := filepath.Glob(filepath.Join(dir, "*.tmp"))
		if err != nil || t.Context().Err() != nil {
			t.Fatal(err, t.Context().Err())
		}
		if len(left) > 0 {
			return
		}
		time.Sleep(time.Millisecond / 4)
	}
}

func checkWhole(t *testing.T, s archive.Store) {
	t.Helper()
	defer s.Close()
	var names []string
	err := s.List(t.Context(), "", func(n string) error { names = append(names, n); return nil })
	if err != nil || strings.Join(names, " ") != "object" {
		t.Fatalf("listed %q, %v; want the object alone", names, err)
	}
	got, err := s.Get(t.Context(), "object")
	if err != nil || len(got) != 8<<20 || !bytes.Equal(got, bytes.Repeat(got[:1], 8<<20)) {
		t.Errorf("got %d bytes, %v; want the whole of one write", len(got), err)
	}
}

// What is deleted while a store is listed doesn't fail the listing, and what stays
// is listed once.
func TestListedWhileDeleted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "archive")
	s := opened(t, dir)
	defer s.Close()
	for i := range 200 {
		must(t, s.Put(t.Context(), fmt.Sprintf("kept/%03d", i), nil))
	}
	ctx, stop := context.WithCancel(t.Context())
	var churn sync.WaitGroup
	churn.Go(func() {
		for ctx.Err() == nil {
			for i := range 100 { // as another process does: what matters is that they vanish
				name := filepath.Join(dir, "kept", fmt.Sprintf("gone-%03d", i))
				must(t, os.WriteFile(name, nil, 0o600))
				must(t, os.Remove(name))
			}
		}
	})
	defer churn.Wait()
	defer stop()
	for range 300 {
		kept := 0
		must(t, s.List(t.Context(), "kept/0", func(string) error { kept++; return nil }))
		must(t, s.List(t.Context(), "kept/1", func(string) error { kept++; return nil }))
		if kept != 200 {
			t.Fatalf("%d listed of 200", kept)
		}
		must(t, s.List(t.Context(), "kept/g", func(string) error { return nil }))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
