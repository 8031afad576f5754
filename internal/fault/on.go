//go:build faults

package fault

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// ErrInjected is what an injected failure gives.
var ErrInjected = errors.New("injected fault")

// process is this process's line to its controller; nil without one. It is the
// one state of the package, and made once.
var process = sync.OnceValue(func() *client {
	path := os.Getenv("SIGNALBOX_FAULTS")
	if path == "" {
		return nil
	}
	return &client{path: path}
})

// Before says that the write at p comes next. An error is given back in its
// stead: the write must not happen.
func Before(p Point) error { return process().ask("before", p) }

// After says that the write at p has happened. An error stands for an answer
// that was lost.
func After(p Point) error { return process().ask("after", p) }

// Clock is the process's clock, with the controller's offset.
func Clock() func() time.Time { return process().now }

// client speaks to one controller. The nil client has none.
type client struct {
	path string

	mu   sync.Mutex // guards idle
	idle []*line

	begin  sync.Once // of the clock
	offset atomic.Int64
}

// line is one connection, used by one caller at a time.
type line struct {
	net.Conn
	in *bufio.Scanner
}

// ask blocks for as long as the controller likes. A controller that is gone
// means that the test is over: nothing is injected.
func (c *client) ask(stage string, p Point) error {
	if c == nil {
		return nil
	}
	l, err := c.take()
	if err != nil {
		return nil
	}
	answer, err := l.ask(stage + " " + string(p))
	if err != nil {
		l.Close()
		return nil
	}
	c.give(l)
	switch answer {
	case "fail":
		return fmt.Errorf("%s %s: %w", stage, p, ErrInjected)
	case "die":
		_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
		select {} // the signal takes a moment; nothing more may happen here
	}
	return nil
}

func (c *client) take() (*line, error) {
	c.mu.Lock()
	if n := len(c.idle); n > 0 {
		l := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		return l, nil
	}
	c.mu.Unlock()
	conn, err := net.Dial("unix", c.path)
	if err != nil {
		return nil, err
	}
	return &line{Conn: conn, in: bufio.NewScanner(conn)}, nil
}

func (c *client) give(l *line) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = append(c.idle, l)
}

func (l *line) ask(question string) (string, error) {
	if _, err := fmt.Fprintln(l, question); err != nil {
		return "", err
	}
	return l.read()
}

func (l *line) read() (string, error) {
	if !l.in.Scan() {
		return "", errors.Join(net.ErrClosed, l.in.Err())
	}
	return strings.TrimSpace(l.in.Text()), nil
}

// now is the time with the controller's offset. The first call waits for it.
func (c *client) now() time.Time {
	if c == nil {
		return time.Now()
	}
	c.begin.Do(c.followClock)
	// Without the monotonic reading: a clock that was set is what is played.
	return time.Now().Round(0).Add(time.Duration(c.offset.Load()))
}

func (c *client) followClock() {
	l, err := c.take()
	if err != nil {
		return
	}
	set := func(text string, err error) bool {
		ns, numErr := strconv.ParseInt(text, 10, 64)
		if err != nil || numErr != nil {
			l.Close()
			return false
		}
		c.offset.Store(ns)
		return true
	}
	if !set(l.ask("clock")) {
		return
	}
	go func() {
		for set(l.read()) { // ends with the controller
		}
	}()
}
