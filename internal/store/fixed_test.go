package store_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/uptrace/bun"

	"signalbox.dev/signalbox/internal/store"
)

// A fixed statement is prepared once and can be run while it is being read, after
// it has failed, and after its rows were left before their end.
func TestFixedStatements(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "p.db"))
	const add = "INSERT INTO participants VALUES (?, 'reviewer', 'asked', '', 0)"
	const upTo = "SELECT id FROM participants WHERE id <= ? ORDER BY id"
	var seen []string
	err := s.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
		for _, id := range []string{"a", "b", "c"} {
			if n, err := store.Exec(ctx, tx, add, id); n != 1 || err != nil {
				t.Errorf("adding %s: %d rows, %v", id, n, err)
			}
		}
		if _, err := store.Exec(ctx, tx, add, "a"); err == nil {
			t.Error("a second a stands")
		}
		if _, err := store.Exec(ctx, tx, add, "d"); err != nil {
			t.Errorf("after it had failed: %v", err)
		}
		return store.Query(ctx, tx, upTo, []any{"b"}, func(scan func(...any) error) error {
			var id, first string
			if err := scan(&id); err != nil {
				return err
			}
			seen = append(seen, id)
			if err := store.Get(ctx, tx, upTo, []any{id}, &first); err != nil || first != "a" {
				t.Errorf("within itself: %q, %v", first, err)
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b"}, seen); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	enough := errors.New("enough")
	for range 3 {
		err := store.Query(t.Context(), s.DB(), upTo, []any{"z"}, func(func(...any) error) error { return enough })
		if !errors.Is(err, enough) {
			t.Errorf("left early: %v", err)
		}
	}
	var id string
	if err := store.Get(t.Context(), s.DB(), upTo, []any{""}, &id); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("nothing: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store.Get(ended, s.DB(), upTo, []any{"z"}, &id); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context: %v", err)
	}
}
