package remote

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/ledger/ledgertest"
	"signalbox.dev/signalbox/receipt"
)

// onLoopback is a memory ledger behind a server.
func onLoopback(t *testing.T, changes ...func(*ServerConfig)) (*link, *ledgertest.Authority) {
	t.Helper()
	a := ledgertest.NewAuthority(t, ledgertest.Chain)
	return serve(t, newMemory(t, setup(a)), changes...), a
}

// R7.2: a key that the server's operator did not list gets nothing, and what it
// wanted to put is unknown, not refused.
func TestUnknownKey(t *testing.T) {
	k, a := onLoopback(t)
	stranger := newKey(t)
	c := k.open(t, func(c *Config) { c.Key = stranger })
	rec := a.Records(t, 1, 100)[0]
	_, err := c.Put(t.Context(), rec)
	unknown(t, err)
	_, err = c.Get(t.Context(), rec.Key)
	unknown(t, err)
	// The server's alert may be lost with the connection, so a single call may
	// learn no more. A follower tries until it knows.
	if err := c.Follow(t.Context(), 0, nil); !errors.Is(err, ErrForbidden) {
		t.Errorf("follow: %v, want ErrForbidden", err)
	}
	if n := k.serves.Figures().Strangers; n == 0 {
		t.Error("the server counted no stranger")
	}
	if _, err := k.dial(t).Get(t.Context(), rec.Key); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("get by the known key: %v, want ErrNotFound", err)
	}
}

// unknown checks that err does not say what became of a record.
func unknown(t *testing.T, err error) {
	t.Helper()
	for _, final := range []error{nil, ledger.ErrRefused, ledger.ErrConflict, ledger.ErrNotFound} {
		if final == nil && err == nil || final != nil && errors.Is(err, final) {
			t.Errorf("%v: want an error that leaves the outcome unknown", err)
		}
	}
}

// A client does not speak to a server with another key, wherever it listens.
func TestUnknownServer(t *testing.T) {
	k, a := onLoopback(t)
	c := k.open(t, func(c *Config) { c.Server = pinned256(t, newKey(t)) })
	_, err := c.Put(t.Context(), a.Records(t, 1, 100)[0])
	unknown(t, err)
	if !errors.Is(err, ErrPeer) {
		t.Errorf("put: %v, want ErrPeer", err)
	}
	if err := c.Follow(t.Context(), 0, nil); !errors.Is(err, ErrPeer) {
		t.Errorf("follow: %v, want ErrPeer", err)
	}
}

// Handshakes that must fail, at the latest when the first answer is read.
func TestHandshakes(t *testing.T) {
	k, _ := onLoopback(t)
	known, err := certificate(k.client)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := certificate(other); err == nil {
		t.Error("a certificate for a key on P-384")
	}
	// The known key's certificate, shown by one who has another key.
	stolen := tls.Certificate{Certificate: known.Certificate, PrivateKey: newKey(t)}
	cases := []struct {
		name string
		tls  *tls.Config
		ok   bool
	}{
		{"as a client does", &tls.Config{Certificates: []tls.Certificate{known}}, true},
		{"no certificate", &tls.Config{}, false},
		{"TLS 1.2", &tls.Config{Certificates: []tls.Certificate{known}, MaxVersion: tls.VersionTLS12}, false},
		{"certificate without its key", &tls.Config{GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &stolen, nil }}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.tls.InsecureSkipVerify = true // the server is not who is tested here
			c.tls.NextProtos = []string{"http/1.1"}
			if err := exchangeOver(k.addr, c.tls); (err == nil) != c.ok {
				t.Errorf("an answer came: %v (%v), want %v", err == nil, err, c.ok)
			}
		})
	}
	t.Run("no TLS", func(t *testing.T) {
		conn, err := net.Dial("tcp", k.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "POST "+pathAbout+" HTTP/1.1\r\nHost: x\r\n\r\n")
		// net/http tells such a client in clear what it did wrong.
		if answer, _ := io.ReadAll(conn); !strings.HasPrefix(string(answer), "HTTP/1.0 400 ") {
			t.Errorf("answer %q", answer)
		}
	})
	t.Run("handler without TLS", func(t *testing.T) {
		r, _ := http.NewRequest(http.MethodPost, pathAbout, nil)
		if _, err := k.serves.who(r); !errors.Is(err, ErrForbidden) {
			t.Errorf("%v, want ErrForbidden", err)
		}
	})
}

// exchangeOver sends a request and reads the first line of an answer.
func exchangeOver(addr string, c *tls.Config) error {
	conn, err := tls.Dial("tcp", addr, c)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST "+pathAbout+" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"); err != nil {
		return err
	}
	_, err = io.ReadFull(conn, make([]byte, 12))
	return err
}

// R7.1: each key may do what its line says and no more; and what it may not is
// never the chain's refusal.
func TestRights(t *testing.T) {
	auditor, second := newKey(t), newKey(t)
	k, a := onLoopback(t, func(c *ServerConfig) {
		c.Peers = append(c.Peers,
			Peer{Name: "auditor", Pin: pinned256(t, auditor)},
			Peer{Name: "p2", Pin: pinned256(t, second), Platforms: []string{ledgertest.OtherPlatform}})
	})
	recs := a.Records(t, 2, 100)
	id, err := k.dial(t).Put(t.Context(), recs[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]*ecdsa.PrivateKey{"auditor": auditor, "another platform": second} {
		c := k.dial(t, func(c *Config) { c.Key = key })
		_, err := c.Put(t.Context(), recs[1])
		unknown(t, err)
		if !errors.Is(err, ErrForbidden) {
			t.Errorf("put by the %s: %v, want ErrForbidden", name, err)
		}
		s, err := c.Get(t.Context(), recs[0].Key)
		if err != nil || s.TxID != id {
			t.Errorf("get by the %s: %q, %v", name, s.TxID, err)
		}
	}
	if _, err := k.dial(t).Get(t.Context(), recs[1].Key); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("get: %v, want ErrNotFound", err)
	}
	own := a.Record(t, flow.Register, []byte("value"), func(l *receipt.Leaf) { l.Platform = ledgertest.OtherPlatform })
	if _, err := k.dial(t, func(c *Config) { c.Key = second }).Put(t.Context(), own); err != nil {
		t.Errorf("put of the platform's own: %v", err)
	}
}

// A link to the wrong chain must not end in that chain's refusal, which is for good.
func TestWrongNetwork(t *testing.T) {
	k, a := onLoopback(t)
	c := k.open(t, func(c *Config) { c.Network = "network-other" })
	_, err := c.Put(t.Context(), a.Records(t, 1, 100)[0])
	unknown(t, err)
	if !errors.Is(err, ErrForbidden) || !strings.Contains(err.Error(), ledgertest.Network) {
		t.Errorf("put: %v, want ErrForbidden that names the server's network", err)
	}
}

// post sends raw bytes with a peer's key and gives the failure that comes back.
func (k *link) post(t *testing.T, path, kind string, body io.Reader) (int, failure) {
	t.Helper()
	c := k.dial(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+k.addr+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	r.Header.Set(headerNetwork, ledgertest.Network)
	w, err := c.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	data, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	var f failure
	if err := flow.Unmarshal(data, &f); err != nil {
		t.Fatalf("status %d with %q: %v", w.StatusCode, data, err)
	}
	return w.StatusCode, f
}

// Bodies that are no message of the protocol.
func TestBodies(t *testing.T) {
	k, a := onLoopback(t)
	whole, err := flow.Marshal(messageOf(a.Records(t, 1, 100)[0]))
	if err != nil {
		t.Fatal(err)
	}
	more, err := flow.Marshal(map[string]any{"flow": make([]byte, 32), "and": "more"})
	if err != nil {
		t.Fatal(err)
	}
	random := make([]byte, 4000)
	rand.Read(random)
	paths := map[string]int64{pathPut: flow.MaxMessage, pathGet: maxQuestion, pathList: maxQuestion, pathFollow: maxQuestion, pathAbout: maxQuestion}
	for path, most := range paths {
		bodies := map[string][]byte{
			"empty": nil, "garbage": random, "cut": whole[:len(whole)-1], "trailing": append(bytes.Clone(whole), 0),
			"unknown field": more, "oversize": make([]byte, most+1), "far oversize": make([]byte, 3*flow.MaxMessage),
			"nested":          bytes.Repeat([]byte{0x81}, 4000),
			"claims a length": {0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		}
		for name, body := range bodies {
			if status, f := k.post(t, path, contentType, bytes.NewReader(body)); status != http.StatusBadRequest || f.Code != codeMalformed {
				t.Errorf("%s with a body that is %s: status %d, %+v", path, name, status, f)
			}
		}
	}
	if status, f := k.post(t, pathPut, "text/plain", bytes.NewReader(whole)); status != http.StatusBadRequest || f.Code != codeMalformed {
		t.Errorf("put as text: status %d, %+v", status, f)
	}
	if _, err := k.dial(t).Put(t.Context(), a.Records(t, 1, 100)[0]); err != nil {
		t.Errorf("a good put afterwards: %v", err)
	}
}

// A client that sends slowly is answered when its time is over, holds its own
// room alone, and not the others'.
func TestSlowSender(t *testing.T) {
	slow := newKey(t)
	k, a := onLoopback(t, func(c *ServerConfig) {
		c.Limits = Limits{Puts: 1, Read: 200 * time.Millisecond, Wait: time.Minute}
		c.Peers = append(c.Peers, Peer{Name: "slow", Pin: pinned256(t, slow), Platforms: []string{Any}})
	})
	body, end := io.Pipe()
	defer end.Close()
	answered := make(chan failure, 1)
	mine := *k
	mine.client = slow
	go func() {
		_, f := mine.post(t, pathPut, contentType, body)
		answered <- f
	}()
	end.Write([]byte{0xa5}) // the start of a record, which the server has taken when Write returns
	if _, err := k.dial(t).Put(t.Context(), a.Records(t, 1, 100)[0]); err != nil {
		t.Errorf("put by another peer: %v", err)
	}
	if f := <-answered; f.Code != codeMalformed {
		t.Errorf("the slow sender got %+v", f)
	}
	if _, err := mine.dial(t).Put(t.Context(), a.Records(t, 1, 100)[0]); err != nil {
		t.Errorf("the slow peer's next put: %v", err)
	}
}

// One who opens a connection and says nothing is cut off.
func TestSilentConnection(t *testing.T) {
	k, _ := onLoopback(t, func(c *ServerConfig) { c.Limits.Read = 50 * time.Millisecond })
	conn, err := net.Dial("tcp", k.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes", n)
	}
}

// Attack: a stranger opens connections and says nothing, more than the server
// takes in all. It fills its own bounds alone, and a known key comes in and works.
func TestFloodOfSilentConnections(t *testing.T) {
	k, a := onLoopback(t, func(c *ServerConfig) { c.Limits.Connections = 80 })
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	for range 200 {
		c, err := dialer.Dial("tcp", k.addr)
		if err != nil {
			t.Skipf("connecting from another address: %v", err)
		}
		defer c.Close()
	}
	for end := time.Now().Add(10 * time.Second); k.serves.turnstile.Refused() < 100; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d connections were turned away", k.serves.turnstile.Refused())
		}
	}
	if n := k.serves.Figures().Connections; n > 33 { // one is for whoever comes next
		t.Errorf("%d silent connections are kept", n)
	}
	rec := a.Records(t, 1, 100)[0]
	if _, err := k.dial(t).Put(t.Context(), rec); err != nil {
		t.Errorf("while a stranger floods: %v", err)
	}
}

// stuck is a ledger that does not answer until it is let.
type stuck struct {
	ledger.Ledger
	entered chan struct{}
	let     chan struct{}
}

func (s stuck) Put(ctx context.Context, rec ledger.Record) (ledger.TxID, error) {
	s.entered <- struct{}{}
	select {
	case <-s.let:
		return s.Ledger.Put(ctx, rec)
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// More calls than the server takes are told so, and that is no refusal.
func TestFullHouse(t *testing.T) {
	a := ledgertest.NewAuthority(t, ledgertest.Chain)
	l := stuck{newMemory(t, setup(a)), make(chan struct{}, 8), make(chan struct{})}
	k := serve(t, l, func(c *ServerConfig) { c.Limits = Limits{Puts: 2, Wait: time.Millisecond} })
	recs := a.Records(t, 3, 100)
	c := k.dial(t)
	ends := make(chan error, 2)
	for _, rec := range recs[:2] {
		go func() {
			_, err := c.Put(t.Context(), rec)
			ends <- err
		}()
	}
	<-l.entered
	<-l.entered
	if n := k.serves.Figures().Putting["p1"]; n != 2 {
		t.Errorf("%d puts in hand, want 2", n)
	}
	_, err := c.Put(t.Context(), recs[2])
	unknown(t, err)
	if !errors.Is(err, ErrBusy) {
		t.Errorf("put: %v, want ErrBusy", err)
	}
	if _, err := c.Get(t.Context(), recs[0].Key); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("get beside full puts: %v, want ErrNotFound", err)
	}
	close(l.let)
	for range 2 {
		if err := <-ends; err != nil {
			t.Errorf("put: %v", err)
		}
	}
	if _, err := c.Put(t.Context(), recs[2]); err != nil {
		t.Errorf("put when there was room: %v", err)
	}
}

func TestConfigRefuses(t *testing.T) {
	a := ledgertest.NewAuthority(t, ledgertest.Chain)
	key, pin := newKey(t), pinned256(t, newKey(t))
	server := ServerConfig{Ledger: newMemory(t, setup(a)), Key: key, Peers: []Peer{{Name: "p", Pin: pin, Platforms: []string{"p"}}}}
	if _, err := NewServer(server); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*ServerConfig){
		"no ledger":   func(c *ServerConfig) { c.Ledger = nil },
		"no key":      func(c *ServerConfig) { c.Key = nil },
		"no pin":      func(c *ServerConfig) { c.Peers = []Peer{{Name: "p"}} },
		"pin twice":   func(c *ServerConfig) { c.Peers = []Peer{{Name: "p", Pin: pin}, {Name: "q", Pin: pin}} },
		"no platform": func(c *ServerConfig) { c.Peers = []Peer{{Name: "p", Pin: pin, Platforms: []string{""}}} },
	} {
		c := server
		spoil(&c)
		if _, err := NewServer(c); err == nil {
			t.Errorf("%s: a server was made", name)
		}
	}
	client := Config{Addr: "127.0.0.1:1", Network: "n", Server: pin, Key: key}
	if _, err := Dial(client); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Config){
		"no port":    func(c *Config) { c.Addr = "127.0.0.1" },
		"no network": func(c *Config) { c.Network = "" },
		"no pin":     func(c *Config) { c.Server = flow.Hash{} },
		"no key":     func(c *Config) { c.Key = nil },
	} {
		c := client
		spoil(&c)
		if _, err := Dial(c); err == nil {
			t.Errorf("%s: a client was made", name)
		}
	}
}
