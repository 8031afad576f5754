package fusion

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"signalbox.dev/signalbox/flow"
)

// messageOf is submission n as a reader takes it.
func messageOf(t testing.TB, n uint64) taken {
	t.Helper()
	data, err := flow.Marshal(submissionOf(t, north, rx, n, 100))
	if err != nil {
		t.Fatal(err)
	}
	return taken{Msg: &nats.Msg{Subject: address{submissions, Route{north, rx}, flow.Register}.kept(), Data: data}}
}

// handsIn opens a folder of hands for a process that waits for nothing.
func handsIn(t testing.TB, dir string) *hands {
	t.Helper()
	h, err := openHands(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	h.settle = 0
	return h
}

// endsProcess, when set, makes the test binary a process that number 7 ends.
const endsProcess = "SIGNALBOX_TEST_FUSION_ENDS_DIR"

// tookEnough is how a process says that nothing is left to take.
const tookEnough = 17

// Attack: a message whose reading kills the process, SIGKILL and no word, before
// and behind good ones. The good ones all get through, it alone ends up in the
// quarantine, and a release gives it one more try and no more (R1.3).
func TestMessageThatEndsTheProcess(t *testing.T) {
	const count, poison = 20, 7
	if dir := os.Getenv(endsProcess); dir != "" {
		takeUntilKilled(t, dir, number(poison))
	}
	dir := t.TempDir()
	n := start(t, NodeConfig{Dir: filepath.Join(dir, "node")})
	fill(t, directory(t, n), north, 0, count)
	n.stop(t)

	ended := killedBy(t, dir)
	if want := endsTogether + endsAlone; ended != want {
		t.Errorf("the process ended %d times, want %d", ended, want)
	}
	for i := range uint64(count) {
		if got := through(t, dir, number(i)); got != (i != poison) {
			t.Errorf("submission %d: through %v", i, got)
		}
	}
	q := onlyOne(t, dir, func(n *running, q Quarantined) {
		if err := n.Release(t.Context(), q.ID); err != nil {
			t.Fatal(err)
		}
	})
	if want := fmt.Sprintf("the authority ended %d times while it had this", endsTogether+endsAlone); !strings.Contains(q.Reason, want) {
		t.Errorf("the reason is %q, want %q", q.Reason, want)
	}

	if ended := killedBy(t, dir); ended != 1 {
		t.Errorf("released, it ended the process %d times, want once", ended)
	}
	onlyOne(t, dir, nil)
}

// killedBy starts processes until one has nothing left to take, and says how
// many were killed before.
func killedBy(t *testing.T, dir string) int {
	t.Helper()
	for ended := range 40 {
		child := exec.Command(os.Args[0], "-test.run=^TestMessageThatEndsTheProcess$")
		child.Env = append(os.Environ(), endsProcess+"="+dir)
		out, err := child.CombinedOutput()
		var exit *exec.ExitError
		switch {
		case !errors.As(err, &exit):
			t.Fatalf("the process ended with %v: %s", err, out)
		case exit.ExitCode() == tookEnough:
			return ended
		case exit.ExitCode() >= 0: // not by a signal
			t.Fatalf("the process ended by itself: %v: %s", err, out)
		}
	}
	t.Fatal("the process is killed for ever")
	panic("not reached")
}

// onlyOne checks that the quarantine holds one message, and the streams none.
func onlyOne(t *testing.T, dir string, then func(*running, Quarantined)) Quarantined {
	t.Helper()
	n := start(t, NodeConfig{Dir: filepath.Join(dir, "node")})
	defer n.stop(t)
	idle(t, n.Node)
	list, err := n.Quarantine(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("in quarantine: %+v, %v", list, err)
	}
	if then != nil {
		then(n, list[0])
	}
	return list[0]
}

func through(t *testing.T, dir string, id flow.ID) bool {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "through"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.Contains(strings.Fields(string(data)), id.String())
}

// takeUntilKilled is the process: it notes what gets through, kills itself when
// it has the poison, and ends when nothing is left.
func takeUntilKilled(t *testing.T, dir string, poison flow.ID) {
	n := start(t, NodeConfig{Dir: filepath.Join(dir, "node")})
	out, err := os.OpenFile(filepath.Join(dir, "through"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	side := directory(t, n).Authority()
	if err := side.Remember(filepath.Join(dir, "in-hand"), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	side.hands.settle = 0
	go side.Submissions(context.Background(), 10, func(_ context.Context, batch []Delivery) []error {
		for _, one := range batch {
			id := idOf(t, one.Submission)
			if id == poison {
				killSelf()
			}
			if _, err := fmt.Fprintln(out, id); err != nil {
				return every(len(batch), err)
			}
		}
		return nil
	})
	idle(t, n.Node)
	os.Exit(tookEnough)
}

func killSelf() {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err == nil {
		select {}
	}
}

// A process that is killed again and again for reasons of its own, with a message
// in hand each time, holds nothing against it: it is for later until the process
// has settled, and an outcome clears it (R1.3).
func TestKillsSetNothingAside(t *testing.T) {
	dir, m := t.TempDir(), messageOf(t, 1)
	others := []taken{m, m, messageOf(t, 2)} // the same twice is one
	for range 100 {
		h := handsIn(t, dir)
		h.settle = time.Hour
		v, _ := h.judge(m, time.Now())
		if v == apart || v == aside {
			t.Fatalf("before the process has settled the message is %d", v)
		}
		h.take(others, false) // and it is killed
	}
	h := handsIn(t, dir)
	v, found := h.judge(m, time.Now())
	if v != apart || found.Together != 100 || found.Alone != 0 {
		t.Errorf("when it has settled: %d, %+v", v, found)
	}
	h.cleared([]taken{m})
	if v, _ := h.judge(m, time.Now()); v != together {
		t.Errorf("after an outcome: %d", v)
	}
	if v, _ := handsIn(t, dir).judge(m, time.Now()); v != together {
		t.Errorf("after an outcome and a restart: %d", v)
	}
}

// What was done with, and what a process gave back at its end, counts nothing.
func TestOrderlyEndsCountNothing(t *testing.T) {
	dir, m := t.TempDir(), messageOf(t, 1)
	for range 10 {
		h := handsIn(t, dir)
		if v, found := h.judge(m, time.Now()); v != together || found != (mark{}) {
			t.Fatalf("%d, %+v", v, found)
		}
		h.take([]taken{m}, false)()
		h.take([]taken{m}, true)()
	}
}

// A process that is killed between counting and taking the notes away counts none
// twice; one whose marks are damaged begins anew and says so.
func TestNotesAreCountedOnce(t *testing.T) {
	dir, m := t.TempDir(), messageOf(t, 1)
	handsIn(t, dir).take([]taken{m}, true)
	notes, err := filepath.Glob(filepath.Join(dir, "*"+noteAlone))
	if err != nil || len(notes) != 1 {
		t.Fatalf("notes %v, %v", notes, err)
	}
	data, err := os.ReadFile(notes[0])
	if err != nil {
		t.Fatal(err)
	}
	handsIn(t, dir)
	if err := os.WriteFile(notes[0], data, 0o600); err != nil { // as if it had not come to that
		t.Fatal(err)
	}
	if _, found := handsIn(t, dir).judge(m, time.Now()); found.Alone != 1 {
		t.Errorf("counted %d times", found.Alone)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*"+noteAlone)); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}

	if err := os.WriteFile(filepath.Join(dir, marksFile), []byte(`{"messages":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if v, found := handsIn(t, dir).judge(m, time.Now()); v != together || found != (mark{}) {
		t.Errorf("after damage: %d, %+v", v, found)
	}
}

// Marks are bounded; the least suspect go, and what was not seen for long.
func TestMarksAreBounded(t *testing.T) {
	h := handsIn(t, t.TempDir())
	now := time.Now()
	suspect, old := flow.SumHash([]byte("suspect")), flow.SumHash([]byte("old"))
	h.blame(suspect, true, now)
	h.blame(old, true, now.Add(-marksLast-time.Minute))
	for i := range maxMarks + 100 {
		h.blame(flow.SumHash([]byte(strconv.Itoa(i))), false, now)
	}
	h.prune(now)
	if got := len(h.marks.Messages); got != maxMarks {
		t.Errorf("%d marks, want %d", got, maxMarks)
	}
	if h.marks.Messages[suspect].Alone != 1 || h.marks.Messages[old] != (mark{}) {
		t.Error("the suspect is forgotten, or the old one is not")
	}
}

// A copy of what ended the process too often, pushed again by its platform, goes
// to the quarantine untried; one that an operator releases is tried, and when it
// gets through so does everything that says the same (R1.3).
func TestCopiesOfWhatEndedTheProcess(t *testing.T) {
	dir, m := t.TempDir(), messageOf(t, 1)
	for range endsAlone {
		handsIn(t, dir).take([]taken{m}, true)
	}
	n := start(t, NodeConfig{})
	d := directory(t, n)
	side := d.Authority()
	if err := side.Remember(dir, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	side.hands.settle = 0
	got := make(chan flow.ID, 10)
	background(t, func(ctx context.Context) error {
		return side.Submissions(ctx, 64, func(_ context.Context, batch []Delivery) []error {
			for _, one := range batch {
				got <- idOf(t, one.Submission)
			}
			return nil
		})
	})
	push := func(i uint64, attempt int) {
		t.Helper()
		if err := d.Platform(north).Resubmit(t.Context(), submissionOf(t, north, rx, i, 100), attempt); err != nil {
			t.Fatal(err)
		}
	}
	for attempt := range 3 {
		push(1, attempt)
	}
	push(2, 0)
	if id := next(t, got); id != number(2) {
		t.Fatalf("%s was tried", id)
	}
	idle(t, n.Node)
	list, err := n.Quarantine(t.Context())
	if err != nil || len(list) != 3 {
		t.Fatalf("in quarantine: %+v, %v", list, err)
	}
	if err := n.Release(t.Context(), list[0].ID); err != nil {
		t.Fatal(err)
	}
	if id := next(t, got); id != number(1) {
		t.Errorf("released: %s", id)
	}
	push(1, 3)
	if id := next(t, got); id != number(1) {
		t.Errorf("pushed again: %s", id)
	}
}

// While a message is in hand alone nothing else is, of no platform.
func TestAloneIsAlone(t *testing.T) {
	dir, m := t.TempDir(), messageOf(t, 1)
	for range endsTogether {
		handsIn(t, dir).take([]taken{m}, false)
	}
	n := start(t, NodeConfig{})
	d := directory(t, n)
	side := d.Authority()
	if err := side.Remember(dir, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	side.hands.settle = 0
	inHand, done := make(chan flow.ID, 1), make(chan flow.ID, 100)
	release := make(chan struct{})
	background(t, func(ctx context.Context) error {
		return side.Submissions(ctx, 64, func(ctx context.Context, batch []Delivery) []error {
			for _, one := range batch {
				id := idOf(t, one.Submission)
				if id == number(1) {
					if len(batch) != 1 {
						t.Errorf("it is one of %d", len(batch))
					}
					inHand <- id
					select {
					case <-release:
					case <-ctx.Done():
					}
				}
				done <- id
			}
			return nil
		})
	})
	fill(t, d, north, 1, 1)
	next(t, inHand)
	fill(t, d, south, 1000, 3)
	time.Sleep(100 * time.Millisecond) // enough for them to come, if they may
	if len(done) != 0 {
		t.Errorf("%s was in hand beside it", next(t, done))
	}
	close(release)
	for range 4 {
		next(t, done)
	}
}
