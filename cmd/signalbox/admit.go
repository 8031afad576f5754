package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/oversight"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/party/authority"
)

// admitCommand certifies applicants and has them admitted on the chain (R7.1).
type admitCommand struct {
	warrant
	Requests    []string `arg:"" name:"request" type:"existingfile" help:"Request files, as signalbox init makes them."`
	Out         string   `help:"The admission file to write, for the applicant." required:"" type:"path" placeholder:"FILE"`
	Fingerprint []string `help:"The requests' fingerprints, as the applicants told them by another way; when given, each request must be among them." placeholder:"HEX"`
	Days        int      `help:"How many days the certificates are valid." default:"730"`
	Tags        []string `help:"Specialities, licence scope and the like." name:"tag"`
}

// Help implements kong's HelpProvider.
func (admitCommand) Help() string {
	return "Run it where the authority runs: it needs the CA's key, the officers' socket and an officer's key. It checks that the applicant " +
		"has the private keys, issues certificates, gives the order identity.admit (identity.renew for who is known already), and writes " +
		"the admission file. A certificate alone gives nothing. A reviewer gets a certificate and no order: reviewers enrol " +
		"through their platform.\n\n" +
		"Example:\n  signalbox authority admit platform-1/request.pem --data authority --keys officer-1 --reason \"contract 12\" \\\n" +
		"    --fingerprint ffdf46b2… --out admission.json"
}

// applied is one request with the certificates that it got.
type applied struct {
	request envelope.Request
	given   party.Certified
	Order   uint64 `json:"order,omitempty"`
	Kind    string `json:"kind,omitempty"`
}

// Run admits.
func (c *admitCommand) Run(a *app) error {
	if have, err := party.Exists(c.Out); err != nil || have {
		return errors.Join(err, fmt.Errorf(a.say.of("%s is there already, and nothing is overwritten", "%s 已存在，不会覆盖"), c.Out))
	}
	requests, err := c.read()
	if err != nil {
		return err
	}
	trust, err := authority.ReadTrust(party.Dir(c.authority()))
	if err != nil {
		return err
	}
	all, err := c.certify(requests, c.Days, time.Now())
	if err != nil {
		return err
	}
	out := party.Admission{Authority: trust}
	for i := range all {
		if err := c.admit(a, &all[i], c.Tags); err != nil {
			return fmt.Errorf("%s: %w", all[i].request.Subject.ID, err)
		}
		out.Parties = append(out.Parties, all[i].given)
	}
	data, err := out.Encode()
	if err != nil {
		return err
	}
	if err := party.Write(c.Out, data); err != nil {
		return err
	}
	return c.admitted(a, trust, all)
}

// read reads the requests, checks their proofs of possession, and that they are
// the ones that were announced.
func (c *admitCommand) read() ([]envelope.Request, error) {
	var out []envelope.Request
	for _, file := range c.Requests {
		r, err := authority.ReadRequest(file)
		if err != nil {
			return nil, err
		}
		if err := announced(c.Fingerprint, file, r.Hash.String()); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(o envelope.Request) bool { return o.Subject.ID == r.Subject.ID }) {
			return nil, fmt.Errorf("%s: a second request of %s", file, r.Subject.ID)
		}
		out = append(out, r)
	}
	return out, nil
}

// certify issues the certificates, by the CA's key in the authority's folder.
func (w warrant) certify(requests []envelope.Request, days int, now time.Time) ([]applied, error) {
	if days < 1 || days > 3650 {
		return nil, errors.New("--days: want 1 to 3650")
	}
	dir := party.Dir(w.authority())
	passphrase, err := party.Passphrase(dir.Path(party.PassphraseFile))
	if err != nil {
		return nil, err
	}
	ca, err := authority.LoadCA(dir, passphrase)
	if err != nil {
		return nil, err
	}
	// The minute is for clocks that run behind; a certificate of the same
	// minute would otherwise not be good yet.
	from, to := now.Add(-time.Minute), now.AddDate(0, 0, days)
	var out []applied
	for _, r := range requests {
		given, err := authority.Certify(ca, r, from, to)
		if err != nil {
			return nil, err
		}
		out = append(out, applied{request: r, given: given})
	}
	return out, nil
}

// admit has the identity admitted, or renewed.
func (w warrant) admit(a *app, p *applied, given []string) error {
	if p.request.Subject.Role == string(contract.RoleReviewer) {
		return nil
	}
	cl := w.client()
	defer cl.Close()
	i, err := cl.Certified(a.ctx, p.given.Signing)
	if err != nil {
		return a.plain(err)
	}
	i.Status, i.Tags = contract.Active, tags(given)
	known, err := cl.Identities(a.ctx, i.Role)
	if err != nil {
		return a.plain(err)
	}
	kind := contract.IdentityAdmit
	if slices.ContainsFunc(known, func(k oversight.IdentityView) bool { return k.ID == i.ID }) {
		kind = contract.IdentityRenew
	}
	o, err := w.give(a, order{kind, i})
	if err != nil {
		return err
	}
	p.Order, p.Kind = o.Number, string(o.Kind)
	return nil
}

// admitted says what was done.
func (c *admitCommand) admitted(a *app, trust party.Trust, all []applied) error {
	if c.JSON {
		type line struct {
			ID          string `json:"id"`
			Role        string `json:"role"`
			Fingerprint string `json:"request_fingerprint"`
			applied
		}
		var lines []line
		for _, p := range all {
			lines = append(lines, line{p.given.ID, p.given.Role, p.request.Hash.String(), p})
		}
		return json.NewEncoder(a.stdout).Encode(map[string]any{
			"admission": c.Out, "authority_fingerprint": trust.Fingerprint(), "admitted": lines,
		})
	}
	t := newTable(a.stdout)
	for _, p := range all {
		what := fmt.Sprintf(a.say.of("order %d (%s)", "第 %d 号指令（%s）"), p.Order, p.Kind)
		if p.Order == 0 {
			what = a.say.of("certificate; enrols through its platform", "仅发证书；须经平台登记")
		}
		t.row("✓ "+p.given.Role, p.given.ID, what, p.request.Hash)
	}
	if err := t.end(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.stdout, a.say.of("%s is for the applicant, who compares the authority's fingerprint:\n%s\n", "请将 %s 交给申请方，并由其核对监管机关指纹：\n%s\n"), c.Out, trust.Fingerprint())
	return err
}
