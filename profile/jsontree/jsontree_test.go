package jsontree_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/profile"
	"signalbox.dev/signalbox/profile/jsontree"
)

// canonical parses and writes s.
func canonical(t *testing.T, s string) string {
	t.Helper()
	n, err := jsontree.Parse([]byte(s))
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return string(jsontree.AppendCanonical(nil, n, nil))
}

func TestCanonical(t *testing.T) {
	cases := []struct{ name, in, want string }{
		{"spaces go", " { \"a\" :\t[ 1 , 2 ]\r\n} ", `{"a":[1,2]}`},
		{"members are sorted", `{"b":1,"a":{"d":1,"c":2}}`, `{"a":{"c":2,"d":1},"b":1}`},
		{"arrays are not", `[3,1,2]`, `[3,1,2]`},
		{"numbers stay as written", `[1.0,1.00,-0,1e2,1E+2,12345678901234567890.5]`, `[1.0,1.00,-0,1e2,1E+2,12345678901234567890.5]`},
		{"escapes become text", `"\u4e2d\u0041\/\ud83d\ude00"`, "\"中A/😀\""},
		{"what must be escaped is", `"\u0022\\\b\f\n\r\t\u0001\u001f"`, `"\"\\\b\f\n\r\t\u0001\u001f"`},
		{"HTML is text", `"<>&\u2028"`, "\"<>&\u2028\""},
		{"words", `[true,false,null,"",[],{}]`, `[true,false,null,"",[],{}]`},
		{"an empty name is a name", `{"":1}`, `{"":1}`},
		{"a byte order mark is passed over", "\ufeff1", `1`},
		{"a replacement character is text", "\"\ufffd\"", "\"\ufffd\""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := canonical(t, c.in); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestCanonicalSkips(t *testing.T) {
	n, err := jsontree.Parse([]byte(`{"a":{"x":1,"y":2},"b":[{"x":1},{"x":2,"y":3}],"x":4}`))
	if err != nil {
		t.Fatal(err)
	}
	skip := func(parent string, _ *jsontree.Node, member string) bool { return parent == "b" && member == "x" }
	if got, want := string(jsontree.AppendCanonical(nil, n, skip)), `{"a":{"x":1,"y":2},"b":[{},{"y":3}],"x":4}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Garbage and hostile documents give a *profile.Problem that says where.
func TestParseRefuses(t *testing.T) {
	deep := strings.Repeat("[", jsontree.MaxDepth)
	cases := []struct {
		name, in string
		want     profile.Problem
	}{
		{"nothing", ``, profile.Problem{En: "not JSON at byte 0: ends early"}},
		{"a word", `hello`, profile.Problem{En: "not JSON at byte 1"}},
		{"half a word", `tru`, profile.Problem{En: "not JSON at byte 3: ends early"}},
		{"a wrong word", `[nulL]`, profile.Problem{En: "not JSON at byte 5"}},
		{"no value", `{"a":}`, profile.Problem{En: "not JSON at byte 6"}},
		{"no colon", `{"a" 1}`, profile.Problem{En: "not JSON at byte 6"}},
		{"no quotes", `{a:1}`, profile.Problem{En: "not JSON at byte 2"}},
		{"a comma too many", `[1,]`, profile.Problem{En: "not JSON at byte 4"}},
		{"a member's comma too many", `{"a":1,}`, profile.Problem{En: "not JSON at byte 8"}},
		{"not closed", `{"a":[1`, profile.Problem{En: "not JSON at byte 7: ends early"}},
		{"wrongly closed", `[1}`, profile.Problem{En: "not JSON at byte 3"}},
		{"more after it", `{} {}`, profile.Problem{En: "not JSON at byte 4"}},
		{"a leading zero", `01`, profile.Problem{En: "not JSON at byte 2"}},
		{"a bare sign", `-`, profile.Problem{En: "not JSON at byte 1: ends early"}},
		{"a plus sign", `+1`, profile.Problem{En: "not JSON at byte 1"}},
		{"a bare point", `1.`, profile.Problem{En: "not JSON at byte 2: ends early"}},
		{"a bare exponent", `1e+`, profile.Problem{En: "not JSON at byte 3: ends early"}},
		{"not a number", `NaN`, profile.Problem{En: "not JSON at byte 1"}},
		{"a control character", "\"a\nb\"", profile.Problem{En: "not JSON at byte 3"}},
		{"a control character after an escape", "\"\\n\x01\"", profile.Problem{En: "not JSON at byte 4"}},
		{"an unknown escape", `"\x"`, profile.Problem{En: "not JSON at byte 3"}},
		{"a short escape", `"\u12"`, profile.Problem{En: "not JSON at byte 6"}},
		{"a control character for a digit", "\"\\u001\x10\"", profile.Problem{En: "not JSON at byte 7"}},
		{"half a surrogate pair", `"\ud83d"`, profile.Problem{En: "not JSON at byte 8"}},
		{"the wrong half", `"\ude00\ud83d"`, profile.Problem{En: "not JSON at byte 8"}},
		{"a half and a letter", `"\ud83d\u0041"`, profile.Problem{En: "not JSON at byte 8"}},
		{"a string without end", `"abc`, profile.Problem{En: "not JSON at byte 4: ends early"}},
		{"an escape without end", `"abc\`, profile.Problem{En: "not JSON at byte 5: ends early"}},
		{"not UTF-8", "{\"a\":\"\xff\"}", profile.Problem{En: "not JSON at byte 7: not UTF-8"}},
		{"a name twice", `{"a":1,"b":2,"a":1}`, profile.Problem{Path: "/a", En: "the field stands twice"}},
		{"a name twice inside", `{"x":[0,{"a/b~":1,"a\/b~":1}]}`, profile.Problem{Path: "/x/1/a~1b~0", En: "the field stands twice"}},
		{"an absurd name twice", `{"` + strings.Repeat("n", 65) + `":1,"` + strings.Repeat("n", 65) + `":1}`, profile.Problem{En: "the field stands twice"}},
		{"too deep", deep + "[", profile.Problem{En: fmt.Sprintf("nested deeper than %d levels at byte %d", jsontree.MaxDepth, jsontree.MaxDepth+1)}},
		{"far too deep", strings.Repeat(`{"a":`, 100_000), profile.Problem{En: fmt.Sprintf("nested deeper than %d levels at byte %d", jsontree.MaxDepth, 5*jsontree.MaxDepth+1)}},
		{"too many values", "[" + strings.Repeat("1,", jsontree.MaxNodes) + "1]", profile.Problem{En: fmt.Sprintf("holds over %d values", jsontree.MaxNodes)}},
		{"too long", strings.Repeat(" ", jsontree.MaxBytes) + "1", profile.Problem{En: fmt.Sprintf("is over the limit of %d bytes", jsontree.MaxBytes)}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			n, err := jsontree.Parse([]byte(c.in))
			var p *profile.Problem
			if !errors.As(err, &p) {
				t.Fatalf("got %v, %v; want a problem", n, err)
			}
			if p.Zh == "" {
				t.Error("no Chinese text")
			}
			if got := (profile.Problem{Path: p.Path, En: p.En}); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
	if _, err := jsontree.Parse([]byte(deep + strings.Repeat("]", jsontree.MaxDepth))); err != nil {
		t.Errorf("at the limit of depth: %v", err)
	}
}

type form struct {
	Text   string         `json:"text"`
	Count  int64          `json:"count,omitempty"`
	Flag   bool           `json:"flag"`
	List   []form         `json:"list"`
	Inner  *form          `json:"inner"`
	Raw    *jsontree.Node `json:"raw"`
	Hash   flow.Hash      `json:"hash"`
	When   time.Time      `json:"when"`
	Even   even           `json:"even"`
	Hidden string         `json:"-"`
	None   string
}

// even is a Value.
type even int64

func (e *even) SetJSON(kind jsontree.Kind, text string) (zh, en string) {
	if kind != jsontree.Number || len(text) != 1 || (text[0]-'0')%2 != 0 {
		return "应为偶数", "want an even digit"
	}
	*e = even(text[0] - '0')
	return "", ""
}

func decode(t *testing.T, s string, mode jsontree.Mode) (form, []string) {
	t.Helper()
	n, err := jsontree.Parse([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	var v form
	var said []string
	for _, p := range jsontree.Decode(n, "/at", &v, mode) {
		if p.Zh == "" {
			t.Errorf("%s: no Chinese text", p.Path)
		}
		said = append(said, p.Path+": "+p.En)
	}
	return v, said
}

func TestDecode(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	v, said := decode(t, `{"text":"t","count":-7,"flag":true,"list":[{"text":"a"},{"count":2}],"inner":{"flag":true},
		"hash":"`+hash+`","when":"2026-11-02T08:00:00Z","even":4}`, jsontree.Strict)
	if len(said) > 0 {
		t.Fatal(said)
	}
	want := form{
		Text: "t", Count: -7, Flag: true, List: []form{{Text: "a"}, {Count: 2}}, Inner: &form{Flag: true},
		When: time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC), Even: 4,
	}
	want.Hash, _ = flow.ParseHash(hash)
	if d := cmp.Diff(want, v); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestDecodeReportsEverything(t *testing.T) {
	in := `{"text":1,"count":1.5,"flag":"x","list":[{"text":[]},7,{"list":{}}],"inner":{"even":3},
		"hash":"AB","when":"secret-when","even":"4","-":"x","None":"x","what":"secret-value","a/b":1,"count2":null,"raw":{"anything":[1]}}`
	_, said := decode(t, in, jsontree.Strict)
	want := []string{
		"/at/text: want a string",
		"/at/count: want a whole number",
		"/at/flag: want true or false",
		"/at/list/0/text: want a string",
		"/at/list/1: want an object",
		"/at/list/2/list: want an array",
		"/at/inner/even: want an even digit",
		"/at/hash: does not have the form that belongs here",
		"/at/when: want a time by RFC 3339",
		"/at/even: want an even digit",
		"/at/-: is not a known field",
		"/at/None: is not a known field",
		"/at/a~1b: is not a known field",
		"/at/count2: is not a known field",
		"/at/what: is not a known field",
	}
	if d := cmp.Diff(want, said); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if s := strings.Join(said, "\n"); strings.Contains(s, "secret") {
		t.Errorf("a value stands in an error: %s", s)
	}
}

func TestDecodeModes(t *testing.T) {
	const in = `{"text":null,"extra":1}`
	if _, said := decode(t, in, jsontree.Lenient); len(said) > 0 {
		t.Errorf("lenient: %v", said)
	}
	_, said := decode(t, in, jsontree.Strict)
	want := []string{"/at/text: must not be null: leave the field out", "/at/extra: is not a known field"}
	if d := cmp.Diff(want, said); d != "" {
		t.Errorf("strict (-want +got):\n%s", d)
	}
}

// A hostile document can't make us say more than a bounded amount, nor repeat
// an absurd name.
func TestDecodeIsBounded(t *testing.T) {
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, `"x%d":1,`, i)
	}
	_, said := decode(t, "{"+b.String()+`"":1}`, jsontree.Strict)
	if len(said) != 50 {
		t.Errorf("%d problems, want 50", len(said))
	}
	for _, name := range []string{strings.Repeat("n", 65), "", `a\u0000b`} {
		_, said = decode(t, `{"`+name+`":1}`, jsontree.Strict)
		if d := cmp.Diff([]string{"/at: holds a field that is not known"}, said); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
}

func TestGet(t *testing.T) {
	n, err := jsontree.Parse([]byte(`{"c":"3","a":"1","b":{"d":"4"},"e":5}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, want string }{{"a", "1"}, {"c", "3"}, {"e", ""}, {"b", ""}, {"z", ""}} {
		if got := n.Str(c.name); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	if got := n.Get("b").Get("d"); got == nil || got.Text != "4" {
		t.Errorf("b.d: got %v", got)
	}
	if got := n.Get("a").Get("x").Get("y"); got != nil {
		t.Errorf("a.x.y: got %v", got)
	}
}

// FuzzParse holds Parse to encoding/json: what it takes is JSON with the same
// meaning, and its canonical form reads back to itself.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,-2.5e-3,"\u00e9\ud83d\ude00",true,false,null,{}]}`, `"\ud800"`, `[[[]]]`, `{"a":1,"a":2}`, `01`, "\ufeff{}", `{"b":{"c":1},"a":""}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := jsontree.Parse(data)
		if err != nil {
			var p *profile.Problem
			if !errors.As(err, &p) {
				t.Fatalf("not a problem: %v", err)
			}
			return
		}
		out := jsontree.AppendCanonical(nil, n, nil)
		again, err := jsontree.Parse(out)
		if err != nil {
			t.Fatalf("canonical form is not read: %v", err)
		}
		if twice := jsontree.AppendCanonical(nil, again, nil); !bytes.Equal(out, twice) {
			t.Fatalf("canonical form is not stable:\n%s\n%s", out, twice)
		}
		if d := cmp.Diff(std(t, bytes.TrimPrefix(data, []byte("\ufeff"))), std(t, out)); d != "" {
			t.Fatalf("meaning changed (-in +canonical):\n%s", d)
		}
	})
}

// std reads with the standard library, numbers as written.
func std(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("encoding/json refuses it: %v", err)
	}
	return v
}

func BenchmarkParse(b *testing.B) {
	doc := []byte(`{"list":[` + strings.TrimSuffix(strings.Repeat(`{"system":"http://example.org","code":"12345","display":"阿莫西林胶囊","value":12.5},`, 200), ",") + `]}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		if _, err := jsontree.Parse(doc); err != nil {
			b.Fatal(err)
		}
	}
}
