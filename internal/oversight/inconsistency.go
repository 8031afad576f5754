package oversight

import (
	"net/http"
	"time"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
)

// UnanchoredView is a granted record without an anchor after its time: nobody
// has said where it stands on the business chain (write 7 of the order of writes).
type UnanchoredView struct {
	Tx       flow.Hash `json:"tx"`
	Flow     flow.Hash `json:"flow"`
	Platform string    `json:"platform"`
	Business string    `json:"business"`
	Step     flow.Step `json:"step"`
	Issued   Moment    `json:"issued"`
	Expires  Moment    `json:"expires"`  // of its token
	Lapsed   bool      `json:"lapsed"`   // its token has run out: the business chain takes the record no more
	Reminded int       `json:"reminded"` // how often its platform was reminded
}

// UnanchoredPage is a part of them, the oldest first.
type UnanchoredPage struct {
	Unanchored []UnanchoredView `json:"unanchored"`
	Next       uint64           `json:"next"` // where the next page begins; 0: nowhere
}

func (h *handler) unanchored(r *http.Request) (any, error) {
	from, err := number(r, "from", 0)
	if err != nil {
		return nil, err
	}
	most, err := limit(r)
	if err != nil {
		return nil, err
	}
	list, err := h.Authority.Unanchored(int64(from), int(most)+1)
	if err != nil {
		return nil, err
	}
	out := UnanchoredPage{Unanchored: []UnanchoredView{}}
	if len(list) > int(most) {
		out.Next, list = uint64(list[most].Index), list[:most]
	}
	for _, u := range list {
		l := u.Leaf
		out.Unanchored = append(out.Unanchored, UnanchoredView{
			Tx: l.Tx, Flow: l.Flow, Platform: l.Platform, Business: l.Business, Step: l.Step,
			Issued: Moment(l.Issued), Expires: Moment(l.Expires), Reminded: u.Reminded,
			Lapsed: l.Expires != 0 && !time.Unix(h.now(), 0).Before(time.Unix(l.Expires, 0)),
		})
	}
	return out, nil
}

// AnchorFindingView is an anchor that can't stand: what a platform says of its
// business chain is not what the supervision chain has.
type AnchorFindingView struct {
	Kind     chain.FindingKind `json:"kind"`
	Zh       string            `json:"zh"`
	En       string            `json:"en"`
	Platform string            `json:"platform"`
	Tx       flow.Hash         `json:"tx"`               // of the decision
	Stands   string            `json:"stands,omitempty"` // the business chain's transaction that it is anchored with
	Claimed  string            `json:"claimed"`          // the one that the platform says
	First    Moment            `json:"first"`
	Last     Moment            `json:"last"`
	Count    int64             `json:"count"`
}

// AnchorFindingPage is a part of them.
type AnchorFindingPage struct {
	Findings []AnchorFindingView `json:"findings"`
	Next     string              `json:"next"` // where the next page begins; empty: nowhere
}

// maxCursor is longer than any key of a finding.
const maxCursor = 512

func (h *handler) findings(r *http.Request) (any, error) {
	from := r.URL.Query().Get("from")
	if len(from) > maxCursor {
		return nil, badParameter("from", "next of the page before", "上一页的 next")
	}
	most, err := limit(r)
	if err != nil {
		return nil, err
	}
	list, next, err := h.Authority.Findings(from, int(most))
	if err != nil {
		return nil, err
	}
	out := AnchorFindingPage{Findings: []AnchorFindingView{}, Next: next}
	for _, f := range list {
		v := AnchorFindingView{
			Kind: f.Kind, Platform: f.Platform, Tx: f.Tx, Stands: f.Stands, Claimed: f.Claimed,
			First: Moment(f.First), Last: Moment(f.Last), Count: f.Count,
		}
		v.En, v.Zh = explainFinding(f.Kind)
		out.Findings = append(out.Findings, v)
	}
	return out, nil
}

func explainFinding(k chain.FindingKind) (en, zh string) {
	switch k {
	case chain.AnchorConflict:
		return "the platform says that the record stands elsewhere than it said before", "平台所报的业务链位置与此前所报不一致"
	case chain.AnchorUnknown:
		return "the platform anchors a decision that there is not", "平台锚定了监管链上不存在的决定"
	case chain.AnchorUngranted:
		return "the platform anchors what was not granted to it as a record", "平台锚定了未向其批准的业务信息"
	}
	return string(k), string(k)
}
