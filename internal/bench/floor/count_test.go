package floor_test

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"signalbox.dev/signalbox/internal/bench/floor"
)

var (
	counting = flag.Bool("counts", false, "count operations: it compiles the system anew, with counters, and plays flows; minutes")
	hashes   = flag.Bool("hashes", false, "with -counts: blocks of SHA-256 and SM3 too, for which nearly everything is compiled anew")
)

const module = "signalbox.dev/signalbox"

// Where the operations are.
var (
	envelopePath = module + "/envelope"
	cometPath    = module + "/internal/comet"
	chainPath    = module + "/internal/chain"
	votePath     = "github.com/cometbft/cometbft/crypto/ed25519"
	notePath     = "golang.org/x/mod/sumdb/note"
	sha256Path   = "crypto/internal/fips140/sha256"
	sm3Path      = "github.com/emmansun/gmsm/internal/sm3"
)

// operations are the places of each; what a suite doesn't reach counts nothing.
var operations = map[string][]place{
	"sign":        {{envelopePath, "call", "key.Sign"}},
	"verify":      {{envelopePath, "call", "sm2.VerifyASN1WithSM2"}, {envelopePath, "call", "rsa.VerifyPSS"}},
	"wrap":        {{envelopePath, "call", "sm2.EncryptASN1"}, {envelopePath, "call", "rsa.EncryptOAEP"}},
	"unwrap":      {{envelopePath, "call", "key.Decrypt"}},
	"encrypt":     {{envelopePath, "call", "aead.Seal"}},
	"decrypt":     {{envelopePath, "call", "aead.Open"}},
	"log sign":    {{notePath, "call", "ed25519.Sign"}},
	"log verify":  {{notePath, "call", "ed25519.Verify"}},
	"vote sign":   {{votePath, "call", "ed25519.Sign"}},
	"vote verify": {{votePath, "call", "cachingVerifier.VerifyWithOptions"}},
	"blocks":      {{cometPath, "func", "abciApp.Commit"}},
	"checkpoints": {{chainPath, "func", "checkpoints.sign"}},
	"composed":    {{chainPath, "func", "Compose"}},
}

var digests = map[string][]place{
	"sha256": {{sha256Path, "loop", "blockGeneric"}},
	"sm3":    {{sm3Path, "loop", "blockGeneric"}},
}

// values are the sizes of sealed values that sizes.go was written down with, in bytes.
var values = map[string]int{"gm": 1180, "intl": 1805}

// TestCounts counts every operation of the mix in a running system, over several
// flows one after the other and then at once, by the coverage counters of the
// places where they are called. The mix holds exactly, but for checkpoints that one of
// the two who verify them never sees. R10.2
func TestCounts(t *testing.T) {
	if !*counting {
		t.Skip("make bench-guard counts")
	}
	binary := filepath.Join(t.TempDir(), "played.test")
	paths := []string{envelopePath, cometPath, chainPath, votePath, notePath}
	args := []string{"test", "-c", "-o", binary, "-covermode", "atomic"}
	if *hashes {
		args, paths = append(args, "-tags", "purego"), append(paths, sha256Path, sm3Path)
	}
	cmd := exec.Command("go", append(args, "-coverpkg", strings.Join(paths, ","), ".")...)
	if log, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("compiling with counters: %v\n%s", err, log)
	}
	for _, suite := range []string{"gm", "intl"} {
		t.Run(suite, func(t *testing.T) { countSuite(t, binary, suite) })
	}
}

// countSuite counts what a stage has beyond the beginning alone, which is the same
// every time: founding, enrolments, one flow.
func countSuite(t *testing.T, binary, suite string) {
	before := playStage(t, binary, suite, "")
	for i, stage := range stages {
		got := playStage(t, binary, suite, strconv.Itoa(i))
		for name := range got {
			got[name] -= before[name]
		}
		t.Logf("%d flows, %d at once: %v", stage.flows, stage.atOnce, got)
		compare(t, suite, int64(stage.flows), got)
	}
}

func playStage(t *testing.T, binary, suite, stage string) map[string]int64 {
	t.Helper()
	dir := t.TempDir()
	profile := filepath.Join(dir, "profile")
	cmd := exec.Command(binary, "-test.run", "^TestPlayed$", "-test.coverprofile", profile)
	cmd.Env = append(os.Environ(), playedDir+"="+dir, playedSuite+"="+suite, playedStage+"="+stage)
	if log, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("playing flows: %v\n%s", err, log)
	}
	var seen sizes
	data, err := os.ReadFile(filepath.Join(dir, "sizes.json"))
	if err == nil {
		err = json.Unmarshal(data, &seen)
	}
	if err != nil {
		t.Fatal(err)
	}
	if want := values[suite]; seen.Value < want*9/10 || seen.Value > want*11/10 {
		t.Errorf("sealed values have %d bytes on the average, want about %d. If records have changed, change sizes.go", seen.Value, want)
	}
	return readCounters(t, profile)
}

func readCounters(t *testing.T, profile string) map[string]int64 {
	t.Helper()
	wanted := map[string][]place{}
	for _, group := range []map[string][]place{operations, digests} {
		for name, places := range group {
			if _, hashing := digests[name]; !hashing || *hashes {
				wanted[name] = places
			}
		}
	}
	var places []place
	for _, p := range wanted {
		places = append(places, p...)
	}
	found := read(t, profile, places)
	got := map[string]int64{}
	for name, places := range wanted {
		for _, p := range places {
			got[name] += found[p]
		}
	}
	return got
}

// compare holds the counts of some flows against the mix. Transactions that decide
// nothing, which here are those with anchors, about one a second, are no step's.
func compare(t *testing.T, suite string, flows int64, got map[string]int64) {
	t.Helper()
	steps := flows * floor.Steps
	mix, err := floor.Of(suite, float64(got["blocks"])/float64(steps), float64(got["checkpoints"])/float64(steps))
	if err != nil {
		t.Fatal(err)
	}
	anchoring := got["composed"] - steps
	if *hashes {
		compareHashes(t, suite, mix, float64(steps), got)
	}
	for name, want := range map[string]float64{
		"sign": mix.Sign, "verify": mix.Verify, "wrap": mix.Wrap, "unwrap": mix.Unwrap, "encrypt": mix.Encrypt, "decrypt": mix.Decrypt,
		"log sign": mix.LogSign, "log verify": mix.LogVerify, "vote sign": mix.VoteSign, "vote verify": mix.VoteVerify,
	} {
		total := int64(want*float64(steps) + 0.5)
		if name == "sign" || name == "verify" {
			total += anchoring
		}
		least := total
		if name == "log verify" || name == "verify" && suite == "gm" {
			least -= flows // a checkpoint of review requests alone comes to the business chain with no record
		}
		if got[name] > total || got[name] < least {
			t.Errorf("%s: %d in %d steps, the mix says %d. If the path of a step has changed, change floor.Of and the table in doc.go", name, got[name], steps, total)
		}
	}
}

// compareHashes holds the blocks hashed against the mix, roughly: what is hashed
// differs with every id. Some are inside the operations of keys. SM2 hashes its key's
// block and the message, and four blocks for a wrapped key; PSS the message and some
// twenty blocks for the mask, OAEP some thirty.
func compareHashes(t *testing.T, suite string, mix floor.Mix, steps float64, got map[string]int64) {
	t.Helper()
	signatures, keys := float64(got["sign"]+got["verify"]), float64(got["wrap"]+got["unwrap"])
	text := float64(got["sign"])*float64(mix.Signed)/64 + float64(got["verify"])*float64(mix.Verified)/64
	want := map[string]float64{"sha256": mix.SHA256 * steps, "sm3": mix.SM3 * steps}
	if suite == "gm" {
		want["sm3"] += text + 5*signatures + 4*keys
	} else {
		want["sha256"] += text + 20*signatures + 30*keys
	}
	for name, want := range want {
		have := float64(got[name])
		t.Logf("%s: %.0f blocks, %.0f by the mix", name, have, want)
		if have < want*0.8 || have > want*1.2 {
			t.Errorf("%s: %.0f blocks in %.0f steps, the mix says %.0f: change sizes.go", name, have, steps, want)
		}
	}
}
