package fusion

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Endpoint is a fusion node as a Directory uses it: a *Node of this process, or
// the *Remote that links to one elsewhere.
type Endpoint interface {
	at() *site
}

// site is what the sides know of a node, be it in this process or elsewhere.
type site struct {
	name      string
	dir       string // of a node in this process
	routes    []Route
	redeliver time.Duration
	tries     int
	log       *slog.Logger
	setAside  atomic.Uint64 // messages that its readers put into quarantine

	ready    chan struct{} // closed when links may be used
	stopping chan struct{} // closed when no new call may begin

	take func([]byte) error // goes by a list of admissions; nil where that is the other end's

	recheck func() error // ends the link to a node that is no longer to be trusted; nil where there is none

	authority *client            // written before ready is closed, read after; nil where this process is not the authority's
	platforms map[string]*client // likewise; by platform, of those whose side this process has

	mu    sync.Mutex // guards began, and calls against growing while Run waits for it
	began bool
	calls sync.WaitGroup // calls that use a link
}

func (s *site) at() *site { return s }

// ErrUnreachable says that there is no link to the node just now, or that it
// broke while the call was under way; the call may succeed when the link is back.
var ErrUnreachable = errors.New("the fusion node can't be reached")

// ErrNoSide says that this process has no link to the node for that side: it is
// another party's.
var ErrNoSide = errors.New("this process is not that party at the fusion node")

// authorityLink is the authority's, once the site is entered.
func (s *site) authorityLink() (*client, error) {
	if s.authority == nil {
		return nil, fmt.Errorf("%w: authority at %s", ErrNoSide, s.name)
	}
	return s.authority, nil
}

// platformLink is a platform's, once the site is entered.
func (s *site) platformLink(platform string) (*client, error) {
	if l := s.platforms[platform]; l != nil {
		return l, nil
	}
	return nil, fmt.Errorf("%w: platform %s at %s", ErrNoSide, platform, s.name)
}

func (s *site) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.began {
		return fmt.Errorf("starting fusion node %s: it has run before; make a new one on the same folder", s.name)
	}
	s.began = true
	return nil
}

// refuse lets no new call begin.
func (s *site) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.stopping)
}

// enter waits until the node runs and holds it open until the caller calls leave.
func (s *site) enter(ctx context.Context) (leave func(), err error) {
	select {
	case <-s.ready:
	case <-s.stopping:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.stopping:
		return nil, fmt.Errorf("%w: %s", ErrStopped, s.name)
	default:
		s.calls.Add(1)
		return s.calls.Done, nil
	}
}

func (s *site) awaitCalls(grace time.Duration) {
	done := make(chan struct{})
	go func() {
		s.calls.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(grace):
		s.log.Warn("fusion node stops although calls are under way; their messages will be given out again", "grace", grace)
	}
}

// links are all that the site has.
func (s *site) links() []*client {
	var all []*client
	if s.authority != nil {
		all = append(all, s.authority)
	}
	for _, l := range s.platforms {
		if l != nil {
			all = append(all, l)
		}
	}
	return all
}
