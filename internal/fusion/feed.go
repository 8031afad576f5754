package fusion

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// requestLife is how long the node holds a feed's request for messages. One
	// that got lost, with the server of a cluster that held it, is missed no
	// sooner.
	requestLife = 5 * time.Second
	// mendEvery is how often a feed looks whether its request is still good.
	mendEvery = time.Second
)

// feed asks one node's consumer for messages and hands them on as they come. A
// request is for a number of messages; the next follows when they are there or
// when the node has let the request go.
//
// It speaks the pull protocol itself because Consume of nats.go v1.55.0 can
// lose count of its requests: a message that is handled before the request's
// sender has lowered its flag lets no next request out, and with small requests
// messages then wait for a missed heartbeat, up to 30 s.
type feed struct {
	tap
	conn    *nats.Conn
	subject string // where requests go
	inbox   string // answers come to inbox.<number of the request>
	request []byte
	size    int // messages to a request
	take    func(taken)
	sub     *nats.Subscription
	closed  chan struct{} // closed when nothing more is handed on

	mu     sync.Mutex // guards what follows
	number int        // of the current request
	open   int        // messages that it may still bring
	asked  time.Time  // when it was sent; zero: it is known to be lost
	broken uint64     // how often the connection had been made anew by then
}

// openFeed begins to hand messages to take, one at a time.
func openFeed(t tap, size int, take func(taken)) (*feed, error) {
	request, err := json.Marshal(struct {
		Batch    int           `json:"batch"`
		MaxBytes int           `json:"max_bytes"`
		Expires  time.Duration `json:"expires"`
	}{size, aheadBytes, requestLife})
	if err != nil {
		return nil, err
	}
	f := &feed{
		tap: t, conn: t.link.conn, inbox: t.link.conn.NewInbox(), request: request, size: size, take: take,
		subject: t.link.requests(t.stream(), t.name()),
		closed:  make(chan struct{}),
	}
	if f.sub, err = f.conn.Subscribe(f.inbox+".*", f.hear); err != nil {
		return nil, fmt.Errorf("listening at %s: %w", t.node.name, err)
	}
	f.sub.SetClosedHandler(func(string) { close(f.closed) })
	f.mu.Lock()
	defer f.mu.Unlock()
	f.askOrLog() // a node that is away is asked when it is back, see mend
	return f, nil
}

// ask sends the next request. f.mu is held.
func (f *feed) ask() error {
	f.number++
	f.open = f.size
	f.asked = time.Now()
	f.broken = f.conn.Stats().Reconnects
	return f.conn.PublishRequest(f.subject, f.inbox+"."+strconv.Itoa(f.number), f.request)
}

// hear takes what the node sends: messages, and what becomes of a request.
func (f *feed) hear(m *nats.Msg) {
	status := m.Header.Get("Status")
	if status == "" {
		f.take(taken{Msg: m, node: f.node, link: f.link})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case status == "":
		f.open--
	case m.Subject != f.inbox+"."+strconv.Itoa(f.number):
		return // about a request that is not the current one
	case spent(status, m.Header.Get("Description")):
		f.open = 0
	default:
		f.node.log.Warn("fusion node refuses to give messages; asking again", "status", status, "description", m.Header.Get("Description"))
		f.asked = time.Time{}
		return
	}
	if f.open <= 0 {
		f.askOrLog()
	}
}

// spent says whether a request ended in a way that calls for the next at once.
func spent(status, description string) bool {
	return status == "408" || status == "409" &&
		(strings.Contains(description, "MaxBytes") || strings.Contains(description, "Batch Completed"))
}

func (f *feed) askOrLog() {
	if err := f.ask(); err != nil {
		f.node.log.Debug("asking for messages", "error", err)
		f.asked = time.Time{}
	}
}

// mend asks again when the current request has been lost, as a connection that
// breaks loses it, and a node that starts anew.
func (f *feed) mend() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.asked) > requestLife+mendEvery || f.conn.Stats().Reconnects != f.broken {
		f.askOrLog()
	}
}

// close lets what is on its way arrive first; f.closed tells when it has.
func (f *feed) close() {
	if err := f.sub.Drain(); err != nil {
		f.node.log.Debug("closing a reader", "error", err)
	}
}
