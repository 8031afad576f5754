package floor_test

import (
	"bufio"
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// place is where in the source an operation happens: a call, such as aead.Open, or
// the beginning of a function, such as checkpoints.sign, or of the first loop's
// body in one. Every such place of the package counts.
type place struct {
	of   string // import path
	kind string // "call", "func" or "loop"
	name string
}

// counts are how often each place was reached, from coverage counters.
type counts map[place]int64

// read takes the counts of the places from a coverage profile.
func read(t *testing.T, file string, places []place) counts {
	t.Helper()
	blocks := parseProfile(t, file)
	found := counts{}
	sources := map[string][]source{}
	for _, p := range places {
		if sources[p.of] == nil {
			sources[p.of] = parsePackage(t, p.of)
		}
		found[p] = 0
		for _, s := range sources[p.of] {
			for _, at := range s.find(p) {
				found[p] += blocks.at(t, p.of+"/"+s.name, at)
			}
		}
	}
	return found
}

// block is a stretch of a file that is executed as a whole.
type block struct {
	from, to point
	count    int64
}

type point struct{ line, column int }

func (p point) before(q point) bool {
	return p.line < q.line || p.line == q.line && p.column < q.column
}

type profile map[string][]block

// at is the count of the smallest block around a point.
func (p profile) at(t *testing.T, file string, at point) int64 {
	t.Helper()
	best := block{count: -1}
	for _, b := range p[file] {
		if !at.before(b.from) && at.before(b.to) && (best.count < 0 || best.from.before(b.from)) {
			best = b
		}
	}
	if best.count < 0 {
		t.Fatalf("%s:%d has no counter: is the package instrumented?", file, at.line)
	}
	return best.count
}

// parseProfile reads lines such as "path/file.go:12.34,15.2 3 7".
func parseProfile(t *testing.T, file string) profile {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out := profile{}
	for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
		if strings.HasPrefix(s.Text(), "mode:") {
			continue
		}
		i := strings.LastIndexByte(s.Text(), ':')
		var b block
		var statements int
		if i < 0 {
			t.Fatalf("profile: %q", s.Text())
		}
		_, err := fmt.Sscanf(s.Text()[i+1:], "%d.%d,%d.%d %d %d", &b.from.line, &b.from.column, &b.to.line, &b.to.column, &statements, &b.count)
		if err != nil {
			t.Fatalf("profile: %q: %v", s.Text(), err)
		}
		name := s.Text()[:i]
		out[name] = append(out[name], b)
	}
	return out
}

// source is a parsed file.
type source struct {
	name string
	set  *token.FileSet
	file *ast.File
}

func parsePackage(t *testing.T, path string) []source {
	t.Helper()
	cmd := exec.Command("go", "list", "-tags", "purego", "-f", "{{.Dir}}{{range .GoFiles}}\n{{.}}{{end}}", path)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("looking for package %s: %v", path, err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var all []source
	for _, name := range lines[1:] {
		s := source{name: name, set: token.NewFileSet()}
		if s.file, err = parser.ParseFile(s.set, filepath.Join(lines[0], name), nil, parser.SkipObjectResolution); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// find gives every point of the file that is the place.
func (s source) find(p place) []point {
	var out []point
	add := func(pos token.Pos) {
		at := s.set.Position(pos)
		out = append(out, point{at.Line, at.Column})
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if p.kind == "call" && text(n.Fun) == p.name {
				add(n.Pos())
			}
		case *ast.FuncDecl:
			if n.Body == nil || receiver(n)+n.Name.Name != p.name || len(n.Body.List) == 0 {
				return true
			}
			if p.kind == "func" {
				add(n.Body.List[0].Pos())
			}
			if p.kind == "loop" {
				for _, stmt := range n.Body.List {
					if loop, ok := stmt.(*ast.ForStmt); ok {
						add(loop.Body.List[0].Pos())
						break
					}
				}
			}
		}
		return true
	})
	return out
}

// text is a call's name as it is written, such as ed25519.Sign.
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return text(e.X) + "." + e.Sel.Name
	}
	return ""
}

// receiver is a method's type and a dot.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	e := f.Recv.List[0].Type
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	return text(e) + "."
}
