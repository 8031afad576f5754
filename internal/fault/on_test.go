//go:build faults

package fault

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// controller answers every question by a function; "clock" gets offsets.
func controller(t *testing.T, answer func(string) string, offsets <-chan time.Duration) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for in := bufio.NewScanner(conn); in.Scan(); {
					if in.Text() == "clock" {
						for d := range offsets {
							fmt.Fprintln(conn, int64(d))
						}
						return
					}
					fmt.Fprintln(conn, answer(in.Text()))
				}
			}()
		}
	}()
	return path
}

func TestAnswers(t *testing.T) {
	c := &client{path: controller(t, func(q string) string {
		if strings.HasSuffix(q, string(Record)) {
			return "fail"
		}
		return "go"
	}, nil)}
	for range 3 { // the connection is used again
		if err := c.ask("before", Intent); err != nil {
			t.Errorf("go: %v", err)
		}
		if err := c.ask("after", Record); !errors.Is(err, ErrInjected) || !strings.Contains(err.Error(), "after 5.record") {
			t.Errorf("fail: %v", err)
		}
	}
	if len(c.idle) != 1 {
		t.Errorf("%d connections for one caller", len(c.idle))
	}
}

func TestNoController(t *testing.T) {
	for name, c := range map[string]*client{"not named": nil, "gone": {path: filepath.Join(t.TempDir(), "none")}} {
		if err := c.ask("before", Intent); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := time.Since(c.now()).Abs(); d > time.Minute {
			t.Errorf("%s: the clock is off by %s", name, d)
		}
	}
}

func TestClock(t *testing.T) {
	offsets := make(chan time.Duration, 1)
	offsets <- 3 * time.Hour
	c := &client{path: controller(t, nil, offsets)}
	if d := time.Until(c.now()); d < 2*time.Hour {
		t.Errorf("the first reading is %s ahead, want the offset to be known", d)
	}
	offsets <- -3 * time.Hour
	for time.Until(c.now()) > -2*time.Hour {
		time.Sleep(time.Millisecond)
	}
}

// A process that is told to die is killed, and nothing that follows in it happens.
func TestDie(t *testing.T) {
	if os.Getenv("SIGNALBOX_FAULTS") != "" {
		_ = Before(Stored)
		fmt.Println("still here")
		return
	}
	path := controller(t, func(string) string { return "die" }, nil)
	cmd := exec.Command(os.Args[0], "-test.run", "^TestDie$")
	cmd.Env = append(os.Environ(), "SIGNALBOX_FAULTS="+path)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("ended with %v, want SIGKILL", err)
	}
	if strings.Contains(string(out), "still here") {
		t.Error("it went on after its death")
	}
}
