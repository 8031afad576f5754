package snapshot_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"signalbox.dev/signalbox/archive"
	"signalbox.dev/signalbox/archive/blob"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/snapshot"
)

// taken is a council with two snapshots of one node.
func taken(t *testing.T) (c *council, old, height int64, from archive.Store, fingerprint flow.Hash) {
	t.Helper()
	c = convene(t)
	c.register(t, every)
	eventually(t, "there are two snapshots", func() bool {
		c.register(t, 1)
		height, from, fingerprint = c.newest(t, "node-2", "node-1")
		whole, _, err := snapshot.Heights(t.Context(), from)
		must(t, err)
		old = whole[0]
		return old < height
	})
	return c, old, height, copied(t, from, old, height), fingerprint
}

// copied are snapshots in memory, to be forged.
func copied(t *testing.T, from archive.Store, heights ...int64) archive.Store {
	t.Helper()
	to := opened(t, "mem://")
	for _, h := range heights {
		for _, name := range names(t, from, h) {
			data, err := from.Get(t.Context(), name)
			must(t, err)
			must(t, to.Put(t.Context(), name, data))
		}
	}
	return to
}

func names(t *testing.T, s archive.Store, height int64) (all []string) {
	t.Helper()
	must(t, s.List(t.Context(), fmt.Sprintf("%020d/", height), func(name string) error {
		all = append(all, name)
		return nil
	}))
	return all
}

func get(t *testing.T, s archive.Store, name string) []byte {
	t.Helper()
	data, err := s.Get(t.Context(), name)
	must(t, err)
	return data
}

// untouched fails when a folder holds anything beside the keys it was made with.
func untouched(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"decisions.db", "restoring", "restored", "node/data/state.db", "node/data/blockstore.db"} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was made: %v", name, err)
		}
	}
}

// R8.1: a flipped byte in any file of a snapshot is found and named, and nothing is applied.
func TestDamage(t *testing.T) {
	c, _, height, from, fingerprint := taken(t)
	late := c.Members[3]
	for i, name := range names(t, from, height) {
		data := get(t, from, name)
		for _, at := range []int{0, len(data) / 2, len(data) - 1} {
			forged := copied(t, from, height)
			bad := bytes.Clone(data)
			bad[at] ^= 1 << (i % 8)
			must(t, forged.Put(t.Context(), name, bad))
			_, err := snapshot.Restore(t.Context(), forged, height, fingerprint, late.Dir(), c.Fixture.Genesis, quiet)
			var damage *snapshot.Damage
			if !errors.As(err, &damage) {
				t.Errorf("%s, byte %d: %v", name, at, err)
			} else if damage.Name != name && !strings.HasSuffix(name, "manifest") {
				t.Errorf("%s, byte %d: %v", name, at, err)
			}
			if _, err := snapshot.Check(t.Context(), forged, height); err == nil {
				t.Errorf("%s, byte %d: the check finds nothing", name, at)
			}
			untouched(t, late.Dir())
		}
		forged := copied(t, from, height)
		must(t, forged.Delete(t.Context(), name))
		if _, err := snapshot.Restore(t.Context(), forged, height, fingerprint, late.Dir(), c.Fixture.Genesis, quiet); err == nil {
			t.Errorf("%s is missing: restored", name)
		}
		untouched(t, late.Dir())
	}
}

// rewritten changes an object and makes the manifest fit, as a forger would.
func rewritten(t *testing.T, s archive.Store, height int64, name string, data []byte) {
	t.Helper()
	manifest := fmt.Sprintf("%020d/manifest", height)
	var m snapshot.Manifest
	must(t, json.Unmarshal(get(t, s, manifest), &m))
	sum := sha256.Sum256(data)
	f := snapshot.File{Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}
	if _, number, is := strings.Cut(name, "chunk-"); is {
		i, err := strconv.Atoi(number)
		must(t, err)
		m.Chunks[i] = f
	} else {
		m.Anchor = f
	}
	text, err := json.Marshal(m)
	must(t, err)
	must(t, s.Put(t.Context(), name, data))
	must(t, s.Put(t.Context(), manifest, text))
}

// R8.1: a snapshot that fits in itself and is not the chain's state is refused: another
// value in the contract's state, an older block's anchor and validators with this
// block's state, a fingerprint that was not told, another chain.
func TestForged(t *testing.T) {
	c, old, height, from, fingerprint := taken(t)
	late := c.Members[3]
	restore := func(s archive.Store, told flow.Hash, g chain.Genesis) error {
		_, err := snapshot.Restore(t.Context(), s, height, told, late.Dir(), g, quiet)
		return err
	}
	// A leaf says granted; a policy, an identity's state: whatever is changed, by one bit.
	for _, what := range []string{"s/contract/committee", "s/contract/policy", "s/contract/identity/", "s/sub/", "s/anchor", "s/leaf/", "s/decision/", "s/genesis"} {
		forged := copied(t, from, height)
		for _, name := range names(t, from, height) {
			data := get(t, from, name)
			at := bytes.Index(data, []byte(what))
			if !strings.Contains(name, "chunk-") || at < 0 {
				continue
			}
			bad := bytes.Clone(data)
			end := at + len(what)
			for end < len(bad)-1 && bad[end] != 's' { // into the entry's value, or its key
				end++
			}
			bad[end-1] ^= 1
			rewritten(t, forged, height, name, bad)
			if err := restore(forged, fingerprint, c.Fixture.Genesis); err == nil {
				t.Errorf("another value under %s: restored", what)
			}
			if _, err := snapshot.Check(t.Context(), forged, height); err == nil {
				t.Errorf("another value under %s: the check finds nothing", what)
			}
			untouched(t, late.Dir())
			break
		}
	}
	forged := copied(t, from, old, height)
	rewritten(t, forged, height, fmt.Sprintf("%020d/anchor", height), get(t, from, fmt.Sprintf("%020d/anchor", old)))
	if err := restore(forged, fingerprint, c.Fixture.Genesis); err == nil {
		t.Error("an older block's anchor: restored")
	}
	if err := restore(from, flow.SumHash([]byte("other")), c.Fixture.Genesis); !errors.Is(err, snapshot.ErrFingerprint) {
		t.Errorf("another fingerprint: %v", err)
	}
	other := c.Fixture.Genesis
	other.Contract.Chain = "other-chain"
	if err := restore(from, fingerprint, other); !errors.Is(err, chain.ErrForged) {
		t.Errorf("another chain: %v", err)
	}
	other = c.Fixture.Genesis
	other.Authority = other.CA
	if err := restore(from, fingerprint, other); !errors.Is(err, chain.ErrForged) {
		t.Errorf("another genesis of this chain's name: %v", err)
	}
	untouched(t, late.Dir())
}

// inside names the process that TestKilled kills.
const inside = "SIGNALBOX_SNAPSHOT_RESTORE"

// R8.1: a restore that is killed leaves the node as it was, and the next begins anew.
func TestKilled(t *testing.T) {
	if os.Getenv(inside) != "" {
		restoreAndDie(t)
	}
	c, _, height, _, fingerprint := taken(t)
	late := c.Members[3]
	genesis, err := json.Marshal(c.Fixture.Genesis)
	must(t, err)
	file := filepath.Join(t.TempDir(), "genesis")
	must(t, os.WriteFile(file, genesis, 0o600))
	kept := filepath.Join(t.TempDir(), "kept") // the nodes go on taking snapshots, and this one will be old
	copyInto(t, opened(t, kept), c.read(t, "node-2"), height)
	for _, after := range []string{"1", "3"} {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestKilled$")
		cmd.Env = append(os.Environ(), inside+"="+strings.Join([]string{kept, fmt.Sprint(height), fingerprint.String(), late.Dir(), file, after}, "\n"))
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("not killed: %v\n%s", err, out)
		}
		if _, err := os.Stat(filepath.Join(late.Dir(), "decisions.db")); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("half of a snapshot is applied: %v", err)
		}
	}
	store, err := blob.OpenReadOnly(t.Context(), kept)
	must(t, err)
	defer store.Close()
	_, err = snapshot.Restore(t.Context(), store, height, fingerprint, late.Dir(), c.Fixture.Genesis, quiet)
	must(t, err)
	late.Start(t)
	c.register(t, 2)
	agree(t, c.Members...)
}

func copyInto(t *testing.T, to, from archive.Store, height int64) {
	t.Helper()
	for _, name := range names(t, from, height) {
		must(t, to.Put(t.Context(), name, get(t, from, name)))
	}
}

// restoreAndDie is the process that is killed.
func restoreAndDie(t *testing.T) {
	told := strings.Split(os.Getenv(inside), "\n")
	store, err := blob.OpenReadOnly(t.Context(), told[0])
	must(t, err)
	height, err := strconv.ParseInt(told[1], 10, 64)
	must(t, err)
	fingerprint, err := flow.ParseHash(told[2])
	must(t, err)
	text, err := os.ReadFile(told[4])
	must(t, err)
	var g chain.Genesis
	must(t, json.Unmarshal(text, &g))
	after, err := strconv.Atoi(told[5])
	must(t, err)
	_, err = snapshot.Restore(t.Context(), store, height, fingerprint, told[3], g, func(done, _ int) {
		if done == after {
			must(t, syscall.Kill(os.Getpid(), syscall.SIGKILL))
		}
	})
	t.Fatalf("lives on: %v", err)
}
