package oversight

import (
	"net/http"
	"slices"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
)

// IdentityPage is a part of the identities, by id.
type IdentityPage struct {
	Identities []IdentityView `json:"identities"`
	Next       string         `json:"next"` // what the next page comes after; empty: nothing
}

func (h *handler) identities(r *http.Request) (any, error) {
	most, err := limit(r)
	if err != nil {
		return nil, err
	}
	all, err := h.Chain.Identities(contract.Role(r.URL.Query().Get("role")))
	if err != nil {
		return nil, err
	}
	after := r.URL.Query().Get("after")
	all = slices.DeleteFunc(all, func(i contract.Identity) bool { return i.ID <= after })
	s, out := h.Chain.State(), IdentityPage{Identities: []IdentityView{}}
	if uint64(len(all)) > most {
		all = all[:most]
		out.Next = all[most-1].ID
	}
	for _, i := range all {
		v := IdentityView{
			ID: i.ID, Role: i.Role, Status: i.Status, Key: i.Key, Certificate: i.Certificate, NotBefore: Moment(i.NotBefore), NotAfter: Moment(i.NotAfter),
			Expired: h.now() > i.NotAfter, Licence: i.Licence, Tags: append([]string{}, i.Tags...),
		}
		if institution(i.Role) {
			standing, _, err := contract.StandingOf(s, i.ID)
			if err != nil {
				return nil, err
			}
			v.Standing = string(standing)
		}
		out.Identities = append(out.Identities, v)
	}
	return out, nil
}

func institution(r contract.Role) bool {
	return r == contract.RolePlatform || r == contract.RoleOriginator || r == contract.RoleProducer
}

// Certified is what a certificate of the authority's CA says, as an order admits it.
type Certified struct {
	Identity []byte `json:"identity"` // encoded contract.Identity, active
}

// certified checks a certificate (DER) against the authority's CA (R7.1).
func (h *handler) certified(r *http.Request) (any, error) {
	der, err := body(r)
	if err != nil {
		return nil, err
	}
	c, err := envelope.CheckCertificate(h.CA, der, h.Clock())
	if err != nil {
		return nil, problem(http.StatusUnprocessableEntity, "certificate", "Certificate not accepted",
			err.Error(), "证书不予接受："+err.Error())
	}
	encoded, err := flow.Marshal(chain.IdentityOf(c))
	return Certified{encoded}, err
}

// GrantList is the batch grants of institutions.
type GrantList struct {
	Grants []GrantView `json:"grants"`
}

// grants lists those of one institution, or of all that are identities and what
// rules have issued last to others, up to the bound of a page. Other originators
// that are known by pseudonym alone are asked for by it.
func (h *handler) grants(r *http.Request) (any, error) {
	one := r.URL.Query().Get("institution")
	institutions := []string{one}
	if one == "" {
		institutions = nil
		all, err := h.Chain.Identities("")
		if err != nil {
			return nil, err
		}
		for _, i := range all {
			if institution(i.Role) {
				institutions = append(institutions, i.ID)
			}
		}
	}
	s, out := h.Chain.State(), GrantList{Grants: []GrantView{}}
	for _, id := range institutions {
		grants, err := contract.GrantsOf(s, id)
		if err != nil {
			return nil, err
		}
		for _, g := range grants {
			if len(out.Grants) == maxPage {
				return out, nil
			}
			out.Grants = append(out.Grants, grantView(g, h.now()))
		}
	}
	if one != "" {
		return out, nil
	}
	return out, h.automatic(s, &out)
}

// automatic adds the batch grants that rules have issued, the newest first, which
// are not listed yet.
func (h *handler) automatic(s contract.State, out *GrantList) error {
	listed := make(map[string]bool)
	for _, g := range out.Grants {
		listed[g.Code] = true
	}
	last, err := contract.AutomaticGrants(s)
	if err != nil {
		return err
	}
	for n := last; n > 0 && last-n < maxPassed && len(out.Grants) < maxPage; n-- {
		g, ok, err := contract.AutomaticGrant(s, n)
		if err != nil {
			return err
		}
		if ok && !listed[g.Code] {
			out.Grants = append(out.Grants, grantView(g, h.now()))
		}
	}
	return nil
}

// HoldPage is a part of the open holds, in order.
type HoldPage struct {
	Holds []HoldView `json:"holds"`
	Next  uint64     `json:"next"` // where the next page begins; 0: nowhere
}

// maxPassed is how many resolved holds one answer passes over.
const maxPassed = 10_000

func (h *handler) holds(r *http.Request) (any, error) {
	from, most, err := page(r)
	if err != nil {
		return nil, err
	}
	s, out := h.Chain.State(), HoldPage{Holds: []HoldView{}}
	first, last, err := contract.Holds(s)
	if err != nil {
		return nil, err
	}
	from = max(from, first)
	for n := from; n != 0 && n <= last; n++ {
		if uint64(len(out.Holds)) == most || n-from == maxPassed {
			out.Next = n
			return out, nil
		}
		tx, _, err := contract.HoldNumber(s, n)
		if err != nil {
			return nil, err
		}
		held, ok, err := contract.HoldOf(s, tx)
		if err != nil {
			return nil, err
		}
		if ok && held.Verdict == flow.Held {
			out.Holds = append(out.Holds, holdView(held))
		}
	}
	return out, nil
}

func holdView(h contract.HeldSubmission) HoldView {
	return HoldView{
		Number: h.Number, Tx: h.Tx, Step: h.Header.Step, Business: h.Header.Business, Platform: h.Header.Platform, Actor: h.Header.Actor,
		Flow: h.Header.Flow, Subject: h.Facts.Subject, Since: Moment(h.Since), Deadline: Moment(h.Deadline), Reasons: reasons(h.Reasons),
	}
}
