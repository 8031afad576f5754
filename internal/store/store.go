package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"github.com/pressly/goose/v3"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"modernc.org/sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// readers is how many connections serve reads. SQLite's readers never wait for
// its one writer under write-ahead logging.
const readers = 8

// Store is an open database. Reads go through DB, from any number of
// goroutines; every change goes through Write.
type Store struct {
	db     *bun.DB // query_only: a change that bypasses Write is an error
	writer *bun.DB // one connection

	mu    sync.Mutex // guards queue and busy
	queue []*write   // waiting for the next group
	busy  bool       // a goroutine is committing and will look at queue again
}

// Open opens the database at path, made with mode 0600 where it does not exist,
// and brings its schema up to date. It starts no goroutine. The caller closes it.
func Open(ctx context.Context, path string) (*Store, error) {
	if err := private(path); err != nil {
		return nil, fmt.Errorf("opening database: %w", err)
	}
	writer, err := connect(path, 1, "_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("opening database: %w", err)
	}
	if err := migrate(ctx, writer.DB); err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	db, err := connect(path, readers, "_query_only=1")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening database: %w", err), writer.Close())
	}
	return &Store{db: db, writer: writer}, nil
}

// DB serves reads. It refuses to change anything.
func (s *Store) DB() *bun.DB { return s.db }

// Close waits for no one: end what uses the store first.
func (s *Store) Close() error {
	return errors.Join(s.db.Close(), s.writer.Close())
}

// private makes the file, or takes others' access from it. SQLite gives its
// companions (-wal, -shm) the mode of the file.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(0o600), f.Close())
}

func connect(path string, conns int, more string) (*bun.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	dsn := "file://" + (&url.URL{Path: filepath.ToSlash(abs)}).EscapedPath() +
		"?_busy_timeout=10000&_journal_mode=WAL&_synchronous=FULL&_foreign_keys=1&" + more
	driver, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(preparing{driver})
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return bun.NewDB(db, sqlitedialect.New()), nil
}

func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("reading migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("reading migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bringing the database up to date: %w", err)
	}
	return nil
}
