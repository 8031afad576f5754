package flow_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/flow"
)

// The vectors were made with sha256sum: the txhash is SHA-256 of "signalbox".
const txhash = "45f2aebd240cb351b03dc860bf0f011e556afc25714fd5b234fc9b93090654fb"

// R2.3, R3.3: tokens to the letter.
func TestTokenVectors(t *testing.T) {
	h, err := flow.ParseHash(txhash)
	if err != nil {
		t.Fatal(err)
	}
	day := time.Date(2020, 1, 1, 23, 59, 0, 0, time.FixedZone("Asia/Shanghai", 8*3600))
	for step, want := range map[flow.Step]string{
		flow.ReviewRequest: "e6a9145091ae036e5bc1b3466d4e98f49f50318f5b395da93cb0544dfe8c0f05",
		flow.Order:         "5bc42ebebd41e31d122e24c0afa5d08120c20f340829e2d8d289e58a16f35f06",
	} {
		got, err := flow.Token(day, h, step)
		if err != nil || got.String() != want {
			t.Errorf("token of %s = %s, %v; want %s", step, got, err, want)
		}
		if !flow.TokenIsTrue(got, day, h, step) {
			t.Errorf("token of %s is not true to itself", step)
		}
		if flow.TokenIsTrue(got, day.Add(time.Hour), h, step) {
			t.Errorf("token of %s is true on the next day", step)
		}
	}
	if _, err := flow.Token(day, h, flow.Settle); err == nil {
		t.Error("a settlement has a token")
	}
}

func TestHashText(t *testing.T) {
	h := flow.SumHash([]byte("a"), []byte("b"))
	if h != flow.SumHash([]byte("ab")) {
		t.Error("parts are not summed in turn")
	}
	back, err := flow.ParseHash(h.String())
	if err != nil || back != h {
		t.Errorf("round trip: %v", err)
	}
	for _, bad := range []string{"", "00", strings.ToUpper(h.String()), h.String() + "0", strings.Repeat("g", 64)} {
		if _, err := flow.ParseHash(bad); err == nil {
			t.Errorf("%q was taken for a hash", bad)
		}
	}
}

// Next in every state for every step: what is not in the table is out of order.
func TestNext(t *testing.T) {
	allowed := map[flow.State]map[flow.Step]flow.State{
		flow.Unregistered: {flow.Register: flow.Registered},
		flow.Registered:   {flow.ReviewRequest: flow.InReview},
		flow.InReview:     {flow.ReviewRequest: flow.InReview, flow.ReviewResult: flow.Approved},
		flow.Approved:     {flow.Order: flow.Ordered},
		flow.Ordered:      {flow.Order: flow.Ordered, flow.Settle: flow.Settled},
		flow.Settled:      {flow.Deliver: flow.Delivered},
		flow.Rejected:     {},
		flow.Delivered:    {},
	}
	for state, steps := range allowed {
		for _, step := range flow.Steps() {
			got, err := flow.Next(state, step, true)
			want, ok := steps[step]
			if ok != (err == nil) || (ok && got != want) {
				t.Errorf("%s after %q = %q, %v", step, state, got, err)
			}
			if !ok && (!errors.Is(err, flow.ErrOutOfOrder) || got != state) {
				t.Errorf("%s after %q = %q, %v; want ErrOutOfOrder and no move", step, state, got, err)
			}
		}
	}
	if got, _ := flow.Next(flow.InReview, flow.ReviewResult, false); got != flow.Rejected || !got.Final() {
		t.Errorf("a rejected review leads to %q", got) // R2.7
	}
}

func TestCodesAreStable(t *testing.T) {
	want := map[flow.Step]uint8{"enrol": 1, "register": 2, "review.request": 3, "review.result": 4, "order": 5, "settle": 6, "deliver": 7}
	got := map[flow.Step]uint8{}
	for _, s := range flow.Steps() {
		got[s] = s.Code()
		if back, err := flow.StepOf(s.Code()); err != nil || back != s {
			t.Errorf("StepOf(%d) = %s, %v", s.Code(), back, err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := flow.StepOf(0); err == nil {
		t.Error("step code 0 was taken")
	}
}

func header() flow.Header {
	id, _ := flow.NewID(rand.Reader)
	return flow.Header{
		Version: 1, Suite: "gm", Chain: "c", Network: "n", Platform: "p.1", Business: "prescription",
		Step: flow.Register, ID: id, Recipients: []flow.KeyID{{1}}, Record: flow.Hash{1},
	}
}

func TestHeaderValidate(t *testing.T) {
	if err := header().Validate(); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change func(*flow.Header)
		want   string
	}{
		"version":           {func(h *flow.Header) { h.Version = 2 }, "version"},
		"platform":          {func(h *flow.Header) { h.Platform = "a>b" }, "platform"},
		"long name":         {func(h *flow.Header) { h.Network = strings.Repeat("n", 65) }, "network"},
		"wildcard":          {func(h *flow.Header) { h.Business = "*" }, "business"},
		"actor":             {func(h *flow.Header) { h.Actor = "a b" }, "actor"},
		"step":              {func(h *flow.Header) { h.Step = "steal" }, "step"},
		"register in flow":  {func(h *flow.Header) { h.Flow = flow.Hash{1} }, "flow"},
		"order, no flow":    {func(h *flow.Header) { h.Step = flow.Order }, "flow"},
		"no record hash":    {func(h *flow.Header) { h.Record = flow.Hash{} }, "record"},
		"record of request": {func(h *flow.Header) { h.Step, h.Flow = flow.ReviewRequest, flow.Hash{1} }, "record"},
		"no recipient":      {func(h *flow.Header) { h.Recipients = nil }, "recipients"},
		"many recipients":   {func(h *flow.Header) { h.Recipients = make([]flow.KeyID, 9) }, "recipients"},
	} {
		h := header()
		tc.change(&h)
		if err := h.Validate(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want an error about %s", name, err, tc.want)
		}
	}
}

func TestCodecIsStrict(t *testing.T) {
	h := header()
	enc, err := flow.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	var back flow.Header
	if err := flow.Unmarshal(enc, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(h, back) {
		t.Errorf("round trip: %+v", back)
	}
	again, _ := flow.Marshal(back)
	if !bytes.Equal(enc, again) {
		t.Error("encoding is not deterministic")
	}
	for name, bad := range map[string][]byte{
		"trailing":   append(bytes.Clone(enc), 0),
		"short":      enc[:len(enc)-1],
		"empty":      nil,
		"indefinite": {0x9f, 0x01, 0xff},
		"huge array": {0x9b, 0, 0, 0, 1, 0, 0, 0, 0},
		"too large":  make([]byte, flow.MaxMessage+1),
	} {
		if err := flow.Unmarshal(bad, &flow.Header{}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// What the platform signs covers header and sealed payload, and no byte can move
// from one to the other.
func TestSigningInput(t *testing.T) {
	a := flow.Submission{Header: []byte("ab"), Sealed: []byte("c")}.SigningInput()
	b := flow.Submission{Header: []byte("a"), Sealed: []byte("bc")}.SigningInput()
	if bytes.Equal(a, b) {
		t.Error("two submissions have one signing input")
	}
}

// No value of a payload gets into an error.
func TestPayloadErrorsKeepValues(t *testing.T) {
	const secret = "110101199001011234"
	for name, doc := range map[string]string{
		"wrong type": `{"flow": 5, "reviewer": {"id": "` + secret + `"}}`,
		"unknown":    `{"nonsense": "` + secret + `"}`,
		"trailing":   `{} "` + secret + `"`,
		"broken":     `{"reviewer": "` + secret,
		"bad hash":   `{"flow": "` + secret + `"}`,
	} {
		var v flow.Review
		err := flow.DecodePayload([]byte(doc), &v)
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
	in := flow.Review{Reviewer: "r1", Opinion: flow.Approve, ReviewedAt: time.Unix(1, 0).UTC()}
	enc, err := flow.EncodePayload(in)
	if err != nil {
		t.Fatal(err)
	}
	var out flow.Review
	if err := flow.DecodePayload(enc, &out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in, out); diff != "" {
		t.Error(diff)
	}
	if !json.Valid(enc) {
		t.Error("payload is not JSON")
	}
}

func FuzzSubmission(f *testing.F) {
	enc, _ := flow.Marshal(header())
	f.Add(enc)
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := flow.Submission{Header: b}.Open()
		if err != nil {
			return
		}
		if err := h.Validate(); err != nil {
			t.Errorf("opened an invalid header: %v", err)
		}
	})
}
