package platform_test

import (
	"testing"
	"time"

	"signalbox.dev/signalbox/internal/platform/authorise"
	"signalbox.dev/signalbox/internal/platform/outbox"
)

// What waits is counted by where it stands, and by how long; what has come to its
// end is not.
func TestCounts(t *testing.T) {
	w := newWorld(t)
	w.build() // nothing runs
	empty, err := w.Counts(t.Context())
	if err != nil || empty.Unanchored != 0 || len(empty.Steps) != 3 {
		t.Fatalf("at first: %+v, %v", empty, err)
	}
	for n := range 3 {
		if _, err := w.Authorise.Register(t.Context(), authorise.Input{Data: prescription(n)}); err != nil {
			t.Fatal(err)
		}
	}
	w.offset.Add(int64(time.Hour))
	got, err := w.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if p := got.Steps[outbox.Pending]; p.Steps != 3 || p.Oldest < time.Hour {
		t.Errorf("pending: %+v, want 3 for an hour", p)
	}
	if got.Steps[outbox.Held].Steps != 0 || got.Steps[outbox.Granted].Steps != 0 {
		t.Errorf("held or granted without a decision: %+v", got)
	}
	w.offset.Add(-int64(time.Hour))
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	w.start()
	eventually(t, "everything is stored and anchored", func() bool {
		b, err := w.Counts(w.ctx)
		return err == nil && b.Steps[outbox.Pending].Steps == 0 && b.Steps[outbox.Granted].Steps == 0 && b.Unanchored == 0
	})
	w.stop()
}
