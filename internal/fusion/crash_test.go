package fusion

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/flow"
)

// crashDir, when set, makes the test binary the process that gets killed.
const crashDir = "SIGNALBOX_TEST_FUSION_CRASH_DIR"

// What a nil error vouched for survives kill -9.
func TestKillLosesNothingThatWasTaken(t *testing.T) {
	const count = 200
	if dir := os.Getenv(crashDir); dir != "" {
		fillAndWait(t, dir, count)
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestKillLosesNothingThatWasTaken$")
	child.Env = append(os.Environ(), crashDir+"="+dir)
	child.Stderr = t.Output()
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	timeout := time.AfterFunc(waitLong, func() { child.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "taken\n" {
		t.Fatalf("the process to be killed said %q, %v", line, err)
	}
	timeout.Stop()
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err == nil {
		t.Fatal("the process to be killed ended by itself")
	}

	n := start(t, NodeConfig{Dir: dir})
	want := Backlog{Route: Route{north, rx}, Submissions: count, Decisions: count, Anchors: count}
	if diff := cmp.Diff(want, health(t, n.Node).Backlog[0]); diff != "" {
		t.Errorf("kept (-want +got)\n%s", diff)
	}
	d := directory(t, n)
	fromSubmissions, _ := takeSubmissions(t, d)
	fromDecisions, _ := takeDecisions(t, d, north)
	seen := map[flow.ID]int{}
	for range count {
		seen[idOf(t, next(t, fromSubmissions).Submission)]++
		seen[next(t, fromDecisions).ID]++
	}
	for i := range uint64(count) {
		if seen[number(i)] != 2 {
			t.Errorf("message %d came %d times of 2", i, seen[number(i)])
		}
	}
}

// fillAndWait has a reader with messages in hand while it waits to be killed.
func fillAndWait(t *testing.T, dir string, count uint64) {
	n := start(t, NodeConfig{Dir: dir})
	d := directory(t, n)
	go d.Authority().Submissions(context.Background(), 10, func(context.Context, []Delivery) []error { select {} })
	go d.Platform(north).Decisions(context.Background(), func(context.Context, flow.Decision) error { select {} })
	for i := range count {
		if err := d.Platform(north).Submit(t.Context(), submissionOf(t, north, rx, i, 100)); err != nil {
			t.Fatal(err)
		}
		if err := d.Authority().Publish(t.Context(), decisionOf(north, rx, i)); err != nil {
			t.Fatal(err)
		}
		if err := d.Platform(north).Anchor(t.Context(), rx, []flow.Anchor{{BusinessTx: fmt.Sprint(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Println("taken")
	select {}
}
