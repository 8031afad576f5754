package remote

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net"
	"testing"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/ledger/embedded"
	"signalbox.dev/signalbox/ledger/ledgertest"
	"signalbox.dev/signalbox/ledger/memory"
	"signalbox.dev/signalbox/receipt"
)

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func pinned256(tb testing.TB, key crypto.Signer) flow.Hash {
	tb.Helper()
	pin, err := Pin(key.Public().(*ecdsa.PublicKey))
	if err != nil {
		tb.Fatal(err)
	}
	return pin
}

// link is a server at work and what its clients need.
type link struct {
	addr   string
	server *ecdsa.PrivateKey
	client *ecdsa.PrivateKey // may put everything
	serves *Server
	stop   func() // ends the server, which was not ended before, with grace
	kill   func() // ends it at once
}

// serve serves l on loopback.
func serve(tb testing.TB, l ledger.Ledger, changes ...func(*ServerConfig)) *link {
	tb.Helper()
	k := &link{server: newKey(tb), client: newKey(tb)}
	k.listen(tb, l, "127.0.0.1:0", changes...)
	return k
}

// listen starts the server, a second time too.
func (k *link) listen(tb testing.TB, l ledger.Ledger, addr string, changes ...func(*ServerConfig)) {
	tb.Helper()
	cfg := ServerConfig{Ledger: l, Key: k.server, Peers: []Peer{{Name: "p1", Pin: pinned256(tb, k.client), Platforms: []string{Any}}}}
	for _, change := range changes {
		change(&cfg)
	}
	s, err := NewServer(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	on, err := net.Listen("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, on) }()
	end := func(graceful bool) func() {
		return func() {
			if cancel == nil {
				return
			}
			cancel()
			cancel = nil
			if err := <-ended; err != nil && graceful {
				tb.Errorf("run: %v", err)
			}
		}
	}
	k.addr, k.serves, k.stop, k.kill = on.Addr().String(), s, end(true), end(false)
	tb.Cleanup(k.stop)
}

func (k *link) config(tb testing.TB) Config {
	tb.Helper()
	return Config{Addr: k.addr, Network: ledgertest.Network, Server: pinned256(tb, k.server), Key: k.client, Retry: time.Millisecond}
}

// dial makes a client that has met its server.
func (k *link) dial(tb testing.TB, changes ...func(*Config)) *Client {
	tb.Helper()
	c := k.open(tb, changes...)
	if err := c.Connect(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return c
}

// open makes a client that has not.
func (k *link) open(tb testing.TB, changes ...func(*Config)) *Client {
	tb.Helper()
	cfg := k.config(tb)
	for _, change := range changes {
		change(&cfg)
	}
	c, err := Dial(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return c
}

func newMemory(tb testing.TB, s ledgertest.Setup) *memory.Ledger {
	tb.Helper()
	keys, err := receipt.ParseKeys(s.Keys)
	if err != nil {
		tb.Fatal(err)
	}
	l, err := memory.New(memory.Config{Network: s.Network, Chain: s.Chain, Keys: keys, Platforms: s.Platforms, Now: s.Now})
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// setup is a chain as the suite has it, for tests outside the suite.
func setup(a *ledgertest.Authority) ledgertest.Setup {
	return ledgertest.Setup{Network: ledgertest.Network, Chain: ledgertest.Chain, Keys: a.Keys, Platforms: []string{ledgertest.Platform, ledgertest.OtherPlatform}}
}

// R8.2: what holds for the chain in the process holds at the other end of the link.
func TestMemoryOverTheWire(t *testing.T) {
	ledgertest.Run(t, func(t *testing.T, s ledgertest.Setup) ledgertest.Subject {
		return ledgertest.Subject{Ledger: serve(t, newMemory(t, s)).dial(t), HoldsClock: true}
	})
}

// R8.2: the same over HTTP/1.1.
func TestMemoryOverHTTP1(t *testing.T) {
	if testing.Short() {
		t.Skip("the suite again")
	}
	ledgertest.Run(t, func(t *testing.T, s ledgertest.Setup) ledgertest.Subject {
		k := serve(t, newMemory(t, s))
		k.serves.tls.NextProtos = []string{"http/1.1"}
		return ledgertest.Subject{Ledger: k.dial(t), HoldsClock: true}
	})
}

// R7.2: the business chain's node and the platform are apart, and share no more than this link.
func TestEmbeddedOverTheWire(t *testing.T) {
	ledgertest.Run(t, func(t *testing.T, s ledgertest.Setup) ledgertest.Subject {
		cfg := embedded.Config{Dir: t.TempDir(), Now: s.Now, Genesis: embedded.Genesis{
			Network: s.Network, Supervision: s.Chain, AuthorityKeys: s.Keys, Platforms: s.Platforms,
		}}
		l, end := startEmbedded(t, cfg)
		k := serve(t, l)
		return ledgertest.Subject{
			Ledger: k.dial(t),
			Reopen: func(t *testing.T) ledger.Ledger {
				k.stop()
				end()
				l, end = startEmbedded(t, cfg)
				k.listen(t, l, "127.0.0.1:0")
				return k.dial(t)
			},
			HoldsClock: true,
		}
	})
}

// startEmbedded runs a chain; the returned function ends it.
func startEmbedded(tb testing.TB, cfg embedded.Config) (*embedded.Ledger, func()) {
	tb.Helper()
	l, err := embedded.Open(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	end := func() {
		if cancel == nil {
			return
		}
		cancel()
		cancel = nil
		if err := <-ended; err != nil {
			tb.Errorf("run: %v", err)
		}
	}
	tb.Cleanup(end)
	return l, end
}
