package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/internal/oversight"
)

var pairs = oversight.ListView{Name: contract.RestrictedSubjectItems, Key: []string{"subject", "item"}}

func readRows(t *testing.T, text string) csvFile {
	t.Helper()
	f, err := readCSV(strings.NewReader(text), pairs, csvDefaults{"why", ""}, 8*3600, time.Unix(1_800_000_000, 0))
	must(t, err)
	return f
}

// R6.2: what is exported can be imported, and says the same.
func TestCSVRoundTrip(t *testing.T) {
	e := oversight.EntryView{
		List: pairs.Name, Number: 7, Key: []string{"s1", "i,\"1\""}, From: 1_700_000_000, To: 1_900_000_000,
		Reason: "claims fraud,\ncase 17", Basis: "第五条", Status: contract.EntryAppealed, Added: 3, Appeal: "no",
	}
	lifted := e
	lifted.Status = contract.EntryLifted
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Write(append(append([]string{}, pairs.Key...), csvColumns()...))
	for _, x := range []oversight.EntryView{e, lifted} {
		w.Write(append(append([]string{}, x.Key...), csvFields(x)...))
	}
	w.Flush()
	f := readRows(t, "\ufeff"+b.String())
	want := contract.Addition{List: e.List, Key: e.Key, From: int64(e.From), To: int64(e.To), Reason: e.Reason, Basis: e.Basis}
	if len(f.rows) != 1 || f.ended != 1 || len(f.wrongs) != 0 {
		t.Fatalf("%+v", f)
	}
	if d := cmp.Diff(want, f.rows[0].addition, cmp.AllowUnexported(contract.Addition{})); d != "" {
		t.Error(d)
	}
}

func TestCSVBadRows(t *testing.T) {
	f := readRows(t, "subject_id,item_code,basis,to\nresident:1,A,b,\nresident:2,,b,\nresident:3,A,b\nresident:4,A,,\nresident:5,A,b,soon\nresident:6,A,b,2030-01-01\n")
	var lines []string
	for _, w := range f.wrongs {
		lines = append(lines, strings.SplitN(w.Error(), ":", 2)[0])
		if strings.Contains(w.Error(), "resident") {
			t.Errorf("an error repeats a subject: %v", w)
		}
	}
	if d := cmp.Diff([]string{"line 3", "line 4", "line 5", "line 6"}, lines); d != "" {
		t.Error(d)
	}
	if len(f.rows) != 2 || f.plain[0] != "subject" || f.plain[1] != "item" || f.rows[1].line != 7 {
		t.Errorf("%+v", f)
	}
	if want := time.Date(2030, 1, 1, 0, 0, 0, 0, time.FixedZone("", 8*3600)).Unix(); f.rows[1].addition.To != want {
		t.Errorf("to %d, want the day's beginning in the authority's zone, %d", f.rows[1].addition.To, want)
	}
}

func TestCSVHeaders(t *testing.T) {
	for _, header := range []string{"", "subject", "subject,item,colour", "subject,subject_id,item", "subject,item,item", "subject,item,"} {
		if _, err := readCSV(strings.NewReader(header+"\n"), pairs, csvDefaults{}, 0, time.Now()); err == nil {
			t.Errorf("header %q is taken", header)
		}
	}
}

// Thousands of rows go into as few orders as the contract and the chain take.
func TestSplit(t *testing.T) {
	rows := make([]csvRow, 9000)
	for i := range rows {
		rows[i].addition = contract.Addition{List: contract.RestrictedSubjects, Key: []string{fmt.Sprint(i)}, Reason: "r", Basis: "b"}
	}
	parts, err := split(rows)
	must(t, err)
	if len(parts) != 3 || len(parts[0]) != contract.MaxAdditions || len(parts[2]) != 1000 {
		t.Errorf("%d parts", len(parts))
	}
	for i := range rows {
		rows[i].addition.Reason = strings.Repeat("r", 500)
	}
	if parts, err = split(rows); err != nil || len(parts) < 4 {
		t.Errorf("%d parts of long rows, %v", len(parts), err)
	}
	if parts, err = split(nil); err != nil || len(parts) != 0 {
		t.Errorf("%d parts of nothing, %v", len(parts), err)
	}
}

func TestMoments(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for text, want := range map[string]int64{"": 0, "12h": now.Unix() + 43200, "2d": now.Unix() + 172800, "2027-01-01T00:00:00Z": 1798761600} {
		if got, err := momentOf(text, 0, now); err != nil || got != want {
			t.Errorf("%q: %d %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"soon", "-1h", "2027-13-01", "d"} {
		if _, err := momentOf(text, 0, now); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// Text of others can't break a row or move the cursor.
func TestTableIsHarmless(t *testing.T) {
	var b bytes.Buffer
	tb := newTable(&b)
	tb.row("a\x1b[2J\nb\tc", "")
	must(t, tb.end())
	if b.String() != "a [2J b c  -\n" {
		t.Errorf("%q", b.String())
	}
}
