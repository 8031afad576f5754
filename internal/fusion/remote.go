package fusion

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/link"
)

const (
	// dialTime bounds one attempt to reach a node.
	dialTime = 5 * time.Second
	// firstRedial and lastRedial bound the pause between attempts; it doubles.
	firstRedial = 50 * time.Millisecond
	lastRedial  = 2 * time.Second
)

// RemoteConfig says how to reach a node elsewhere. Zero values of the optional
// fields stand for the defaults given with them.
type RemoteConfig struct {
	Name     string        // the node's, as its transport certificate says
	Addr     string        // host:port where it listens
	Routes   []Route       // what it serves, of Side's concern
	Identity link.Identity // this party's own
	Side     string        // "authority", or the platform's id: the role and id of Identity's certificate

	Admit     func(link.Peer) error // asked, besides name and role, whether the node may be trusted now; nil: it may
	Redeliver time.Duration         // as the node is configured; 6 s
	Tries     int                   // as NodeConfig.Tries, of what this party reads; 20
	Logger    *slog.Logger          // nil: no log
}

// Validate says what is wrong with c, naming the field.
func (c RemoteConfig) Validate() error {
	if err := flow.CheckName("name", c.Name); err != nil {
		return err
	}
	if host, port, err := net.SplitHostPort(c.Addr); err != nil || host == "" || port == "" || port == "0" {
		return fmt.Errorf("addr: %q is not host:port", c.Addr)
	}
	if err := checkRoutes(c.Routes); err != nil {
		return err
	}
	if c.Redeliver < 0 || c.Tries < 0 {
		return errors.New("redeliver, tries: not below zero")
	}
	if err := c.Identity.Validate(); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	own, err := c.Identity.Own()
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	if c.Side == link.RoleAuthority && own.Role == link.RoleAuthority || own.Role == link.RolePlatform && own.ID == c.Side {
		return nil
	}
	return fmt.Errorf("side: %q is not whom the certificate is for, %s %s", c.Side, own.Role, own.ID)
}

// Remote is one party's link to a fusion node elsewhere. It is used through a
// Directory, as a Node is: the sides of other parties give ErrNoSide. While the
// node is away, Submit and the like give ErrUnreachable at once, and readers
// wait for it.
type Remote struct {
	*site
	cfg  RemoteConfig
	side party
	peer atomic.Pointer[link.Peer] // the node, as it showed itself last
	own  atomic.Pointer[client]
}

// NewRemote checks cfg and starts nothing.
func NewRemote(cfg RemoteConfig) (*Remote, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring the link to fusion node %q: %w", cfg.Name, err)
	}
	cfg.Routes = slices.Clone(cfg.Routes)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Redeliver == 0 {
		cfg.Redeliver = defaultRedeliver
	}
	if cfg.Tries == 0 {
		cfg.Tries = defaultTries
	}
	r := &Remote{cfg: cfg, side: party{link.RolePlatform, cfg.Side}, site: &site{
		name: cfg.Name, routes: cfg.Routes, redeliver: cfg.Redeliver, tries: cfg.Tries,
		log:   cfg.Logger.With("node", cfg.Name),
		ready: make(chan struct{}), stopping: make(chan struct{}),
	}}
	if own, err := cfg.Identity.Own(); err == nil && own.Role == link.RoleAuthority {
		r.side = party{role: link.RoleAuthority}
	}
	r.recheck = r.doubt
	return r, nil
}

// Run keeps the link until ctx ends, then returns nil: it dials, and dials again
// for ever when the link breaks. Any error is one of starting. A Remote runs once.
func (r *Remote) Run(ctx context.Context) error {
	if err := r.begin(); err != nil {
		return err
	}
	c, err := connect(r.side, "nats://"+r.cfg.Addr, true, r.log,
		nats.Secure(r.cfg.Identity.Client(r.admit)),
		nats.TLSHandshakeFirst(),
		nats.Timeout(dialTime),
		nats.RetryOnFailedConnect(true),
		nats.IgnoreAuthErrorAbort(), // who is not admitted today may be tomorrow
		nats.IgnoreDiscoveredServers(),
		nats.CustomReconnectDelay(redial),
		nats.PingInterval(pingEvery),
		nats.MaxPingsOutstanding(pingsMissed),
		nats.ConnectHandler(func(*nats.Conn) { r.log.Info("the fusion node is reached") }),
		nats.ReconnectHandler(func(*nats.Conn) { r.log.Info("the fusion node is reached again") }),
	)
	if err != nil {
		r.refuse()
		return fmt.Errorf("linking to fusion node %s: %w", r.name, err)
	}
	r.own.Store(c)
	if r.side.role == link.RoleAuthority {
		r.authority = c
	} else {
		r.platforms = map[string]*client{r.side.id: c}
	}
	close(r.ready)

	<-ctx.Done()
	r.refuse()
	r.awaitCalls(stopGrace)
	if c.conn.IsConnected() {
		if err := c.conn.FlushTimeout(stopGrace); err != nil {
			r.log.Warn("flushing a link", "error", err)
		}
	}
	c.conn.Close()
	return nil
}

func redial(attempts int) time.Duration {
	return min(firstRedial<<min(max(attempts-1, 0), 10), lastRedial)
}

// admit says whether the other end is the node that it should be.
func (r *Remote) admit(p link.Peer) error {
	if p.Role != link.RoleNode || p.ID != r.name {
		return fmt.Errorf("%w: it is %s %s, want %s %s", link.ErrPeer, p.Role, p.ID, link.RoleNode, r.name)
	}
	if r.cfg.Admit != nil {
		if err := r.cfg.Admit(p); err != nil {
			return fmt.Errorf("%w: %w", link.ErrPeer, err)
		}
	}
	r.peer.Store(&p)
	return nil
}

// doubt asks again whether the node may be trusted, and ends the link if not. It
// is dialled again, and taken when it may.
func (r *Remote) doubt() error {
	p, c := r.peer.Load(), r.own.Load()
	if p == nil || c == nil || !c.conn.IsConnected() {
		return nil
	}
	err := r.admit(*p)
	if err == nil {
		return nil
	}
	r.log.Warn("the link to a fusion node is closed", "reason", err)
	if err := c.conn.ForceReconnect(); err != nil {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// Connected says whether the node is reached, and if not, why the last attempt
// failed.
func (r *Remote) Connected() error {
	c := r.own.Load()
	if c == nil {
		return fmt.Errorf("%w: %s: not dialled yet", ErrUnreachable, r.name)
	}
	if c.conn.IsConnected() {
		return nil
	}
	if err := c.conn.LastError(); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrUnreachable, r.name, err)
	}
	return fmt.Errorf("%w: %s", ErrUnreachable, r.name)
}
