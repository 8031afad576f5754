package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/oversight"
)

type listImportCommand struct {
	warrant
	List   string `arg:"" help:"The list."`
	File   string `arg:"" help:"The CSV file; - is standard input."`
	DryRun bool   `help:"Show what it would do, and change nothing."`
	Days   int    `help:"With --dry-run: how many past days of decisions are put to the new entries; 0 for none." default:"30"`
	Basis  string `help:"Legal basis of rows that name none."`
}

// Help implements kong's HelpProvider.
func (listImportCommand) Help() string {
	return "The first line names the columns: the parts of the list's key, then from, to, reason and basis as far as wanted. Subjects and items are\n" +
		"known on the chain by pseudonyms; columns subject_id (resident:1101...), item_code, originator_id and prescriber_id hold plain ids instead,\n" +
		"which the authority turns into pseudonyms and forgets. Rows whose key has an entry in force are left out. Nothing is added while any row is bad.\n\n" +
		"Examples:\n  signalbox authority list import restricted-subjects subjects.csv --dry-run --reason \"claims fraud, case 17\"\n" +
		"  signalbox authority list import restricted-subjects subjects.csv --basis \"Art. 5\" --reason \"claims fraud, case 17\""
}

// imported is what an import has done, or would do.
type imported struct {
	List     contract.List       `json:"list"`
	DryRun   bool                `json:"dry_run"`
	Rows     int                 `json:"rows"`
	Add      int                 `json:"add"`      // new entries
	There    int                 `json:"there"`    // rows whose key has an entry in force
	Repeated int                 `json:"repeated"` // rows whose key stands in the file before
	Ended    int                 `json:"ended"`    // rows of lifted or expired entries, left out
	Orders   int                 `json:"orders"`   // that it takes
	Effect   *effect             `json:"effect,omitempty"`
	Outcomes []oversight.Outcome `json:"outcomes,omitempty"`
}

// Run imports.
func (c *listImportCommand) Run(a *app) error {
	l, err := c.listed(a, c.List)
	if err != nil {
		return err
	}
	f, err := c.read(a, l)
	if err != nil {
		return err
	}
	done := imported{List: l.Name, DryRun: c.DryRun, Rows: len(f.rows) + f.ended, Ended: f.ended}
	rows, err := c.fresh(a, f, &done)
	if err != nil {
		return err
	}
	done.Add = len(rows)
	parts, err := split(rows)
	if err != nil {
		return err
	}
	done.Orders = len(parts)
	if c.DryRun {
		if done.Effect, err = c.effect(a, l, rows); err != nil {
			return err
		}
		return c.print(a, done)
	}
	for i, p := range parts {
		out, err := c.give(a, order{contract.ListAdd, contract.Additions{Entries: p}})
		if err != nil {
			return errors.Join(c.print(a, done), fmt.Errorf(a.say.of("order %d of %d: %w; run it again for the rest", "第 %d 道指令（共 %d 道）：%w；其余请再次导入"), i+1, len(parts), err))
		}
		done.Outcomes = append(done.Outcomes, out)
	}
	return c.print(a, done)
}

// read reads the file; bad rows are an error that names each by its line.
func (c *listImportCommand) read(a *app, l oversight.ListView) (csvFile, error) {
	var in io.Reader = os.Stdin
	if c.File != "-" {
		file, err := os.Open(c.File)
		if err != nil {
			return csvFile{}, fmt.Errorf("reading entries: %w", err)
		}
		defer file.Close()
		in = file
	}
	cl := c.client()
	defer cl.Close()
	status, err := cl.Status(a.ctx)
	if err != nil {
		return csvFile{}, a.plain(err)
	}
	f, err := readCSV(in, l, csvDefaults{c.Reason, c.Basis}, status.ZoneOffset, time.Now())
	if err != nil {
		return f, fmt.Errorf("%s: %w", c.File, err)
	}
	const shown = 20
	if n := len(f.wrongs); n > 0 {
		for _, w := range f.wrongs[:min(n, shown)] {
			fmt.Fprintf(a.stderr, "%s: %v\n", c.File, w)
		}
		return f, fmt.Errorf(a.say.of("%d bad rows: nothing was added", "%d 行有误，未导入任何条目"), n)
	}
	return f, nil
}

// batch is how many rows the authority is asked about at a time.
const batch = 2000

// fresh turns plain ids into pseudonyms, and leaves out what is there already
// and what stands in the file before.
func (c *listImportCommand) fresh(a *app, f csvFile, done *imported) ([]csvRow, error) {
	cl := c.client()
	defer cl.Close()
	var fresh []csvRow
	seen := map[string]bool{}
	for begin := 0; begin < len(f.rows); begin += batch {
		rows := f.rows[begin:min(begin+batch, len(f.rows))]
		for part, kind := range f.plain {
			if kind == "" {
				continue
			}
			ids := make([]string, len(rows))
			for i, r := range rows {
				ids[i] = r.addition.Key[part]
			}
			names, err := cl.Pseudonyms(a.ctx, kind, ids)
			if err != nil {
				return nil, a.plain(err)
			}
			for i := range rows {
				rows[i].addition.Key[part] = names[i]
			}
		}
		keys := make([][]string, len(rows))
		for i, r := range rows {
			keys[i] = r.addition.Key
		}
		numbers, err := cl.Match(a.ctx, done.List, keys)
		if err != nil {
			return nil, a.plain(err)
		}
		for i, r := range rows {
			key := strings.Join(r.addition.Key, "\x00")
			switch {
			case seen[key]:
				done.Repeated++
			case numbers[i] != 0:
				done.There++
			default:
				fresh = append(fresh, r)
			}
			seen[key] = true
		}
	}
	return fresh, nil
}

// maxAdditionBytes leaves an order room for its frame within a transaction.
const maxAdditionBytes = flow.MaxMessage - 64<<10

// split makes as few orders of the rows as the contract and the chain take.
func split(rows []csvRow) ([][]contract.Addition, error) {
	var parts [][]contract.Addition
	size := maxAdditionBytes
	for _, r := range rows {
		encoded, err := flow.Marshal(r.addition)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", r.line, err)
		}
		if size += len(encoded); size > maxAdditionBytes || len(parts[len(parts)-1]) == contract.MaxAdditions {
			parts, size = append(parts, nil), len(encoded)
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], r.addition)
	}
	return parts, nil
}

func (c *listImportCommand) print(a *app, done imported) error {
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(done)
	}
	lines := []string{fmt.Sprintf(a.say.of(
		"%s: %d rows: %d to add in %d orders, %d there already, %d repeated, %d ended",
		"%s：%d 行：新增 %d 条，指令 %d 道，已在名单 %d 条，重复 %d 条，已结束 %d 条"),
		done.List, done.Rows, done.Add, done.Orders, done.There, done.Repeated, done.Ended)}
	if e := done.Effect; e != nil {
		lines = append(lines, fmt.Sprintf(a.say.of(
			"of %d granted decisions of the last %d days they would have hit %d", "最近 %[2]d 天的 %[1]d 条准许决定中，将命中 %[3]d 条"), e.Granted, e.Days, e.Hit))
		for _, x := range e.Examples {
			lines = append(lines, fmt.Sprintf(a.say.of("  line %d: %s %s", "  第 %d 行：%s %s"), x.Line, x.Step, x.Tx))
		}
	}
	added := 0
	for _, o := range done.Outcomes {
		added += len(o.Entries)
	}
	switch {
	case done.DryRun:
		lines = append(lines, a.say.of("nothing was changed", "未作任何更改"))
	case added > 0:
		lines = append(lines, fmt.Sprintf(a.say.of("✓ %d entries added, in force from the next decision on", "✓ 已新增 %d 条，自下一决定起生效"), added))
	}
	_, err := fmt.Fprintln(a.stdout, strings.Join(lines, "\n"))
	return err
}
