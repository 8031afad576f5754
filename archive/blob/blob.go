// Package blob keeps an archive's objects by gocloud.dev/blob: in files, in memory
// for tests, or, in a build with the tag s3, in S3-compatible buckets (R10.1).
// docs/adr/0030-archive-stores.md says why.
//
// The life of one object in files: it is written to a file beside its place,
// synced, renamed to its place, and the folders up to the archive's are synced.
// Nothing else is in a folder of an archive but such unfinished files, which
// nobody lists and the next opening for writing takes away.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/memblob" // mem://
	"gocloud.dev/gcerrors"

	"signalbox.dev/signalbox/archive"
)

// unfinished is what fileblob ends the names of files with that are being written.
const unfinished = ".tmp"

// Store is an archive.Store.
type Store struct {
	bucket   *blob.Bucket
	dir      string // of files; empty for other places
	readOnly bool
	closed   atomic.Bool
}

var _ archive.Store = (*Store)(nil)

// Open opens the archive at a place: a folder's path or file:// URL, made when it
// does not exist; mem://, which ends with the process; or, in a build with the tag
// s3, s3://bucket?region=…&endpoint=…, with credentials from the environment.
func Open(ctx context.Context, place string) (*Store, error) { return open(ctx, place, false) }

// OpenReadOnly opens an existing archive and never changes anything in it.
func OpenReadOnly(ctx context.Context, place string) (*Store, error) { return open(ctx, place, true) }

func open(ctx context.Context, place string, readOnly bool) (*Store, error) {
	dir, err := folder(place)
	if err != nil {
		return nil, fmt.Errorf("opening the archive: %w", err)
	}
	s := &Store{dir: dir, readOnly: readOnly}
	if dir != "" {
		err = s.openFiles()
	} else {
		s.bucket, err = blob.OpenBucket(ctx, place)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the archive: %w", err)
	}
	return s, nil
}

// folder is the path of a place in files; empty for another place.
func folder(place string) (string, error) {
	if place == "" {
		return "", errors.New("no place named")
	}
	if !strings.Contains(place, "://") {
		return filepath.Abs(place)
	}
	u, err := url.Parse(place)
	if err != nil {
		return "", errors.New("the place is no URL") // which may hold a secret
	}
	if u.Scheme != fileblob.Scheme {
		return "", nil
	}
	if u.Host != "" || u.RawQuery != "" {
		return "", errors.New("want file:///PATH, with no host and no options")
	}
	return filepath.FromSlash(u.Path), nil
}

func (s *Store) openFiles() (err error) {
	if s.readOnly {
		if _, err := os.Stat(s.dir); err != nil {
			return err
		}
	} else if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	} else if err := s.sweep(); err != nil {
		return err
	}
	s.bucket, err = fileblob.OpenBucket(s.dir, &fileblob.Options{
		NoTempDir: true, DirFileMode: 0o700, Metadata: fileblob.MetadataDontWrite,
	})
	return err
}

// sweep takes away what a process left that ended while it wrote.
func (s *Store) sweep() error {
	return filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && isUnfinished(d.Name()) {
			err = os.Remove(path)
		}
		return err
	})
}

// isUnfinished knows a file that is being written: fileblob names it after the
// object, with a number and an ending.
func isUnfinished(name string) bool { return strings.HasSuffix(name, unfinished) }

// Put implements archive.Store.
func (s *Store) Put(ctx context.Context, name string, data []byte) error {
	if err := s.writable(name); err != nil {
		return fmt.Errorf("archiving %.80q: %w", name, err)
	}
	if len(data) > archive.MaxObject {
		return fmt.Errorf("archiving %s: %d bytes, at most %d", name, len(data), archive.MaxObject)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // before Close it discards what was written
	var file *os.File
	w, err := s.bucket.NewWriter(ctx, name, &blob.WriterOptions{
		ContentType: "application/octet-stream", // or fileblob would hold back the beginning, to guess
		BeforeWrite: func(as func(any) bool) error {
			as(&file) // a file only where the objects are files
			return nil
		},
	})
	if err != nil {
		return fmt.Errorf("archiving %s: %w", name, known(ctx, err))
	}
	_, err = w.Write(data)
	if err == nil && file != nil {
		err = errors.Join(file.Chmod(0o600), file.Sync())
	}
	if err != nil {
		cancel()
		_ = w.Close()
		return fmt.Errorf("archiving %s: %w", name, err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("archiving %s: %w", name, known(ctx, err))
	}
	return s.settle(name)
}

func (s *Store) writable(name string) error {
	switch {
	case s.readOnly:
		return archive.ErrReadOnly
	case !archive.Valid(name) || strings.HasSuffix(name, unfinished):
		return archive.ErrName
	}
	return nil
}

// settle makes the entries of the folders durable that lead to an object.
func (s *Store) settle(name string) error {
	if s.dir == "" {
		return nil
	}
	for dir := filepath.Dir(filepath.Join(s.dir, filepath.FromSlash(name))); len(dir) >= len(s.dir); dir = filepath.Dir(dir) {
		f, err := os.Open(dir)
		if err != nil {
			return fmt.Errorf("syncing the archive's folder: %w", err)
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return fmt.Errorf("syncing the archive's folder: %w", err)
		}
	}
	return nil
}

// Get implements archive.Store.
func (s *Store) Get(ctx context.Context, name string) ([]byte, error) {
	if !archive.Valid(name) {
		return nil, fmt.Errorf("%.80q: %w", name, archive.ErrNotFound)
	}
	if s.dir != "" { // fileblob opens folders too
		if info, err := os.Stat(filepath.Join(s.dir, filepath.FromSlash(name))); err == nil && info.IsDir() {
			return nil, fmt.Errorf("%s: %w", name, archive.ErrNotFound)
		}
	}
	r, err := s.bucket.NewReader(ctx, name, nil)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, known(ctx, err))
	}
	defer r.Close()
	if r.Size() > archive.MaxObject {
		return nil, fmt.Errorf("reading %s: %d bytes, at most %d", name, r.Size(), archive.MaxObject)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, known(ctx, err))
	}
	return data, nil
}

// List implements archive.Store. What is deleted meanwhile may be listed or not:
// the driver for files takes an object that vanishes under it for a failure, and
// is asked again from where it was.
func (s *Store) List(ctx context.Context, prefix string, fn func(string) error) error {
	last := ""
	for range relistings {
		err := s.listAfter(ctx, prefix, last, func(name string) error {
			last = name
			return fn(name)
		})
		if gcerrors.Code(err) != gcerrors.NotFound {
			return err
		}
	}
	return errors.New("listing the archive: objects vanish as fast as they are listed; try again once nothing is being deleted from it")
}

// relistings is how many vanished objects one listing bears.
const relistings = 1000

// listAfter lists the names that come after one. Of the driver's failures it gives
// NotFound as it is.
func (s *Store) listAfter(ctx context.Context, prefix, last string, fn func(string) error) error {
	it := s.bucket.List(&blob.ListOptions{Prefix: prefix})
	for {
		o, err := it.Next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case gcerrors.Code(err) == gcerrors.NotFound:
			return err
		case err != nil:
			return fmt.Errorf("listing the archive: %w", known(ctx, err))
		case o.Key <= last || !archive.Valid(o.Key) || isUnfinished(o.Key):
			continue // had already, or nothing of ours
		}
		if err := fn(o.Key); err != nil {
			return err
		}
	}
}

// Delete implements archive.Store.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := s.writable(name); err != nil {
		return fmt.Errorf("deleting %.80q: %w", name, err)
	}
	if err := s.bucket.Delete(ctx, name); gcerrors.Code(err) == gcerrors.NotFound {
		return nil
	} else if err != nil {
		return fmt.Errorf("deleting %s: %w", name, known(ctx, err))
	}
	return s.settle(name)
}

// Close implements archive.Store.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	return s.bucket.Close()
}

// known puts gocloud's codes into the port's words.
func known(ctx context.Context, err error) error {
	switch {
	case gcerrors.Code(err) == gcerrors.NotFound:
		return archive.ErrNotFound
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return err
}
