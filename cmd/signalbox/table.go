package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"signalbox.dev/signalbox/internal/oversight"
)

// table prints columns for people.
type table struct{ w *tabwriter.Writer }

func newTable(w io.Writer) table { return table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)} }

// row adds a row. What stands on the chain may hold anything: it can't move the
// terminal's cursor or break a row.
func (t table) row(cells ...any) {
	texts := make([]string, len(cells))
	for i, c := range cells {
		if texts[i] = harmless(fmt.Sprint(c)); texts[i] == "" {
			texts[i] = "-"
		}
	}
	fmt.Fprintln(t.w, strings.Join(texts, "\t"))
}

func (t table) end() error { return t.w.Flush() }

func harmless(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

// clock shows a time in the user's own zone.
func clock(m oversight.Moment) string {
	if m == 0 {
		return ""
	}
	return m.Time().Local().Format("2006-01-02 15:04:05")
}

// moment reads a time: RFC 3339, a day in the authority's zone (its beginning),
// or how long from now: 12h, 30d.
func momentOf(text string, zoneOffset int64, now time.Time) (int64, error) {
	if text == "" {
		return 0, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.Unix(), nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, text, time.FixedZone("", int(zoneOffset))); err == nil {
		return t.Unix(), nil
	}
	if days, found := strings.CutSuffix(text, "d"); found {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.AddDate(0, 0, int(n)).Unix(), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(d).Unix(), nil
	}
	return 0, fmt.Errorf("%q is no time: want 2026-12-31, 2026-12-31T08:00:00+08:00, 12h or 30d", text)
}

// brief is the beginning of a hash or pseudonym, enough to tell it from others.
func brief(s string) string {
	const enough = 16
	if len(s) <= enough {
		return s
	}
	return s[:enough] + "…"
}

func joined[S ~string](all []S, with string) string {
	texts := make([]string, len(all))
	for i, s := range all {
		texts[i] = string(s)
	}
	return strings.Join(texts, with)
}
