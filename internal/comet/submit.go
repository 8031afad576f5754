package comet

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/mempool"
)

// fullRetry is how often Submit looks whether a full mempool has room again.
const fullRetry = 5 * time.Millisecond

// submits joins calls that submit the same transaction at the same time. Without
// it the second would learn from CometBFT only that the transaction is known,
// while the first is still to be refused.
type submits struct {
	mu     sync.Mutex
	flying map[[sha256.Size]byte]*flight // guarded by mu
}

type flight struct {
	done chan struct{}
	err  error // set before done is closed
}

// Submit puts tx into the mempool, from where a block will take it. It returns
// nil when it is there, also when it was submitted before and even when it
// already stands in a block; a *Refusal when the application does not take it;
// ErrStopped when the node is not running. While the mempool is full it waits,
// until ctx ends. A mempool is memory: nil means neither durable nor executed,
// for which see Waiters.
func (n *Node) Submit(ctx context.Context, tx []byte) error {
	if len(tx) > n.cfg.MaxTxBytes {
		return &Refusal{Code: codeTooLarge, Log: fmt.Sprintf("%d bytes, at most %d", len(tx), n.cfg.MaxTxBytes)}
	}
	for {
		err := n.submits.join(sha256.Sum256(tx), func() error { return n.offer(tx) })
		if !errors.Is(err, errFull) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("submitting transaction: %w", ctx.Err())
		case <-n.stopped:
			return ErrStopped
		case <-time.After(fullRetry):
		}
	}
}

// codeTooLarge refuses what no block could hold.
const codeTooLarge = 2

var errFull = errors.New("mempool is full")

// offer asks CometBFT once.
func (n *Node) offer(tx []byte) error {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.state != running {
		return ErrStopped
	}
	var answer *abci.ResponseCheckTx
	err := n.inner.Mempool().CheckTx(tx, func(r *abci.ResponseCheckTx) { answer = r }, mempool.TxInfo{})
	switch full := (mempool.ErrMempoolIsFull{}); {
	case errors.Is(err, mempool.ErrTxInCache):
		n.spread(tx)
		return nil
	case errors.As(err, &full):
		return errFull
	case err != nil:
		return fmt.Errorf("submitting transaction: %w", err)
	case answer == nil:
		// The local client answers before CheckTx returns.
		return errors.New("submitting transaction: no answer from the application")
	case answer.Code != abci.CodeTypeOK:
		return &Refusal{Code: answer.Code, Log: answer.Log}
	}
	return nil
}

func (s *submits) join(key [sha256.Size]byte, offer func() error) error {
	s.mu.Lock()
	if f := s.flying[key]; f != nil {
		s.mu.Unlock()
		<-f.done
		return f.err
	}
	f := &flight{done: make(chan struct{})}
	if s.flying == nil {
		s.flying = make(map[[sha256.Size]byte]*flight)
	}
	s.flying[key] = f
	s.mu.Unlock()

	defer func() { // also when the application panics
		s.mu.Lock()
		delete(s.flying, key)
		s.mu.Unlock()
		close(f.done)
	}()
	f.err = errors.New("submitting transaction: the application failed")
	f.err = offer()
	return f.err
}
