package requirements

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Citation says that a test cites a row.
type Citation struct {
	Row  string // "R2.3"
	Test string // "internal/fusion.TestRoundTrip", or the file where no function encloses the citation
}

// pattern is a row's number. A section's number alone cites nothing, save R5,
// which has no parts: "R4" is a release of FHIR more often than not.
var pattern = regexp.MustCompile(`\bR(?:[0-9]{1,2}\.[0-9]{1,2}|5)\b`)

// own is this package, whose tests are full of citations that are none.
const own = "internal/requirements"

// Citations finds what the tests of a repository cite, in order of rows and
// tests: comments and strings of *_test.go files and of the conformance suites
// (packages named ...test), and scenario files (testdata/scenarios/*.txt).
func Citations(repository fs.FS) ([]Citation, error) {
	var found []Citation
	err := fs.WalkDir(repository, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if skipped(name) {
				return fs.SkipDir
			}
			return nil
		}
		kind := kindOf(name)
		if kind == other {
			return nil
		}
		data, err := fs.ReadFile(repository, name)
		if err != nil {
			return err
		}
		if kind == scenario {
			for _, row := range rowsIn(string(data)) {
				found = append(found, Citation{Row: row, Test: name})
			}
			return nil
		}
		cited, err := inGo(name, data)
		found = append(found, cited...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking for citations: %w", err)
	}
	slices.SortFunc(found, func(a, b Citation) int {
		return cmp.Or(compareRows(a.Row, b.Row), cmp.Compare(a.Test, b.Test))
	})
	return slices.Compact(found), nil
}

func skipped(dir string) bool {
	base := path.Base(dir)
	return dir == own || base == "node_modules" || dir == "data" || dir == "bin" ||
		len(base) > 1 && (base[0] == '.' || base[0] == '_')
}

type kind int

const (
	other kind = iota
	goTest
	scenario
)

func kindOf(name string) kind {
	dir := path.Dir(name)
	switch {
	case strings.HasSuffix(name, "_test.go"):
		return goTest
	case strings.HasSuffix(name, ".go") && strings.HasSuffix(dir, "test") && dir != "test":
		return goTest
	case strings.HasSuffix(dir, "testdata/scenarios") && path.Ext(name) == ".txt":
		return scenario
	}
	return other
}

// inGo finds what a Go file's comments and strings cite.
func inGo(name string, source []byte) ([]Citation, error) {
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var found []Citation
	cite := func(at token.Pos, text string) {
		for _, row := range rowsIn(text) {
			found = append(found, Citation{Row: row, Test: enclosing(file, at, name)})
		}
	}
	for _, group := range file.Comments {
		for _, c := range group.List {
			cite(c.Pos(), c.Text)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.BasicLit); ok && s.Kind == token.STRING {
			cite(s.Pos(), s.Value)
		}
		return true
	})
	return found, nil
}

// enclosing names the function around a position, its comment included, or the file.
func enclosing(file *ast.File, at token.Pos, name string) string {
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		from := f.Pos()
		if f.Doc != nil {
			from = f.Doc.Pos()
		}
		if from <= at && at < f.End() {
			return path.Dir(name) + "." + f.Name.Name
		}
	}
	return name
}

// rowsIn gives the rows that a text cites. Releases of FHIR are none.
func rowsIn(text string) []string {
	var rows []string
	for _, at := range pattern.FindAllStringIndex(text, -1) {
		before := strings.TrimRight(text[:at[0]], " -_.")
		after := text[at[1]:]
		if strings.HasSuffix(before, "FHIR") || strings.HasSuffix(before, "HL7") ||
			len(after) > 1 && after[0] == '.' && after[1] >= '0' && after[1] <= '9' {
			continue
		}
		rows = append(rows, text[at[0]:at[1]])
	}
	return rows
}
