package api

import (
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

const about = "Takes records in and shows what becomes of them. Callers show a bearer token, unless the server listens on a loopback address for trial. " +
	"Every answer that is not a success is a problem (RFC 9457); its type is stable, its texts are in English or Chinese by Accept-Language. " +
	"No answer repeats a value that was sent. Rows such as R1.2 are requirements: see docs/requirements.md."

// builder adds to what huma derives from the types.
type builder struct {
	api      huma.API
	registry huma.Registry
}

// schemaName is the type's name; a view of a thing is called as the thing.
func schemaName(t reflect.Type, hint string) string {
	return strings.TrimSuffix(huma.DefaultSchemaNamer(t, hint), "View")
}

func (b builder) schema(t reflect.Type) *huma.Schema { return b.registry.Schema(t, true, t.Name()) }

// answers lists what an operation gives: its success, in words, and its problems
// beside those that every one may give.
func (b builder) answers(success string, kinds ...kind) map[string]*huma.Response {
	content := map[string]*huma.MediaType{problemType: {Schema: b.schema(reflect.TypeFor[Problem]())}}
	out := map[string]*huma.Response{
		"200":     {Description: success},
		"default": {Description: "Any other problem: " + names(unauthenticated, notPermitted, hostNotServed, internalError) + ".", Content: content},
	}
	byStatus := map[int][]kind{}
	for _, k := range kinds {
		byStatus[k.class().status] = append(byStatus[k.class().status], k)
	}
	for status, of := range byStatus {
		r := &huma.Response{Description: names(of...) + ".", Content: content}
		if status == http.StatusServiceUnavailable {
			r.Headers = map[string]*huma.Header{"Retry-After": {Description: "Seconds.", Schema: &huma.Schema{Type: huma.TypeInteger}}}
		}
		out[strconv.Itoa(status)] = r
	}
	return out
}

func names(kinds ...kind) string {
	var out []string
	for _, k := range kinds {
		out = append(out, string(k))
	}
	return strings.Join(out, ", ")
}

// text is answers with a success in plain text.
func (b builder) text(what string, kinds ...kind) map[string]*huma.Response {
	out := b.answers(what, kinds...)
	out["200"].Content = map[string]*huma.MediaType{plainText: {Schema: &huma.Schema{Type: huma.TypeString}}}
	return out
}

// stream is answers with a success as server-sent events.
func (b builder) stream() map[string]*huma.Response {
	out := b.answers("The events, without end. Each item is one, written as the standard of server-sent events has it.",
		flowNotFound, invalidParameter, busy)
	item := &huma.Schema{
		Type:     huma.TypeObject,
		Required: []string{"id", "data"},
		Properties: map[string]*huma.Schema{
			"id":    {Type: huma.TypeInteger, Format: "int64", Description: "The event's id: what Last-Event-ID takes."},
			"data":  {Ref: "#/components/schemas/Event"},
			"retry": {Type: huma.TypeInteger, Description: "Milliseconds to wait before coming back. Once, at the beginning."},
		},
	}
	out["200"].Content = map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeArray, Items: item}}}
	return out
}

// records describes what huma can't see of posting a record: its body, which is
// read as it is, and its answers, which are of two types.
func (b builder) records() {
	op := b.api.OpenAPI().Paths["/api/v1/records"].Post
	object := func(what string) *huma.MediaType {
		return &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeObject, Description: what}}
	}
	op.RequestBody = &huma.RequestBody{
		Required:    true,
		Description: "One record, up to 1048576 bytes.",
		Content: map[string]*huma.MediaType{
			"application/fhir+json": object("FHIR R4: a MedicationRequest, or a Bundle of type collection or message with one or more."),
			"application/json":      object("The plain form of the profile, or FHIR R4."),
		},
	}
	either := &huma.Schema{AnyOf: []*huma.Schema{{Ref: "#/components/schemas/Registration"}, {Ref: "#/components/schemas/Flow"}}}
	headers := op.Responses["202"].Headers
	for status, what := range map[string]string{
		"200": "The very record was here already. A Flow after a wait.",
		"201": "Registered: granted, and on the business chain. After a wait.",
		"202": "Taken in, undecided. A Flow after a wait: time ran out, or an officer is to decide.",
	} {
		schema := either
		if status == "201" {
			schema = either.AnyOf[1]
		}
		op.Responses[status] = &huma.Response{
			Description: what, Headers: headers, Content: map[string]*huma.MediaType{"application/json": {Schema: schema}},
		}
	}
}

// finish describes the types that belong to others, and takes out what huma
// adds: its own error, which no answer is, arrays that might be null, and
// Content-Type among the headers.
func (b builder) finish() error {
	for _, t := range shown() {
		b.schema(t)
	}
	all := b.registry.Map()
	delete(all, "ErrorModel")
	delete(all, "ErrorDetail")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		s := all[name]
		s.AdditionalProperties = nil
		for _, property := range s.Properties {
			property.Nullable = false
		}
	}
	for path, item := range b.api.OpenAPI().Paths {
		if item.Get != nil {
			delete(item.Get.Responses["200"].Headers, "Content-Type")
		}
		for method, op := range map[string]*huma.Operation{http.MethodGet: item.Get, http.MethodPost: item.Post} {
			if need := needs(method + " " + path); op != nil && need != "" {
				op.Security = []map[string][]string{{"token": {}}}
				op.Description = strings.TrimSpace(op.Description + " Needs the permission " + string(need) + ".")
			}
		}
	}
	for name, properties := range described() {
		for property, d := range properties {
			s := all[name].Properties[property]
			if s == nil {
				return fmt.Errorf("describing the api: %s has no %s", name, property)
			}
			s.Description, s.Pattern, s.Enum = d.text, d.pattern, d.enum
		}
	}
	return nil
}

// said is what is said of a property of a type that belongs to another package.
type said struct {
	text    string
	pattern string
	enum    []any
}
