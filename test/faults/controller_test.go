package faults

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox.dev/signalbox/internal/fault"
)

// Answers of a controller, as internal/fault says what they do.
const (
	goOn = "go"
	fail = "fail"
	die  = "die"
)

// Stages of a point.
const (
	before = "before"
	after  = "after"
)

// moment is a process at a point.
type moment struct {
	process string
	stage   string
	point   fault.Point
}

// controller is what the processes ask at their points. Each has its own socket,
// so that it is known who asks.
type controller struct {
	dir string

	mu      sync.Mutex // guards what follows
	plan    func(moment) func() string
	offsets map[string]time.Duration
	moved   chan struct{} // closed and replaced when an offset changes
}

func newController(dir string) *controller {
	return &controller{dir: dir, offsets: map[string]time.Duration{}, moved: make(chan struct{})}
}

// listen gives the socket of a process.
func (c *controller) listen(t *testing.T, process string) string {
	t.Helper()
	path := filepath.Join(c.dir, process+".sock")
	l, err := net.Listen("unix", path)
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go c.serve(conn, process)
		}
	}()
	return path
}

func (c *controller) serve(conn net.Conn, process string) {
	defer conn.Close()
	for in := bufio.NewScanner(conn); in.Scan(); {
		stage, point, ok := strings.Cut(in.Text(), " ")
		if !ok {
			c.serveClock(conn, process)
			return
		}
		if _, err := fmt.Fprintln(conn, c.answer(moment{process, stage, fault.Point(point)})); err != nil {
			return
		}
	}
}

func (c *controller) serveClock(conn net.Conn, process string) {
	for {
		c.mu.Lock()
		offset, moved := c.offsets[process], c.moved
		c.mu.Unlock()
		if _, err := fmt.Fprintln(conn, int64(offset)); err != nil {
			return
		}
		<-moved
	}
}

func (c *controller) answer(m moment) string {
	c.mu.Lock()
	var act func() string
	if c.plan != nil {
		act = c.plan(m)
	}
	c.mu.Unlock()
	if act == nil {
		return goOn
	}
	return act() // may take long: other processes' questions are answered meanwhile
}

// quiet ends every injection. Clocks keep their offsets.
func (c *controller) quiet() { c.every(nil) }

// every asks plan at each point; nil from it means to go on.
func (c *controller) every(plan func(moment) func() string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plan = plan
}

// once does act at the first moment that is like m, and tells when it was.
func (c *controller) once(m moment, act func() string) <-chan time.Time {
	struck := make(chan time.Time, 1)
	done := false
	c.every(func(now moment) func() string { // called under c.mu
		if done || now != m {
			return nil
		}
		done = true
		return func() string {
			struck <- time.Now()
			return act()
		}
	})
	return struck
}

// setClock sets a process's clock ahead of the true time, or behind.
func (c *controller) setClock(process string, offset time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offsets[process] = offset
	close(c.moved)
	c.moved = make(chan struct{})
}
