package oversight

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"signalbox.dev/signalbox/receipt"
)

// LogKeys are the keys that the log's checkpoints are signed with, where the
// authority's process holds them.
type LogKeys interface {
	// Now are those of now, with every hand-over.
	Now() (receipt.Keys, error)
	// Propose draws new keys, or takes those that were drawn and not used yet, and
	// gives the statement by which those of now give way to them after so many further
	// decisions. Nothing changes until an order of kind keys.handover carries it.
	Propose(after int64) (statement []byte, err error)
}

// HandoverView is a hand-over of the log's keys.
type HandoverView struct {
	Generation int      `json:"generation"` // of the new keys
	Size       int64    `json:"size"`       // of the last checkpoint that the old keys sign
	New        []string `json:"new"`        // vkeys
}

// KeysView is the log's keys.
type KeysView struct {
	Generation int            `json:"generation"`
	Keys       []string       `json:"keys"` // vkeys of the newest generation
	Handovers  []HandoverView `json:"handovers"`
	File       string         `json:"file"` // the key file, for verifiers
}

// Proposal is a hand-over that no order has carried yet.
type Proposal struct {
	HandoverView
	Statement []byte `json:"statement"`
}

// maxAfter bounds how far ahead keys can be handed over, in decisions.
const maxAfter = 1 << 40

func (h *handler) logKeys(*http.Request) (any, error) {
	if h.Keys == nil {
		return nil, notFound("this authority's log keys are elsewhere", "日志密钥不在此处")
	}
	keys, err := h.Keys.Now()
	if err != nil {
		return nil, err
	}
	out := KeysView{Generation: max(keys.Generation(), 1), Keys: keys.Current(), Handovers: []HandoverView{}, File: keys.String()}
	for _, raw := range keys.Handovers() {
		said, err := receipt.ParseHandover(raw)
		if err != nil {
			return nil, err
		}
		out.Handovers = append(out.Handovers, HandoverView{said.Generation, said.Size, said.New})
	}
	return out, nil
}

func (h *handler) proposeKeys(r *http.Request) (any, error) {
	if h.Keys == nil {
		return nil, notFound("this authority's log keys are elsewhere", "日志密钥不在此处")
	}
	after, err := number(r, "after", 0)
	if err != nil {
		return nil, err
	}
	if after > maxAfter {
		return nil, badParameter("after", "0 to "+strconv.Itoa(maxAfter), "0 至 "+strconv.Itoa(maxAfter))
	}
	statement, err := h.Keys.Propose(int64(after))
	if err != nil {
		return nil, err
	}
	said, err := receipt.ParseHandover(statement)
	if err != nil {
		return nil, err
	}
	return Proposal{HandoverView{said.Generation, said.Size, said.New}, statement}, nil
}

// Keys reads the log's keys.
func (c *Client) Keys(ctx context.Context) (out KeysView, err error) {
	err = c.get(ctx, "keys", nil, &out)
	return out, err
}

// ProposeKeys has the authority draw new log keys and sign their hand-over.
func (c *Client) ProposeKeys(ctx context.Context, after int64) (out Proposal, err error) {
	q := url.Values{"after": {strconv.FormatInt(after, 10)}}
	err = c.call(ctx, http.MethodPost, "keys/proposals?"+q.Encode(), "", nil, &out)
	return out, err
}
