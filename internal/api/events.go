package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"signalbox.dev/signalbox/internal/platform/event"
)

// Of a stream of events.
const (
	heartbeat  = 15 * time.Second // between two signs of life
	eventTime  = 10 * time.Second // for a client to take an event
	retryAfter = 2000             // milliseconds until a client comes back
)

type eventsInput struct {
	After int64  `query:"after" minimum:"0" doc:"Begin after the event with this id; 0, or nothing, is before the first."`
	Last  int64  `header:"Last-Event-ID" minimum:"0" doc:"As after, and before it: what clients send by themselves when they come back."`
	Flow  string `query:"flow" doc:"Only events of the flow with this txhash or ref."`
}

// streamEvents tells participants what happens, as server-sent events.
func (s *Server) streamEvents(ctx context.Context, in *eventsInput) (*huma.StreamResponse, error) {
	after := in.After
	if in.Last > 0 {
		after = in.Last
	}
	ref := ""
	if in.Flow != "" {
		view, err := s.cfg.Platform.Flow(ctx, in.Flow)
		if err != nil {
			return nil, s.fail(ctx, "reading a flow", err)
		}
		ref = view.Ref.String()
	}
	return &huma.StreamResponse{Body: func(h huma.Context) {
		r, w := humago.Unwrap(h)
		if !s.waiting.enter() {
			s.write(w, r, &fault{kind: busy})
			return
		}
		defer s.waiting.leave()
		s.follow(w, r, after, ref)
	}}, nil
}

// follow streams until the client goes or the server ends.
func (s *Server) follow(w http.ResponseWriter, r *http.Request, after int64, ref string) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(s.closing, cancel)
	defer stop()
	st := &stream{w: w, control: http.NewResponseController(w), ready: make(chan struct{}, 1)}
	if st.print("retry: "+strconv.Itoa(retryAfter)+"\n\n") != nil {
		cancel()
	}
	var beating sync.WaitGroup
	beating.Go(func() {
		defer cancel() // a client that takes nothing gets nothing more
		st.beat(ctx)
	})
	defer beating.Wait()
	defer cancel()
	err := s.cfg.Platform.Events(ctx, after, func(e event.Event) error {
		if ref != "" && e.Ref != ref {
			return nil
		}
		return st.send(e)
	})
	if err != nil && ctx.Err() == nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "following events", slog.Any("error", err), slog.String("instance", instance(ctx)))
	}
}

// stream is one client's. Events are flushed in groups, so that a client who is
// far behind catches up fast.
type stream struct {
	mu      sync.Mutex // guards w
	w       io.Writer
	control *http.ResponseController
	ready   chan struct{} // something is to be flushed
}

// send writes one event.
func (st *stream) send(e event.Event) error {
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encoding event: %w", err)
	}
	return st.print("id: " + strconv.FormatInt(e.ID, 10) + "\ndata: " + string(data) + "\n\n")
}

func (st *stream) print(s string) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	_ = st.control.SetWriteDeadline(time.Now().Add(eventTime)) // a recorder has none
	if _, err := io.WriteString(st.w, s); err != nil {
		return fmt.Errorf("writing event: %w", err)
	}
	select {
	case st.ready <- struct{}{}:
	default: // a flush is due already
	}
	return nil
}

// beat flushes what was written, and shows that the stream lives.
func (st *stream) beat(ctx context.Context) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-st.ready:
			if st.flush() != nil {
				return
			}
		case <-tick.C:
			if st.print(": alive\n\n") != nil {
				return
			}
		}
	}
}

func (st *stream) flush() error {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.control.Flush()
}
