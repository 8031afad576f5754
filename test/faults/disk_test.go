package faults

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// diskSize is a data folder's disk, in bytes.
const diskSize = 192 << 20

// The disk is full for some seconds while steps are on their way; then there is
// space again, and everything goes on by itself.
func TestDiskFull(t *testing.T) {
	needFull(t)
	if !unshared(t, syscall.CLONE_NEWNS) {
		return
	}
	c := prepareCluster(t)
	table := newTable(t)
	for _, role := range roles() {
		smallDisk(t, c.folder(role))
	}
	c.start()
	c.warm()
	for _, role := range roles() {
		c.register(t.Context(), perCase, perCase)
		c.settle(perCase, 60*time.Second)
		r := row{fault: "disk of " + role + " is full for 5 s", injected: 1}
		filler := fill(t, filepath.Join(c.folder(role), "filler"))
		go c.register(t.Context(), perCase, perCase)
		time.Sleep(5 * time.Second)
		r.inFlight = c.inFlight(perCase)
		at := time.Now()
		must(t, filler.free())
		r.took = c.settle(perCase, 120*time.Second).Sub(at)
		table.add(r)
	}
	c.finish(table)
}

// smallDisk moves a folder to a small disk of its own.
func smallDisk(t *testing.T, dir string) {
	t.Helper()
	saved := dir + ".saved"
	must(t, os.Rename(dir, saved))
	must(t, os.Mkdir(dir, 0o700))
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", diskSize)); err != nil {
		t.Skipf("mounting a small disk: %v", err)
	}
	must(t, copyFolder(saved+"/.", dir))
}

// filler takes all space of a disk, and what becomes free in the meantime.
type filler struct {
	file string
	stop chan struct{}
	done chan error
}

func fill(t *testing.T, file string) *filler {
	t.Helper()
	f, err := os.Create(file)
	must(t, err)
	l := &filler{file: file, stop: make(chan struct{}), done: make(chan error, 1)}
	go func() {
		defer f.Close()
		for block := make([]byte, 1<<20); ; {
			_, err := f.Write(block)
			switch {
			case err == nil:
				continue
			case !errors.Is(err, syscall.ENOSPC):
				l.done <- err
				return
			}
			if len(block) > 1 {
				block = block[:len(block)/2]
			}
			select {
			case <-l.stop:
				l.done <- nil
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() { os.Remove(file) })
	return l
}

func (l *filler) free() error {
	close(l.stop)
	return errors.Join(<-l.done, os.Remove(l.file))
}
