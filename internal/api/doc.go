// Package api is the platform's HTTP API: records in, flows, receipts and events
// out. It is thin: it reads requests, asks package platform, and writes answers.
// Every decision is taken elsewhere. docs/api.md is its guide, docs/openapi.yaml
// its description (OpenAPI 3.1), generated from this package.
//
// # Who may call it
//
// Programs that show a token which Config.Access lets in (access.go). Without
// Access, whoever reaches it: then it belongs on a loopback address, and Run
// refuses another one. Browsers are kept from being turned against it: a Host
// that is none of its names is refused (DNS rebinding), so are writes from other
// origins, and no answer may be read by another origin.
//
// # What it never says
//
// A record is about a person. No answer and no log line repeats a value that was
// sent: problems name the place and say what is wanted, requests are logged by
// their route's pattern, and a panic is logged without its value. huma would
// repeat values in its own answers; translate, in problem.go, replaces those.
//
// # A tour
//
// api.go puts a Server together and runs it. guard.go is what every request
// passes; records.go, flows.go, receipts.go and events.go are the routes;
// problem.go and kinds.go are what can go wrong (RFC 9457); describe.go is the
// description.
package api
