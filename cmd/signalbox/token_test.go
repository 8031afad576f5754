package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"signalbox.dev/signalbox/internal/api"
)

// A token is printed once; the file holds its hash alone, for its owner's eyes.
func TestToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access.txt")
	var out, said bytes.Buffer
	if code := run(t.Context(), []string{"token", "hospital-1", "--access", file}, &out, &said); code != exitOK {
		t.Fatalf("exit %d: %s", code, said.String())
	}
	first := strings.TrimSpace(out.String())
	out.Reset()
	if code := run(t.Context(), []string{"token", "console", "--may", "submit,read", "--access", file, "--json"}, &out, &said); code != exitOK {
		t.Fatalf("exit %d: %s", code, said.String())
	}
	var second struct {
		Name, Token string
		May         []string
	}
	if err := json.Unmarshal(out.Bytes(), &second); err != nil || second.Name != "console" || len(second.May) != 2 {
		t.Fatalf("%s: %v", out.String(), err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), first) || strings.Contains(string(text), second.Token) || strings.Count(string(text), "\n") != 2 {
		t.Errorf("access file:\n%s", text)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	if a, err := api.ReadAccess(file); err != nil || a == nil {
		t.Errorf("reading it: %v", err)
	}
	if code := run(t.Context(), []string{"token", "hospital-1", "--access", file}, &out, &said); code == exitOK {
		t.Error("the same name twice is taken")
	}
	if err := os.Chmod(file, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := api.ReadAccess(file); err == nil {
		t.Error("a file that anyone can write is taken")
	}
}
