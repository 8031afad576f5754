package store

import (
	"context"
	"database/sql/driver"
)

// maxPrepared is how many statements a connection keeps prepared. They are texts
// of this program, so that no more than a few dozen come.
const maxPrepared = 128

// preparing gives connections that prepare a statement once.
type preparing struct{ driver.Connector }

func (p preparing) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{sqliteConn: c.(sqliteConn), kept: map[string]*prepared{}}, nil
}

// sqliteConn is all that the driver's connections can do; a wrapper that hid some
// of it would cost their contexts and their validation.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// conn is one connection. database/sql lets nobody use it twice at once, but a
// statement can be open while another runs.
type conn struct {
	sqliteConn
	kept map[string]*prepared
}

type prepared struct {
	driver.Stmt
	open bool // its rows are being read
}

// Unwrap gives the driver's own connection, as the driver asks of wrappers.
func (c *conn) Unwrap() driver.Conn { return c.sqliteConn }

// prepare gives the statement of a text that comes again; nil for other texts,
// and while the statement is open.
func (c *conn) prepare(ctx context.Context, text string, args []driver.NamedValue) (*prepared, error) {
	if len(args) == 0 && text != begin && text != keep && text != undo {
		return nil, nil // bun has written its values into it
	}
	p := c.kept[text]
	if p == nil && len(c.kept) < maxPrepared {
		s, err := c.PrepareContext(ctx, text)
		if err != nil {
			return nil, err
		}
		p = &prepared{Stmt: s}
		c.kept[text] = p
	}
	if p == nil || p.open {
		return nil, nil
	}
	return p, nil
}

func (c *conn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	p, err := c.prepare(ctx, text, args)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return c.sqliteConn.ExecContext(ctx, text, args)
	}
	return p.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

func (c *conn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	p, err := c.prepare(ctx, text, args)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return c.sqliteConn.QueryContext(ctx, text, args)
	}
	r, err := p.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	p.open = true
	return &rows{Rows: r, of: p}, nil
}

// Close gives the statements back with the connection.
func (c *conn) Close() error {
	for _, p := range c.kept {
		_ = p.Stmt.Close() // the connection's own end says what matters
	}
	return c.sqliteConn.Close()
}

// rows of a prepared statement, which can be run again after them.
type rows struct {
	driver.Rows
	of *prepared
}

func (r *rows) Close() error {
	r.of.open = false
	return r.Rows.Close()
}
