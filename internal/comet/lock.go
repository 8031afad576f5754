package comet

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// ErrInUse says that another process, or another part of this one, has the directory open.
var ErrInUse = errors.New("in use by a running signalbox")

// lockDir takes the directory's lock, which ends with the process at the
// latest. Readers share it.
func lockDir(dir string, shared bool) (*os.File, error) {
	f, err := os.OpenFile(lockFile(dir), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	how := syscall.LOCK_EX
	if shared {
		how = syscall.LOCK_SH
	}
	if err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("opening %s: %w", dir, inUse(err))
	}
	return f, nil
}

// Lock keeps a node's directory from running until it is closed. One in use is ErrInUse.
func Lock(dir string) (io.Closer, error) {
	if err := makeDirs(dir); err != nil {
		return nil, err
	}
	return lockDir(dir, false)
}

// inUse turns the system's word for a held lock into ours.
func inUse(err error) error {
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrInUse
	}
	return err
}

// makeDirs makes the directories with no access for others. Databases keep to
// directories that exist, and would make wider ones themselves.
func makeDirs(dirs ...string) error {
	for _, d := range dirs {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return fmt.Errorf("making %s: %w", filepath.Base(d), err)
		}
	}
	return nil
}
