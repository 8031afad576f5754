package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"signalbox.dev/signalbox/contract"
)

type identityCommand struct {
	List    identityListCommand    `cmd:"" help:"Show participants."`
	Admit   identityAdmitCommand   `cmd:"" help:"Admit a participant."`
	Renew   identityRenewCommand   `cmd:"" help:"Give a participant another certificate."`
	Verify  identityVerifyCommand  `cmd:"" help:"Note that an applicant's identity was checked."`
	Suspend identitySuspendCommand `cmd:"" help:"Suspend a participant, from the next decision on."`
	Revoke  identityRevokeCommand  `cmd:"" help:"Revoke a participant, for good."`
	Restore identityRestoreCommand `cmd:"" help:"Activate a verified or suspended participant."`
}

type identityListCommand struct {
	control
	Role string `help:"Only of this role." enum:"platform,originator,producer,reviewer,officer,node," default:""`
}

// Help implements kong's HelpProvider.
func (identityListCommand) Help() string {
	return "Examples:\n  signalbox authority identity list\n  signalbox authority identity list --role reviewer --json"
}

// Run prints the participants.
func (c *identityListCommand) Run(a *app) error {
	cl := c.client()
	defer cl.Close()
	all, err := cl.Identities(a.ctx, contract.Role(c.Role))
	if err != nil {
		return a.plain(err)
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(all)
	}
	t := newTable(a.stdout)
	t.row(a.say.of("ID", "标识"), a.say.of("ROLE", "角色"), a.say.of("STATUS", "状态"), a.say.of("STANDING", "名单等级"),
		a.say.of("VALID UNTIL", "有效至"), a.say.of("TAGS", "标签"))
	for _, i := range all {
		status := string(i.Status)
		if i.Expired {
			status += a.say.of(", expired", "，已过期")
		}
		t.row(i.ID, i.Role, status, i.Standing, clock(i.NotAfter), joined(i.Tags, " "))
	}
	return t.end()
}

type identityAdmitCommand struct {
	warrant
	Certificate string   `help:"The participant's certificate by the authority's CA, DER or PEM." type:"existingfile" placeholder:"FILE" xor:"who" required:""`
	ID          string   `help:"An id, for a participant that signs nothing itself." xor:"who" required:""`
	Role        string   `help:"Its role, with --id." enum:"originator,producer,reviewer,node," default:""`
	Until       string   `help:"Until when it is valid, with --id." placeholder:"TIME"`
	Status      string   `help:"What it begins as." enum:"applied,verified,active" default:"active"`
	Tags        []string `help:"Specialities, licence scope and the like." name:"tag"`
}

// Help implements kong's HelpProvider.
func (identityAdmitCommand) Help() string {
	return "Examples:\n  signalbox authority identity admit --certificate pharmacy.pem --tag narcotic --reason \"licence checked\"\n" +
		"  signalbox authority identity admit --id rx-hospital-009 --role originator --until 2030-01-01 --reason \"case 12\""
}

// Run admits.
func (c *identityAdmitCommand) Run(a *app) error {
	i, err := c.identity(a)
	if err != nil {
		return err
	}
	i.Status, i.Tags = contract.Status(c.Status), tags(c.Tags)
	return c.carry(a, contract.IdentityAdmit, i)
}

func (c *identityAdmitCommand) identity(a *app) (contract.Identity, error) {
	if c.Certificate != "" {
		return c.certified(a, c.Certificate)
	}
	if c.Role == "" || c.Until == "" {
		return contract.Identity{}, errors.New(a.say.of("--id wants --role and --until", "--id 须与 --role 和 --until 同用"))
	}
	cl := c.client()
	defer cl.Close()
	status, err := cl.Status(a.ctx)
	if err != nil {
		return contract.Identity{}, a.plain(err)
	}
	now := time.Now()
	until, err := momentOf(c.Until, status.ZoneOffset, now)
	if err != nil {
		return contract.Identity{}, fmt.Errorf("--until: %w", err)
	}
	return contract.Identity{ID: c.ID, Role: contract.Role(c.Role), NotBefore: now.Unix(), NotAfter: until}, nil
}

// certified has the authority check a certificate (R7.1).
func (w warrant) certified(a *app, file string) (contract.Identity, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return contract.Identity{}, fmt.Errorf("reading the certificate: %w", err)
	}
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----")) {
		block, _ := pem.Decode(data)
		if block == nil || block.Type != "CERTIFICATE" {
			return contract.Identity{}, fmt.Errorf("reading the certificate: %s holds none", file)
		}
		data = block.Bytes
	}
	cl := w.client()
	defer cl.Close()
	i, err := cl.Certified(a.ctx, data)
	return i, a.plain(err)
}

func tags(all []string) []string {
	sorted := slices.Clone(all)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

type identityRenewCommand struct {
	warrant
	Certificate string   `help:"The new certificate by the authority's CA, DER or PEM." type:"existingfile" placeholder:"FILE" required:""`
	Tags        []string `help:"Specialities, licence scope and the like; they replace those before." name:"tag"`
}

// Run renews.
func (c *identityRenewCommand) Run(a *app) error {
	i, err := c.certified(a, c.Certificate)
	if err != nil {
		return err
	}
	i.Tags = tags(c.Tags)
	return c.carry(a, contract.IdentityRenew, i)
}

// person names an identity.
type person struct {
	warrant
	ID string `arg:"" help:"The participant's identity."`
}

func (p person) become(a *app, status contract.Status) error {
	return p.carry(a, contract.IdentityStatus, contract.StatusChange{ID: p.ID, Status: status})
}

type identityVerifyCommand struct{ person }

// Run verifies.
func (c *identityVerifyCommand) Run(a *app) error { return c.become(a, contract.Verified) }

type identitySuspendCommand struct{ person }

// Help implements kong's HelpProvider.
func (identitySuspendCommand) Help() string {
	return "Takes effect with the next decision.\n\nExample:\n  signalbox authority identity suspend rx-pharmacy-001 --reason \"inspection, case 17\""
}

// Run suspends.
func (c *identitySuspendCommand) Run(a *app) error { return c.become(a, contract.Suspended) }

type identityRevokeCommand struct{ person }

// Run revokes.
func (c *identityRevokeCommand) Run(a *app) error { return c.become(a, contract.Revoked) }

type identityRestoreCommand struct{ person }

// Help implements kong's HelpProvider.
func (identityRestoreCommand) Help() string {
	return "Example:\n  signalbox authority identity restore rx-pharmacy-001 --reason \"inspection passed\""
}

// Run restores.
func (c *identityRestoreCommand) Run(a *app) error { return c.become(a, contract.Active) }
