package bench

import (
	"bytes"
	"fmt"
	"runtime/pprof"
	"strings"

	"github.com/google/pprof/profile"

	"signalbox.dev/signalbox/internal/party"
)

// Part is who uses processor time.
type Part string

// The parts. Database is the platform's: each chain's own store counts as that
// chain's. Participants are reviewers, subjects, producers and the load itself.
// Other is what belongs to nobody: collecting garbage, scheduling.
const (
	Platform     Part = "platform"
	Fusion       Part = "fusion"
	Authority    Part = "authority"
	Supervision  Part = "supervision_chain"
	Business     Part = "business_chain"
	Database     Part = "database"
	Participants Part = "participants"
	Other        Part = "other"
	Total        Part = "total"
)

// Parts lists them in the order in which they are shown, without Total.
func Parts() []Part {
	return []Part{Platform, Fusion, Authority, Supervision, Business, Database, Participants, Other}
}

const ours = "signalbox.dev/signalbox/"

// owners says whose the functions below a path are. The longest path counts.
// What is not listed is anybody's: pure packages, CometBFT, the runtime.
var owners = map[string]Part{
	ours + "internal/platform":                   Platform,
	ours + "internal/platform/process.OpenOrder": Participants, // the producer's part (R4.2)
	ours + "internal/platform/payment":           Participants, // the provider's
	ours + "internal/fusion":                     Fusion,
	ours + "internal/link":                       Fusion,
	ours + "internal/operator":                   Fusion,
	"github.com/nats-io":                         Fusion,
	ours + "internal/authority":                  Authority,
	ours + "internal/oversight":                  Authority,
	ours + "internal/witness":                    Authority,
	ours + "internal/archiving":                  Authority,
	ours + "internal/chain":                      Supervision,
	ours + "internal/snapshot":                   Supervision,
	ours + "ledger/embedded":                     Business,
	ours + "internal/store":                      Database,
	"database/sql":                               Database,
	"github.com/uptrace/bun":                     Database,
	"modernc.org":                                Database,
	ours + "internal/sandbox":                    Participants,
	ours + "internal/bench":                      Participants,
}

// layers says whose the layers of an all-in-one are (party.Layer.Name).
var layers = map[string]Part{
	"platform":          Platform,
	"fusion node":       Fusion,
	"operator's socket": Fusion,
	"authority":         Authority,
	"witnesses":         Authority,
	"archive":           Authority,
	"public files":      Authority,
	"officers' socket":  Authority,
	"supervision chain": Supervision,
	"business chain":    Business,
	"participants":      Participants,
}

// partOf says whose a stack of functions is, the innermost first, that ran in a
// layer ("" where none is known). The innermost function that is somebody's
// decides; then the layer: of a chain's consensus no function is ours.
func partOf(stack []string, layer string) Part {
	for _, function := range stack {
		if p, ok := owner(function); ok {
			return p
		}
	}
	if p, ok := layers[layer]; ok {
		return p
	}
	return Other
}

// owner looks for the longest path that function is below: up to a '/', then a
// package, then a function of it.
func owner(function string) (Part, bool) {
	for path := function; path != ""; {
		if p, ok := owners[path]; ok {
			return p, true
		}
		cut := strings.LastIndexAny(path, "/.")
		if cut < 0 {
			break
		}
		path = path[:cut]
	}
	return "", false
}

// shares reads a processor profile, and says how its time divides: sums to 1,
// unless nothing ran.
func shares(data []byte) (map[Part]float64, error) {
	p, err := profile.Parse(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("reading the profile: %w", err)
	}
	return sharesOf(p), nil
}

func sharesOf(p *profile.Profile) map[Part]float64 {
	out := map[Part]float64{}
	var all float64
	for _, s := range p.Sample {
		layer := ""
		if l := s.Label[party.LayerLabel]; len(l) > 0 {
			layer = l[0]
		}
		value := float64(s.Value[len(s.Value)-1]) // samples, then nanoseconds
		out[partOf(stackOf(s), layer)] += value
		all += value
	}
	for part := range out {
		out[part] /= all
	}
	return out
}

// stackOf lists a sample's functions, the innermost first.
func stackOf(s *profile.Sample) []string {
	var out []string
	for _, l := range s.Location {
		for _, line := range l.Line {
			if line.Function != nil {
				out = append(out, line.Function.Name)
			}
		}
	}
	return out
}

// profiling is a profile that is being taken.
type profiling struct{ data bytes.Buffer }

func (p *profiling) start() error {
	if err := pprof.StartCPUProfile(&p.data); err != nil {
		return fmt.Errorf("profiling: %w", err)
	}
	return nil
}

// stop ends it, and gives the shares.
func (p *profiling) stop() (map[Part]float64, error) {
	pprof.StopCPUProfile()
	return shares(p.data.Bytes())
}
