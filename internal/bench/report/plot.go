package report

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"

	"signalbox.dev/signalbox/internal/bench"
)

// drawing is an SVG that is being written. It reads on light and dark pages: it
// brings its own paper.
type drawing struct{ strings.Builder }

func newDrawing(width, height float64) *drawing {
	d := &drawing{}
	fmt.Fprintf(d, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="sans-serif" font-size="12">`+"\n", width, height)
	d.box(0, 0, width, height, "#ffffff")
	return d
}

func (d *drawing) box(x, y, width, height float64, fill string) {
	fmt.Fprintf(d, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", x, y, width, height, fill)
}

func (d *drawing) rule(x1, y1, x2, y2 float64) {
	fmt.Fprintf(d, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#cccccc"/>`+"\n", x1, y1, x2, y2)
}

// text is anchored at its "start", "middle" or "end".
func (d *drawing) text(x, y float64, anchor, what string) {
	fmt.Fprintf(d, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="#222222">`, x, y, anchor)
	_ = xml.EscapeText(d, []byte(what)) // a strings.Builder takes everything
	d.WriteString("</text>\n")
}

func (d *drawing) bytes() []byte { return []byte(d.String() + "</svg>\n") }

// key explains a colour, and gives the place of the next.
func (d *drawing) key(x, y float64, fill, what string) float64 {
	d.box(x, y-10, 12, 12, fill)
	d.text(x+17, y, "start", what)
	return x + 17 + 7*float64(len(what)) + 18
}

// colours are told apart by those who see few of them, too (Okabe and Ito).
func colours() []string {
	return []string{"#0072b2", "#56b4e9", "#009e73", "#e69f00", "#d55e00", "#cc79a7", "#f0e442", "#999999"}
}

const (
	left, right, top, bottom = 70.0, 20.0, 50.0, 60.0
	plotHeight               = 300.0
	groupWidth               = 130.0
)

// Latency plots latencies of every run, on a logarithmic axis.
func (r Report) Latency() []byte {
	runs := 0
	lowest, highest := math.Inf(1), 1.0
	for _, s := range r.Suites {
		runs += len(s.Runs)
		for _, v := range s.Runs {
			lowest, highest = min(lowest, max(v.P50MS, 0.1)), max(highest, v.P999MS)
		}
	}
	from, to := math.Floor(math.Log10(lowest)), math.Ceil(math.Log10(highest))
	if to <= from {
		to = from + 1
	}
	width := left + right + groupWidth*float64(runs)
	d := newDrawing(width, top+plotHeight+bottom)
	level := func(v float64) float64 {
		return top + plotHeight*(to-math.Log10(max(v, math.Pow(10, from))))/(to-from)
	}
	for e := from; e <= to; e++ {
		y := level(math.Pow(10, e))
		d.rule(left, y, width-right, y)
		d.text(left-8, y+4, "end", fmt.Sprintf("%g ms", math.Pow(10, e)))
	}
	x := left
	for i, name := range []string{"p50", "p95", "p99", "p99.9"} {
		x = d.key(x, 25, colours()[i], name)
	}
	group := left
	for _, s := range r.Suites {
		for _, v := range s.Runs {
			for i, q := range []float64{v.P50MS, v.P95MS, v.P99MS, v.P999MS} {
				y := level(q)
				d.box(group+14+26*float64(i), y, 24, top+plotHeight-y, colours()[i])
				d.text(group+26+26*float64(i), y-4, "middle", ms(q))
			}
			d.text(group+groupWidth/2, top+plotHeight+20, "middle", s.Name+", "+load(v))
			d.text(group+groupWidth/2, top+plotHeight+38, "middle", fmt.Sprintf("%.0f steps/s", v.StepsPerS))
			group += groupWidth
		}
	}
	return d.bytes()
}

const barHeight, barGap, barWidth = 34.0, 18.0, 620.0

// Processors plots the processor time of a step by part, of every suite's first run.
func (r Report) Processors() []byte {
	most := 1.0
	for _, s := range r.Suites {
		most = max(most, s.Runs[0].CPU[bench.Total])
	}
	const keys = 80.0
	d := newDrawing(left+barWidth+100, keys+float64(len(r.Suites))*(barHeight+barGap)+10)
	x, y := left, 25.0
	for i, p := range bench.Parts() {
		if i == len(bench.Parts())/2 {
			x, y = left, 50
		}
		x = d.key(x, y, colours()[i], partName(p))
	}
	y = keys
	for _, s := range r.Suites {
		cpu := s.Runs[0].CPU
		d.text(left-8, y+barHeight/2+4, "end", s.Name)
		x := left
		for i, p := range bench.Parts() {
			w := barWidth * cpu[p] / most
			d.box(x, y, w, barHeight, colours()[i])
			x += w
		}
		d.text(x+8, y+barHeight/2+4, "start", fmt.Sprintf("%.0f µs", cpu[bench.Total]))
		y += barHeight + barGap
	}
	return d.bytes()
}
