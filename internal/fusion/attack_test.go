package fusion

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/link"
)

// raw connects to n with a NATS client that does whatever it is told. What the
// server complains about comes on the channel.
func raw(t *testing.T, n *running, c *tls.Config, more ...nats.Option) (*nats.Conn, <-chan error, error) {
	t.Helper()
	complaints := make(chan error, 64)
	conn, err := nats.Connect("nats://"+n.Addr(), append([]nats.Option{
		nats.Secure(c), nats.TLSHandshakeFirst(), nats.NoReconnect(), nats.Timeout(waitLong),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { complaints <- err }),
	}, more...)...)
	if err == nil {
		t.Cleanup(conn.Close)
	}
	return conn, complaints, err
}

// attacked is a node with two platforms, the first of which has turned bad: good
// keys, and a client of its own.
type attacked struct {
	parties
	node       *running
	authority  *Directory
	south      *Directory
	conn       *nats.Conn
	complaints <-chan error
}

func newAttacked(t *testing.T) attacked {
	t.Helper()
	a := attacked{parties: newParties(t, envelope.GM())}
	a.node = a.parties.node(t, NodeConfig{})
	a.authority = a.settled(t, a.node)
	a.south = sidesOf(t, a.remote(t, a.node, link.RolePlatform, south))
	var err error
	a.conn, a.complaints, err = raw(t, a.node, a.identity(t, link.RolePlatform, north).Client(nil))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// stock puts a submission and a decision of each platform on the node.
func (a attacked) stock(t *testing.T) []Backlog {
	t.Helper()
	d := directory(t, a.node)
	for i, id := range []string{north, south} {
		if err := d.Platform(id).Submit(t.Context(), submissionOf(t, id, rx, uint64(i), 100)); err != nil {
			t.Fatal(err)
		}
		if err := d.Platform(id).Anchor(t.Context(), rx, []flow.Anchor{{BusinessTx: id}}); err != nil {
			t.Fatal(err)
		}
		if err := d.Authority().Publish(t.Context(), decisionOf(id, rx, uint64(i))); err != nil {
			t.Fatal(err)
		}
	}
	return health(t, a.node.Node).Backlog
}

// denied waits until the server has complained about exactly this.
func (a attacked) denied(t *testing.T, what string) {
	t.Helper()
	if err := a.conn.FlushTimeout(waitLong); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	select {
	case err := <-a.complaints:
		if !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), `"`+what+`"`) {
			t.Errorf("%s: the server says %v", what, err)
		}
	case <-time.After(waitLong):
		t.Errorf("%s: the server lets it be", what)
	}
}

// R7.1, R7.2: a platform with good keys listens to nothing but its own inbox.
func TestPlatformListensToItsOwnInboxAlone(t *testing.T) {
	a := newAttacked(t)
	other := party{link.RolePlatform, south}
	for _, subject := range []string{
		">", "*", "*.*", "sub.>", "sub." + rx + "." + token(north) + ".*", "sub." + rx + "." + token(south) + ".register",
		"dec.>", "dec." + rx + "." + token(north), "dec." + rx + "." + token(south), "anc.>", "kept.>", "qua.>",
		"pull.>", "ack.>", "put.>", subjectAdmit,
		"_INBOX.>", "_INBOX.*.*.>", other.inbox() + ".>", other.inbox() + ".x", "_INBOX.authority.>",
		"$JS.>", "$JS.API.>", "$JS.EVENT.>", "$JS.ACK.>", "$SYS.>", "_R_.>", "$KV.>",
	} {
		if _, err := a.conn.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		a.denied(t, subject)
	}
	if _, err := a.conn.QueueSubscribeSync("dec."+rx+"."+token(south), "q"); err != nil {
		t.Fatal(err)
	}
	if err := a.conn.FlushTimeout(waitLong); err != nil {
		t.Fatal(err)
	}
	if err := next(t, a.complaints); !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("a queue on another's decisions: %v", err)
	}
}

// R7.1, R7.2: a platform with good keys publishes its own submissions and
// anchors, and nothing else: no other's, no decision, no order to JetStream.
func TestPlatformPublishesItsOwnAlone(t *testing.T) {
	a := newAttacked(t)
	want := a.stock(t)
	me, other := party{link.RolePlatform, north}, party{link.RolePlatform, south}
	mine, theirs := streamOf(decisions, north), streamOf(decisions, south)
	for _, subject := range []string{
		"sub." + rx + "." + token(south) + ".register", "sub." + lab + "." + token(north) + ".register",
		"sub." + rx + "." + token(north), "sub." + rx + "." + token(north) + ".other",
		"anc." + rx + "." + token(south), "dec." + rx + "." + token(north), "dec." + rx + "." + token(south),
		"kept.sub." + rx + "." + token(north) + ".register", "kept.sub." + rx + "." + token(south) + ".register",
		"kept.anc." + rx + "." + token(south), "qua.dec." + rx + "." + token(south), "qua.dec." + rx + "." + token(north),
		"put." + me.token() + ".dec." + rx + "." + token(north), "put." + me.token() + ".qua.dec." + rx + "." + token(south),
		"put." + other.token() + ".qua.dec." + rx + "." + token(south), "put.authority.dec." + rx + "." + token(north),
		"pull." + me.token() + "." + theirs + "." + soleConsumer, "pull." + other.token() + "." + theirs + "." + soleConsumer,
		"pull." + me.token() + "." + streamOf(submissions, north) + ".register", "pull.authority." + streamOf(submissions, south) + ".register",
		"ack." + other.token() + "." + theirs + "." + soleConsumer + ".1.1.1.1.0", "ack." + me.token() + "." + theirs + "." + soleConsumer + ".1.1.1.1.0",
		"$JS.API.CONSUMER.MSG.NEXT." + mine + "." + soleConsumer, "$JS.API.CONSUMER.MSG.NEXT." + theirs + "." + soleConsumer,
		"$JS.ACK." + theirs + "." + soleConsumer + ".1.1.1.1.0", "$JS.ACK." + mine + "." + soleConsumer + ".1.1.1.1.0",
		"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.STREAM.CREATE.evil", "$JS.API.STREAM.UPDATE." + theirs,
		"$JS.API.STREAM.DELETE." + theirs, "$JS.API.STREAM.PURGE." + theirs, "$JS.API.STREAM.INFO." + theirs,
		"$JS.API.STREAM.MSG.GET." + theirs, "$JS.API.STREAM.MSG.DELETE." + theirs, "$JS.API.DIRECT.GET." + theirs,
		"$JS.API.STREAM.SNAPSHOT." + theirs, "$JS.API.CONSUMER.CREATE." + theirs, "$JS.API.CONSUMER.CREATE." + theirs + ".evil.>",
		"$JS.API.CONSUMER.DURABLE.CREATE." + theirs + ".evil", "$JS.API.CONSUMER.DELETE." + theirs + "." + soleConsumer,
		"$JS.API.CONSUMER.PAUSE." + theirs + "." + soleConsumer, "$JS.API.ACCOUNT.PURGE.x",
		"$SYS.REQ.SERVER.PING", "$SYS.REQ.USER.INFO", "$SYS.REQ.ACCOUNT.PING.CONNZ",
		other.inbox() + ".x", "_INBOX.authority.x", me.inbox() + ".x", subjectAdmit,
	} {
		if err := a.conn.PublishRequest(subject, me.inbox()+".answer", []byte("{}")); err != nil {
			t.Fatal(err)
		}
		a.denied(t, subject)
	}
	if diff := cmp.Diff(want, health(t, a.node.Node).Backlog); diff != "" {
		t.Errorf("the node holds (-before +after)\n%s", diff)
	}
}

// R7.1, R7.2: the server does not check where a sender wants its answer. The
// node's own answers must not become another's decisions or JetStream's orders:
// an empty answer to $JS.API.STREAM.DELETE deletes a stream.
func TestAnswersGoToTheSenderAlone(t *testing.T) {
	a := newAttacked(t)
	want := a.stock(t)
	me, other := party{link.RolePlatform, north}, party{link.RolePlatform, south}
	good, err := encode(submissionOf(t, north, rx, 77, 10))
	if err != nil {
		t.Fatal(err)
	}
	overheard := make(chan string, 64)
	for _, subject := range []string{other.inbox() + ".>", "_INBOX.authority.stolen", "dec." + rx + "." + token(south)} {
		if _, err := a.node.authority.conn.Subscribe(subject, func(m *nats.Msg) { overheard <- m.Subject }); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.node.authority.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	pull := "pull." + me.token() + "." + streamOf(decisions, north) + "." + soleConsumer
	for _, reply := range []string{
		"dec." + rx + "." + token(south), other.inbox() + ".stolen", "_INBOX.authority.stolen", subjectAdmit,
		"$JS.API.STREAM.DELETE." + streamOf(decisions, south), "$JS.API.STREAM.PURGE." + streamOf(submissions, south),
		"$JS.API.CONSUMER.DELETE." + streamOf(decisions, south) + "." + soleConsumer,
		me.inbox(), me.inbox() + ".", me.inbox() + "x.y", "",
	} {
		for subject, data := range map[string][]byte{
			"sub." + rx + "." + token(north) + ".register": good,                                    // an acknowledgement
			"sub." + rx + "." + token(north) + ".order":    good,                                    // a refusal
			"anc." + rx + "." + token(north):               []byte("no anchors"),                    // a refusal
			pull:                                           []byte(`{"batch":1,"expires":1000000}`), // a message, or that there is none: empty
			"put." + me.token() + ".qua.dec." + rx + "." + token(north):                                []byte("x"),                // an acknowledgement
			"ack." + me.token() + "." + streamOf(decisions, north) + "." + soleConsumer + ".1.1.1.1.0": []byte(`+NXT {"batch":1}`), // the next message
		} {
			m := &nats.Msg{Subject: subject, Reply: reply, Data: data, Header: nats.Header{"Nats-Trace-Dest": {"dec." + rx + "." + token(south)}}}
			for _, traced := range []bool{false, true} {
				if !traced {
					m.Header = nil
				}
				if err := a.conn.PublishMsg(m); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := a.conn.FlushTimeout(waitLong); err != nil {
		t.Fatal(err)
	}
	// What the relay and the gate had before them is behind them when the platform's
	// own proper submission is.
	from := sidesOf(t, a.remote(t, a.node, link.RolePlatform, north)).Platform(north)
	if err := from.Submit(t.Context(), submissionOf(t, north, rx, 78, 10)); err != nil {
		t.Fatal(err)
	}
	want[0].Submissions++
	if diff := cmp.Diff(want, health(t, a.node.Node).Backlog); diff != "" {
		t.Errorf("the node holds (-before +after)\n%s", diff)
	}
	select {
	case subject := <-overheard:
		t.Errorf("an answer went to %s", subject)
	default:
	}
	got, _ := takeDecisions(t, a.south, south)
	if d := next(t, got); d.Platform != south {
		t.Errorf("the other platform got %+v", d)
	}
}

// R7.1: requests that ask too much of a consumer are dropped, as are answers
// that are none.
func TestRelayTakesPlainRequestsAlone(t *testing.T) {
	for data, want := range map[string]bool{
		answerDone: true, answerAgain: true, answerInHand: true, `-NAK {"delay": 5000000000}`: true,
		answerNever: false, "": false, "+NXT": false, `+NXT {"batch":1}`: false, `-NAK {"delay": -1}`: false,
		`-NAK {"delay": 5000000001}`: false, "-NAK x": false, "+ACK ": false,
	} {
		if _, ok := readAnswer([]byte(data)); ok != want {
			t.Errorf("answer %q: taken %v, want %v", data, ok, want)
		}
	}
	a := newAttacked(t)
	want := a.stock(t)
	me := party{link.RolePlatform, north}
	if _, err := a.conn.SubscribeSync(me.inbox() + ".>"); err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{"", "null", "5", `{"batch":0,"expires":1000}`, `{"batch":100000,"expires":1000}`, `{"batch":1}`, `{"batch":1,"expires":99999999999999}`} {
		if err := a.conn.PublishRequest("pull."+me.token()+"."+streamOf(decisions, north)+"."+soleConsumer, me.inbox()+".x", []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.conn.FlushTimeout(waitLong); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, health(t, a.node.Node).Backlog); diff != "" {
		t.Errorf("the node holds (-before +after)\n%s", diff)
	}
}

// R7.1: who may not connect does not, whatever it shows.
func TestStrangersDoNotConnect(t *testing.T) {
	a := newAttacked(t)
	twin := newParties(t, envelope.GM())
	none := a.identity(t, link.RolePlatform, north).Client(nil)
	none.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tls.Certificate{}, nil }
	old := a.identity(t, link.RolePlatform, north).Client(nil)
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	anyServer := func(i link.Identity) *tls.Config {
		c := i.Client(nil)
		c.VerifyConnection = nil
		return c
	}
	for name, c := range map[string]*tls.Config{
		"another CA's platform":    anyServer(twin.identity(t, link.RolePlatform, north)),
		"another CA's authority":   anyServer(twin.identity(t, link.RoleAuthority, "authority")),
		"a node as a client":       a.identity(t, link.RoleNode, "node").Client(nil),
		"a node named as platform": a.identity(t, link.RoleNode, north).Client(nil),
		"a producer":               a.identity(t, "producer", north).Client(nil),
		"a platform without route": a.identity(t, link.RolePlatform, "stranger").Client(nil),
		"no certificate":           none,
		"TLS 1.2":                  old,
	} {
		if conn, _, err := raw(t, a.node, c); err == nil {
			t.Errorf("%s: connected as %s", name, conn.Opts.Name)
		}
	}
	// With the secret of the node's own clients it is the certificate that counts.
	if _, _, err := raw(t, a.node, a.identity(t, link.RoleNode, "node").Client(nil), nats.Token(a.node.door.secret)); err == nil {
		t.Error("a node's certificate with a token: connected")
	}
	// In clear nothing is said, not even which server it is.
	c, err := net.Dial("tcp", a.node.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(waitLong))
	fmt.Fprintf(c, "CONNECT {\"verbose\":true,\"auth_token\":%q}\r\nPING\r\n", a.node.door.secret)
	if line, err := bufio.NewReader(c).ReadString('\n'); err == nil || strings.Contains(line, "INFO") || strings.Contains(line, "OK") {
		t.Errorf("in clear the node says %q", line)
	}
}

// R7.1: a node that another runs under the right name is not linked to, nor one
// of another name or role.
func TestFalseNodes(t *testing.T) {
	p := newParties(t, envelope.GM())
	n := p.node(t, NodeConfig{Routes: []Route{{north, rx}}})
	p.settled(t, n)
	for name, cfg := range map[string]RemoteConfig{
		"another CA's":         {Name: "node", Identity: newParties(t, envelope.GM()).identity(t, link.RolePlatform, north)},
		"another name":         {Name: "other", Identity: p.identity(t, link.RolePlatform, north)},
		"not trusted any more": {Name: "node", Identity: p.identity(t, link.RolePlatform, north), Admit: func(link.Peer) error { return errNotAdmitted }},
	} {
		cfg.Addr, cfg.Routes, cfg.Side = n.Addr(), n.routes, north
		r := p.dial(t, cfg)
		eventually(t, func() bool { c := r.own.Load(); return c.conn.LastError() != nil })
		if r.Connected() == nil {
			t.Errorf("%s: linked", name)
		}
		if err := sidesOf(t, r).Platform(north).Submit(t.Context(), submissionOf(t, north, rx, 1, 10)); !errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: %v, want ErrUnreachable", name, err)
		}
	}
}

// A message beyond the limit ends its sender's connection or is refused, and
// takes no room.
func TestOversizeMessages(t *testing.T) {
	a := newAttacked(t)
	want := health(t, a.node.Node).Backlog
	subject := "sub." + rx + "." + token(north) + ".register"
	me := party{link.RolePlatform, north}
	answers, err := a.conn.SubscribeSync(me.inbox() + ".>")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.conn.PublishRequest(subject, me.inbox()+".1", make([]byte, flow.MaxMessage+1)); err != nil {
		t.Fatal(err)
	}
	m, err := answers.NextMsg(waitLong)
	if err != nil || !strings.Contains(string(m.Data), fmt.Sprint(codeMalformed)) {
		t.Errorf("a byte over the limit: %v, %s", err, m.Data)
	}
	// nats.go would not send more than the server takes, so this is by hand.
	c, err := tls.Dial("tcp", a.node.Addr(), a.identity(t, link.RolePlatform, north).Client(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(waitLong))
	fmt.Fprint(c, "CONNECT {\"verbose\":false,\"protocol\":1}\r\nPING\r\n")
	lines := bufio.NewScanner(c)
	for lines.Scan() && lines.Text() != "PONG" {
	}
	if lines.Text() != "PONG" {
		t.Fatalf("not connected: %v", lines.Err())
	}
	fmt.Fprintf(c, "PUB %s %d\r\n", subject, 1<<30)
	for lines.Scan() {
	}
	if err := lines.Err(); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a gigabyte is waited for")
	}
	if diff := cmp.Diff(want, health(t, a.node.Node).Backlog); diff != "" {
		t.Errorf("the node holds (-before +after)\n%s", diff)
	}
}

// One party has a bounded number of connections, and a new one when an old one ended.
func TestConnectionsOfOnePartyAreBounded(t *testing.T) {
	p := newParties(t, envelope.GM())
	n := p.node(t, NodeConfig{})
	p.settled(t, n)
	c := p.identity(t, link.RolePlatform, north).Client(nil)
	var open []*nats.Conn
	for range maxLinks {
		conn, _, err := raw(t, n, c)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, conn)
	}
	if _, _, err := raw(t, n, c); err == nil {
		t.Errorf("more than %d connections of one platform", maxLinks)
	}
	if _, _, err := raw(t, n, p.identity(t, link.RolePlatform, south).Client(nil)); err != nil {
		t.Errorf("another platform suffers: %v", err)
	}
	open[0].Close()
	eventually(t, func() bool { _, _, err := raw(t, n, c); return err == nil })
}

// A publish that the node denies is an error that says so, at once and not when
// its time is out.
func TestDeniedPublishIsAnError(t *testing.T) {
	p := newParties(t, envelope.GM())
	n := p.node(t, NodeConfig{Routes: []Route{{north, rx}}})
	p.settled(t, n)
	// The platform believes in a route that the node does not have.
	r := p.dial(t, RemoteConfig{Name: "node", Addr: n.Addr(), Routes: []Route{{north, rx}, {north, lab}}, Identity: p.identity(t, link.RolePlatform, north), Side: north})
	reached(t, r)
	if err := sidesOf(t, r).Platform(north).Submit(context.Background(), submissionOf(t, north, lab, 1, 10)); !errors.Is(err, ErrDenied) {
		t.Errorf("submitting on a route that is denied: %v, want ErrDenied", err)
	}
	authority := p.dial(t, RemoteConfig{Name: "node", Addr: n.Addr(), Routes: []Route{{north, rx}, {south, rx}}, Identity: p.identity(t, link.RoleAuthority, "authority"), Side: "authority"})
	reached(t, authority)
	if err := sidesOf(t, authority).Authority().Publish(context.Background(), decisionOf(south, rx, 1)); !errors.Is(err, ErrDenied) {
		t.Errorf("publishing on a route that is denied: %v, want ErrDenied", err)
	}
}
