package main

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/internal/oversight"
)

// csvRow is one row that is to become an entry.
type csvRow struct {
	line     int
	addition contract.Addition
}

// csvFile is a file of entries, read.
type csvFile struct {
	rows   []csvRow
	plain  []string // by part of the key: the kind of plain id in its column; empty for none
	ended  int      // rows of entries that are lifted or expired, left out
	wrongs []error  // each names its line
}

// plainColumn is the column of plain ids, for which the authority makes
// pseudonyms, that can stand for a part of the key; empty for none.
func plainColumn(part string) string {
	switch part {
	case "item":
		return "item_code"
	case "subject", "originator", "prescriber":
		return part + "_id"
	}
	return ""
}

// csvDefaults are what a row has where it says nothing.
type csvDefaults struct{ reason, basis string }

// readCSV reads entries of a list: a header, then a row for each. Bad rows are
// told one by one, and by line; the error is a file that is no such CSV at all.
func readCSV(in io.Reader, l oversight.ListView, def csvDefaults, zoneOffset int64, now time.Time) (csvFile, error) {
	buffered := bufio.NewReader(in)
	if mark, _ := buffered.Peek(3); string(mark) == "\xef\xbb\xbf" { // spreadsheets begin with it
		buffered.Discard(3)
	}
	r := csv.NewReader(buffered)
	header, err := r.Read()
	if err != nil {
		return csvFile{}, fmt.Errorf("reading the header: %w", err)
	}
	columns, err := columnsOf(l, header)
	if err != nil {
		return csvFile{}, fmt.Errorf("reading the header: %w", err)
	}
	f := csvFile{plain: columns.plain}
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return f, nil
		}
		var wrong *csv.ParseError
		if errors.As(err, &wrong) && errors.Is(wrong.Err, csv.ErrFieldCount) {
			f.wrongs = append(f.wrongs, fmt.Errorf("line %d: has %d fields, the header %d", wrong.StartLine, len(fields), len(header)))
			continue
		}
		if err != nil {
			return f, fmt.Errorf("reading rows: %w", err)
		}
		line, _ := r.FieldPos(0)
		if s := columns.field(fields, "status"); s == string(contract.EntryLifted) || s == string(contract.EntryExpired) {
			f.ended++
			continue
		}
		a, err := columns.addition(l, fields, def, zoneOffset, now)
		if err != nil {
			f.wrongs = append(f.wrongs, fmt.Errorf("line %d: %w", line, err))
			continue
		}
		f.rows = append(f.rows, csvRow{line, a})
	}
}

// csvHeader says which column is what.
type csvHeader struct {
	at    map[string]int
	key   []int // columns of the key's parts
	plain []string
}

func columnsOf(l oversight.ListView, header []string) (csvHeader, error) {
	h := csvHeader{at: map[string]int{}, plain: make([]string, len(l.Key))}
	known := append(csvColumns(), l.Key...)
	for _, part := range l.Key {
		known = append(known, plainColumn(part))
	}
	for i, name := range header {
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := h.at[name]; twice || name == "" || !slices.Contains(known, name) {
			return h, fmt.Errorf("column %d, %q: is not known or stands twice; there are %s", i+1, name, strings.Join(slices.DeleteFunc(known, isEmpty), ", "))
		}
		h.at[name] = i
	}
	for i, part := range l.Key {
		column, ok := h.at[part]
		if plain, also := h.at[plainColumn(part)]; also {
			if ok {
				return h, fmt.Errorf("%s and %s: want one of them", part, plainColumn(part))
			}
			column, ok, h.plain[i] = plain, true, part
		}
		if !ok {
			return h, fmt.Errorf("column %s is missing", part)
		}
		h.key = append(h.key, column)
	}
	return h, nil
}

func isEmpty(s string) bool { return s == "" }

func (h csvHeader) field(fields []string, name string) string {
	if i, ok := h.at[name]; ok {
		return strings.TrimSpace(fields[i])
	}
	return ""
}

// addition reads a row. An error repeats no part of the key.
func (h csvHeader) addition(l oversight.ListView, fields []string, def csvDefaults, zoneOffset int64, now time.Time) (contract.Addition, error) {
	a := contract.Addition{List: l.Name, Reason: h.field(fields, "reason"), Basis: h.field(fields, "basis")}
	for i, column := range h.key {
		part := strings.TrimSpace(fields[column])
		if part == "" || len(part) > 128 {
			return a, fmt.Errorf("%s: want 1 to 128 bytes", l.Key[i])
		}
		a.Key = append(a.Key, part)
	}
	if a.Reason == "" {
		a.Reason = def.reason
	}
	if a.Basis == "" {
		a.Basis = def.basis
	}
	if a.Basis == "" {
		return a, errors.New("basis: is missing, and no --basis is given")
	}
	if len(a.Reason) > 512 || len(a.Basis) > 512 {
		return a, errors.New("reason, basis: want at most 512 bytes")
	}
	var err error
	if a.From, err = momentOf(h.field(fields, "from"), zoneOffset, now); err != nil {
		return a, fmt.Errorf("from: %w", err)
	}
	if a.To, err = momentOf(h.field(fields, "to"), zoneOffset, now); err != nil {
		return a, fmt.Errorf("to: %w", err)
	}
	if a.To != 0 && a.To <= a.From {
		return a, errors.New("to: ends before it begins")
	}
	return a, nil
}
