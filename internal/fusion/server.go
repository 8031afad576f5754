package fusion

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/link"
)

const (
	// maxPayload is the largest message, in bytes: ours and its NATS headers.
	maxPayload = flow.MaxMessage + 64<<10
	// startWait bounds how long the server may take to accept a client, once
	// it has read its streams.
	startWait = 10 * time.Second
	// ackWait is how long a publisher waits for the stream, where its context
	// has no nearer end.
	ackWait = 10 * time.Second
	// serverMemory bounds streams in memory, of which there are none.
	serverMemory = 64 << 20
	// serverStore lets each stream's own bound decide: the server reserves a
	// stream's bytes, and would else refuse to start when MaxBytes has changed.
	serverStore = 1 << 50
	// reconnectWait is the pause before a client that lost its server tries again.
	reconnectWait = 50 * time.Millisecond
	// maxPending bounds publishes of one link whose acknowledgement is outstanding.
	maxPending = 16 * publishWindow
)

// startServer starts the embedded server: no signal handlers, no socket but the
// one that d is to guard, its streams under cfg.Dir. On error it has stopped again.
// broken is told when a stream's disk could not be written.
func startServer(cfg NodeConfig, d *door, log *slog.Logger, broken chan<- string) (*server.Server, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the node's folder: %w", err)
	}
	if err := os.Chmod(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("closing the node's folder to others: %w", err)
	}
	options := &server.Options{
		ServerName:             cfg.Name,
		DontListen:             true,
		NoSigs:                 true,
		JetStream:              true,
		StoreDir:               cfg.Dir,
		JetStreamMaxStore:      serverStore,
		JetStreamMaxMemory:     serverMemory,
		MaxPayload:             maxPayload,
		DisableJetStreamBanner: true,
	}
	if cfg.External != nil {
		if err := cfg.External.configure(options); err != nil {
			return nil, err
		}
	}
	d.configure(options)
	srv, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("configuring the embedded server: %w", err)
	}
	d.server.Store(srv)
	fatal := make(chan string, 1)
	heard := serverLog{log: log, fatal: fatal, broken: broken}
	srv.SetLoggerV2(heard, false, false, false)
	srv.Start()
	if !srv.ReadyForConnections(startWait) {
		stopServer(srv)
		select {
		case why := <-fatal:
			return nil, fmt.Errorf("embedded server: %s", why)
		default:
			return nil, errors.New("embedded server is not ready")
		}
	}
	return srv, nil
}

func stopServer(srv *server.Server) {
	if srv == nil {
		return
	}
	srv.Shutdown()
	srv.WaitForShutdown()
}

// open connects the node's clients and lays out its streams.
func (n *Node) open(ctx context.Context, srv *server.Server) error {
	var err error
	if n.authority, err = n.connect(srv, party{role: link.RoleAuthority}); err != nil {
		return err
	}
	if n.cfg.Listen != "" {
		if n.relay, err = n.connect(srv, party{role: link.RoleAuthority}); err != nil {
			return err
		}
	}
	n.platforms, n.gates = map[string]*client{}, map[string]*client{}
	for _, p := range platforms(n.cfg.Routes) {
		if n.platforms[p], err = n.connect(srv, party{link.RolePlatform, p}); err != nil {
			return err
		}
		if n.gates[p], err = n.connect(srv, party{link.RolePlatform, p}); err != nil {
			return err
		}
	}
	if err := n.layOut(ctx); err != nil {
		return err
	}
	for p, l := range n.gates {
		if err := openGate(n, p, l); err != nil {
			return err
		}
	}
	return n.openRelays()
}

// connect gives a client of its own to each side, so that none waits behind another's messages.
func (n *Node) connect(srv *server.Server, p party) (*client, error) {
	c, err := connect(p, "", false, n.log,
		nats.InProcessServer(srv),
		nats.Token(n.door.secret),
		nats.ReconnectWait(reconnectWait),
	)
	if err == nil && n.cfg.External != nil {
		err = c.inDomain(n.cfg.External.Domain)
	}
	return c, err
}

// closeLinks flushes and closes what open connected.
func (n *Node) closeLinks() {
	links := n.links()
	for _, l := range n.gates {
		links = append(links, l)
	}
	links = append(links, n.relay)
	for _, l := range links {
		if l == nil {
			continue
		}
		if err := l.conn.FlushTimeout(stopGrace); err != nil {
			n.log.Warn("flushing a connection", "error", err)
		}
		l.conn.Close()
	}
}

// serverLog hands the embedded server's log on. Its notices are of no interest
// to an operator of Signalbox, so they are logged for debugging.
type serverLog struct {
	log   *slog.Logger
	fatal chan<- string // the first fatal message; the server goes on after one
	// broken gets the first failure of a stream's disk. The server tells of it
	// in its log alone, and that stream takes nothing more until the server
	// starts again, whatever space there is by then.
	broken chan<- string
}

func (l serverLog) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l serverLog) Debugf(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l serverLog) Tracef(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l serverLog) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }

// Errorf leaves out what strangers bring about: the door says it, with the reason.
func (l serverLog) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	if strings.Contains(text, "Critical write error") {
		select {
		case l.broken <- text:
		default: // one is enough
		}
	}
	for _, theirs := range []string{"authentication error", "TLS handshake error", "Violation"} {
		if strings.Contains(text, theirs) {
			l.log.Debug(text)
			return
		}
	}
	l.log.Error(text)
}

func (l serverLog) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.log.Error(text)
	select {
	case l.fatal <- text:
	default:
	}
}
