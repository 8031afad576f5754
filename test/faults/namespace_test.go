package faults

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// inside says that the test runs in namespaces of its own.
const inside = "SIGNALBOX_FAULTS_INSIDE"

// unshared runs the calling test again in new namespaces, so that what it mounts
// and makes there ends with it, and says whether it is the one inside, which goes
// on. Where the system does not permit that, the test is skipped.
func unshared(t *testing.T, flags uintptr) bool {
	t.Helper()
	if os.Getenv(inside) == t.Name() {
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, for namespaces of its own")
	}
	bin, err := build()
	must(t, err)
	args := []string{"-test.run", "^" + t.Name() + "$", "-test.v", "-test.timeout", "30m"}
	flag.Visit(func(f *flag.Flag) {
		if !strings.HasPrefix(f.Name, "test.") && f.Name != "binary" {
			args = append(args, fmt.Sprintf("-%s=%s", f.Name, f.Value))
		}
	})
	cmd := exec.CommandContext(t.Context(), os.Args[0], append(args, "-binary", bin)...)
	cmd.Env = append(os.Environ(), inside+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: flags, Pdeathsig: syscall.SIGKILL}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, t.Output()), &out
	err = cmd.Run()
	switch {
	case errors.Is(err, syscall.EPERM):
		t.Skipf("needs namespaces of its own: %v", err)
	case err != nil:
		t.Errorf("in its own namespaces: %v", err)
	case strings.Contains(out.String(), "--- SKIP"):
		t.Skip("skipped in its own namespaces, see above")
	}
	return false
}
