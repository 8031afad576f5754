package prescription_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"signalbox.dev/signalbox/profile"
	"signalbox.dev/signalbox/profile/prescription"
	"signalbox.dev/signalbox/profile/prescription/samples"
)

var update = flag.Bool("update", false, "write the golden files anew")

func newProfile(t testing.TB, c prescription.Config) *prescription.Profile {
	t.Helper()
	p, err := prescription.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sample returns the named sample prescription.
func sample(t testing.TB, name string) []byte {
	t.Helper()
	all, err := samples.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Name == name {
			return s.Data
		}
	}
	t.Fatalf("no sample %s", name)
	return nil
}

// gone, as a value, takes a member away.
type gone struct{}

// change is one edit of a document: a JSON pointer and what to put there.
type change struct {
	at    string
	value any
}

// edit returns doc with the changes made.
func edit(t testing.TB, doc []byte, changes ...change) []byte {
	t.Helper()
	var root any
	d := json.NewDecoder(strings.NewReader(string(doc)))
	d.UseNumber()
	if err := d.Decode(&root); err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		root = put(t, root, strings.Split(c.at, "/")[1:], c.value)
	}
	out, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func put(t testing.TB, node any, path []string, value any) any {
	t.Helper()
	if len(path) == 0 {
		return value
	}
	switch n := node.(type) {
	case map[string]any:
		if _, drop := value.(gone); drop && len(path) == 1 {
			if _, there := n[path[0]]; !there {
				t.Fatalf("nothing to take away at %q", path[0])
			}
			delete(n, path[0])
			return n
		}
		n[path[0]] = put(t, n[path[0]], path[1:], value)
		return n
	case []any:
		i, err := strconv.Atoi(path[0])
		if err != nil || i > len(n) {
			t.Fatalf("no element %q", path[0])
		}
		if i == len(n) {
			n = append(n, nil)
		}
		n[i] = put(t, n[i], path[1:], value)
		return n
	}
	t.Fatalf("no way to %q", path[0])
	return nil
}

// said lists an error's problems as "path: text", after checking that each is in
// both languages and repeats none of the forbidden words.
func said(t testing.TB, err error, forbidden ...string) []string {
	t.Helper()
	var first *profile.Problem
	if !errors.As(err, &first) {
		t.Fatalf("not a problem: %v", err)
	}
	list := []error{err}
	if joined, several := err.(interface{ Unwrap() []error }); several {
		list = joined.Unwrap()
	}
	var out []string
	for _, e := range list {
		var p *profile.Problem
		if !errors.As(e, &p) {
			t.Fatalf("not a problem: %v", e)
		}
		if p.Zh == "" || p.En == "" {
			t.Errorf("%q: a language is missing: %q, %q", p.Path, p.Zh, p.En)
		}
		for _, w := range forbidden {
			if strings.Contains(p.Path+p.Zh+p.En, w) {
				t.Errorf("%q: a value of the input stands in %q", w, p.En)
			}
		}
		out = append(out, p.Path+": "+p.En)
	}
	return out
}

// golden compares got with a file under testdata, or writes it with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", filepath.FromSlash(name))
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (run go test -update)", err)
	}
	if string(want) != string(got) {
		t.Errorf("%s differs; if that is meant, run go test -update\ngot:\n%s", path, got)
	}
}

// named is a pseudonym that hides nothing, so that tests can see what was named.
func named(kind, id string) string { return kind + " " + id }
