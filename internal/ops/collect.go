package ops

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Source gives a part's figures when it is asked. Its name is a label value.
type Source struct {
	Part string
	// Read emits the figures; an error means that some are missing.
	Read func(ctx context.Context, emit Emit) error
}

// Emit takes one value of a metric of the vocabulary, with a value for each of
// its labels in their order.
type Emit func(name string, value float64, labels ...string)

// Links are the links to other parties, by the peer's name: whether each stands.
func Links(up map[string]func() bool) Source {
	return Source{Part: "links", Read: func(_ context.Context, emit Emit) error {
		for peer, stands := range up {
			emit(LinkUp, truth(stands()), peer)
		}
		return nil
	}}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// askTime bounds what a look at the figures takes, all parts together.
const askTime = 5 * time.Second

// Collect makes a collector of the sources. It asks them anew at every look.
func Collect(sources ...Source) prometheus.Collector {
	c := &collector{sources: sources, descs: map[string]described{}}
	for _, m := range Vocabulary() {
		c.descs[m.Name] = described{m, prometheus.NewDesc(m.Name, m.En, m.Labels, nil)}
	}
	return c
}

type collector struct {
	sources []Source
	descs   map[string]described // by name; never changed
}

type described struct {
	Metric
	desc *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	for _, s := range c.sources {
		err := s.Read(ctx, c.emit(out))
		c.emit(out)(PartUnread, truth(err != nil), s.Part)
	}
}

func (c *collector) emit(out chan<- prometheus.Metric) Emit {
	return func(name string, value float64, labels ...string) {
		d, ok := c.descs[name]
		if !ok {
			err := fmt.Errorf("metric %s is not in the vocabulary", name)
			out <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(err), err)
			return
		}
		kind := prometheus.GaugeValue
		if d.Counter {
			kind = prometheus.CounterValue
		}
		m, err := prometheus.NewConstMetric(d.desc, kind, value, labels...)
		if err != nil {
			m = prometheus.NewInvalidMetric(d.desc, err)
		}
		out <- m
	}
}
