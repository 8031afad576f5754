package oversight

import (
	"net/http"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
)

// Status is where the chain stands.
type Status struct {
	Chain         string          `json:"chain"`
	Suite         string          `json:"suite"`
	Zone          string          `json:"zone"`
	ZoneOffset    int64           `json:"zone_offset"` // seconds east of UTC
	Height        int64           `json:"height"`
	Decisions     int64           `json:"decisions"`
	LastOrder     uint64          `json:"last_order"`
	LastHold      uint64          `json:"last_hold"`
	Contract      flow.Hash       `json:"contract"`
	Version       uint64          `json:"contract_version"`
	SecondOfficer []contract.Kind `json:"second_officer"` // kinds of order that two officers sign
	Stopped       []StoppedView   `json:"stopped"`
}

// StoppedView is a step that is stopped for a kind of business.
type StoppedView struct {
	Business string    `json:"business"`
	Step     flow.Step `json:"step"`
	Until    Moment    `json:"until"`
	Order    uint64    `json:"order"`
}

func (h *handler) status(*http.Request) (any, error) {
	s := h.Chain.State()
	founding, err := contract.FoundingOf(s)
	if err != nil {
		return nil, err
	}
	out := Status{
		Chain: founding.Chain, Suite: founding.Suite, Zone: founding.Zone, ZoneOffset: founding.ZoneOffset,
		Height: h.Chain.Height(), Decisions: h.Chain.Size(), SecondOfficer: []contract.Kind{},
	}
	if out.LastOrder, err = contract.LastOrder(s); err != nil {
		return nil, err
	}
	if _, out.LastHold, err = contract.Holds(s); err != nil {
		return nil, err
	}
	v, err := contract.VersionInForce(s)
	if err != nil {
		return nil, err
	}
	out.Contract, out.Version = v.Address, v.Number
	policy, err := contract.PolicyOf(s)
	if err != nil {
		return nil, err
	}
	out.SecondOfficer = append(out.SecondOfficer, policy.Second...)
	out.Stopped, err = h.stopped(s, founding.Businesses)
	return out, err
}

// stopped lists what is stopped, of the kinds of business that the chain names.
func (h *handler) stopped(s contract.State, businesses []string) ([]StoppedView, error) {
	out := []StoppedView{}
	for _, business := range businesses {
		for _, step := range flow.Steps() {
			until, order, err := contract.StoppedUntil(s, business, step, h.now())
			if err != nil {
				return nil, err
			}
			if until != 0 {
				out = append(out, StoppedView{business, step, Moment(until), order})
			}
		}
	}
	return out, nil
}
