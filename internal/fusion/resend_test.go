package fusion

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// R1.3: what is sent again because no answer came is never taken for a
// repetition, and a repetition of one attempt always is.
func TestNeededResendsAreNotSwallowed(t *testing.T) {
	n := start(t, NodeConfig{})
	d := directory(t, n)
	s := submissionOf(t, north, rx, 1, 100)
	for _, attempt := range []int{0, 0, 1, 1, 2} {
		if err := d.Platform(north).Resubmit(t.Context(), s, attempt); err != nil {
			t.Fatal(err)
		}
	}
	for _, round := range []string{"", "", "7", "7", "8"} {
		if err := d.Authority().PublishAgain(t.Context(), round, decisionOf(north, rx, 1)); err != nil {
			t.Fatal(err)
		}
	}
	want := Backlog{Route: Route{north, rx}, Submissions: 3, Decisions: 3}
	if diff := cmp.Diff(want, health(t, n.Node).Backlog[0]); diff != "" {
		t.Errorf("stored (-want +got)\n%s", diff)
	}
	from, _ := takeSubmissions(t, d)
	for range 3 {
		if got := idOf(t, next(t, from).Submission); got != number(1) {
			t.Errorf("a resend brought submission %s", got)
		}
	}
	answers, _ := takeDecisions(t, d, north)
	for range 3 {
		if got := next(t, answers).ID; got != number(1) {
			t.Errorf("a repetition brought decision %s", got)
		}
	}
}
