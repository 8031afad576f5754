package remote

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/ledger"
)

// Config says which server a Client uses.
type Config struct {
	Addr    string        // host:port
	Network string        // the network id that the chain must have
	Server  flow.Hash     // pin of the server's key
	Key     crypto.Signer // the client's own, on P-256; the server must know its pin
	Logger  *slog.Logger  // nil: none

	Timeout time.Duration // for a call, Follow aside; what a Put became is then unknown; 0: 60 s
	Silence time.Duration // after which a Follow without a sign of life begins anew; 0: 30 s
	Retry   time.Duration // before a Follow begins anew, doubling up to 5 s; 0: 100 ms
}

// Validate says what is missing or unfit.
func (c Config) Validate() error {
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		return fmt.Errorf("addr: want host:port: %w", err)
	}
	if c.Server.IsZero() {
		return errors.New("server: the pin of its key is missing")
	}
	return flow.CheckName("network", c.Network)
}

// Client is a ledger at the other end of a link. Its methods are safe for
// concurrent use.
type Client struct {
	cfg   Config
	http  *http.Client
	about atomic.Pointer[ledger.Capabilities] // nil until the server was asked
	away  atomic.Bool                         // whether the last call did not reach the server
}

var _ ledger.Ledger = (*Client)(nil)

// usualMaxValue is what a chain takes unless it was begun otherwise, in bytes.
const usualMaxValue = 512 << 10

// Dial makes a client. It does not connect: a server that is away now is found
// when it is back. Close it.
func Dial(cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring the link to the ledger: %w", err)
	}
	own, err := certificate(cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("configuring the link to the ledger: %w", err)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		value *time.Duration
		usual time.Duration
	}{{&cfg.Timeout, time.Minute}, {&cfg.Silence, 30 * time.Second}, {&cfg.Retry, 100 * time.Millisecond}} {
		if *d.value <= 0 {
			*d.value = d.usual
		}
	}
	transport := &http.Transport{
		// No proxy: the link goes to the server and nowhere else.
		DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSClientConfig: pinned(own, func(pin flow.Hash) error {
			if !same(pin, cfg.Server) {
				return fmt.Errorf("%w: its pin is %s", ErrPeer, pin)
			}
			return nil
		}),
		TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true, DisableCompression: true,
		IdleConnTimeout: 90 * time.Second, MaxIdleConnsPerHost: 16, MaxResponseHeaderBytes: 8 << 10,
		HTTP2: &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second, MaxReadFrameSize: 1 << 20},
	}
	return &Client{cfg: cfg, http: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Close ends idle connections. Calls in hand go on.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Reachable says whether the last call reached the server; true before the first.
func (c *Client) Reachable() bool { return !c.away.Load() }

// Connect asks the server what its chain offers, as the first call does by
// itself. It fails when the server is away, is another one, serves another
// network, or does not know this key.
func (c *Client) Connect(ctx context.Context) error {
	var m aboutAnswer
	if err := c.ask(ctx, pathAbout, aboutMessage{}, &m); err != nil {
		return fmt.Errorf("asking the ledger what it offers: %w", err)
	}
	if m.Name == "" || m.Network != c.cfg.Network || m.MaxValue <= 0 || m.MaxValue > maxValue {
		return fmt.Errorf("asking the ledger what it offers: %w: that makes no sense", ErrFailed)
	}
	c.about.Store(&ledger.Capabilities{Name: m.Name, Network: m.Network, Durable: m.Durable, Blocks: m.Blocks, MaxValue: m.MaxValue})
	return nil
}

// Capabilities implements ledger.Ledger. Until the server was reached they are
// the network that it must serve and what chains usually take.
func (c *Client) Capabilities() ledger.Capabilities {
	if about := c.about.Load(); about != nil {
		return *about
	}
	return ledger.Capabilities{Name: "remote", Network: c.cfg.Network, Durable: true, MaxValue: usualMaxValue}
}

// Put implements ledger.Ledger. An error that is none of the chain's own leaves
// the outcome unknown, one of the link among them.
func (c *Client) Put(ctx context.Context, rec ledger.Record) (ledger.TxID, error) {
	var m putAnswer
	err := c.introduced(ctx)
	if err == nil {
		err = c.ask(ctx, pathPut, messageOf(rec), &m)
	}
	if err == nil && (m.TxID == "" || len(m.TxID) > maxTxID) {
		err = fmt.Errorf("%w: it answered without a transaction id", ErrFailed)
	}
	if err != nil {
		return "", fmt.Errorf("putting record of step %s: %w", rec.Step, err)
	}
	return ledger.TxID(m.TxID), nil
}

// Get implements ledger.Ledger.
func (c *Client) Get(ctx context.Context, key ledger.Key) (ledger.Stored, error) {
	var m storedMessage
	err := c.introduced(ctx)
	if err == nil {
		err = c.ask(ctx, pathGet, keyMessage{Flow: key.Flow, Tx: key.Tx}, &m)
	}
	if err == nil && (m.Record.Flow != key.Flow || m.Record.Tx != key.Tx || m.Position == 0) {
		err = fmt.Errorf("%w: it answered with another record", ErrFailed)
	}
	if err != nil {
		return ledger.Stored{}, fmt.Errorf("getting record of flow %s: %w", key.Flow, err)
	}
	return m.stored(), nil
}

// List implements ledger.Ledger.
func (c *Client) List(ctx context.Context, id flow.Hash) ([]ledger.Stored, error) {
	err := c.introduced(ctx)
	var all []ledger.Stored
	if err == nil {
		all, err = c.list(ctx, id)
	}
	if err != nil {
		return nil, fmt.Errorf("listing flow %s: %w", id, err)
	}
	return all, nil
}

func (c *Client) list(ctx context.Context, id flow.Hash) ([]ledger.Stored, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	body, err := c.call(ctx, pathList, flowMessage{Flow: id})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var all []ledger.Stored
	for left := maxListBytes; ; {
		kind, data, err := readFrame(body)
		switch {
		case err != nil:
			return nil, because(ctx, err)
		case kind == frameEnd:
			return all, nil
		case kind != frameRecord:
			return nil, fmt.Errorf("%w: a frame of kind %q in a list", ErrFailed, kind)
		}
		s, err := readStored(data)
		if err != nil {
			return nil, err
		}
		if left -= len(data); left < 0 || len(all) == maxListed {
			return nil, fmt.Errorf("%w: over %d records or %d bytes in one flow", ErrFailed, maxListed, maxListBytes)
		}
		if s.Key.Flow != id {
			return nil, fmt.Errorf("%w: it listed a record of another flow", ErrFailed)
		}
		all = append(all, s)
	}
}

func readStored(data []byte) (ledger.Stored, error) {
	var m storedMessage
	if err := flow.Unmarshal(data, &m); err != nil {
		return ledger.Stored{}, fmt.Errorf("%w: a record that can't be read: %w", ErrFailed, err)
	}
	if len(m.TxID) > maxTxID {
		return ledger.Stored{}, fmt.Errorf("%w: a transaction id of %d bytes", ErrFailed, len(m.TxID))
	}
	return m.stored(), nil
}

// introduced makes sure once that this is the right chain.
func (c *Client) introduced(ctx context.Context) error {
	if c.about.Load() != nil {
		return nil
	}
	return c.Connect(ctx)
}

// ask makes a call with a single answer.
func (c *Client) ask(ctx context.Context, path string, question, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	body, err := c.call(ctx, path, question)
	if err != nil {
		return err
	}
	defer body.Close()
	data, err := readAll(body)
	if err != nil {
		return because(ctx, err)
	}
	if err := flow.Unmarshal(data, answer); err != nil {
		return fmt.Errorf("%w: an answer that can't be read: %w", ErrFailed, err)
	}
	return nil
}

// readAll reads a single answer, within bounds.
func readAll(body io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, flow.MaxMessage+1))
	if err == nil && len(data) > flow.MaxMessage {
		err = fmt.Errorf("%w: an answer of over %d bytes", ErrFailed, flow.MaxMessage)
	}
	return data, err
}

// call makes a call and gives the body of its good answer, to be closed.
func (c *Client) call(ctx context.Context, path string, question any) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	data, err := flow.Marshal(question)
	if err != nil {
		return nil, err
	}
	if len(data) > flow.MaxMessage { // over any chain's MaxValue: see ServerConfig
		return nil, fmt.Errorf("%w: %d bytes, the link carries %d", ledger.ErrRefused, len(data), flow.MaxMessage)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+c.cfg.Addr+path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set(headerNetwork, c.cfg.Network)
	w, err := c.http.Do(r)
	c.away.Store(err != nil && ctx.Err() == nil)
	if err != nil {
		return nil, because(ctx, unreached(err))
	}
	if w.StatusCode == http.StatusOK && w.Header.Get("Content-Type") == contentType {
		return w.Body, nil
	}
	defer w.Body.Close()
	return nil, because(ctx, failed(w))
}

// because prefers the context's error, which is why the other one came.
func because(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil {
		return cause
	}
	return err
}

// unreached says what to do about a key that the server does not know, of which
// TLS says no more than that.
func unreached(err error) error {
	var alert *net.OpError
	if errors.As(err, &alert) && alert.Op == "remote error" {
		return fmt.Errorf("%w: the server turned this side's key away: its operator must list the pin: %w", ErrForbidden, err)
	}
	return fmt.Errorf("reaching the ledger: %w", err)
}

// failed reads an answer that is a failure.
func failed(w *http.Response) error {
	data, err := readAll(w.Body)
	if err != nil {
		return fmt.Errorf("%w: status %d", ErrFailed, w.StatusCode)
	}
	var f failure
	if err := flow.Unmarshal(data, &f); err != nil {
		return fmt.Errorf("%w: status %d without a failure's message", ErrFailed, w.StatusCode)
	}
	return f.err()
}
