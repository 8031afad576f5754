package chain

import (
	"os"
	"path/filepath"
	"testing"
)

// However far the replacing of data had come when the process ended, the next one ends
// with all that was restored in place, keys and votes as they were, and nothing else.
func TestReplaceGoesOn(t *testing.T) {
	names := []string{"decisions.db", "node/data/state.db", "node/data/blockstore.db", "node/data/cs.wal"}
	write := func(dir, name, text string) {
		t.Helper()
		file := filepath.Join(dir, name, "CURRENT")
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for moved := range 1 << len(names) {
		for _, gone := range []bool{false, true} { // the old one of the next is away already
			dir := t.TempDir()
			write(dir, "node/data/validator-state", "kept")
			write(dir, "node/data/evidence.db", "old")
			for i, name := range names {
				if moved&(1<<i) != 0 {
					write(dir, name, "new")
					continue
				}
				if !gone {
					write(dir, name, "old")
				}
				write(restoredDir(dir), name, "new")
			}
			if err := os.MkdirAll(restoredDir(dir), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := settle(dir); err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]string{
				names[0]: "new", names[1]: "new", names[2]: "new", names[3]: "new", "node/data/validator-state": "kept",
			} {
				if got, err := os.ReadFile(filepath.Join(dir, name, "CURRENT")); err != nil || string(got) != want {
					t.Errorf("moved %b: %s is %q, %v", moved, name, got, err)
				}
			}
			for _, name := range []string{"restored", "node/data/evidence.db"} {
				if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
					t.Errorf("moved %b: %s is still there", moved, name)
				}
			}
		}
	}
}
