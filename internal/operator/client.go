package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"signalbox.dev/signalbox/internal/fusion"
	"signalbox.dev/signalbox/internal/socket"
)

// Client speaks to the node that serves a socket. Its errors are *Problem where
// the node gave one, and socket.ErrNotRunning where none answers. Safe for
// concurrent use.
type Client struct{ http *http.Client }

// NewClient makes a client of the node that serves the socket; it dials nothing
// yet.
func NewClient(path string) *Client { return &Client{socket.Client(path)} }

// Close lets the connection go.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status is how the node stands.
func (c *Client) Status(ctx context.Context) (fusion.Health, error) {
	return call[fusion.Health](ctx, c, http.MethodGet, "status", nil)
}

// Pause makes what s names wait, and gives how the node stands then. So do the
// other orders.
func (c *Client) Pause(ctx context.Context, s fusion.Scope) (fusion.Health, error) {
	return call[fusion.Health](ctx, c, http.MethodPost, "pause", s)
}

// Resume ends the pause, or the drain, of exactly s.
func (c *Client) Resume(ctx context.Context, s fusion.Scope) (fusion.Health, error) {
	return call[fusion.Health](ctx, c, http.MethodPost, "resume", s)
}

// Drain refuses a platform's new submissions; "" is every platform.
func (c *Client) Drain(ctx context.Context, platform string) (fusion.Health, error) {
	return call[fusion.Health](ctx, c, http.MethodPost, "drain", fusion.Scope{Platform: platform})
}

// Quarantine lists what was set aside.
func (c *Client) Quarantine(ctx context.Context) ([]fusion.Quarantined, error) {
	return call[[]fusion.Quarantined](ctx, c, http.MethodGet, "quarantine", nil)
}

// Release gives a message of the quarantine to the authority once more.
func (c *Client) Release(ctx context.Context, id string) (fusion.Health, error) {
	return call[fusion.Health](ctx, c, http.MethodPost, "quarantine/release", item{id})
}

// Discard deletes a message of the quarantine.
func (c *Client) Discard(ctx context.Context, id string) (fusion.Health, error) {
	return call[fusion.Health](ctx, c, http.MethodPost, "quarantine/discard", item{id})
}

// maxAnswer is the most bytes of an answer: a full quarantine's list fits.
const maxAnswer = 8 << 20

func call[T any](ctx context.Context, c *Client, method, path string, in any) (out T, err error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return out, err
		}
		body = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://node/v1/"+path, body)
	if err != nil {
		return out, err
	}
	got, err := c.http.Do(r)
	if err != nil {
		return out, fmt.Errorf("asking the fusion node: %w", err)
	}
	defer got.Body.Close()
	d := json.NewDecoder(io.LimitReader(got.Body, maxAnswer))
	if got.StatusCode == http.StatusOK {
		if err := d.Decode(&out); err != nil {
			return out, fmt.Errorf("reading the fusion node's answer: %w", err)
		}
		return out, nil
	}
	var p Problem
	if d.Decode(&p) != nil || p.Code == "" {
		return out, fmt.Errorf("asking the fusion node: %s", got.Status)
	}
	return out, &p
}
