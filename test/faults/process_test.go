package faults

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a party's process under supervision, as systemd would: whenever it
// ends without being told to, it is started again.
type process struct {
	name string
	bin  string
	args []string
	env  []string
	ns   string // network namespace; "": the test's
	log  string // file that it writes to

	mu     sync.Mutex // guards what follows
	cmd    *exec.Cmd
	ended  chan struct{} // closed when cmd has ended
	wanted bool          // whether it is started again
	starts int
	begun  time.Time // of the present cmd
	loop   chan struct{}
}

// restartAfter is what the supervisor waits before it starts a process again.
const restartAfter = 100 * time.Millisecond

// start begins supervision.
func (p *process) start(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	p.wanted, p.loop = true, make(chan struct{})
	p.mu.Unlock()
	must(t, p.spawn())
	go p.supervise(p.loop)
}

func (p *process) spawn() error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	bin, args := p.bin, p.args
	if p.ns != "" {
		bin, args = "ip", append([]string{"netns", "exec", p.ns, p.bin}, p.args...)
	}
	cmd := exec.Command(bin, args...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr = log, log
	// A test that dies takes its processes along.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	fmt.Fprintf(log, "--- start %d of %s\n", p.starts+1, p.name)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	ended := make(chan struct{})
	p.mu.Lock()
	p.cmd, p.ended, p.begun = cmd, ended, time.Now()
	p.starts++
	p.mu.Unlock()
	go func() {
		cmd.Wait()
		close(ended)
	}()
	return nil
}

func (p *process) supervise(done chan struct{}) {
	defer close(done)
	for {
		p.mu.Lock()
		ended := p.ended
		p.mu.Unlock()
		<-ended
		time.Sleep(restartAfter)
		for { // until it is wanted again, or for good not
			p.mu.Lock()
			wanted, over := p.wanted, p.loop == nil
			p.mu.Unlock()
			if over {
				return
			}
			if wanted {
				break
			}
			time.Sleep(restartAfter / 10)
		}
		if err := p.spawn(); err != nil {
			return
		}
	}
}

// kill ends the process at once, and returns when it has ended. The supervisor
// starts it again.
func (p *process) kill() {
	p.mu.Lock()
	cmd, ended := p.cmd, p.ended
	p.mu.Unlock()
	_ = cmd.Process.Kill()
	<-ended
}

// hold keeps the process down after its next end.
func (p *process) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = false
}

// stop ends supervision and asks the process to end. One that does not within
// the time is killed, which is the error.
func (p *process) stop(within time.Duration) error {
	p.mu.Lock()
	loop := p.loop
	p.loop, p.wanted = nil, false
	cmd, ended := p.cmd, p.ended
	p.mu.Unlock()
	if loop == nil {
		return nil
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	var err error
	select {
	case <-ended:
	case <-time.After(within):
		_ = cmd.Process.Kill()
		<-ended
		err = fmt.Errorf("%s did not end within %s", p.name, within)
	}
	<-loop
	if code := cmd.ProcessState.ExitCode(); code != 0 && err == nil {
		err = fmt.Errorf("%s ended with %s", p.name, cmd.ProcessState)
	}
	return err
}

// end kills the process and ends supervision, if it was ever started.
func (p *process) end() {
	p.mu.Lock()
	cmd := p.cmd
	p.mu.Unlock()
	if cmd == nil {
		return
	}
	p.hold()
	p.kill()
	_ = p.stop(time.Second)
}

// life is how often the process was started, and when last.
func (p *process) life() (starts int, begun time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.starts, p.begun
}

// tail is the end of what the process has said.
func (p *process) tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimRight(b, "\n"), []byte("\n"))
	if n := len(lines); n > 25 {
		lines = lines[n-25:]
	}
	return string(bytes.Join(lines, []byte("\n")))
}
