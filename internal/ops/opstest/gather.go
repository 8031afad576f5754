// Package opstest reads what sources of figures give, for their tests.
package opstest

import (
	"sort"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"signalbox.dev/signalbox/internal/ops"
)

// Gather asks the sources as a scrape does, and gives values by name and label
// values: `signalbox_link_up{node-1}`. What is not of the vocabulary, or can't be
// read, fails the test.
func Gather(tb testing.TB, sources ...ops.Source) map[string]float64 {
	tb.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(ops.Collect(sources...))
	families, err := r.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	labels := map[string][]string{}
	for _, m := range ops.Vocabulary() {
		labels[m.Name] = m.Labels
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			at := labels[f.GetName()]
			pairs := m.GetLabel()
			sort.Slice(pairs, func(i, j int) bool { return place(at, pairs[i].GetName()) < place(at, pairs[j].GetName()) })
			values := make([]string, len(pairs))
			for i, p := range pairs {
				values[i] = p.GetValue()
			}
			key := f.GetName()
			if len(values) > 0 {
				key += "{" + strings.Join(values, ",") + "}"
			}
			out[key] = m.GetGauge().GetValue() + m.GetCounter().GetValue() // one of them is nil, and so 0
		}
	}
	return out
}

func place(all []string, name string) int {
	for i, n := range all {
		if n == name {
			return i
		}
	}
	return len(all)
}
