package contract_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
)

// TestScenarios plays testdata/scenarios: files that an official could have
// written, one sentence a line. README.md beside them says which sentences
// there are. Whatever is not granted must leave the state as it was, and
// together the files must bring up every reason that the contract has words for.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	seen := make(map[string]bool)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { play(t, file, seen) })
	}
	for _, code := range contract.Codes() {
		if !seen[code] && code != "not_taken" && code != "list" { // never codes, only words for unknown ones
			t.Errorf("no scenario brings up %s", code)
		}
	}
	for _, code := range contract.OrderCodes() {
		if !seen[code] && !slices.Contains(bulky, code) {
			t.Errorf("no scenario brings up %s", code)
		}
	}
}

// play runs one file; a blank line followed by "scenario" begins a new world.
func play(t *testing.T, file string, seen map[string]bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var w *world
	for n, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, "#")
		kind, sentence, _ := strings.Cut(strings.TrimSpace(line), " ")
		sentence = strings.TrimSpace(sentence)
		if kind == "scenario" {
			w = newWorld(sentence, seen)
			continue
		}
		if kind == "" {
			continue
		}
		if w == nil {
			t.Fatalf("%s:%d: the file must begin with a scenario", file, n+1)
		}
		if err := w.say(kind, sentence); err != nil {
			t.Fatalf("%s:%d: scenario %s\n%s\n%v", file, n+1, w.name, line, err)
		}
	}
}

// world is what a scenario's sentences build and act on.
type world struct {
	name     string
	seen     map[string]bool
	genesis  contract.Genesis
	state    mapState
	contract *contract.Contract
	now      int64
	zone     *time.Location

	requests map[string]contract.Request // by the name of the submission
	answers  map[string]contract.Decision
	last     contract.Decision
	before   string // the state before the last submission or order

	height  int64
	refused *contract.OrderRefused // the last order's refusal; nil when it was carried out
	grants  map[string]string      // codes of batch grants by the names that scenarios give them
}

func newWorld(name string, seen map[string]bool) *world {
	w := &world{
		name: name, seen: seen, genesis: genesis(), zone: time.FixedZone("", 8*60*60),
		requests: make(map[string]contract.Request), answers: make(map[string]contract.Decision),
		height: 10, grants: make(map[string]string),
	}
	w.now = time.Date(2020, 1, 1, 10, 0, 0, 0, w.zone).Unix()
	return w
}

func (w *world) say(kind, sentence string) error {
	switch kind {
	case "given":
		return w.given(sentence)
	case "when":
		return w.when(sentence)
	case "then", "and":
		return w.then(sentence)
	default:
		return fmt.Errorf("a sentence begins with scenario, given, when, then or and, not %q", kind)
	}
}

// start ends the preparations: what is given from here on happens.
func (w *world) start() error {
	if w.contract != nil {
		return nil
	}
	w.state = mapState{}
	if err := contract.Init(w.state, w.genesis); err != nil {
		return err
	}
	var err error
	w.contract, err = contract.New(w.state)
	return err
}

func (w *world) given(sentence string) error {
	words := split(sentence)
	rest := strings.Join(words[1:], " ")
	switch words[0] {
	case "it": // is DATE TIME
		at, err := w.time(strings.TrimPrefix(rest, "is "))
		w.now = at
		return errors.Join(err, w.nextBlock(w.height+1))
	case "block": // HEIGHT
		height, err := number(words[1])
		return errors.Join(err, w.nextBlock(height))
	case "ready": // N1
		return contract.NoteReady(w.state, words[1], w.height-1, w.height, w.now)
	case "standing", "grant", "grants", "deadline", "list", "second", "node", "committee":
		return w.givenOffice(words)
	case "platform", "reviewer", "producer", "officer", "originator":
		return w.givenIdentity(contract.Role(words[0]), words[1], words[2:])
	case "subject", "pair", "flow":
		return w.givenEntry(sentence)
	case "zone": // NAME HOURS
		hours, err := number(words[2])
		w.genesis.Zone, w.genesis.ZoneOffset = words[1], hours*60*60
		w.zone = time.FixedZone(words[1], int(hours)*60*60)
		return err
	case "grace": // SECONDS
		var err error
		w.genesis.TokenGrace, err = number(words[1])
		return err
	case "expiry": // enforced
		w.genesis.EnforceRecordExpiry = true
		return nil
	case "businesses":
		w.genesis.Businesses = words[1:]
		return nil
	case "networks":
		w.genesis.Networks = words[1:]
		return nil
	case "rules": // FILE
		return w.givenRules(words[1])
	}
	return fmt.Errorf("nothing is given by %q", words[0])
}

// givenIdentity: "reviewer R1", "reviewer R1 from DAY to DAY",
// "reviewer R1 is suspended", "reviewer R1 on the list ...".
func (w *world) givenIdentity(role contract.Role, id string, words []string) error {
	if len(words) > 1 && words[0] == "is" && words[1] != "on" {
		status := contract.Status(words[1])
		if w.contract == nil {
			i := slices.IndexFunc(w.genesis.Identities, func(i contract.Identity) bool { return i.ID == id })
			w.genesis.Identities[i].Status = status
			return nil
		}
		return contract.SetIdentityStatus(w.state, id, status)
	}
	if len(words) > 1 && words[0] == "is" {
		return w.addEntry([]string{id}, words[1:])
	}
	i := identity(role, id)
	for n := 0; n+1 < len(words); n += 2 {
		at, err := w.time(words[n+1])
		if err != nil {
			return err
		}
		switch words[n] {
		case "from":
			i.NotBefore = at
		case "to":
			i.NotAfter = at
		}
	}
	w.genesis.Identities = append(w.genesis.Identities, i)
	return nil
}

// givenEntry: "subject S1 is on the list L, ...", "pair A B is on the list L, ...",
// "flow F1 is on the list L, ...".
func (w *world) givenEntry(sentence string) error {
	words := split(sentence)
	at := slices.Index(words, "is")
	if at < 0 {
		return fmt.Errorf("want: ... is on the list ...")
	}
	key := slices.Clone(words[1:at])
	if words[0] == "flow" {
		key[0] = txOf(key[0]).String()
	}
	return w.addEntry(key, words[at+1:])
}

// addEntry reads "on the list L [from DAY] [to DAY] reason TEXT basis TEXT".
func (w *world) addEntry(key, words []string) error {
	if len(words) < 4 {
		return fmt.Errorf("want: on the list NAME ...")
	}
	e := contract.Entry{List: contract.List(words[3]), Key: key, Reason: "no reason", Basis: "no basis"}
	for n := 4; n+1 < len(words); n += 2 {
		var err error
		switch words[n] {
		case "from":
			e.From, err = w.time(words[n+1])
		case "to":
			e.To, err = w.time(words[n+1])
		case "reason":
			e.Reason = words[n+1]
		case "basis":
			e.Basis = words[n+1]
		default:
			return fmt.Errorf("an entry has no %q", words[n])
		}
		if err != nil {
			return err
		}
	}
	if w.contract == nil {
		w.genesis.Lists = append(w.genesis.Lists, e)
		return nil
	}
	_, err := contract.AddEntry(w.state, e)
	return err
}

func (w *world) givenRules(file string) error {
	text, err := os.ReadFile(filepath.Join("testdata", "bundles", file))
	if err != nil {
		return err
	}
	if w.contract == nil {
		w.genesis.Bundle = text
		return nil
	}
	w.contract, err = contract.Publish(w.state, text)
	return err
}

// when lets one submission be decided.
func (w *world) when(sentence string) error {
	if err := w.start(); err != nil {
		return err
	}
	if words := split(sentence); len(words) > 2 && words[0] == "officer" {
		return w.order(words)
	}
	name, r, err := w.request(split(sentence))
	if err != nil {
		return err
	}
	w.before = w.state.dump()
	if w.last, err = w.contract.Decide(w.state, r); err != nil {
		return err
	}
	w.requests[name], w.answers[name] = r, w.last
	for _, reason := range w.last.Reasons {
		w.seen[reason.Code] = true
	}
	if w.last.Verdict == flow.Refused && w.before != w.state.dump() {
		return fmt.Errorf("it is %s and yet the state has changed", w.last.Verdict)
	}
	return nil
}

// time reads a day or a day and a time, in the authority's zone.
func (w *world) time(s string) (int64, error) {
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", time.DateTime} {
		if at, err := time.ParseInLocation(layout, s, w.zone); err == nil {
			return at.Unix(), nil
		}
	}
	return 0, fmt.Errorf("%q is no time", s)
}
