package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/receipt"
)

// headerNetwork carries the network id that the client means, so that a link to
// the wrong chain fails before that chain refuses a record for good.
const headerNetwork = "Ledger-Network"

func (s *Server) routes() *http.ServeMux {
	puts := func(p *served) gate { return p.puts }
	reads := func(p *served) gate { return p.reads }
	followers := func(p *served) gate { return p.followers }
	mux := http.NewServeMux()
	mux.Handle("POST "+pathPut, s.call(puts, flow.MaxMessage, s.put))
	mux.Handle("POST "+pathGet, s.call(reads, maxQuestion, s.get))
	mux.Handle("POST "+pathList, s.call(reads, maxQuestion, s.list))
	mux.Handle("POST "+pathFollow, s.call(followers, maxQuestion, s.follow))
	mux.Handle("POST "+pathAbout, s.call(reads, maxQuestion, s.about))
	return mux
}

// exchange is one call of a peer.
type exchange struct {
	w    http.ResponseWriter
	ctx  context.Context
	peer *served
	body []byte
}

// call admits a request, reads its body, and answers with what do gives: an
// error, or the message of a single answer; nil when do has answered itself.
func (s *Server) call(room func(*served) gate, most int64, do func(exchange) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, err := s.admitted(w, r, room, most, do)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		if answer == nil {
			return
		}
		body, err := flow.Marshal(answer)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		s.answer(w, http.StatusOK, body)
	})
}

func (s *Server) admitted(w http.ResponseWriter, r *http.Request, room func(*served) gate, most int64, do func(exchange) (any, error)) (any, error) {
	p, err := s.who(r)
	if err != nil {
		return nil, err
	}
	g := room(p)
	if err := g.enter(r.Context(), s.cfg.Limits.Wait); err != nil {
		return nil, err
	}
	defer g.leave()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if err != nil {
		return nil, unreadable(err)
	}
	// The time to send is over; what the call may take is its own affair. Over
	// HTTP/1.1 the deadline would end it.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return do(exchange{w: w, ctx: r.Context(), peer: p, body: body})
}

// who finds the peer anew at every call: the handshake let it in, the pin says
// what it may do.
func (s *Server) who(r *http.Request) (*served, error) {
	if r.TLS == nil {
		return nil, fmt.Errorf("%w: it came without TLS", ErrForbidden)
	}
	pin, err := pinOf(*r.TLS)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	p := s.peer(pin)
	if p == nil {
		return nil, fmt.Errorf("%w: no peer has this key", ErrForbidden)
	}
	if r.Header.Get("Content-Type") != contentType {
		return nil, fmt.Errorf("%w: the content type is not %s", errMalformed, contentType)
	}
	if network := s.cfg.Ledger.Capabilities().Network; r.Header.Get(headerNetwork) != network {
		return nil, fmt.Errorf("%w: this is the chain of network %s, and another one was asked for", ErrForbidden, network)
	}
	return p, nil
}

// unreadable says why a body did not arrive, without its bytes.
func unreadable(err error) error {
	var over *http.MaxBytesError
	if errors.As(err, &over) {
		return fmt.Errorf("%w: a message of over %d bytes", errMalformed, over.Limit)
	}
	return fmt.Errorf("%w: the message did not arrive whole", errMalformed)
}

func (e exchange) read(message any) error {
	if err := flow.Unmarshal(e.body, message); err != nil {
		return fmt.Errorf("%w: no such message", errMalformed)
	}
	return nil
}

func (s *Server) put(e exchange) (any, error) {
	var m recordMessage
	if err := e.read(&m); err != nil {
		return nil, err
	}
	if err := mayPut(e.peer.Peer, m.Receipt); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(e.ctx, s.cfg.Limits.Put)
	defer cancel()
	id, err := s.cfg.Ledger.Put(ctx, m.record())
	if err != nil {
		return nil, err
	}
	return putAnswer{TxID: string(id)}, nil
}

// mayPut holds a put against what the peer's key may do. It is never the chain's
// refusal: the operator of the server can mend it, and the record waits.
func mayPut(p Peer, proof []byte) error {
	if len(p.Platforms) == 0 {
		return fmt.Errorf("%w: it may only read", ErrForbidden)
	}
	leaf, err := receipt.Claimed(proof)
	if err != nil || leaf.Platform == "" || slices.Contains(p.Platforms, Any) {
		return nil // the chain itself says why it does not take that (R1.7)
	}
	if !slices.Contains(p.Platforms, leaf.Platform) {
		return fmt.Errorf("%w: it may not put records of platform %s", ErrForbidden, leaf.Platform)
	}
	return nil
}

func (s *Server) get(e exchange) (any, error) {
	var m keyMessage
	if err := e.read(&m); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(e.ctx, s.cfg.Limits.Put)
	defer cancel()
	stored, err := s.cfg.Ledger.Get(ctx, ledger.Key{Flow: m.Flow, Tx: m.Tx})
	if err != nil {
		return nil, err
	}
	return storedOf(stored), nil
}

func (s *Server) list(e exchange) (any, error) {
	var m flowMessage
	if err := e.read(&m); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(e.ctx, s.cfg.Limits.Put)
	defer cancel()
	all, err := s.cfg.Ledger.List(ctx, m.Flow)
	if err != nil {
		return nil, err
	}
	out := s.stream(e.w)
	for _, stored := range all {
		if out.send(frameRecord, storedOf(stored)) != nil {
			return nil, nil // it went away
		}
	}
	_ = out.send(frameEnd, nil)
	return nil, nil
}

func (s *Server) follow(e exchange) (any, error) {
	var m followMessage
	if err := e.read(&m); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(e.ctx)
	defer context.AfterFunc(s.closing, cancel)()
	out := s.stream(e.w)
	more := make(chan struct{}, 1)
	var wg sync.WaitGroup
	wg.Go(func() { out.pulse(ctx, cancel, more) })
	err := s.cfg.Ledger.Follow(ctx, m.From, func(stored ledger.Stored) error {
		if err := out.write(frameRecord, storedOf(stored)); err != nil {
			return err
		}
		select {
		case more <- struct{}{}:
		default:
		}
		return nil
	})
	cancel()
	wg.Wait()
	f, _ := failureOf(err)
	_ = out.send(frameFailure, f)
	return nil, nil
}

// about answers with the ledger's capabilities.
func (s *Server) about(e exchange) (any, error) {
	if err := e.read(&aboutMessage{}); err != nil {
		return nil, err
	}
	c := s.cfg.Ledger.Capabilities()
	return aboutAnswer{Name: c.Name, Network: c.Network, Durable: c.Durable, Blocks: c.Blocks, MaxValue: c.MaxValue}, nil
}

// fail answers with an error.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	f, status := failureOf(err)
	if f.Code == codeFailed && r.Context().Err() == nil {
		s.log.Warn("answering a call to the ledger", "call", r.URL.Path, "err", err)
	}
	body, err := flow.Marshal(f)
	if err != nil {
		body = nil // a client takes no body for a failure
	}
	s.answer(w, status, body)
}

func (s *Server) answer(w http.ResponseWriter, status int, body []byte) {
	// Unsupported only by writers of tests.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.cfg.Limits.Write))
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// stream is a streamed answer.
type stream struct {
	limits  Limits
	control *http.ResponseController

	mu       sync.Mutex // guards w and deadline
	w        http.ResponseWriter
	deadline time.Time // what was last asked for
}

func (s *Server) stream(w http.ResponseWriter) *stream {
	w.Header().Set("Content-Type", contentType)
	return &stream{limits: s.cfg.Limits, control: http.NewResponseController(w), w: w}
}

// send writes a frame and pushes it out.
func (s *stream) send(kind byte, message any) error {
	return errors.Join(s.write(kind, message), s.flush())
}

func (s *stream) write(kind byte, message any) error {
	data, err := frame(kind, message)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.extend(); err != nil {
		return err
	}
	_, err = s.w.Write(data)
	return err
}

func (s *stream) flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.extend(); err != nil {
		return err
	}
	return s.control.Flush()
}

// extend gives a reader that takes something time for more; not for every frame,
// since it costs as much as one.
func (s *stream) extend() error {
	next := time.Now().Add(s.limits.Write)
	if next.Sub(s.deadline) < s.limits.Write/4 {
		return nil
	}
	s.deadline = next
	return s.control.SetWriteDeadline(next)
}

// pulse pushes out what was written, as soon as the reader takes it, and gives
// signs of life, until ctx ends. When the reader is gone it ends the follower.
func (s *stream) pulse(ctx context.Context, end context.CancelFunc, more <-chan struct{}) {
	defer end()
	beat := time.NewTicker(s.limits.Heartbeat)
	defer beat.Stop()
	// The first sign tells the client that it is being served.
	if s.send(frameHeartbeat, nil) != nil {
		return
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-more:
			err = s.flush()
		case <-beat.C:
			err = s.send(frameHeartbeat, nil)
		}
		if err != nil {
			return
		}
	}
}
