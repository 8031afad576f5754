package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/api"
	"signalbox.dev/signalbox/internal/platform/authorise"
)

// instant takes every record in without looking at it.
type instant struct{ *fake }

func (instant) Register(context.Context, authorise.Input) (authorise.Registration, error) {
	return authorise.Registration{Ref: flow.ID{1}}, nil
}

// nowhere is an answer that nobody reads.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n nowhere) WriteHeader(int)             {}

// BenchmarkPostRecord is what the API itself costs for one record.
func BenchmarkPostRecord(b *testing.B) {
	s, err := api.New(api.Config{Platform: instant{newFake(b)}, Keys: keys})
	if err != nil {
		b.Fatal(err)
	}
	body := sample(b, "respiratory-antibiotic")
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	r := request("POST", records, body, "Idempotency-Key", "k")
	for b.Loop() {
		r.Body = readCloser{strings.NewReader(body)}
		s.ServeHTTP(nowhere{http.Header{}}, r)
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// BenchmarkListFlows is a page of 50 flows.
func BenchmarkListFlows(b *testing.B) {
	f := newFake(b)
	f.fill(50)
	s, err := api.New(api.Config{Platform: f, Keys: keys})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.ServeHTTP(nowhere{http.Header{}}, request("GET", flows, ""))
	}
}
