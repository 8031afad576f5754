package requirements

import (
	"fmt"
	"strings"
)

// Document writes the table with the tests that cite each row, as Markdown.
func Document(sections []Section, citations []Citation) []byte {
	var b strings.Builder
	b.WriteString("# What Signalbox must do\n\n" +
		"<!-- Written by `go test ./internal/requirements -update` from internal/requirements/rows.go and from the tests. Don't edit. -->\n\n" +
		"Each row is a requirement taken from the source document, a Chinese patent on the supervision of business\n" +
		"flows: *c* is a claim of it, *s* a step, *e* an embodiment. Text after a **+** goes beyond the source.\n" +
		"Tests, comments and documents cite rows by these numbers. A row is *done* only when tests cite it; the last\n" +
		"column is gathered from their sources; a function or file that tests share stands there under its own name.\n\n")
	count := map[State]int{}
	for _, s := range sections {
		for _, r := range s.Rows {
			count[r.State]++
		}
	}
	fmt.Fprintf(&b, "%d done, %d partial, %d open.\n", count[Done], count[Partial], count[Open])
	tests := byRow(citations)
	for _, s := range sections {
		fmt.Fprintf(&b, "\n## %s %s\n\n", s.ID, s.Title)
		if s.Source != "" {
			fmt.Fprintf(&b, "Source: %s.\n\n", s.Source)
		}
		b.WriteString("| row | what must hold | state | tests |\n|---|---|---|---|\n")
		for _, r := range s.Rows {
			state := string(r.State)
			if r.Note != "" {
				state += ": " + r.Note
			}
			var cited []string
			for _, t := range tests[r.ID] {
				cited = append(cited, "`"+t+"`")
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.ID, cell(r.Text), cell(state), strings.Join(cited, "<br>"))
		}
	}
	return []byte(b.String())
}

// cell keeps a text inside its cell.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}
