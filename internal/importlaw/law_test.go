// Package importlaw holds the house's law of dependencies as a test:
//
//	cmd -> roles and adapters -> ports -> pure
//
// Pure packages import nothing of ours but pure packages, and neither context,
// clock, logger nor network. Roles never import adapters, adapters decide
// nothing, and the platform's half and the authority's half never meet but in
// the fusion node.
package importlaw

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "signalbox.dev/signalbox"

// rule says what the packages under one path may import of ours (prefixes) and
// what they may not import at all.
type rule struct {
	allow  []string
	forbid []string
}

var pure = []string{"flow", "envelope", "receipt", "contract", "profile", "committee", "archive/segment"}

// impure are imports that no pure package takes: effects come in as arguments.
var impure = []string{"context", "log", "log/slog", "net", "net/http", "os", "database/sql"}

// adapters are what roles never import: they are given one.
var adapters = []string{module + "/ledger/memory", module + "/ledger/embedded", module + "/ledger/remote", module + "/archive/blob"}

// law is read from the most specific path that matches a package.
var law = map[string]rule{
	"flow":     {forbid: impure},
	"envelope": {allow: []string{"flow"}, forbid: impure},
	"contract": {allow: []string{"flow", "envelope", "committee", "receipt"}, forbid: impure},
	"receipt":  {allow: []string{"flow", "envelope"}, forbid: impure},
	"profile":  {allow: []string{"flow", "contract", "profile"}, forbid: impure},

	"committee": {allow: []string{"flow"}, forbid: impure},

	"contracts": {forbid: impure}, // rule bundles as files

	"ledger":            {allow: pure},
	"ledger/ledgertest": {allow: with(pure, "ledger")},
	"ledger/memory":     {allow: with(pure, "ledger")},
	"ledger/embedded":   {allow: with(pure, "ledger", "internal/comet", "internal/fault")},
	"ledger/remote":     {allow: with(pure, "ledger", "internal/turnstile")},

	"archive":             {allow: nil},
	"archive/archivetest": {allow: []string{"archive"}},
	"archive/blob":        {allow: []string{"archive"}},
	"archive/segment":     {allow: []string{"flow", "receipt"}, forbid: impure},
	"internal/archiving":  {allow: with(pure, "archive", "internal/chain"), forbid: adapters},

	"internal/snapshot":        {allow: with(pure, "archive", "internal/chain", "internal/comet"), forbid: adapters},
	"internal/comet":           {allow: nil},
	"internal/fault":           {allow: nil},
	"internal/durable":         {allow: nil},
	"internal/chain":           {allow: with(pure, "internal/comet", "internal/fault")},
	"internal/fusion":          {allow: with(pure, "internal/link", "internal/durable", "internal/turnstile")},
	"internal/turnstile":       {allow: nil},
	"internal/link":            {allow: pure},
	"internal/chain/chaintest": {allow: with(pure, "internal/chain", "internal/comet", "contracts")},
	"internal/authority":       {allow: with(pure, "internal/link", "internal/fusion", "internal/chain", "internal/fault")},
	"internal/socket":          {allow: nil},
	"internal/operator":        {allow: []string{"flow", "internal/fusion", "internal/socket"}},
	"internal/oversight":       {allow: with(pure, "internal/chain", "internal/socket")},
	"internal/store":           {allow: pure},
	"internal/witness":         {allow: with(pure, "internal/durable")},
	"internal/monitor":         {allow: with(pure, "internal/witness", "internal/durable")},
	"internal/platform":        {allow: with(pure, "ledger", "internal/fusion", "internal/fault", "internal/store", "internal/platform"), forbid: adapters},
	"internal/api":             {allow: with(pure, "ledger", "internal/platform"), forbid: adapters},
	"internal/audit":           {allow: with(pure, "ledger"), forbid: adapters},
	"internal/sandbox":         {allow: with(pure, "internal/platform")},
	"internal/config":          {allow: pure},
	"internal/party":           {allow: []string{""}, forbid: []string{module + "/cmd", module + "/internal/system"}}, // wiring of one role each
	"internal/ops":             {allow: []string{"internal/ops"}},
	"internal/bench/loop":      {allow: nil}, // measurement, for `signalbox bench` alone
	"internal/bench/floor":     {allow: []string{"internal/bench/loop"}},
	"internal/bench/engine":    {allow: []string{"internal/bench/loop", "internal/comet"}},
	"internal/bench/guard":     {allow: nil},
	"internal/bench/reference": {allow: pure},
	"internal/bench/plain":     {allow: with(pure, "ledger", "internal/bench/loop", "internal/comet", "internal/platform", "internal/store"), forbid: adapters},
	"internal/importlaw":       {},
	"internal/requirements":    {},
	"internal/system":          {allow: []string{""}, forbid: []string{module + "/cmd"}}, // wiring shared by the commands
	"internal/bench":           {allow: []string{""}, forbid: []string{module + "/cmd"}},
	"cmd":                      {allow: []string{""}},
	"test":                     {allow: []string{""}},
}

func with(base []string, more ...string) []string { return append(slices.Clone(base), more...) }

type listed struct {
	ImportPath string
	Imports    []string
}

// TestLaw checks the imports of every package of the module, tests aside.
func TestLaw(t *testing.T) {
	for _, p := range packages(t) {
		path := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		r, under, ok := ruleFor(path)
		if !ok {
			t.Errorf("%s: no rule in the law; add the package to it or move it", path)
			continue
		}
		for _, imp := range p.Imports {
			if reason := breaks(r, under, imp); reason != "" {
				t.Errorf("%s imports %s: %s", path, imp, reason)
			}
		}
	}
}

// TestLawCanFail shows that the law catches what it is for.
func TestLawCanFail(t *testing.T) {
	cases := []struct{ pkg, imp string }{
		{"flow", "context"},
		{"contract", module + "/internal/chain"},
		{"internal/platform/outbox", module + "/internal/authority"},
		{"internal/authority", module + "/internal/platform"},
		{"internal/platform", module + "/ledger/embedded"},
		{"internal/comet", module + "/flow"},
	}
	for _, c := range cases {
		r, under, ok := ruleFor(c.pkg)
		if !ok || breaks(r, under, c.imp) == "" {
			t.Errorf("the law lets %s import %s", c.pkg, c.imp)
		}
	}
}

func breaks(r rule, under, imp string) string {
	if slices.Contains(r.forbid, imp) || slices.ContainsFunc(r.forbid, func(f string) bool { return strings.HasPrefix(imp, f+"/") && strings.HasPrefix(f, module) }) {
		return "forbidden there"
	}
	ours, found := strings.CutPrefix(imp, module+"/")
	if !found {
		return ""
	}
	for _, a := range append(slices.Clone(r.allow), under) {
		if a == "" || ours == a || strings.HasPrefix(ours, a+"/") {
			return ""
		}
	}
	return "against the direction of dependencies"
}

func ruleFor(path string) (rule, string, bool) {
	for p := path; p != ""; {
		if r, ok := law[p]; ok {
			return r, p, true
		}
		i := strings.LastIndex(p, "/")
		if i < 0 {
			break
		}
		p = p[:i]
	}
	return rule{}, "", false
}

func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...").Output()
	if err != nil {
		t.Fatalf("listing packages: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}
