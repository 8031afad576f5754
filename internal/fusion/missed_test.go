package fusion

import (
	"context"
	"testing"
	"time"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/link"
)

// What a party had in hand when it was killed comes to its next process at once,
// not only after Redeliver (R1.3); what an operator has paused meanwhile does not.
func TestEndedLinkGivesBackWhatItHeld(t *testing.T) {
	p := newParties(t, envelope.GM())
	n := p.node(t, NodeConfig{Redeliver: time.Hour})
	authority := p.settled(t, n)
	for _, platform := range []string{north, south} {
		side := sidesOf(t, p.remote(t, n, link.RolePlatform, platform))
		if err := side.Platform(platform).Submit(t.Context(), submissionOf(t, platform, rx, uint64(len(platform)), 10)); err != nil {
			t.Fatal(err)
		}
	}

	killed := p.remote(t, n, link.RoleAuthority, "authority")
	holding := make(chan Delivery, 2)
	background(t, func(ctx context.Context) error {
		return sidesOf(t, killed).Authority().Submissions(ctx, 64, func(ctx context.Context, batch []Delivery) []error {
			holding <- batch[0]
			<-ctx.Done() // and it never answers
			return []error{ctx.Err()}
		})
	})
	next(t, holding)
	next(t, holding)
	if err := n.Pause(t.Context(), Scope{Platform: south}); err != nil {
		t.Fatal(err)
	}
	killed.own.Load().conn.Close()

	again, _ := takeSubmissions(t, authority)
	if got := next(t, again); got.Platform != north {
		t.Errorf("came again: a submission of %s, which is paused", got.Platform)
	}
	select {
	case d := <-again:
		t.Errorf("%s is paused, and a submission came", d.Platform)
	case <-time.After(3 * missEvery):
	}
	if err := n.Resume(t.Context(), Scope{Platform: south}); err != nil {
		t.Fatal(err)
	}
	if got := next(t, again); got.Platform != south {
		t.Errorf("after the pause: %s", got.Platform)
	}
}

// A party that has been linked all the while is not given again what it has in
// hand because an old connection of its has ended.
func TestMissedLeavesTheLivingAlone(t *testing.T) {
	p := newParties(t, envelope.GM())
	n := p.node(t, NodeConfig{})
	p.settled(t, n) // one link, which lives
	p.remote(t, n, link.RoleAuthority, "authority")
	if got := n.door.missed(time.Hour); len(got) != 0 {
		t.Fatalf("missed %v, and nobody is gone", got)
	}
	n.door.mu.Lock()
	n.door.left[party{role: link.RoleAuthority}] = true
	n.door.mu.Unlock()
	if got := n.door.missed(0); len(got) != 0 {
		t.Errorf("missed %v, whose links are old enough to have it all", got)
	}
	n.door.mu.Lock()
	n.door.left[party{role: link.RoleAuthority}] = true
	n.door.mu.Unlock()
	if got := n.door.missed(time.Hour); len(got) != 1 {
		t.Errorf("missed %v, want the authority, whose links are new", got)
	}
}
