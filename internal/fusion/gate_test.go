package fusion

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"signalbox.dev/signalbox/flow"
)

// R1.3, R7.1: whoever pushes past this package's own client, with a connection
// of its own, meets the same checks at the gate.
func TestGateRefuses(t *testing.T) {
	n := start(t, NodeConfig{Routes: []Route{{north, rx}, {south, rx}}})
	encoded := func(message any) []byte {
		data, err := flow.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	mine := encoded(submissionOf(t, north, rx, 1, 10))
	at := func(business string, step flow.Step) string {
		return address{submissions, Route{north, business}, step}.subject()
	}
	anchor := address{kind: anchors, Route: Route{north, rx}}.subject()
	for _, c := range []struct {
		name, subject string
		data          []byte
		want          error
	}{
		{"noise", at(rx, flow.Register), []byte("noise"), ErrMalformed},
		{"nothing", at(rx, flow.Register), nil, ErrMalformed},
		{"too large", at(rx, flow.Register), make([]byte, flow.MaxMessage+1), ErrMalformed},
		{"another's header", at(rx, flow.Register), encoded(submissionOf(t, south, rx, 2, 10)), ErrNotYours},
		{"another business's header", at(rx, flow.Register), encoded(submissionOf(t, north, lab, 2, 10)), ErrNotYours},
		{"under another step", at(rx, flow.Order), mine, ErrNotYours},
		{"under no step", at(rx, "steal"), mine, ErrNotYours},
		{"business without a node", at(lab, flow.Register), mine, ErrNoRoute},
		{"noise as anchors", anchor, []byte("noise"), ErrMalformed},
		{"too many anchors", anchor, encoded(make([]flow.Anchor, MaxAnchors+1)), ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := n.platforms[north].js.PublishMsg(t.Context(), &nats.Msg{Subject: c.subject, Data: c.data})
			if got := stored(err); !errors.Is(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	idle(t, n.Node)
}

// A sender's NATS headers, which a stream would obey, end at the gate.
func TestGatePassesNoHeadersOn(t *testing.T) {
	n := start(t, NodeConfig{})
	for i := range uint64(3) {
		data, err := flow.Marshal(submissionOf(t, north, rx, i, 10))
		if err != nil {
			t.Fatal(err)
		}
		m := &nats.Msg{Subject: address{submissions, Route{north, rx}, flow.Register}.subject(), Data: data, Header: nats.Header{
			jetstream.MsgIDHeader:             {"always the same"},
			jetstream.MsgRollup:               {"all"},
			jetstream.MsgTTLHeader:            {"1s"},
			jetstream.ExpectedStreamHeader:    {"another"},
			jetstream.ExpectedLastMsgIDHeader: {"another"},
		}}
		if _, err := n.platforms[north].js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if got := health(t, n.Node).Backlog[0].Submissions; got != 3 {
		t.Errorf("%d submissions stored, want 3", got)
	}
}
