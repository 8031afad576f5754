package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/contracts"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/oversight"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/party/authority"
)

// fails runs a command that must not succeed, for the reason given.
func (o office) fails(why string, args ...string) {
	o.t.Helper()
	code, stdout, stderr := call(o.t, append(args, "--data", o.dir)...)
	if code != exitFailed || !strings.Contains(stderr, why) {
		o.t.Errorf("%s: exit %d, want %q\n%s%s", strings.Join(args, " "), code, why, stdout, stderr)
	}
}

// Every command of an officer against a running system, each with its JSON read
// and one of each sort in Chinese (R6.1, R6.2, R6.3, R7.1, R9.2, R9.6).
func TestAuthorityCommands(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	o := office{t, startUp(t, dir), dir}
	for _, part := range []struct {
		name string
		do   func(office)
	}{
		{"grants", office.grants},
		{"freezes and stops", office.freezes},
		{"identities", office.identities},
		{"lists", office.definesLists},
		{"holds", office.holds},
		{"rules", office.rules},
		{"two officers on two machines", office.fourEyes},
		{"orders", office.history},
	} {
		t.Run(part.name, func(t *testing.T) { part.do(office{t, o.u, dir}) })
	}
}

// zh runs a command in Chinese and wants a text in what it prints.
func (o office) zh(want string, args ...string) {
	o.t.Helper()
	code, stdout, stderr := call(o.t, append([]string{"--lang", "zh"}, append(args, "--data", o.dir)...)...)
	if code != exitOK || !strings.Contains(stdout, want) {
		o.t.Errorf("%s: exit %d, want %q\n%s%s", strings.Join(args, " "), code, want, stdout, stderr)
	}
}

func (o office) grants() {
	issued := o.orders("grant", "issue", "rx-pharmacy-003", "--step", "order", "--step", "settle", "--to", "30d", "--quota", "50")
	if len(issued.Grant) != 24 || issued.Kind != contract.GrantIssue {
		o.t.Fatalf("issued %+v", issued)
	}
	o.orders("grant", "renew", issued.Grant, "--to", "90d", "--more", "10")
	all := does[[]oversight.GrantView](o, "authority", "grant", "list", "--institution", "rx-pharmacy-003")
	if len(all) != 1 || all[0].Code != issued.Grant || all[0].Quota != 60 || all[0].Issued != issued.Number || all[0].Renewed != issued.Number+1 || all[0].Ended {
		o.t.Errorf("listed %+v", all)
	}
	o.zh("第 "+strconv.FormatUint(issued.Number, 10)+" 号指令", "authority", "grant", "list")
	o.orders("grant", "revoke", issued.Grant)
	o.fails("grant_revoked", "authority", "grant", "revoke", issued.Grant, "--reason", "case 17")
	o.fails("--to", "authority", "grant", "issue", "rx-pharmacy-003", "--step", "order", "--to", "soon", "--reason", "case 17")
	if all = does[[]oversight.GrantView](o, "authority", "grant", "list"); len(all) != 1 || all[0].Revoked == 0 || !all[0].Ended {
		o.t.Errorf("after revocation %+v", all)
	}
}

func (o office) freezes() {
	o.orders("freeze", "institution", "rx-pharmacy-002")
	o.orders("unfreeze", "institution", "rx-pharmacy-002")
	o.fails("not_frozen", "authority", "unfreeze", "institution", "rx-pharmacy-002", "--reason", "case 17")
	o.zh("指令已执行", "authority", "freeze", "subject", "id:resident:110101199003070099", "--reason", "card stolen")
	o.orders("stop", "deliver", "--until", "2h")
	if s := does[oversight.Status](o, "authority", "status"); len(s.Stopped) != 1 || s.Stopped[0].Step != flow.Deliver {
		o.t.Errorf("stopped: %+v", s.Stopped)
	}
	o.orders("resume", "deliver")
	o.fails("not_stopped", "authority", "resume", "deliver", "--reason", "case 17")
}

func (o office) identities() {
	o.orders("identity", "admit", "--id", "rx-hospital-009", "--role", "originator", "--until", "365d", "--tag", "tertiary")
	o.fails("identity_exists", "authority", "identity", "admit", "--id", "rx-hospital-009", "--role", "originator", "--until", "365d", "--reason", "case 17")
	all := does[[]oversight.IdentityView](o, "authority", "identity", "list", "--role", "originator")
	if len(all) != 1 || all[0].ID != "rx-hospital-009" || all[0].Status != contract.Active || all[0].Tags[0] != "tertiary" {
		o.t.Errorf("admitted %+v", all)
	}
	certificate := filepath.Join(o.dir, filepath.FromSlash("participants/rx-pharmacy-003/certificate.der"))
	o.fails("identity_exists", "authority", "identity", "admit", "--certificate", certificate, "--reason", "case 17")
	o.orders("identity", "renew", "--certificate", certificate, "--tag", "narcotic")
	o.zh("rx-pharmacy-003", "authority", "identity", "list", "--role", "producer")
	broken := filepath.Join(o.t.TempDir(), "broken.der")
	must(o.t, os.WriteFile(broken, []byte("no certificate"), 0o600))
	o.fails("certificate", "authority", "identity", "admit", "--certificate", broken, "--reason", "case 17")
}

func (o office) definesLists() {
	o.orders("list", "define", "restricted-prescribers", "--key", "prescriber", "--step", "register", "--zh", "受限医师", "--en", "restricted prescriber")
	o.fails("list_exists", "authority", "list", "define", "restricted-prescribers", "--key", "prescriber", "--step", "register", "--zh", "受限", "--en", "x", "--reason", "case 17")
	o.zh("restricted-prescribers", "authority", "list", "show")
}

func (o office) holds() {
	set, err := inputs(nil)
	must(o.t, err)
	o.orders("stop", "register", "--until", "2h")
	must(o.t, o.u.post(set[0].data))
	must(o.t, o.u.post(set[1].data))
	var holds []oversight.HoldView
	for deadline := time.Now().Add(60 * time.Second); len(holds) < 2 && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		holds = does[[]oversight.HoldView](o, "authority", "hold", "list")
	}
	if len(holds) != 2 || holds[0].Reasons[0].Code != "step_stopped" {
		o.t.Fatalf("holds: %+v", holds)
	}
	o.zh("已被紧急停止", "authority", "hold", "list")
	if out := o.orders("hold", "grant", strconv.FormatUint(holds[0].Number, 10)); out.Resolved[0].Verdict != flow.Granted {
		o.t.Errorf("granting: %+v", out)
	}
	if out := o.orders("hold", "refuse", holds[1].Tx.String()); out.Resolved[0].Verdict != flow.Refused || out.Resolved[0].Reasons[0].Code != "officer_refused" {
		o.t.Errorf("refusing: %+v", out)
	}
	o.fails("hold_resolved", "authority", "hold", "refuse", holds[1].Tx.String(), "--reason", "case 17")
	o.orders("resume", "register")
	// Live, a registration is no duplicate of itself.
	if e := does[oversight.Explained](o, "explain", holds[0].Tx.String()); e.Stands.Verdict != flow.Granted || e.Traced.Verdict != flow.Granted {
		o.t.Errorf("explained: stands %+v, traced %+v", e.Stands, e.Traced)
	}
	o.zh("业务信息未曾登记", "explain", holds[0].Tx.String())
}

func (o office) rules() {
	file := filepath.Join(o.t.TempDir(), "next.yaml")
	must(o.t, os.WriteFile(file, append(contracts.Prescription(), "\n# another edition\n"...), 0o600))
	waiting := o.orders("rules", "publish", file, "--at", "240h")
	view := does[oversight.RulesView](o, "authority", "rules", "show")
	if len(view.Scheduled) != 1 || view.Scheduled[0].Order != waiting.Number || view.InForce.Number != 1 {
		o.t.Errorf("scheduled: %+v", view.Scheduled)
	}
	o.zh("待生效", "authority", "rules", "show")
	o.orders("rules", "cancel", strconv.FormatUint(waiting.Number, 10))
	o.fails("rules_unknown", "authority", "rules", "cancel", strconv.FormatUint(waiting.Number, 10), "--reason", "case 17")
	o.orders("rules", "rollback", "1", "--at", "240h")
	if v := does[oversight.VersionView](o, "authority", "rules", "show", "1"); !strings.Contains(v.Text, "contract: prescription") {
		o.t.Errorf("version 1: %.60q", v.Text)
	}
	must(o.t, os.WriteFile(file, []byte("contract: 1.5\nrules: 7\n"), 0o600))
	o.fails("line 2", "authority", "rules", "publish", file, "--reason", "case 17")
}

// officer admits an officer with a folder of its own.
func (o office) officer(id string) string {
	o.t.Helper()
	folder := filepath.Join(o.t.TempDir(), id)
	if code, _, stderr := call(o.t, "init", "officer", id, "--dir", folder); code != exitOK {
		o.t.Fatalf("making officer %s: exit %d %s", id, code, stderr)
	}
	data, err := os.ReadFile(filepath.Join(folder, "request.pem"))
	must(o.t, err)
	request, err := envelope.ParseRequest(data)
	must(o.t, err)
	passphrase, err := party.Passphrase(filepath.Join(o.dir, "passphrase"))
	must(o.t, err)
	ca, err := authority.LoadCA(party.Dir(filepath.Join(o.dir, "authority")), passphrase)
	must(o.t, err)
	given, err := authority.Certify(ca, request, time.Now().Add(-time.Minute), time.Now().Add(time.Hour))
	must(o.t, err)
	file := filepath.Join(folder, "certificate.der")
	must(o.t, os.WriteFile(file, given.Signing, 0o600))
	o.orders("identity", "admit", "--certificate", file)
	return folder
}

// fourEyes signs an order on one machine and countersigns it on another; what was
// tampered with on the way, or signed twice by one, comes to nothing.
func (o office) fourEyes() {
	first, second := o.officer("rx-officer-011"), o.officer("rx-officer-012")
	file := filepath.Join(o.t.TempDir(), "order.json")
	sign := []string{"authority", "freeze", "institution", "rx-pharmacy-001", "--keys", first, "--reason", "case 18", "--to-file", file}
	if v := does[oversight.OrderView](o, sign...); v.Kind != contract.Freeze || v.Officer != "rx-officer-011" || v.About != "institution rx-pharmacy-001" {
		o.t.Fatalf("signed %+v", v)
	}
	o.fails("exist", sign...)
	if s := does[oversight.Status](o, "authority", "status"); s.LastOrder == 0 {
		o.t.Fatal("no orders")
	}
	elsewhere := func(want int, args ...string) string {
		o.t.Helper()
		code, stdout, stderr := call(o.t, append([]string{"authority", "order"}, args...)...)
		if code != want {
			o.t.Fatalf("%v: exit %d\n%s%s", args, code, stdout, stderr)
		}
		return stdout + stderr
	}
	if text := elsewhere(exitFailed, "countersign", file, "--keys", first); !strings.Contains(text, "another one") {
		o.t.Error(text)
	}
	must(o.t, os.Chmod(filepath.Join(second, "keys", "signing.pem"), 0o644))
	if text := elsewhere(exitFailed, "countersign", file, "--keys", second); !strings.Contains(text, "chmod 600") {
		o.t.Error(text)
	}
	must(o.t, os.Chmod(filepath.Join(second, "keys", "signing.pem"), 0o600))
	if text := elsewhere(exitOK, "read", file); !strings.Contains(text, "case 18") {
		o.t.Error(text)
	}
	elsewhere(exitOK, "countersign", file, "--keys", second)
	elsewhere(exitFailed, "countersign", file, "--keys", second)
	o.tampered(file)
	if out := does[oversight.Outcome](o, "authority", "order", "submit", file); out.Kind != contract.Freeze {
		o.t.Errorf("submitted %+v", out)
	}
	o.fails("order_replayed", "authority", "order", "submit", file)
	o.orders("unfreeze", "institution", "rx-pharmacy-001")
}

// tampered hands in the order with another officer's name as the second.
func (o office) tampered(file string) {
	o.t.Helper()
	data, err := os.ReadFile(file)
	must(o.t, err)
	var f orderFile
	must(o.t, json.Unmarshal(data, &f))
	f.Second = "rx-officer-002"
	data, err = json.Marshal(f)
	must(o.t, err)
	forged := filepath.Join(o.t.TempDir(), "forged.json")
	must(o.t, os.WriteFile(forged, data, 0o600))
	o.fails("not signed by officer rx-officer-002", "authority", "order", "submit", forged)
}

func (o office) history() {
	page := does[oversight.OrderPage](o, "authority", "order", "list", "--from", "1", "--limit", "500")
	last := page.Orders[len(page.Orders)-1]
	if last.Kind != contract.Unfreeze || last.Number != uint64(len(page.Orders)) {
		o.t.Errorf("last of %d: %+v", len(page.Orders), last)
	}
	before := page.Orders[len(page.Orders)-2]
	shown := does[oversight.OrderView](o, "authority", "order", "show", strconv.FormatUint(before.Number, 10))
	if shown.Second != "rx-officer-012" || shown.Officer != "rx-officer-011" || shown.Tx != before.Tx || shown.Reason != "case 18" {
		o.t.Errorf("shown %+v", shown)
	}
	o.zh("会签人", "authority", "order", "show", strconv.FormatUint(before.Number, 10))
	o.fails("there is no order", "authority", "order", "show", "999")
}
