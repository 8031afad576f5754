// Package archive is the port to where archived supervision data lie (R10.1):
// named objects that are written whole and seldom change. It knows nothing of what
// they hold: archive/segment says what an archive consists of, internal/archiving
// writes and reads one, archive/blob keeps the objects in files or in buckets.
//
// Nothing read from a store is believed: what matters in it is bound to the
// supervision chain's log, whose checkpoints are signed.
package archive

import (
	"context"
	"errors"
	"strings"
)

// Store keeps objects by name. Implementations are safe for concurrent use, and
// archivetest holds them to what is said here.
type Store interface {
	// Put stores data under name, in place of what stood there. When it returns nil
	// the object is durable: it survives the end of the process and, for files, the
	// loss of power. Whatever happens meanwhile, kill -9 included, a reader sees the
	// whole object or what was there before, never a part.
	// A name that Valid refuses is ErrName; a store opened for reading is ErrReadOnly.
	Put(ctx context.Context, name string, data []byte) error
	// Get gives the object under name, of at most MaxObject bytes. None is ErrNotFound.
	Get(ctx context.Context, name string) ([]byte, error)
	// List calls fn with the names that begin with prefix, in the order of their
	// bytes, until fn fails, and returns that error. Unfinished writes are not listed.
	List(ctx context.Context, prefix string, fn func(name string) error) error
	// Delete takes the object out; one that is not there is no error. It is durable
	// as Put is. A store opened for reading gives ErrReadOnly.
	Delete(ctx context.Context, name string) error
	// Close releases the store; nothing may be called afterwards.
	Close() error
}

// MaxObject is the largest object, in bytes.
const MaxObject = 1 << 30

// Errors of a Store.
var (
	ErrNotFound = errors.New("not in the archive")
	ErrName     = errors.New("name is not fit for an archive")
	ErrReadOnly = errors.New("the archive was opened for reading")
)

// maxName is the longest name, in bytes.
const maxName = 512

// Valid says whether name is fit for every store: one or more parts of lower-case
// letters, digits, dots, dashes and underscores, with a slash between; no part
// begins with a dot.
func Valid(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
			return false
		}
	}
	return true
}
