package comet

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const childDir = "SIGNALBOX_TEST_KILL_DIR"

// TestKillChild is the process that TestKill kills; alone it does nothing.
func TestKillChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Skip("run by TestKill")
	}
	n, app, _ := open(t, dir)
	round := n.Height()
	done := make(chan string)
	for i := range 8 {
		go func() {
			for j := 0; ; j++ {
				tx := fmt.Sprintf("k-%d-%d-%d", round, i, j)
				if code, err := app.put(t.Context(), n, tx); err == nil && code == 0 {
					done <- tx
				}
			}
		}()
	}
	for tx := range done {
		fmt.Println("put", tx)
	}
}

// kill -9 at any moment: the node starts again, nothing that was acknowledged is
// missing, and the chain replays.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	dir := t.TempDir()
	var acknowledged []string
	for _, after := range []int{1, 40, 99, 150} { // acknowledgements before the kill
		acknowledged = append(acknowledged, killAfter(t, dir, after)...)
	}
	n, app, shut := open(t, dir)
	for _, tx := range acknowledged {
		if app.has(t, tx) == 0 {
			t.Errorf("%s was acknowledged and is gone", tx)
		}
	}
	fill(t, n, app, "after", 3)
	quiet(t, n, app)
	shut()

	b, err := OpenBlocks(filepath.Join(dir, "node"))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	done, err := b.Replay(t.Context(), newRegister(t, NewMemKV()), func(Stored, []Result) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if done.Txs < int64(len(acknowledged)) {
		t.Errorf("%d transactions on the chain, %d were acknowledged", done.Txs, len(acknowledged))
	}
}

// killAfter runs the child until it has acknowledged count transactions, kills
// it, and returns what it acknowledged.
func killAfter(t *testing.T, dir string, count int) []string {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestKillChild$", "-test.v")
	child.Env = append(os.Environ(), childDir+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var all []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		tx, ok := strings.CutPrefix(lines.Text(), "put ")
		if !ok {
			continue
		}
		all = append(all, tx)
		if len(all) == count {
			child.Process.Kill() // SIGKILL; what is still in the pipe was acknowledged too
		}
	}
	child.Wait()
	if len(all) < count {
		t.Fatalf("the child ended by itself after %d of %d", len(all), count)
	}
	return all
}
