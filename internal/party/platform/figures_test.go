package platform

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/internal/ops/opstest"
	"signalbox.dev/signalbox/internal/platform/outbox"
	"signalbox.dev/signalbox/internal/platform/reconcile"
)

// counted is an outbox that counts as it is told.
type counted struct {
	counts outbox.Counts
	err    error
}

func (c counted) Counts(context.Context) (outbox.Counts, error) { return c.counts, c.err }

// compared is a comparison that came to this.
type compared struct{ counts reconcile.Counts }

func (c compared) Counts(context.Context) (reconcile.Counts, error) { return c.counts, nil }

func TestFigures(t *testing.T) {
	got := opstest.Gather(t, Figures(counted{counts: outbox.Counts{
		Steps:      map[outbox.State]outbox.Standing{outbox.Pending: {Steps: 3, Oldest: 90 * time.Second}, outbox.Held: {}},
		Unanchored: 2,
	}}))
	want := map[string]float64{
		"signalbox_part_unread{outbox}":            0,
		"signalbox_outbox_steps{pending}":          3,
		"signalbox_outbox_oldest_seconds{pending}": 90,
		"signalbox_outbox_steps{held}":             0,
		"signalbox_outbox_oldest_seconds{held}":    0,
		"signalbox_outbox_unanchored":              2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("figures (-want +got):\n%s", diff)
	}
	got = opstest.Gather(t, Differences(compared{counts: reconcile.Counts{
		Open: map[reconcile.Kind]int64{reconcile.NotStored: 2, reconcile.Undecided: 0}, Followed: 7,
	}}))
	want = map[string]float64{
		"signalbox_part_unread{reconciler}":                                 0,
		"signalbox_reconcile_findings{" + string(reconcile.NotStored) + "}": 2,
		"signalbox_reconcile_findings{" + string(reconcile.Undecided) + "}": 0,
		"signalbox_reconcile_followed":                                      7,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("differences (-want +got):\n%s", diff)
	}
	// What can't be counted is not shown as nothing to do.
	got = opstest.Gather(t, Figures(counted{err: errors.New("the disk is gone")}))
	if diff := cmp.Diff(map[string]float64{"signalbox_part_unread{outbox}": 1}, got); diff != "" {
		t.Errorf("figures without an answer (-want +got):\n%s", diff)
	}
}
