package requirements

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// claimed is how a document names a test: `internal/fusion.TestDrain`.
var claimed = regexp.MustCompile("`([a-z][a-z0-9/]*)\\.(Test[A-Za-z0-9]+)`")

// The threat model claims nothing that no test shows: every test that it names is there.
func TestThreatModelNamesTests(t *testing.T) {
	repository := os.DirFS("../..")
	text, err := fs.ReadFile(repository, "docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	claims := claimed.FindAllStringSubmatch(string(text), -1)
	if len(claims) < 40 {
		t.Errorf("%d claims are found, want 40 at least: has their form changed?", len(claims))
	}
	for _, c := range claims {
		if !declares(t, repository, c[1], c[2]) {
			t.Errorf("the threat model names %s.%s, which is no test", c[1], c[2])
		}
	}
}

// declares says whether a package's tests have one of that name.
func declares(t *testing.T, repository fs.FS, dir, name string) bool {
	t.Helper()
	entries, err := fs.ReadDir(repository, dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		text, err := fs.ReadFile(repository, path.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nfunc "+name+"(t *testing.T)") {
			return true
		}
	}
	return false
}

// A name that no test has is not taken for one.
func TestDeclaresCanFail(t *testing.T) {
	repository := os.DirFS("../..")
	if declares(t, repository, "internal/requirements", "TestNothingOfTheKind") || declares(t, repository, "nowhere", "TestDeclaresCanFail") {
		t.Error("a test that is not there is found")
	}
	if !declares(t, repository, "internal/requirements", "TestDeclaresCanFail") {
		t.Error("this test is not found")
	}
}
