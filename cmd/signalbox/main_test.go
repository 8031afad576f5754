package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"signalbox.dev/signalbox/internal/system"
)

// asProgram makes the test binary be the program, for tests that need a process
// of its own to kill.
const asProgram = "SIGNALBOX_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "1" {
		main()
	}
	os.Exit(m.Run())
}

// program is the command as a process.
func program(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, os.Args[0], args...)
	c.Env = append(os.Environ(), asProgram+"=1", "LANG=C")
	return c
}

// call runs the command in this process.
func call(t testing.TB, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), append([]string{"--lang", "en"}, args...), &out, &err)
	return code, out.String(), err.String()
}

// demoLines are a demo's --json output.
type demoLines struct {
	steps      []stepLine
	unreadable []unreadableLine
	sum        summary
}

func playDemo(t testing.TB, want int, args ...string) demoLines {
	t.Helper()
	code, stdout, stderr := call(t, append([]string{"demo", "--json"}, args...)...)
	if code != want {
		t.Fatalf("exit %d, want %d\n%s\n%s", code, want, stdout, stderr)
	}
	var out demoLines
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	for i, l := range lines {
		var kind map[string]json.RawMessage
		must(t, json.Unmarshal([]byte(l), &kind))
		switch {
		case kind["summary"] != nil:
			if i != len(lines)-1 {
				t.Error("the summary is not the last line")
			}
			must(t, json.Unmarshal(kind["summary"], &out.sum))
		case kind["error"] != nil:
			var u unreadableLine
			must(t, json.Unmarshal([]byte(l), &u))
			out.unreadable = append(out.unreadable, u)
		default:
			var s stepLine
			must(t, json.Unmarshal([]byte(l), &s))
			out.steps = append(out.steps, s)
		}
	}
	return out
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The built-in set goes all the way in both suites (R1 to R5, R8.3); receipts are
// checked again offline, and a tampered one is found; so is a tampered chain.
func TestDemoBuiltIn(t *testing.T) {
	for _, suite := range []string{"gm", "intl"} {
		t.Run(suite, func(t *testing.T) {
			dir := t.TempDir()
			d := playDemo(t, exitOK, "--suite", suite, "--data", dir)
			if d.sum.Inputs < 20 || d.sum.Completed != d.sum.Inputs || d.sum.Flows != d.sum.Inputs || d.sum.Steps != 6*d.sum.Inputs ||
				d.sum.ReceiptsVerified != d.sum.Steps || d.sum.Inconsistencies != 0 || len(d.steps) != d.sum.Steps {
				t.Fatalf("%d step lines, summary %+v", len(d.steps), d.sum)
			}
			for _, s := range d.steps {
				if wants := s.Step.TokenSuffix() != ""; wants != (s.Token != "") {
					t.Errorf("%s has token %q", s.Step, s.Token)
				}
				if s.Step.Recorded() != (s.BusinessTx != "") || s.Tx == "" || s.Flow == "" {
					t.Errorf("%s: flow %q, tx %q, business tx %q", s.Step, s.Flow, s.Tx, s.BusinessTx)
				}
			}
			verifyAll(t, dir)
			fsckAgain(t, dir)
		})
	}
}

// verifyAll checks every receipt by the verify command, then a tampered one.
func verifyAll(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "receipts", "*.tlog-proof"))
	must(t, err)
	keys := filepath.Join(dir, "authority.pub")
	if code, stdout, _ := call(t, append([]string{"verify", "--json", "--keys", keys}, files...)...); code != exitOK || strings.Count(stdout, `"valid":true`) != len(files) || len(files) < 120 {
		t.Errorf("verifying %d receipts: exit %d", len(files), code)
	}
	good, err := os.ReadFile(files[0])
	must(t, err)
	bad := filepath.Join(t.TempDir(), "bad.tlog-proof")
	good[len("c2sp.org/tlog-proof@v1\nextra ")+8] ^= 1
	must(t, os.WriteFile(bad, good, 0o600))
	code, stdout, _ := call(t, "verify", "--keys", keys, bad, files[1])
	if code != exitFailed || !strings.Contains(stdout, "✗ "+bad) || !strings.Contains(stdout, "✓ "+files[1]) {
		t.Errorf("a tampered receipt: exit %d\n%s", code, stdout)
	}
}

// fsckAgain checks the directory by the fsck command.
func fsckAgain(t *testing.T, dir string) {
	t.Helper()
	code, stdout, stderr := call(t, "fsck", "--json", "--data", dir)
	var found system.Checked
	must(t, json.Unmarshal([]byte(stdout), &found))
	if code != exitOK || found.Decisions == 0 || found.Records == 0 || found.Receipts != found.Records || found.Anchored != found.Records {
		t.Errorf("exit %d: %+v %s", code, found, stderr)
	}
}

// The 22 real messages of NHS England: 16 complete, 3 are refused as
// duplicate_record, 3 cancellations by name, none is unreadable.
func TestDemoRealMessages(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "data", "nhs-eps")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("real messages are not beside the project")
	}
	d := playDemo(t, exitOK, "--input", dir)
	want := summary{Inputs: 22, Flows: 16, Completed: 16, Refused: 6, Steps: 16*6 + 6, ReceiptsVerified: 16*6 + 3}
	if d.sum != want {
		t.Errorf("summary %+v, want %+v", d.sum, want)
	}
	codes := map[string]int{}
	for _, s := range d.steps {
		for _, r := range s.Reasons {
			codes[r.Code]++
		}
	}
	if codes["duplicate_record"] != 3 || codes["cancellation_not_supported"] != 3 || len(codes) != 2 {
		t.Errorf("reasons %v", codes)
	}
}

// Unreadable inputs are named, the others still run, and the exit code is 2.
func TestDemoUnreadable(t *testing.T) {
	dir := t.TempDir()
	set, err := inputs(nil)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "a.json"), set[0].data, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "b.json"), []byte(`{"number": 5`), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "c.json"), []byte(`{}`), 0o600))
	d := playDemo(t, exitUnreadable, "--input", dir)
	if d.sum.Completed != 1 || d.sum.Unreadable != 2 || len(d.unreadable) != 2 || d.unreadable[0].Error == "" {
		t.Errorf("%+v %+v", d.sum, d.unreadable)
	}
}

func TestDemoForPeople(t *testing.T) {
	set, err := inputs(nil)
	must(t, err)
	file := filepath.Join(t.TempDir(), "one.json")
	must(t, os.WriteFile(file, set[0].data, 0o600))
	for lang, want := range map[string][]string{
		"en": {"granted", "txhash", "token", "both chains hold"},
		"zh": {"准许", "业务链", "令牌", "两条链均完整且一致"},
	} {
		code, stdout, _ := call(t, "--lang", lang, "demo", "--input", file)
		for _, w := range want {
			if code != exitOK || !strings.Contains(stdout, w) {
				t.Errorf("%s: exit %d, no %q in\n%s", lang, code, w, stdout)
			}
		}
	}
}

func TestMistakes(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"demo", "--input", "/does/not/exist"}, "reading input"},
		{[]string{"demo", "--suite", "rot13"}, "--suite"},
		{[]string{"fsck", "--data", t.TempDir()}, "not a Signalbox data directory"},
		{[]string{"verify", "--keys", os.Args[0], "x"}, "keys"},
		{[]string{"nonsense"}, "nonsense"},
	} {
		code, _, stderr := call(t, tc.args...)
		if code != exitFailed || !strings.Contains(stderr, tc.want) {
			t.Errorf("%v: exit %d, %q; want an error that says %q", tc.args, code, stderr, tc.want)
		}
	}
}
