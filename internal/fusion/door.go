package fusion

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/link"
)

// Trust is what a node knows of the authority: enough to tell its list of
// admissions from another's.
type Trust struct {
	Chain     string             // the supervision chain's id
	Authority envelope.PublicKey // what the authority signs with
}

// Bounds of what connects from elsewhere.
const (
	// maxLinks is the most connections of one party at a time. A client needs one;
	// the rest is for those that broke and have not been missed yet.
	maxLinks = 8
	// maxConnections is the most connections in all, strangers that are still to
	// prove themselves among them.
	maxConnections = 1024
	// helloTime is how long a stranger has for the handshake, and then for its
	// first words, in seconds.
	helloTime = 5
	// pingEvery and pingsMissed tell a connection that has broken unnoticed.
	pingEvery   = 5 * time.Second
	pingsMissed = 2
)

// errNotAdmitted says why a party is turned away.
var errNotAdmitted = errors.New("not admitted")

// door is the node's listening end. It lets in who has a transport certificate
// of the authority's CA and is admitted by the authority's newest list, each to
// its own subjects, and closes the links of those who no longer are (R7.1).
// Without a list it lets in the authority alone.
type door struct {
	cfg    NodeConfig
	log    *slog.Logger
	secret string // by which the server knows the node's own clients
	front  *front
	server atomic.Pointer[server.Server]
	opened atomic.Bool

	mu     sync.Mutex // guards what follows
	list   *flow.Admissions
	linked map[uint64]linked // by the server's number of the connection
	left   map[party]bool    // whose connections have ended, see missed
}

func newDoor(cfg NodeConfig, log *slog.Logger) *door {
	return &door{
		cfg: cfg, log: log, secret: rand.Text(), front: newFront(log),
		linked: map[uint64]linked{}, left: map[party]bool{},
	}
}

// validate says what is wrong with the listening end's part of c.
func (c NodeConfig) validateDoor() error {
	if c.Listen == "" {
		return nil
	}
	if err := checkListen(c.Listen); err != nil {
		return err
	}
	if err := c.Identity.Validate(); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	own, err := c.Identity.Own()
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	if own.Role != link.RoleNode || own.ID != c.Name {
		return fmt.Errorf("identity: its certificate is for %s %s, want %s %s", own.Role, own.ID, link.RoleNode, c.Name)
	}
	if err := flow.CheckName("trust: chain", c.Trust.Chain); err != nil {
		return err
	}
	if c.Trust.Authority.Use() != envelope.Signing {
		return errors.New("trust: the authority's signing key is missing")
	}
	return nil
}

func checkListen(address string) error {
	_, text, err := net.SplitHostPort(address)
	port := 0
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil || port < 0 || port > 65535 {
		return fmt.Errorf("listen: %q is not host:port", address)
	}
	return nil
}

// configure makes the server listen, if the node is to: on loopback, for what
// comes through the front.
func (d *door) configure(o *server.Options) {
	if d.cfg.Listen == "" {
		return
	}
	o.DontListen = false
	o.Host, o.Port = "127.0.0.1", server.RANDOM_PORT
	o.TLSConfig = d.cfg.Identity.Server(d.admits)
	o.TLS, o.TLSVerify = true, true
	o.TLSHandshakeFirst = true // nothing is said to strangers
	o.TLSTimeout, o.AuthTimeout = helloTime, helloTime
	o.CustomClientAuthentication = d
	o.MaxConn = maxConnections
	o.PingInterval, o.MaxPingsOut = pingEvery, pingsMissed
}

// open lets others in, once the node can serve them.
func (d *door) open(ctx context.Context) error {
	d.opened.Store(true)
	if d.cfg.Listen == "" {
		return nil
	}
	return d.front.open(ctx, d.cfg.Listen, d.server.Load().Addr())
}

// Check implements server.Authentication: it is asked for every connection, the
// node's own among them.
func (d *door) Check(c server.ClientAuthentication) bool {
	state := c.GetTLSConnectionState()
	if state == nil { // the server takes no connection without TLS from elsewhere
		return subtle.ConstantTimeCompare([]byte(c.GetOpts().Token), []byte(d.secret)) == 1
	}
	guest := d.front.guest(c.RemoteAddress())
	if guest == nil { // or it has gone already
		d.log.Warn("a connection that did not come by the node's listener is turned away", "from", c.RemoteAddress())
		return false
	}
	p, err := d.cfg.Identity.PeerOf(*state)
	if err == nil {
		err = d.enter(c.GetID(), p)
	}
	if err != nil {
		d.log.Warn("a connection is turned away", "from", guest.from, "peer", p.ID, "reason", err)
		return false
	}
	guest.Prove()
	c.RegisterUser(&server.User{
		Username: partyOf(p).String(), Permissions: d.permissions(partyOf(p)), ConnectionDeadline: p.NotAfter,
	})
	return true
}

// enter counts a connection in, or says why it may not be.
func (d *door) enter(number uint64, p link.Peer) error {
	if !d.opened.Load() {
		return fmt.Errorf("%w: the node is starting", errNotAdmitted)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.against(p); err != nil {
		return err
	}
	d.sweep()
	own := 0
	for _, other := range d.linked {
		if other.ID == p.ID && other.Role == p.Role {
			own++
		}
	}
	if own >= maxLinks {
		return fmt.Errorf("%w: it has %d connections already", errNotAdmitted, own)
	}
	d.linked[number] = linked{p, time.Now()}
	return nil
}

// admits says whether a peer may connect, as things are now.
func (d *door) admits(p link.Peer) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.against(p)
}

// against gives what stands against a peer's connecting. d.mu is held.
func (d *door) against(p link.Peer) error {
	switch p.Role {
	case link.RoleAuthority:
		return nil
	case link.RolePlatform:
	default:
		return fmt.Errorf("%w: role %s has no business at a fusion node", errNotAdmitted, p.Role)
	}
	if !slices.Contains(platforms(d.cfg.Routes), p.ID) {
		return fmt.Errorf("%w: this node serves no platform %s", errNotAdmitted, p.ID)
	}
	if d.list == nil {
		return fmt.Errorf("%w: the authority has not sent its list of admissions yet", errNotAdmitted)
	}
	n, found := slices.BinarySearchFunc(d.list.Entries, p.ID, func(e flow.Admission, id string) int { return strings.Compare(e.ID, id) })
	if !found {
		return fmt.Errorf("%w: %s is not on the authority's list", errNotAdmitted, p.ID)
	}
	e := d.list.Entries[n]
	switch {
	case e.Role != p.Role:
		return fmt.Errorf("%w: %s is a %s on the authority's list", errNotAdmitted, p.ID, e.Role)
	case e.Status != flow.AdmissionActive:
		return fmt.Errorf("%w: %s is %s", errNotAdmitted, p.ID, e.Status)
	case p.NotBefore.Unix() < e.NotBefore:
		return fmt.Errorf("%w: the transport certificate of %s is older than its current admission: ask the authority for a new one", errNotAdmitted, p.ID)
	}
	return nil
}

// closeUnadmitted closes the links of all who may not have one any more. d.mu is held.
func (d *door) closeUnadmitted() {
	srv := d.server.Load()
	for n, p := range d.linked {
		err := d.against(p.Peer)
		if err == nil {
			continue
		}
		delete(d.linked, n)
		if srv.DisconnectClientByID(n) == nil {
			d.log.Warn("a link is closed", "peer", p.ID, "role", p.Role, "reason", err)
		}
	}
}

func partyOf(p link.Peer) party {
	if p.Role == link.RoleAuthority {
		return party{role: p.Role}
	}
	return party{p.Role, p.ID}
}

// permissions are the subjects of a party: everything else is denied.
func (d *door) permissions(p party) *server.Permissions {
	publish := []string{}
	for _, t := range d.cfg.tapsOf(p) {
		publish = append(publish,
			prefixPull+"."+p.token()+"."+t.stream()+"."+t.name(),
			prefixAck+"."+p.token()+"."+t.stream()+"."+t.name()+".>")
	}
	for _, s := range d.cfg.putsOf(p) {
		publish = append(publish, prefixPut+"."+p.token()+"."+s)
	}
	if p.role == link.RoleAuthority {
		publish = append(publish, subjectAdmit)
	}
	for _, r := range d.cfg.Routes {
		if p.role == link.RolePlatform && r.Platform == p.id {
			for _, step := range flow.Steps() {
				publish = append(publish, address{submissions, r, step}.subject())
			}
			publish = append(publish, address{kind: anchors, Route: r}.subject())
		}
	}
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: publish},
		Subscribe: &server.SubjectPermission{Allow: []string{p.inbox() + ".>"}},
	}
}

// tapsOf are the consumers that a party reads.
func (c NodeConfig) tapsOf(p party) []consumer {
	if p.role == link.RolePlatform {
		return consumersOf(decisions, p.id)
	}
	var all []consumer
	for _, id := range platforms(c.Routes) {
		all = append(all, consumersOf(submissions, id)...)
		all = append(all, consumersOf(anchors, id)...)
	}
	return all
}

// putsOf are the subjects that a party stores under: the authority decisions,
// and each the quarantine of what it reads.
func (c NodeConfig) putsOf(p party) []string {
	var all []string
	for _, r := range c.Routes {
		decided := address{kind: decisions, Route: r}
		if p.role == link.RolePlatform {
			if r.Platform == p.id {
				all = append(all, decided.quarantined())
			}
			continue
		}
		all = append(all, decided.subject(), address{kind: anchors, Route: r}.quarantined())
		for _, step := range flow.Steps() {
			all = append(all, address{submissions, r, step}.quarantined())
		}
	}
	return all
}

// Addr is where the node listens, once it is ready; empty when it does not.
func (n *Node) Addr() string {
	select {
	case <-n.ready:
	default:
		return ""
	}
	if n.door.front.listener == nil {
		return ""
	}
	return n.door.front.listener.Addr().String()
}
