package oversight

import (
	"net/http"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
)

// Explained is how the contract comes to a decision. It is for the authority
// alone: it names list entries and pseudonyms.
type Explained struct {
	Tx flow.Hash `json:"tx"`
	// Exact says that the trace is against the state of just before the decision.
	// Otherwise it is against the state of now: what has happened since shows in
	// it, and Stands is what was decided.
	Exact    bool                     `json:"exact"`
	Stands   *StandsView              `json:"stands,omitempty"` // the decision on the chain; none offline
	Traced   TracedView               `json:"traced"`           // what the trace comes to
	Facts    contract.Facts           `json:"facts"`
	Checks   []contract.CheckTrace    `json:"checks"`
	Entries  []EntryTraceView         `json:"entries"`
	Standing []contract.StandingTrace `json:"standing"`
	Grant    *GrantView               `json:"grant"` // used; as it stood before
	Rules    []contract.RuleTrace     `json:"rules"`
}

// StandsView is a decision as it stands on the chain.
type StandsView struct {
	Step     flow.Step     `json:"step"`
	Platform string        `json:"platform"`
	Actor    string        `json:"actor,omitempty"`
	Flow     flow.Hash     `json:"flow,omitzero"`
	Height   int64         `json:"height"`
	At       Moment        `json:"at"`
	Contract flow.Hash     `json:"contract"`
	Version  uint64        `json:"contract_version"`
	Verdict  flow.Verdict  `json:"verdict"`
	Basis    string        `json:"basis"`
	Reasons  []flow.Reason `json:"reasons"`
	Flags    []string      `json:"flags"`
	Observed []string      `json:"observed"`
	Grant    string        `json:"grant,omitempty"`
	Order    uint64        `json:"order,omitempty"`
}

// TracedView is what a trace comes to.
type TracedView struct {
	Verdict  flow.Verdict      `json:"verdict"`
	Basis    contract.Basis    `json:"basis"`
	Standing contract.Standing `json:"standing,omitempty"`
	Reasons  []flow.Reason     `json:"reasons"`
	Flags    []string          `json:"flags"`
	Observed []string          `json:"observed"`
	Contract flow.Hash         `json:"contract"`
	Version  uint64            `json:"contract_version"`
}

// EntryTraceView is a list entry that hit, and the orders behind it.
type EntryTraceView struct {
	Entry  EntryView   `json:"entry"`
	Code   string      `json:"code"`
	Orders []OrderView `json:"orders"`
}

// Explanation puts an explanation into the form that travels. Now is in Unix seconds.
func Explanation(tx flow.Hash, e contract.Explanation, exact bool, now int64) Explained {
	d := e.Decision
	out := Explained{
		Tx: tx, Exact: exact, Facts: e.Facts, Checks: append([]contract.CheckTrace{}, e.Checks...), Entries: []EntryTraceView{},
		Standing: append([]contract.StandingTrace{}, e.Standing...), Rules: append([]contract.RuleTrace{}, e.Rules...),
		Traced: TracedView{
			Verdict: d.Verdict, Basis: d.Basis, Standing: d.Standing, Reasons: reasons(d.Reasons),
			Flags: append([]string{}, d.Flags...), Observed: append([]string{}, d.Observed...), Contract: d.Contract, Version: d.Version,
		},
	}
	for _, t := range e.Entries {
		v := EntryTraceView{Entry: entryView(t.Entry, now), Code: t.Code, Orders: []OrderView{}}
		for _, o := range t.Orders {
			v.Orders = append(v.Orders, orderView(o))
		}
		out.Entries = append(out.Entries, v)
	}
	if e.Grant != nil {
		g := grantView(*e.Grant, now)
		out.Grant = &g
	}
	return out
}

func stands(d chain.Decided) *StandsView {
	l := d.Leaf
	return &StandsView{
		Step: l.Step, Platform: l.Platform, Actor: l.Actor, Flow: l.Flow, Height: d.Height, At: Moment(l.Issued),
		Contract: l.Contract, Version: l.ContractVersion, Verdict: l.Verdict, Basis: d.Basis, Reasons: reasons(d.Reasons),
		Flags: append([]string{}, d.Flags...), Observed: append([]string{}, d.Observed...), Grant: d.Grant, Order: d.Order,
	}
}

func (h *handler) explain(r *http.Request) (any, error) {
	tx, err := flow.ParseHash(r.PathValue("tx"))
	if err != nil {
		return nil, badParameter("tx", "64 lower-case hexadecimal digits", " 64 位小写十六进制数字")
	}
	d, err := h.Chain.ByTx(tx)
	if err != nil {
		return nil, err
	}
	e, err := h.Chain.Explain(tx)
	if err != nil {
		return nil, err
	}
	out := Explanation(tx, e, false, h.now())
	out.Stands = stands(d)
	return out, nil
}

// Past is one line of the stream of past decisions: a decision, or the end.
// A stream without an end was cut off.
type Past struct {
	Past  *chain.Past `json:"past,omitempty"`
	End   bool        `json:"end,omitempty"`
	Error string      `json:"error,omitempty"`
}

// past streams decisions in order, one JSON object a line.
func (h *handler) past(w http.ResponseWriter, r *http.Request) {
	from, err := number(r, "from", 0)
	var to uint64
	if err == nil {
		to, err = number(r, "to", 1<<40)
	}
	if err != nil {
		h.fail(w, r, "reading past decisions", err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	s := h.Chain.State()
	err = h.Chain.Past(r.Context(), Moment(from).Time(), Moment(to).Time(), func(p chain.Past) error {
		// What the chain knew then is not kept: rules on trial see what it knows now.
		if err := contract.Complete(s, p.Header, &p.Facts); err != nil {
			return err
		}
		return encode(w, Past{Past: &p})
	})
	if err != nil {
		_ = encode(w, Past{Error: h.problemOf(r.Context(), "reading past decisions", err).En})
		return
	}
	_ = encode(w, Past{End: true})
}
