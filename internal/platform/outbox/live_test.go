package outbox

import (
	"fmt"
	"testing"
)

// Intents at hand are bounded, begun once, and as they are known.
func TestLive(t *testing.T) {
	l := newLive()
	l.keep(row{ID: "a", State: Pending})
	if r, ok := l.first("a"); !ok || r.ID != "a" {
		t.Error("a was not given to be pushed")
	}
	if _, ok := l.first("a"); ok {
		t.Error("a is pushed for the first time twice")
	}
	l.pushed("a", 7)
	l.pushed("a", 8)
	if r, _ := l.find("a"); r.SubmittedAt != 7 {
		t.Errorf("pushed at %d, want the first time", r.SubmittedAt)
	}
	l.keep(row{ID: "a", State: Granted})
	if _, ok := l.first("a"); ok {
		t.Error("what is granted is pushed")
	}
	for i := range maxLive {
		l.keep(row{ID: fmt.Sprint(i), State: Pending})
	}
	last := fmt.Sprint(maxLive - 1)
	if _, ok := l.find(last); ok || !l.full() || len(l.rows) != maxLive {
		t.Errorf("%d intents are kept", len(l.rows))
	}
	if r, _ := l.find("a"); r.State != Granted {
		t.Errorf("a is %s", r.State)
	}
	l.drop("0")
	if _, ok := l.first("0"); ok {
		t.Error("what is done with is pushed")
	}
	l.keep(row{ID: last})
	if _, ok := l.find(last); !ok {
		t.Error("no room for another after one was dropped")
	}
}
