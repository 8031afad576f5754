package oversight

import (
	"net/http"
	"strconv"

	"signalbox.dev/signalbox/contract"
)

// maxVersions is how many versions are listed with the one in force.
const maxVersions = 100

func (h *handler) rules(*http.Request) (any, error) {
	s := h.Chain.State()
	v, err := contract.VersionInForce(s)
	if err != nil {
		return nil, err
	}
	out := RulesView{Versions: []VersionView{}, Scheduled: []ScheduledView{}}
	if out.InForce, err = h.withText(s, v); err != nil {
		return nil, err
	}
	for n := v.Number; n > 0 && len(out.Versions) < maxVersions; n-- {
		earlier, ok, err := contract.VersionOf(s, n)
		if err != nil {
			return nil, err
		}
		if ok {
			out.Versions = append(out.Versions, versionView(earlier))
		}
	}
	waiting, err := contract.ScheduledBundles(s)
	for _, d := range waiting {
		out.Scheduled = append(out.Scheduled, ScheduledView{d.Address, d.Height, Moment(d.Time), d.Order})
	}
	return out, err
}

// version answers with one version and its text.
func (h *handler) version(r *http.Request) (any, error) {
	n, err := strconv.ParseUint(r.PathValue("version"), 10, 63)
	if err != nil {
		return nil, badParameter("version", "a whole number", "非负整数")
	}
	s := h.Chain.State()
	v, ok, err := contract.VersionOf(s, n)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, notFound("there is no such version", "没有该版本")
	}
	return h.withText(s, v)
}

func versionView(v contract.Version) VersionView {
	return VersionView{Number: v.Number, Address: v.Address, Height: v.Height, Order: v.Order}
}

func (h *handler) withText(s contract.State, v contract.Version) (VersionView, error) {
	text, _, err := contract.BundleText(s, v.Address)
	view := versionView(v)
	view.Text = string(text)
	return view, err
}
