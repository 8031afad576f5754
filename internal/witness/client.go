package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/receipt"
)

// maxAnswer is the largest answer that is read of anyone, in bytes.
const maxAnswer = 256 << 10

// ErrAnswer says that a server answered something that it should not have.
var ErrAnswer = errors.New("unfit answer")

// NewHTTP is how witnesses and logs are asked: no redirects, no cookies, bounded time.
func NewHTTP(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{MaxIdleConnsPerHost: 2, IdleConnTimeout: 90 * time.Second, ForceAttemptHTTP2: true, Proxy: http.ProxyFromEnvironment},
	}
}

// CheckURL says whether an address can be a prefix of calls.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%.200q is no address: want http://host:port or https://host, and a path if need be", text)
	}
	return nil
}

// Client asks one witness.
type Client struct {
	prefix string
	key    receipt.Cosigner
	http   *http.Client
}

// NewClient makes a client of the witness at the prefix, whose key is known.
func NewClient(prefix string, key receipt.Cosigner, h *http.Client) (*Client, error) {
	if err := CheckURL(prefix); err != nil {
		return nil, err
	}
	return &Client{prefix: strings.TrimSuffix(prefix, "/"), key: key, http: h}, nil
}

// Key is the witness's.
func (c *Client) Key() receipt.Cosigner { return c.key }

// Add has the witness cosign a checkpoint, and gives its line, which was verified.
// Refusals are *Conflict and ErrInconsistent; other errors say that it was not
// reached, or answered nothing that is valid.
func (c *Client) Add(ctx context.Context, r Request) ([]byte, error) {
	status, body, err := c.do(ctx, http.MethodPost, "/add-checkpoint", r.Encode())
	if err != nil {
		return nil, err
	}
	switch status {
	case http.StatusOK:
	case http.StatusConflict:
		size, err := strconv.ParseInt(strings.TrimSuffix(string(body), "\n"), 10, 64)
		if err != nil || size < 0 {
			return nil, fmt.Errorf("asking witness %s: %w: status 409 without a size", c.key.Name(), ErrAnswer)
		}
		return nil, &Conflict{Size: size}
	case http.StatusUnprocessableEntity:
		return nil, fmt.Errorf("asking witness %s: %w", c.key.Name(), ErrInconsistent)
	default:
		return nil, fmt.Errorf("asking witness %s: %w: status %d", c.key.Name(), ErrAnswer, status)
	}
	h, err := receipt.ReadHead(r.Checkpoint)
	if err != nil {
		return nil, err
	}
	lines, who, err := receipt.Cosignatures(append(append(h.Text, '\n'), body...), c.key)
	if err != nil || len(who) != 1 {
		return nil, fmt.Errorf("asking witness %s: %w: no valid cosignature of its key on this checkpoint", c.key.Name(), ErrAnswer)
	}
	return lines, nil
}

// Latest gives the checkpoint of a log that the witness has cosigned last; nil
// where it has none. Nothing of it is verified.
func (c *Client) Latest(ctx context.Context, origin string) ([]byte, error) {
	status, body, err := c.do(ctx, http.MethodGet, "/"+OriginHash(origin)+"/checkpoint", nil)
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusNotFound:
		return nil, nil
	case status != http.StatusOK:
		return nil, fmt.Errorf("asking witness %s: %w: status %d", c.key.Name(), ErrAnswer, status)
	}
	return body, nil
}

func (c *Client) do(ctx context.Context, method, path string, body []byte) (int, []byte, error) {
	status, answer, err := ask(ctx, c.http, method, c.prefix+path, body)
	if err != nil {
		return 0, nil, fmt.Errorf("asking witness %s: %w", c.key.Name(), err)
	}
	return status, answer, nil
}

func ask(ctx context.Context, h *http.Client, method, address string, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r, err := h.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer r.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer+1))
	if err != nil {
		return 0, nil, err
	}
	if len(answer) > maxAnswer {
		return 0, nil, fmt.Errorf("%w: over %d bytes", ErrAnswer, maxAnswer)
	}
	return r.StatusCode, answer, nil
}

// LogClient reads the public files of a log (c2sp.org/tlog-tiles).
type LogClient struct {
	prefix string
	http   *http.Client
}

// NewLogClient makes a client of the log whose files are at the prefix.
func NewLogClient(prefix string, h *http.Client) (*LogClient, error) {
	if err := CheckURL(prefix); err != nil {
		return nil, err
	}
	return &LogClient{prefix: strings.TrimSuffix(prefix, "/"), http: h}, nil
}

// Checkpoint gives the log's newest checkpoint. Nothing of it is verified.
func (c *LogClient) Checkpoint(ctx context.Context) ([]byte, error) { return c.get(ctx, "/checkpoint") }

// Tree reads the hashes of the log's tree at the head, each checked against its root.
func (c *LogClient) Tree(ctx context.Context, head receipt.Head) tlog.HashReader {
	return tlog.TileHashReader(tlog.Tree{N: head.Size, Hash: head.Root}, &tiles{ctx: ctx, log: c})
}

func (c *LogClient) get(ctx context.Context, path string) ([]byte, error) {
	status, body, err := ask(ctx, c.http, http.MethodGet, c.prefix+path, nil)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%w: status %d", ErrAnswer, status)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: asking for %s: %w", ErrUnreached, path, err)
	}
	return body, nil
}

// ErrUnreached says that a log did not give what was asked for, as opposed to
// giving what does not fit.
var ErrUnreached = errors.New("log not reached")

// tiles reads tiles of hashes.
type tiles struct {
	ctx context.Context
	log *LogClient
}

// Height implements tlog.TileReader.
func (t *tiles) Height() int { return TileHeight }

// ReadTiles implements tlog.TileReader.
func (t *tiles) ReadTiles(want []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(want))
	for i, tile := range want {
		var err error
		if out[i], err = t.log.get(t.ctx, TilePath(tile)); err != nil {
			return nil, err
		}
		if len(out[i]) != tile.W*tlog.HashSize {
			return nil, fmt.Errorf("tile %s has %d bytes, want %d", tile.Path(), len(out[i]), tile.W*tlog.HashSize)
		}
	}
	return out, nil
}

// SaveTiles implements tlog.TileReader; nothing is kept.
func (t *tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// TileHeight is that of c2sp.org/tlog-tiles: 256 hashes a tile.
const TileHeight = 8

// TilePath is a tile's place below the log's prefix.
func TilePath(t tlog.Tile) string {
	return "/tile/" + strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", TileHeight))
}

// ParseTilePath is the inverse of TilePath; false for what is no tile of hashes.
func ParseTilePath(path string) (tlog.Tile, bool) {
	rest, ok := strings.CutPrefix(path, "/tile/")
	if !ok {
		return tlog.Tile{}, false
	}
	t, err := tlog.ParseTilePath(fmt.Sprintf("tile/%d/%s", TileHeight, rest))
	return t, err == nil && t.L >= 0 && TilePath(t) == path
}
