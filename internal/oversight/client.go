package oversight

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/socket"
)

// ErrNotRunning says that nobody serves the socket.
var ErrNotRunning = socket.ErrNotRunning

// Socket is where the officers' socket is in the authority's folder.
func Socket(dir string) string { return filepath.Join(dir, "control.sock") }

// Client speaks to the authority that serves a socket. Its errors are *Problem
// where the authority gave one. Safe for concurrent use.
type Client struct{ http *http.Client }

// NewClient makes a client of the authority that serves the socket; it dials
// nothing yet.
func NewClient(path string) *Client { return &Client{socket.Client(path)} }

// Close lets the connection go.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (c *Client) send(ctx context.Context, method, path string, content string, in io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://authority/v1/"+path, in)
	if err != nil {
		return nil, err
	}
	if content != "" {
		r.Header.Set("Content-Type", content)
	}
	got, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("asking the authority: %w", err)
	}
	if got.StatusCode == http.StatusOK {
		return got, nil
	}
	defer got.Body.Close()
	var p Problem
	if json.NewDecoder(io.LimitReader(got.Body, maxBody)).Decode(&p) != nil || p.Code == "" {
		return nil, fmt.Errorf("asking the authority: %s", got.Status)
	}
	return nil, &p
}

// call sends a request and reads its JSON answer. Numbers of any type stay as
// they were written.
func (c *Client) call(ctx context.Context, method, path, content string, in io.Reader, out any) error {
	got, err := c.send(ctx, method, path, content, in)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	d := json.NewDecoder(got.Body)
	d.UseNumber()
	if err := d.Decode(out); err != nil {
		return fmt.Errorf("reading the authority's answer: %w", err)
	}
	return nil
}

func (c *Client) get(ctx context.Context, path string, query url.Values, out any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.call(ctx, http.MethodGet, path, "", nil, out)
}

func (c *Client) post(ctx context.Context, path string, in, out any) error {
	data, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodPost, path, "application/json", bytes.NewReader(data), out)
}

func span(from, limit uint64) url.Values {
	q := url.Values{}
	if from > 0 {
		q.Set("from", strconv.FormatUint(from, 10))
	}
	if limit > 0 {
		q.Set("limit", strconv.FormatUint(limit, 10))
	}
	return q
}

// Status is where the chain stands.
func (c *Client) Status(ctx context.Context) (out Status, err error) {
	err = c.get(ctx, "status", nil, &out)
	return out, err
}

// Order hands a signed order in and waits for what it brings about.
func (c *Client) Order(ctx context.Context, o chain.SignedOrder) (out Outcome, err error) {
	data, err := flow.Marshal(o)
	if err != nil {
		return Outcome{}, err
	}
	err = c.call(ctx, http.MethodPost, "orders", "application/cbor", bytes.NewReader(data), &out)
	return out, err
}

// Orders is a page of the history; a limit of 0 leaves it to the authority.
func (c *Client) Orders(ctx context.Context, from, limit uint64) (out OrderPage, err error) {
	err = c.get(ctx, "orders", span(from, limit), &out)
	return out, err
}

// Identities lists all of a role; the empty role is all.
func (c *Client) Identities(ctx context.Context, role contract.Role) ([]IdentityView, error) {
	all, after := []IdentityView{}, ""
	for {
		q := span(0, maxPage)
		q.Set("role", string(role))
		q.Set("after", after)
		var p IdentityPage
		if err := c.get(ctx, "identities", q, &p); err != nil {
			return nil, err
		}
		all = append(all, p.Identities...)
		if after = p.Next; after == "" {
			return all, nil
		}
	}
}

// Committee is who validates the chain; a *Problem of status 404 where it has one
// validator.
func (c *Client) Committee(ctx context.Context) (out CommitteeView, err error) {
	err = c.get(ctx, "committee", nil, &out)
	return out, err
}

// Nodes are the chain's nodes, by id.
func (c *Client) Nodes(ctx context.Context) ([]NodeView, error) {
	var out NodeList
	err := c.get(ctx, "nodes", nil, &out)
	return out.Nodes, err
}

// Certified checks a certificate (DER) and gives the identity that it names.
func (c *Client) Certified(ctx context.Context, der []byte) (out contract.Identity, err error) {
	var got Certified
	if err := c.call(ctx, http.MethodPost, "certificates", "application/pkix-cert", bytes.NewReader(der), &got); err != nil {
		return out, err
	}
	err = flow.Unmarshal(got.Identity, &out)
	return out, err
}

// Lists are all lists.
func (c *Client) Lists(ctx context.Context) (out []ListView, err error) {
	err = c.get(ctx, "lists", nil, &out)
	return out, err
}

// Entries is a page of a list.
func (c *Client) Entries(ctx context.Context, list contract.List, from, limit uint64) (out EntryPage, err error) {
	err = c.get(ctx, "lists/"+url.PathEscape(string(list)), span(from, limit), &out)
	return out, err
}

// Match gives, for up to 4000 keys, the number of the entry that counts now; 0
// for none.
func (c *Client) Match(ctx context.Context, list contract.List, keys [][]string) ([]uint64, error) {
	var out Matches
	if err := c.post(ctx, "lists/"+url.PathEscape(string(list))+"/match", Keys{keys}, &out); err != nil {
		return nil, err
	}
	if len(out.Numbers) != len(keys) {
		return nil, fmt.Errorf("asking the authority: %d answers for %d keys", len(out.Numbers), len(keys))
	}
	return out.Numbers, nil
}

// Pseudonyms gives those of up to 4000 plain ids of a kind.
func (c *Client) Pseudonyms(ctx context.Context, kind string, ids []string) ([]string, error) {
	var out Pseudonyms
	if err := c.post(ctx, "pseudonyms", Names{kind, ids}, &out); err != nil {
		return nil, err
	}
	if len(out.Pseudonyms) != len(ids) {
		return nil, fmt.Errorf("asking the authority: %d answers for %d ids", len(out.Pseudonyms), len(ids))
	}
	return out.Pseudonyms, nil
}

// Holds is a page of the open holds.
func (c *Client) Holds(ctx context.Context, from, limit uint64) (out HoldPage, err error) {
	err = c.get(ctx, "holds", span(from, limit), &out)
	return out, err
}

// Unanchored is a page of the granted records without an anchor after their time.
func (c *Client) Unanchored(ctx context.Context, from, limit uint64) (out UnanchoredPage, err error) {
	err = c.get(ctx, "unanchored", span(from, limit), &out)
	return out, err
}

// AnchorFindings is a page of the anchors that can't stand; an empty cursor is
// the beginning.
func (c *Client) AnchorFindings(ctx context.Context, from string, limit uint64) (out AnchorFindingPage, err error) {
	q := span(0, limit)
	if from != "" {
		q.Set("from", from)
	}
	err = c.get(ctx, "anchor-findings", q, &out)
	return out, err
}

// Grants lists an institution's batch grants, or those of all identities.
func (c *Client) Grants(ctx context.Context, institution string) ([]GrantView, error) {
	var out GrantList
	q := url.Values{}
	if institution != "" {
		q.Set("institution", institution)
	}
	err := c.get(ctx, "grants", q, &out)
	return out.Grants, err
}

// Rules are the bundle in force and what stands around it.
func (c *Client) Rules(ctx context.Context) (out RulesView, err error) {
	err = c.get(ctx, "rules", nil, &out)
	return out, err
}

// Version is one version, with its text.
func (c *Client) Version(ctx context.Context, n uint64) (out VersionView, err error) {
	err = c.get(ctx, "rules/"+strconv.FormatUint(n, 10), nil, &out)
	return out, err
}

// Payload names a decision's payload as an order that erases it does, with the proof
// that the chain may ask for.
func (c *Client) Payload(ctx context.Context, tx flow.Hash) (p contract.Payload, err error) {
	var v PayloadView
	if err := c.get(ctx, "payloads/"+tx.String(), nil, &v); err != nil {
		return p, err
	}
	if err := flow.Unmarshal(v.Payload, &p); err != nil || p.Tx != tx {
		return p, fmt.Errorf("reading the authority's answer: it is of another payload")
	}
	return p, nil
}

// Erasures lists payloads that officers ordered erased, by order.
func (c *Client) Erasures(ctx context.Context) (out []ErasureView, err error) {
	err = c.get(ctx, "erasures", nil, &out)
	return out, err
}

// Explain says how the contract comes to a decision, against the state of now.
func (c *Client) Explain(ctx context.Context, tx flow.Hash) (out Explained, err error) {
	err = c.get(ctx, "explain/"+tx.String(), nil, &out)
	return out, err
}

// Past gives the decisions from one time to another, in order. A zero time is
// without bound. It ends early with fn's error.
func (c *Client) Past(ctx context.Context, from, to time.Time, fn func(chain.Past) error) error {
	q := url.Values{}
	if !from.IsZero() {
		q.Set("from", strconv.FormatInt(max(from.Unix(), 0), 10))
	}
	if !to.IsZero() {
		q.Set("to", strconv.FormatInt(max(to.Unix(), 0), 10))
	}
	path := "past"
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	got, err := c.send(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	for d := json.NewDecoder(bufio.NewReader(got.Body)); ; {
		var p Past
		if err := d.Decode(&p); err != nil {
			return fmt.Errorf("reading past decisions: %w", err)
		}
		switch {
		case p.Error != "":
			return fmt.Errorf("reading past decisions: %s", p.Error)
		case p.End:
			return nil
		case p.Past != nil:
			if err := fn(*p.Past); err != nil {
				return err
			}
		}
	}
}
