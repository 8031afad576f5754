package api_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/internal/api"
)

var update = flag.Bool("update", false, "write golden files")

// docs/openapi.yaml is what the code says: go test ./internal/api -update.
func TestDescription(t *testing.T) {
	s, err := api.New(api.Config{Platform: newFake(t), Keys: keys, Version: "development"})
	if err != nil {
		t.Fatal(err)
	}
	w := do(s, request("GET", "/api/v1/openapi.yaml", ""))
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/openapi+yaml") {
		t.Fatalf("status %d, headers %v", w.Code, w.Header())
	}
	name := filepath.Join("..", "..", "docs", "openapi.yaml")
	if *update {
		if err := os.WriteFile(name, w.Body.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), w.Body.String()); d != "" {
		t.Errorf("docs/openapi.yaml is not what the code says; -update writes it (-file +code):\n%s", d)
	}
}

type schema struct {
	Type        any
	Ref         string `json:"$ref"`
	Description string
	Properties  map[string]schema
	Items       *schema
}

type operation struct {
	OperationID string
	Summary     string
	Parameters  []struct{ Name, Description string }
	Responses   map[string]struct {
		Description string
		Content     map[string]struct{ Schema schema }
	}
}

type description struct {
	OpenAPI    string
	Info       struct{ Version string }
	Paths      map[string]map[string]operation
	Components struct{ Schemas map[string]schema }
}

// Everything in the description says what it is, every error is a problem, and
// every reference leads somewhere.
func TestDescriptionIsWhole(t *testing.T) {
	s, _ := serve(t, newFake(t))
	w := do(s, request("GET", "/api/v1/openapi.json", ""))
	var d description
	if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(d.OpenAPI, "3.1.") || d.Info.Version != "1" {
		t.Errorf("openapi %q, version %q", d.OpenAPI, d.Info.Version)
	}
	for name, s := range d.Components.Schemas {
		for property, p := range s.Properties {
			if p.Ref == "" && p.Description == "" {
				t.Errorf("%s.%s has no description", name, property)
			}
		}
	}
	for path, methods := range d.Paths {
		for method, op := range methods {
			if op.OperationID == "" || op.Summary == "" {
				t.Errorf("%s %s has no id or summary", method, path)
			}
			for _, p := range op.Parameters {
				if p.Description == "" {
					t.Errorf("%s %s: %s has no description", method, path, p.Name)
				}
			}
			for status, r := range op.Responses {
				if problem := r.Content["application/problem+json"].Schema.Ref == "#/components/schemas/Problem"; problem != (status[0] != '2') || r.Description == "" {
					t.Errorf("%s %s %s: a problem is %v; description %q", method, path, status, problem, r.Description)
				}
			}
		}
	}
	for _, part := range strings.Split(w.Body.String(), `"$ref":"#/components/schemas/`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		if _, ok := d.Components.Schemas[name]; !ok {
			t.Errorf("a reference to %s leads nowhere", name)
		}
	}
	for _, path := range []string{records, flows, flows + "/{id}", "/api/v1/events", "/api/v1/receipts/{tx}", "/api/v1/authority/keys", "/healthz", "/readyz"} {
		if d.Paths[path] == nil {
			t.Errorf("%s is not described", path)
		}
	}
}
