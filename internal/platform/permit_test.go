package platform_test

import (
	"testing"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/platform/review"
)

// Of several tokens of one day the last one counts, which the chain holds by
// (R2.3): a platform whose clock ran ahead asked for one after the other.
func TestLastPermitCounts(t *testing.T) {
	w := started(t)
	id := w.register(1)
	var last flow.Hash
	for i := range 3 {
		w.offset.Store(int64(i) * int64(3*time.Hour)) // the one before has run out
		request, err := w.Review.Request(t.Context(), id, reviewer)
		last = w.granted(request, err).Tx
	}
	w.tamper("UPDATE reviews SET expires = (SELECT max(expires) FROM reviews)") // as on one day
	result, err := w.Review.Submit(t.Context(), review.Result{Flow: id, Reviewer: reviewer, Opinion: flow.Approve})
	w.granted(result, err)
	var used string
	if err := w.store.DB().NewSelect().Table("reviews").Column("request").Where("result = ?", result.String()).Scan(t.Context(), &used); err != nil {
		t.Fatal(err)
	}
	if used != last.String() {
		t.Errorf("the result used the token of request %s, want the last, %s", used, last)
	}
}
