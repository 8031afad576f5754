package api

import (
	"fmt"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"signalbox.dev/signalbox/internal/platform"
	"signalbox.dev/signalbox/internal/platform/event"
)

// routes registers every route with the multiplexer, and the description with it.
func (s *Server) routes() error {
	a := humago.New(s.mux, s.huma())
	b := builder{api: a, registry: a.OpenAPI().Components.Schemas}
	s.recordRoutes(b)
	s.flowRoutes(b)
	s.healthRoutes(b)
	if err := b.finish(); err != nil {
		return err
	}
	return s.describe(a.OpenAPI())
}

// huma is the configuration of the library: JSON alone, errors in our words, and
// none of the routes that it would add.
func (s *Server) huma() huma.Config {
	c := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:       "Signalbox platform API",
				Version:     s.cfg.Version,
				Description: about,
				License:     &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", schemaName),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token": {Type: "http", Scheme: "bearer", Description: "A token from the platform's operator: signalbox token makes it. It permits submit, read or both."},
				},
			},
			Tags: []*huma.Tag{
				{Name: "records", Description: "Business documents that start a flow."},
				{Name: "flows", Description: "What became of them, step by step."},
				{Name: "proofs", Description: "What anyone can check offline."},
				{Name: "health", Description: "The server itself."},
			},
		},
		Formats:                      map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{s.translate},
	}
	c.AllowAdditionalPropertiesByDefault = true // answers may grow
	return c
}

func (s *Server) recordRoutes(b builder) {
	huma.Register(b.api, huma.Operation{
		OperationID: "post-record", Method: http.MethodPost, Path: "/api/v1/records", Tags: []string{"records"},
		Summary:       "Take a record in and have it registered (R1)",
		Description:   "The answer is 202 at once, or, with Prefer: wait=N, what became of the registration by then. 202 after a wait means that the outcome is not known yet: it is neither granted nor refused.",
		DefaultStatus: http.StatusAccepted,
		Responses: b.answers("", malformedRecord, malformedRequest, crossOrigin, requestTimeout, contentTooLarge, recordTooLarge, mediaType,
			recordRefused, registrationRefused, registrationLapsed, keyReused, invalidParameter, busy, backlogFull),
	}, s.postRecord)
	b.records()
	huma.Register(b.api, huma.Operation{
		OperationID: "read-receipt", Method: http.MethodGet, Path: "/api/v1/receipts/{tx}", Tags: []string{"proofs"},
		Summary:     "Read the receipt of a decision",
		Description: "A c2sp.org/tlog-proof. It holds no personal data. signalbox verify checks it with the authority's keys.",
		Responses:   b.text("The receipt.", receiptNotFound),
	}, s.readReceipt)
	huma.Register(b.api, huma.Operation{
		OperationID: "read-keys", Method: http.MethodGet, Path: "/api/v1/authority/keys", Tags: []string{"proofs"},
		Summary:     "Read the authority's published keys",
		Description: "One vkey (c2sp.org/signed-note) a line. Compare them with those that the authority publishes elsewhere before trusting them.",
		Responses:   b.text("The keys."),
	}, s.readKeys)
}

func (s *Server) flowRoutes(b builder) {
	huma.Register(b.api, huma.Operation{
		OperationID: "list-flows", Method: http.MethodGet, Path: flowsPath, Tags: []string{"flows"},
		Summary: "List flows with their steps, newest first", Responses: b.answers("A page of flows.", invalidParameter),
	}, s.listFlows)
	huma.Register(b.api, huma.Operation{
		OperationID: "read-flow", Method: http.MethodGet, Path: flowsPath + "/{id}", Tags: []string{"flows"},
		Summary:     "Read a flow with its steps, or follow it",
		Description: "With Prefer: wait=N the answer comes when the flow has reached until, or after N seconds with what is known then.",
		Responses:   b.answers("The flow.", flowNotFound, invalidParameter),
	}, s.readFlow)
	huma.Register(b.api, huma.Operation{
		OperationID: "stream-events", Method: http.MethodGet, Path: "/api/v1/events", Tags: []string{"flows"},
		Summary:     "Follow what happens, as server-sent events",
		Description: "Every event has an id; a client that comes back with Last-Event-ID misses nothing. Events have no event field: a kind stands in each. A comment every 15 seconds shows that the stream lives.",
		Responses:   b.stream(),
	}, s.streamEvents)
}

func (s *Server) healthRoutes(b builder) {
	huma.Register(b.api, huma.Operation{
		OperationID: "read-reconciliation", Method: http.MethodGet, Path: "/api/v1/reconciliation", Tags: []string{"health"},
		Summary:     "Read how the platform's database and the business chain compare",
		Description: "They are compared all the time. What differs is mended where it can be, and stands as a finding until it is gone. Findings hold no content.",
		Responses:   b.answers("The comparison, with a page of its findings.", invalidParameter),
	}, s.readReconciliation)
	huma.Register(b.api, huma.Operation{
		OperationID: "read-alive", Method: http.MethodGet, Path: "/healthz", Tags: []string{"health"},
		Summary: "Say that the process is alive", Responses: b.answers("It is."),
	}, s.readAlive)
	huma.Register(b.api, huma.Operation{
		OperationID: "read-ready", Method: http.MethodGet, Path: "/readyz", Tags: []string{"health"},
		Summary: "Say whether everything runs", Responses: b.answers("It does.", notReady),
	}, s.readReady)
	s.mux.HandleFunc("GET /api/v1/openapi.json", s.spec.serveJSON)
	s.mux.HandleFunc("GET /api/v1/openapi.yaml", s.spec.serveYAML)
}

// description is the OpenAPI document, rendered once.
type description struct{ json, yaml []byte }

func (s *Server) describe(o *huma.OpenAPI) (err error) {
	if s.spec.json, err = o.MarshalJSON(); err != nil {
		return fmt.Errorf("describing the api: %w", err)
	}
	if s.spec.yaml, err = o.YAML(); err != nil {
		return fmt.Errorf("describing the api: %w", err)
	}
	return nil
}

func (d *description) serveJSON(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/openapi+json;version=3.1")
	_, _ = w.Write(d.json)
}

func (d *description) serveYAML(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/openapi+yaml;version=3.1")
	_, _ = w.Write(d.yaml)
}

// shown are the types of answers that no operation's output names.
func shown() []reflect.Type {
	return []reflect.Type{
		reflect.TypeFor[Registration](), reflect.TypeFor[platform.FlowView](), reflect.TypeFor[event.Event](), reflect.TypeFor[Problem](),
	}
}
