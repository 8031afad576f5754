package store_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/internal/store"
)

func open(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func insert(key string) func(context.Context, bun.Tx) error {
	return func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO participants VALUES (?, 'reviewer', 'asked', '', 0)", key)
		return err
	}
}

func keys(t *testing.T, s *store.Store) []string {
	t.Helper()
	var out []string
	if err := s.DB().NewSelect().Table("participants").Column("id").Order("id").Scan(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOpenIsPrivateAndDurable(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "odd name?#%.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	if err := s.Write(t.Context(), insert("a")); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) < 2 {
		t.Errorf("found %d files: want the database and its write-ahead log", len(entries))
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != fs.FileMode(0o600) {
			t.Errorf("%s has mode %o, want 600", e.Name(), got)
		}
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		var got string
		err := s.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
			return tx.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(&got)
		})
		if err != nil || got != want {
			t.Errorf("%s is %q (%v), want %q", pragma, got, err, want)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a"}, keys(t, open(t, path))); diff != "" {
		t.Errorf("after reopening (-want +got):\n%s", diff)
	}
}

func TestReadersCannotWrite(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "p.db"))
	if _, err := s.DB().ExecContext(t.Context(), "DELETE FROM participants"); err == nil {
		t.Error("a reader changed the database")
	}
}

// A failing write in a group undoes itself and nobody else.
func TestWritesOfAGroupAreIndependent(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "p.db"))
	boom := errors.New("boom")
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			err := s.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
				if err := insert(fmt.Sprintf("%03d", i))(ctx, tx); err != nil {
					return err
				}
				if i%3 == 0 {
					return boom
				}
				if i%3 == 1 { // a statement that fails, too
					return insert(fmt.Sprintf("%03d", i))(ctx, tx)
				}
				return nil
			})
			if (i%3 == 2) != (err == nil) || (i%3 == 0) != errors.Is(err, boom) {
				t.Errorf("write %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	var want []string
	for i := 2; i < 200; i += 3 {
		want = append(want, fmt.Sprintf("%03d", i))
	}
	if diff := cmp.Diff(want, keys(t, s)); diff != "" {
		t.Errorf("what stands (-want +got):\n%s", diff)
	}
}

// A write that fails by itself is not tried again, and leaves nothing.
func TestLoneWriteFailsOnce(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "p.db"))
	boom, calls := errors.New("boom"), 0
	err := s.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
		calls++
		return errors.Join(insert("a")(ctx, tx), boom)
	})
	if !errors.Is(err, boom) || calls != 1 {
		t.Errorf("called %d times: %v", calls, err)
	}
	if got := keys(t, s); len(got) > 0 {
		t.Errorf("%q stand", got)
	}
}

// When SQLite drops the whole transaction, no write of the group is told that
// it stands, and the next group is not harmed.
func TestLostTransactionFailsTheGroup(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "p.db"))
	err := s.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
		if err := insert("a")(ctx, tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "ROLLBACK")
		return err
	})
	if err == nil {
		t.Error("a write whose transaction was lost gave no error")
	}
	if err := s.Write(t.Context(), insert("b")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"b"}, keys(t, s)); diff != "" {
		t.Errorf("what stands (-want +got):\n%s", diff)
	}
}

func TestWriteAfterItsContextEnded(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "p.db"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Write(ctx, insert("a")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	err := s.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		cancel() // too late to stop it
		return insert("b")(ctx, tx)
	})
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"b"}, keys(t, s)); diff != "" {
		t.Errorf("what stands (-want +got):\n%s", diff)
	}
}

func TestPanicReachesItsOwnerAlone(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "p.db"))
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = s.Write(t.Context(), func(context.Context, bun.Tx) error { panic("boom") })
	}()
	if err := s.Write(t.Context(), insert("a")); err != nil {
		t.Error(err)
	}
}

func BenchmarkWrite(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "p.db"))
			b.ReportAllocs()
			work := make(chan int)
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for i := range work {
						if err := s.Write(b.Context(), insert(fmt.Sprint(i))); err != nil {
							b.Error(err)
						}
					}
				})
			}
			for i := 0; b.Loop(); i++ {
				work <- i
			}
			close(work)
			wg.Wait()
		})
	}
}
