package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/uptrace/bun"
)

// group is the most writes that share one commit.
const group = 128

// errGroup says that the transaction around a group of writes was lost, which
// SQLite does on its own when the disk is full or fails.
var errGroup = errors.New("the transaction was lost")

// write is one call of Write on its way.
type write struct {
	ctx   context.Context
	fn    func(context.Context, bun.Tx) error
	err   error
	panic any
	done  bool
	turn  chan struct{} // closed or signalled when done, or when it is this one's turn to commit
}

// Write runs fn in a transaction. When it returns nil, what fn wrote is on the
// disk; otherwise nothing of it is, save that a failed commit (a full disk)
// leaves that unknown, as everywhere, so that fn must bear repetition.
//
// Writes that come while another commits share the next commit. One that fails
// undoes nothing of the others: the group is then undone and written again, each
// in a savepoint of its own. So fn must be short, bear to be called twice, touch
// nothing but the database, and not call Write itself. Safe for concurrent use.
//
// A ctx that has ended before fn starts ends the write; one that ends later
// does not, because SQLite would undo the whole group.
func (s *Store) Write(ctx context.Context, fn func(context.Context, bun.Tx) error) error {
	w := &write{ctx: ctx, fn: fn, turn: make(chan struct{}, 1)}
	s.mu.Lock()
	s.queue = append(s.queue, w)
	lead := !s.busy
	s.busy = true
	s.mu.Unlock()
	if !lead {
		<-w.turn
	}
	if !w.done {
		s.lead(w)
	}
	if w.panic != nil {
		panic(w.panic)
	}
	if w.err != nil {
		return fmt.Errorf("writing to the database: %w", w.err)
	}
	return nil
}

// lead commits one group, that w is the first of, and hands on to the next.
func (s *Store) lead(w *write) {
	s.mu.Lock()
	n := min(len(s.queue), group)
	batch := s.queue[:n:n]
	s.queue = s.queue[n:]
	s.mu.Unlock()

	if err := s.commit(context.WithoutCancel(w.ctx), batch); err != nil {
		for _, m := range batch {
			m.err = errors.Join(m.err, err)
		}
	}

	s.mu.Lock()
	var next *write
	if len(s.queue) > 0 {
		next = s.queue[0]
	}
	s.busy = next != nil
	s.mu.Unlock()
	for _, m := range batch {
		m.done = true
		if m != w {
			m.turn <- struct{}{}
		}
	}
	if next != nil {
		next.turn <- struct{}{}
	}
}

// commit writes a group: as if it were one write, since few fail and savepoints
// double what SQLite does, and apart if one of several failed.
func (s *Store) commit(ctx context.Context, batch []*write) error {
	well, err := s.transact(ctx, batch, (*write).bare)
	if err == nil && !well && len(batch) > 1 {
		_, err = s.transact(ctx, batch, (*write).apart)
	}
	return err
}

// transact carries out the writes of a group, each by run, until one says that it
// can't go on; then nothing stands, and well is false.
func (s *Store) transact(ctx context.Context, batch []*write, run func(*write, bun.Tx) (bool, error)) (well bool, err error) {
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	for _, m := range batch {
		m.panic = nil
		if m.err = m.ctx.Err(); m.err != nil {
			continue
		}
		if well, err = run(m, tx); err != nil || !well {
			return false, errors.Join(err, tx.Rollback())
		}
	}
	return true, tx.Commit()
}

// bare carries out one write with nothing to take it back alone by.
func (m *write) bare(tx bun.Tx) (bool, error) {
	m.err = m.call(context.WithoutCancel(m.ctx), tx)
	return m.err == nil && m.panic == nil, nil
}

// The savepoint of one write. Its texts come again.
const (
	begin = "SAVEPOINT one"
	keep  = "RELEASE one"
	undo  = "ROLLBACK TO one"
)

// apart carries out one write in a savepoint. An error means that the whole
// transaction is gone; the write's own failure is in m.err.
func (m *write) apart(tx bun.Tx) (bool, error) {
	ctx := context.WithoutCancel(m.ctx)
	if _, err := tx.Tx.ExecContext(ctx, begin); err != nil {
		return false, fmt.Errorf("%w: %w", errGroup, err)
	}
	if m.err = m.call(ctx, tx); m.err != nil || m.panic != nil {
		if _, err := tx.Tx.ExecContext(ctx, undo); err != nil {
			return false, fmt.Errorf("%w: %w", errGroup, err)
		}
	}
	if _, err := tx.Tx.ExecContext(ctx, keep); err != nil {
		return false, fmt.Errorf("%w: %w", errGroup, err)
	}
	return true, nil
}

// call keeps a panic for the goroutine that it belongs to.
func (m *write) call(ctx context.Context, tx bun.Tx) error {
	defer func() { m.panic = recover() }()
	return m.fn(ctx, tx)
}
