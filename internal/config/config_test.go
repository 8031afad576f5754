package config

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type sample struct {
	Name  string        `yaml:"name" required:"true" form:"name" doc:"A name." zh:"名称。"`
	Mode  string        `yaml:"mode" enum:"gm,intl" doc:"A mode." zh:"模式。"`
	Wait  time.Duration `yaml:"wait" min:"1s" max:"1h" doc:"A time." zh:"时间。"`
	Room  Size          `yaml:"room" min:"1KiB" doc:"A size." zh:"大小。"`
	Count int           `yaml:"count" max:"9" doc:"A number." zh:"数目。"`
	On    bool          `yaml:"on" doc:"A switch." zh:"开关。"`
	File  string        `yaml:"file" form:"path" doc:"A file." zh:"文件。"`
	Words []string      `yaml:"words" doc:"Words." zh:"词。"`
	Inner inner         `yaml:"inner" doc:"A section." zh:"小节。"`
	List  []inner       `yaml:"list" doc:"A list." zh:"列表。"`

	valid error
}

type inner struct {
	Address string   `yaml:"address" required:"true" form:"host:port" doc:"An address." zh:"地址。"`
	Files   []string `yaml:"files" form:"path" doc:"Files." zh:"文件。"`
}

func (s *sample) Validate() error { return s.valid }

func defaults() *sample {
	return &sample{Mode: "gm", Wait: time.Minute, Room: 64 << 20, Inner: inner{Address: "127.0.0.1:1"}}
}

func TestDecode(t *testing.T) {
	got := defaults()
	err := Decode("x.yaml", []byte(`
name: rx-1 # a comment
mode: intl
wait: 1m30s
room: 2GiB
count: 7
on: true
words: [a, "true"]
list:
  - address: "[::1]:0"
    files: [b, c]
  - {address: "h:65535"}
`), got)
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.Name, want.Mode, want.Wait, want.Room, want.Count, want.On = "rx-1", "intl", 90*time.Second, 2<<30, 7, true
	want.Words = []string{"a", "true"}
	want.List = []inner{{Address: "[::1]:0", Files: []string{"b", "c"}}, {Address: "h:65535"}}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(sample{})); d != "" {
		t.Error(d)
	}
}

// Every mistake is refused with its place, its key and what is allowed.
func TestMistakes(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"unknown", "name: a\nmood: gm", "x.yaml:2:1: mood: unknown key; known here are name, mode,"},
		{"unknown below", "name: a\ninner:\n  adress: h:1", "x.yaml:3:3: inner.adress: unknown key; known here are address, files"},
		{"twice", "name: a\nname: b", "x.yaml:2:1: name: given twice; it stands in line 1 already"},
		{"enum", "name: a\nmode: aes", `x.yaml:2:7: mode: "aes" is none of gm, intl`},
		{"duration", "name: a\nwait: 30", `x.yaml:2:7: wait: "30" is no duration`},
		{"duration text", "name: a\nwait: soon", `wait: "soon" is no duration: write a number and its unit`},
		{"short", "name: a\nwait: 1ms", "wait: 1ms is out of bounds: want at least 1s"},
		{"long", "name: a\nwait: 2h", "wait: 2h is out of bounds: want at most 1h"},
		{"size", "name: a\nroom: 64MB", `room: "64MB" is no size`},
		{"size overflow", "name: a\nroom: 9999999999999GiB", "is no size"},
		{"small", "name: a\nroom: 8B", "room: 8B is out of bounds: want at least 1KiB"},
		{"number", "name: a\ncount: x", `count: "x" is no int`},
		{"many", "name: a\ncount: 10", "count: 10 is out of bounds: want at most 9"},
		{"bool", "name: a\non: yes", `on: "yes" is no bool`},
		{"text", "name: 7", "x.yaml:1:7: name: want text: put 7 in quotes"},
		{"form name", "name: 'A B'", "x.yaml:1:7: name:"},
		{"no value", "name:", "x.yaml:1:6: name: has no value"},
		{"empty", "name: ''", "x.yaml:1:1: name: missing: A name."},
		{"missing", "mode: gm", "x.yaml:1:1: name: missing: A name."},
		{"nothing", "", "x.yaml: name: missing: A name."},
		{"address", "name: a\ninner: {address: 'h'}", `inner.address: "h" is no address: write host:port`},
		{"port", "name: a\ninner: {address: 'h:70000'}", "is no address"},
		{"port name", "name: a\ninner: {address: 'h:http'}", "is no address"},
		{"missing below", "name: a\nlist:\n  - files: [b]", "x.yaml:3:5: list[0].address: missing"},
		{"list", "name: a\nwords: b", "x.yaml:2:8: words: want a list"},
		{"list of lists", "name: a\nwords: [[b]]", "words[0]: want one string"},
		{"empty word", "name: a\nwords: ['']", "words[0]: is empty"},
		{"section", "name: a\ninner: 5", "inner: want keys and values"},
		{"scalar", "name: {a: b}", "name: want one string"},
		{"file", "5", "x.yaml:1:1: want keys and values"},
		{"alias", "name: &n a\nmode: *n", "name: anchors and aliases are not taken"},
		{"merge", "name: a\n<<: {mode: gm}", "<<: unknown key"},
		{"tag", "name: !!str 5", "name: tags are not taken"},
		{"key", "? [a]\n: b", "a key is a plain word"},
		{"documents", "name: a\n---\nname: b", "more than one document"},
		{"yaml", "name: [", "x.yaml: not YAML: line 1"},
		{"long file", "name: a\n#" + strings.Repeat("x", maxFile), "which no configuration is"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := Decode("x.yaml", []byte(tc.text), defaults()); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v\nwant %s", err, tc.want)
			}
		})
	}
}

// What Validate finds gets the place of its key, or of what is around it.
func TestValidatePlace(t *testing.T) {
	for key, want := range map[string]string{
		"mode":             "x.yaml:2:1: mode: wrong",
		"inner.address":    "x.yaml:3:1: inner.address: wrong",
		"list[0].files[1]": "x.yaml:4:8: list[0].files[1]: wrong",
		"on":               "x.yaml: on: wrong",
	} {
		s := defaults()
		s.valid = Bad(key, "wrong")
		err := Decode("x.yaml", []byte("name: a\nmode: gm\ninner: {}\nlist: [{address: 'h:1'}]"), s)
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", key, err, want)
		}
	}
}

func TestLoadPaths(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "x.yaml")
	if err := os.WriteFile(file, []byte("name: a\nfile: keys/a\ninner: {address: 'h:1', files: [b, /c]}\nlist: [{address: 'h:1', files: [d]}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := defaults()
	if err := Load(file, got); err != nil {
		t.Fatal(err)
	}
	want := []string{filepath.Join(dir, "keys/a"), filepath.Join(dir, "b"), "/c", filepath.Join(dir, "d")}
	if d := cmp.Diff(want, append(append([]string{got.File}, got.Inner.Files...), got.List[0].Files...)); d != "" {
		t.Error(d)
	}
	if err := Load(filepath.Join(dir, "none.yaml"), got); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("a file that is not there: %v", err)
	}
}

// A written file explains every key in either language and reads back as it was.
func TestWrite(t *testing.T) {
	s := defaults()
	s.Name, s.File, s.Words = "rx-1", "a b/ü: #.pem", []string{"x", "yes", `"`}
	s.List = []inner{{Address: "h:1", Files: []string{"f"}}, {Address: "[::1]:2"}}
	for _, zh := range []bool{false, true} {
		var b bytes.Buffer
		if err := Write(&b, s, zh); err != nil {
			t.Fatal(err)
		}
		got := defaults()
		if err := Decode("x.yaml", b.Bytes(), got); err != nil {
			t.Fatalf("%v\n%s", err, &b)
		}
		if d := cmp.Diff(s, got, cmp.AllowUnexported(sample{}), cmp.Comparer(func(a, b []string) bool { return strings.Join(a, "\x00") == strings.Join(b, "\x00") })); d != "" {
			t.Errorf("%s\n%s", d, &b)
		}
		for _, k := range Keys(s) {
			doc := k.En
			if zh {
				doc = k.Zh
			}
			if !strings.Contains(b.String(), "# "+doc) {
				t.Errorf("%s is not explained by %q in\n%s", k.Key, doc, &b)
			}
		}
	}
}

func TestWrap(t *testing.T) {
	for text, want := range map[string][]string{
		"one two three": {"one two", "three"},
		"监管机关发给平台":      {"监管机关", "发给平台"},
		"监管机关。发给":       {"监管机关。", "发给"},
		"alongword b":   {"alongword", "b"},
	} {
		if d := cmp.Diff(want, wrap(text, 8)); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
}

func TestSizeText(t *testing.T) {
	for s, want := range map[Size]string{0: "0B", 5: "5B", 1 << 10: "1KiB", 3 << 19: "1536KiB", 1 << 30: "1GiB"} {
		if got := s.String(); got != want {
			t.Errorf("%d is %s, want %s", int64(s), got, want)
		}
		if back, err := parseSize(want); err != nil || back != s {
			t.Errorf("%s reads as %d, %v", want, back, err)
		}
	}
}
