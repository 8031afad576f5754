//go:build !faults

package fault_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"signalbox.dev/signalbox/internal/fault"
)

// An ordinary build has no trace of the fault points: no symbol, no name of a
// point, no name of the variable that would switch them on.
func TestReleaseHasNoFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		flags []string
		want  bool
	}{
		{"ordinary build", nil, false},
		{"build with the tag", []string{"-tags", "faults"}, true}, // shows that the test looks for the right things
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.want && testing.Short() {
				t.Skip("links a second binary")
			}
			file := filepath.Join(t.TempDir(), "signalbox")
			args := append([]string{"build", "-o", file}, c.flags...)
			if out, err := exec.Command("go", append(args, "signalbox.dev/signalbox/cmd/signalbox")...).CombinedOutput(); err != nil {
				t.Fatalf("building: %v\n%s", err, out)
			}
			binary, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			symbols, err := exec.Command("go", "tool", "nm", file).Output()
			if err != nil {
				t.Fatalf("reading symbols: %v", err)
			}
			if got := strings.Contains(string(symbols), "signalbox/internal/fault."); got != c.want {
				t.Errorf("symbols of the package in the binary: %t, want %t", got, c.want)
			}
			for _, text := range []string{"SIGNALBOX_FAULTS", string(fault.Checkpoint), "injected fault"} {
				if got := bytes.Contains(binary, []byte(text)); got != c.want {
					t.Errorf("%q in the binary: %t, want %t", text, got, c.want)
				}
			}
		})
	}
}

// A point costs nothing.
func TestPointsAllocateNothing(t *testing.T) {
	if n := testing.AllocsPerRun(1000, func() {
		if fault.Before(fault.Intent) != nil || fault.After(fault.Intent) != nil {
			t.Error("an ordinary build injects faults")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkPoint(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if fault.Before(fault.Intent) != nil || fault.After(fault.Intent) != nil {
			b.Fatal("an ordinary build injects faults")
		}
	}
}
