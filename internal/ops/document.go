package ops

import (
	"strings"
)

// Table is the vocabulary as docs/operations.md shows it.
func Table() string {
	var b strings.Builder
	b.WriteString("| metric | labels | kind | what | 含义 | look into it when |\n|---|---|---|---|---|---|\n")
	role := ""
	for _, m := range Vocabulary() {
		if m.Role != role {
			role = m.Role
			b.WriteString("| **" + role + "** | | | | | |\n")
		}
		kind := "now"
		if m.Counter {
			kind = "counter"
		}
		b.WriteString("| `" + m.Name + "` | " + strings.Join(m.Labels, ", ") + " | " + kind + " | " + m.En + " | " + m.Zh + " | " + m.Look + " |\n")
	}
	return b.String()
}
