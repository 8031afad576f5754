package receipt

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// MaxPolicy is the largest policy that is read, in bytes.
const MaxPolicy = 64 << 10

// maxNamed bounds the logs, witnesses and groups of a policy.
const maxNamed = 256

// Errors of policies.
var (
	// ErrPolicy is what errors of ParsePolicy wrap.
	ErrPolicy = errors.New("policy is malformed")
	// ErrQuorum says that too few of those that the policy names have signed.
	ErrQuorum = errors.New("too few witnesses have cosigned")
)

// Policy says whose signatures make a checkpoint good: those of a log, and of
// enough witnesses. Its text is c2sp.org/tlog-policy, one statement a line:
//
//	log <vkey> [<url>]                  a key of a log, whose name is the log's origin
//	handover <base64>                   a statement by which a log's keys were handed over
//	witness <name> <vkey> [<url>]       a witness (c2sp.org/tlog-cosignature)
//	member <name> <vkey>                a member of the chain's committee
//	group <name> <k|any|all> <name>...  k of these
//	quorum <name|none>                  who is needed; exactly one such line
//
// Three things go beyond that specification: hand-overs, which receipts carry too,
// so that lines of them are needed by who trusts newer keys than a receipt's. Several log lines of one name are one
// log, and of each kind of key among them (Ed25519, SM2) one must have signed.
// A member's key signs the checkpoint's text as a log's key does. A Policy can't
// be changed and may be used concurrently.
type Policy struct {
	text      string
	logs      []PolicyLog
	witnesses []PolicyWitness
	members   []member
	groups    []group
	quorum    string
}

// PolicyLog is a log that a policy names.
type PolicyLog struct {
	Keys Keys
	URL  string // of its public files; empty where the policy says none
}

// PolicyWitness is a witness that a policy names.
type PolicyWitness struct {
	Name string // in the policy
	Key  Cosigner
	URL  string // empty where the policy says none
}

type member struct {
	name string
	key  note.Verifier
}

type group struct {
	name string
	need int
	of   []string
}

// none is the quorum of a policy that needs no witness.
const none = "none"

// ParsePolicy reads a policy's text. Errors name the line.
func ParsePolicy(text string) (Policy, error) {
	if len(text) > MaxPolicy {
		return Policy{}, fmt.Errorf("%w: %d bytes, at most %d", ErrPolicy, len(text), MaxPolicy)
	}
	r := policyReader{names: map[string]bool{}, grouped: map[string]bool{}, keys: map[string]bool{}, logs: map[string]string{}}
	r.p.text = text
	sc := bufio.NewScanner(strings.NewReader(text))
	sc.Buffer(nil, MaxPolicy+1)
	for n := 1; sc.Scan(); n++ {
		if i := strings.IndexFunc(sc.Text(), func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }); i >= 0 {
			return Policy{}, fmt.Errorf("%w: line %d: a control character", ErrPolicy, n)
		}
		words := strings.FieldsFunc(sc.Text(), func(c rune) bool { return c == ' ' || c == '\t' })
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if err := r.line(words); err != nil {
			return Policy{}, fmt.Errorf("%w: line %d: %w", ErrPolicy, n, err)
		}
	}
	if r.p.quorum == "" {
		return Policy{}, fmt.Errorf("%w: no quorum line: write `quorum none` where no witness is needed", ErrPolicy)
	}
	for _, origin := range r.origins {
		keys, err := ParseKeys(r.logs[origin])
		if err != nil {
			return Policy{}, fmt.Errorf("%w: %w", ErrPolicy, err)
		}
		r.p.logs = append(r.p.logs, PolicyLog{Keys: keys, URL: r.urls[origin]})
	}
	return r.p, nil
}

// policyReader is a policy that is being read.
type policyReader struct {
	p       Policy
	names   map[string]bool   // defined: witnesses, members, groups
	grouped map[string]bool   // in a group already
	keys    map[string]bool   // public keys, by what of a vkey is the key
	logs    map[string]string // vkey lines by origin
	urls    map[string]string
	origins []string
}

func (r *policyReader) line(words []string) error {
	switch what, rest := words[0], words[1:]; what {
	case "log":
		return r.log(rest)
	case strings.TrimSpace(handoverWord):
		return r.handover(rest)
	case "witness":
		return r.witness(rest)
	case "member":
		return r.member(rest)
	case "group":
		return r.group(rest)
	case "quorum":
		return r.setQuorum(rest)
	default:
		return fmt.Errorf("%.40q: want log, handover, witness, member, group or quorum", what)
	}
}

// once refuses a public key that stands already. The key itself is compared, not
// its name or kind.
func (r *policyReader) once(vkey string) error {
	key, err := publicPart(vkey)
	if err != nil {
		return err
	}
	if r.keys[key] {
		return errors.New("this public key stands in the policy already")
	}
	r.keys[key] = true
	return nil
}

func (r *policyReader) log(words []string) error {
	if len(words) < 1 || len(words) > 2 {
		return errors.New("want log <vkey> [<url>]")
	}
	v, _, err := parseKey(words[0])
	if err != nil {
		return err
	}
	if err := r.once(words[0]); err != nil {
		return err
	}
	if r.urls == nil {
		r.urls = map[string]string{}
	}
	if r.logs[v.Name()] == "" {
		r.origins = append(r.origins, v.Name())
	}
	r.logs[v.Name()] += words[0] + "\n"
	if len(words) == 2 {
		if have := r.urls[v.Name()]; have != "" && have != words[1] {
			return fmt.Errorf("log %s has another address in a line before", v.Name())
		}
		r.urls[v.Name()] = words[1]
	}
	if len(r.origins) > maxNamed {
		return fmt.Errorf("over %d logs", maxNamed)
	}
	return nil
}

// handover takes a hand-over to the log lines of its log, for ParseKeys to judge.
func (r *policyReader) handover(words []string) error {
	if len(words) != 1 {
		return errors.New("want handover <base64>")
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(words[0])
	if err != nil {
		return errors.New("want handover <base64>")
	}
	h, err := ParseHandover(raw)
	if err != nil {
		return err
	}
	if r.logs[h.Origin] == "" {
		return fmt.Errorf("it is of log %s, which no line before names", h.Origin)
	}
	r.logs[h.Origin] += handoverWord + words[0] + "\n"
	return nil
}

func (r *policyReader) define(name string) error {
	if name == none || r.names[name] {
		return fmt.Errorf("the name %q is taken", name)
	}
	if len(r.names) >= maxNamed {
		return fmt.Errorf("over %d names", maxNamed)
	}
	r.names[name] = true
	return nil
}

func (r *policyReader) witness(words []string) error {
	if len(words) < 2 || len(words) > 3 {
		return errors.New("want witness <name> <vkey> [<url>]")
	}
	key, err := ParseCosigner(words[1])
	if err != nil {
		return err
	}
	w := PolicyWitness{Name: words[0], Key: key}
	if len(words) == 3 {
		w.URL = words[2]
	}
	r.p.witnesses = append(r.p.witnesses, w)
	if err := r.define(words[0]); err != nil {
		return err
	}
	return r.once(words[1])
}

func (r *policyReader) member(words []string) error {
	if len(words) != 2 {
		return errors.New("want member <name> <vkey>")
	}
	v, _, err := parseKey(words[1])
	if err != nil {
		return err
	}
	r.p.members = append(r.p.members, member{words[0], v})
	if err := r.define(words[0]); err != nil {
		return err
	}
	return r.once(words[1])
}

func (r *policyReader) group(words []string) error {
	if len(words) < 3 {
		return errors.New("want group <name> <k|any|all> <name>…")
	}
	g := group{name: words[0], of: words[2:]}
	switch words[1] {
	case "any":
		g.need = 1
	case "all":
		g.need = len(g.of)
	default:
		k, err := strconv.Atoi(words[1])
		if err != nil || strconv.Itoa(k) != words[1] || k < 1 || k > len(g.of) {
			return fmt.Errorf("%.20q: want any, all or a number from 1 to %d", words[1], len(g.of))
		}
		g.need = k
	}
	for _, name := range g.of {
		switch {
		case !r.names[name]:
			return fmt.Errorf("%q is defined in no line before", name)
		case r.grouped[name]:
			return fmt.Errorf("%q is in a group already: nobody counts twice", name)
		}
		r.grouped[name] = true
	}
	r.p.groups = append(r.p.groups, g)
	return r.define(g.name)
}

func (r *policyReader) setQuorum(words []string) error {
	switch {
	case len(words) != 1:
		return errors.New("want quorum <name>")
	case r.p.quorum != "":
		return errors.New("a second quorum line")
	case words[0] != none && !r.names[words[0]]:
		return fmt.Errorf("%q is defined in no line before", words[0])
	}
	r.p.quorum = words[0]
	return nil
}

// String is the text that the policy was read from.
func (p Policy) String() string { return p.text }

// Logs are those that the policy names, in its order.
func (p Policy) Logs() []PolicyLog { return slices.Clone(p.logs) }

// Witnesses are those that the policy names, in its order.
func (p Policy) Witnesses() []PolicyWitness { return slices.Clone(p.witnesses) }

// Needs says in the policy's own words who must have signed beside the log:
// "none", "w1", "2 of (w1, w2, w3)".
func (p Policy) Needs() string { return p.needs(p.quorum) }

func (p Policy) needs(name string) string {
	for _, g := range p.groups {
		if g.name != name {
			continue
		}
		of := make([]string, len(g.of))
		for i, o := range g.of {
			of[i] = p.needs(o)
		}
		return fmt.Sprintf("%d of (%s)", g.need, strings.Join(of, ", "))
	}
	return name
}

// Trusting is the policy with one more log, for policies that name none.
func (p Policy) Trusting(keys Keys) Policy {
	p.logs = append(slices.Clone(p.logs), PolicyLog{Keys: keys})
	return p
}

// Verify checks a receipt offline as the function Verify does, and that its
// checkpoint is signed by whom the policy demands.
func (p Policy) Verify(file []byte) (Proven, error) {
	return verify(file, p.VerifyCheckpoint)
}

// VerifyCheckpoint checks a signed checkpoint: a log of the policy must have
// signed it with every kind of key that the policy has of it, and the quorum
// must have cosigned it. An invalid line of anyone whom the policy names spoils it.
func (p Policy) VerifyCheckpoint(signed []byte) (Checkpoint, error) {
	first, _, _ := bytes.Cut(signed, []byte("\n"))
	var c Checkpoint
	err := fmt.Errorf("%w: checkpoint: of a log that the policy does not name", ErrReceipt)
	for _, l := range p.logs {
		if l.Keys.Origin() != string(first) {
			continue
		}
		if c, err = VerifyCheckpoint(signed, l.Keys, l.Keys.Origin()); err == nil {
			break
		}
	}
	if err != nil {
		return Checkpoint{}, err
	}
	have, err := p.present(signed, &c)
	if err != nil {
		return Checkpoint{}, err
	}
	for _, g := range p.groups {
		n := 0
		for _, name := range g.of {
			if have[name] {
				n++
			}
		}
		have[g.name] = n >= g.need
	}
	if p.quorum != none && !have[p.quorum] {
		return Checkpoint{}, fmt.Errorf("%w: checkpoint: %w: the policy needs %s, and there are %s", ErrReceipt, ErrQuorum, p.Needs(), c.cosigners())
	}
	return c, nil
}

// present notes in c which witnesses and members have signed, and gives their
// names in the policy.
func (p Policy) present(signed []byte, c *Checkpoint) (map[string]bool, error) {
	var all []note.Verifier
	names := map[string]string{}
	for _, w := range p.witnesses {
		all = append(all, w.Key)
		names[slot(w.Key.Name(), w.Key.KeyHash())] = w.Name
	}
	for _, m := range p.members {
		all = append(all, m.key)
		names[slot(m.key.Name(), m.key.KeyHash())] = m.name
	}
	have := map[string]bool{}
	n, err := note.Open(signed, note.VerifierList(all...))
	var nobody *note.UnverifiedNoteError
	if errors.As(err, &nobody) {
		return have, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: checkpoint: a line of a witness or member is not valid for it", ErrReceipt)
	}
	for _, s := range n.Sigs {
		name := names[slot(s.Name, s.Hash)]
		have[name] = true
		if slices.ContainsFunc(p.members, func(m member) bool { return m.name == name }) {
			c.Members = append(c.Members, s.Name)
			continue
		}
		c.Witnesses = append(c.Witnesses, Cosigned{Name: s.Name, At: cosignedAt(s)})
	}
	slices.Sort(c.Members)
	sortCosigned(c.Witnesses)
	return have, nil
}

// cosigners names who has signed beside the log.
func (c Checkpoint) cosigners() string {
	names := slices.Clone(c.Members)
	for _, w := range c.Witnesses {
		names = append(names, w.Name)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
