package fusion

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"signalbox.dev/signalbox/internal/link"
)

// party is one end of a link, as subjects name it.
type party struct {
	role string // link.RolePlatform or link.RoleAuthority
	id   string // of a platform
}

func (p party) token() string {
	if p.role == link.RoleAuthority {
		return p.role
	}
	return p.role + "." + token(p.id)
}

// inbox is where answers to the party go. Each has its own, and may listen
// nowhere else.
func (p party) inbox() string { return "_INBOX." + p.token() }

func (p party) String() string { return strings.TrimSpace(p.role + " " + p.id) }

// What a party elsewhere asks of the node's streams goes to its relay, under one
// of these, the party's token, and what it is about.
const (
	prefixPull = "pull" // <stream>.<consumer>: asks for messages
	prefixAck  = "ack"  // what follows on $JS.ACK.: answers for a message
	prefixPut  = "put"  // <subject>: stores a message
)

const (
	jsAPI  = "$JS.API"
	jsNext = ".CONSUMER.MSG.NEXT." // after jsAPI, or the domain's
	jsAck  = "$JS.ACK."
)

// client is one party's connection to a node's server.
type client struct {
	party
	conn    *nats.Conn
	js      jetstream.JetStream
	api     string // JetStream's, to which jsNext belongs
	relayed bool   // it reaches the streams by the node's relay alone

	mu       sync.Mutex // guards watching
	watching map[*watcher]struct{}
}

// watcher is a call that waits for an answer to what it published.
type watcher struct {
	subject string
	fail    context.CancelCauseFunc
}

// ErrDenied says that the node does not let this party publish there.
var ErrDenied = errors.New("the fusion node denies this to the party that asks")

// connect makes a client; it is connected when it returns unless options say
// that it may be so later.
func connect(p party, url string, relayed bool, log *slog.Logger, options ...nats.Option) (*client, error) {
	c := &client{party: p, api: jsAPI, relayed: relayed, watching: map[*watcher]struct{}{}}
	conn, err := nats.Connect(url, append([]nats.Option{
		nats.Name(p.String()),
		nats.CustomInboxPrefix(p.inbox()),
		nats.MaxReconnects(-1),
		// What can't be sent now is the caller's to send again.
		nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			c.lost()
			if err != nil {
				log.Warn("a connection to the fusion node broke", "client", p.String(), "error", err)
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if !c.refused(err) {
				log.Warn("fusion node's connection", "client", p.String(), "error", err)
			}
		}),
	}, options...)...)
	if err != nil {
		return nil, fmt.Errorf("connecting %s: %w", p, err)
	}
	c.conn = conn
	if c.js, err = jetstream.New(conn, jsOptions()...); err != nil {
		conn.Close()
		return nil, fmt.Errorf("connecting %s: %w", p, err)
	}
	return c, nil
}

func jsOptions() []jetstream.JetStreamOpt {
	return []jetstream.JetStreamOpt{
		jetstream.WithDefaultTimeout(ackWait),
		jetstream.WithPublishAsyncMaxPending(maxPending), jetstream.WithPublishAsyncTimeout(ackWait),
	}
}

// inDomain turns a new client to the streams of another server's domain.
func (c *client) inDomain(domain string) (err error) {
	c.api = "$JS." + domain + ".API"
	c.js, err = jetstream.NewWithDomain(c.conn, domain, jsOptions()...)
	return err
}

// watch makes fail be called when the node denies a publish to subject, or when
// the connection breaks. It gives ErrUnreachable when there is none.
func (c *client) watch(subject string, fail context.CancelCauseFunc) (stop func(), err error) {
	w := &watcher{subject, fail}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.conn.IsConnected() {
		return nil, ErrUnreachable
	}
	c.watching[w] = struct{}{}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.watching, w)
	}, nil
}

// lost ends all calls under way: their answers won't come any more.
func (c *client) lost() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for w := range c.watching {
		w.fail(ErrUnreachable)
	}
}

// refused ends the calls that published what the server's error is about, and
// says whether there were any.
func (c *client) refused(err error) bool {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return false
	}
	text, found := err.Error(), false
	c.mu.Lock()
	defer c.mu.Unlock()
	for w := range c.watching {
		if strings.Contains(text, `"`+w.subject+`"`) {
			w.fail(ErrDenied)
			found = true
		}
	}
	return found
}

// store publishes m and waits until its stream has it.
func (c *client) store(ctx context.Context, m *nats.Msg, options ...jetstream.PublishOpt) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop, err := c.watch(m.Subject, cancel)
	if err != nil {
		return err
	}
	defer stop()
	if _, err := c.js.PublishMsg(ctx, m, options...); err != nil {
		return c.explain(ctx, err)
	}
	return nil
}

// ask publishes m and waits for one answer.
func (c *client) ask(ctx context.Context, m *nats.Msg) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop, err := c.watch(m.Subject, cancel)
	if err != nil {
		return nil, err
	}
	defer stop()
	wait, end := context.WithTimeout(ctx, ackWait)
	defer end()
	answer, err := c.conn.RequestMsgWithContext(wait, m)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	return answer.Data, nil
}

// explain gives the error of a publish that ended with err under ctx.
func (c *client) explain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, ErrUnreachable) || errors.Is(cause, ErrDenied) {
		return cause
	}
	for _, gone := range []error{nats.ErrConnectionClosed, nats.ErrConnectionReconnecting, nats.ErrReconnectBufExceeded, nats.ErrDisconnected} {
		if errors.Is(err, gone) {
			return fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
	}
	return stored(err)
}

// requests is where the client asks for a consumer's messages.
func (c *client) requests(stream, consumer string) string {
	if !c.relayed {
		return c.api + jsNext + stream + "." + consumer
	}
	return prefixPull + "." + c.token() + "." + stream + "." + consumer
}

// puts is where the client publishes what is to be stored under subject.
func (c *client) puts(subject string) string {
	if !c.relayed {
		return subject
	}
	return prefixPut + "." + c.token() + "." + subject
}

// answer tells the node about the message that came with reply.
func (c *client) answer(reply, what string) error {
	subject := reply
	if rest, ok := strings.CutPrefix(reply, jsAck); ok && c.relayed {
		subject = prefixAck + "." + c.token() + "." + rest
	}
	return c.conn.Publish(subject, []byte(what))
}

// The answers for a taken message.
const (
	answerDone   = "+ACK"
	answerAgain  = "-NAK"
	answerInHand = "+WPI"
	answerNever  = "+TERM"
)

func (t taken) done() error   { return t.link.answer(t.Reply, answerDone) }
func (t taken) again() error  { return t.link.answer(t.Reply, answerAgain) }
func (t taken) inHand() error { return t.link.answer(t.Reply, answerInHand) }

func (t taken) againAfter(d time.Duration) error {
	return t.link.answer(t.Reply, fmt.Sprintf(`%s {"delay": %d}`, answerAgain, d.Nanoseconds()))
}
