package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/uptrace/bun"
)

// bun writes values into the text of a statement, so that SQLite has to read each
// one anew, which costs more than carrying it out. What runs several times in a
// step is therefore fixed text with ? for its values, run by the functions below:
// a connection prepares it once.

// runner is what bun's types stand on.
type runner interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func plain(db bun.IDB) (runner, error) {
	switch db := db.(type) {
	case *bun.DB:
		return db.DB, nil
	case bun.Tx:
		return db.Tx, nil
	default:
		return nil, fmt.Errorf("fixed statements run on *bun.DB or bun.Tx, not on %T", db)
	}
}

// Exec runs a fixed statement and says how many rows it changed.
func Exec(ctx context.Context, tx bun.Tx, text string, args ...any) (int64, error) {
	res, err := tx.Tx.ExecContext(ctx, text, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Query runs a fixed statement and calls each for every row, to scan it. A ctx
// that ends while it runs does not end it: such statements are short.
func Query(ctx context.Context, db bun.IDB, text string, args []any, each func(scan func(into ...any) error) error) (err error) {
	run, err := plain(db)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	rows, err := run.QueryContext(context.WithoutCancel(ctx), text, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Get runs a fixed statement and scans the first row into the given places;
// without one it is sql.ErrNoRows.
func Get(ctx context.Context, db bun.IDB, text string, args []any, into ...any) error {
	found := false
	err := Query(ctx, db, text, args, func(scan func(...any) error) error {
		if found {
			return nil
		}
		found = true
		return scan(into...)
	})
	if err == nil && !found {
		return sql.ErrNoRows
	}
	return err
}
