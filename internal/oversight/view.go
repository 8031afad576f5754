package oversight

import (
	"encoding/json"
	"fmt"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
)

// Moment is a time in Unix seconds; 0 is none. In JSON it is RFC 3339 in UTC,
// and null for none.
type Moment int64

// Time is m as a time.
func (m Moment) Time() time.Time { return time.Unix(int64(m), 0).UTC() }

// MarshalJSON implements json.Marshaler.
func (m Moment) MarshalJSON() ([]byte, error) {
	if m == 0 {
		return []byte("null"), nil
	}
	return json.Marshal(m.Time().Format(time.RFC3339))
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *Moment) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*m = 0
		return nil
	}
	var t time.Time
	if err := json.Unmarshal(data, &t); err != nil {
		return fmt.Errorf("reading a time: %w", err)
	}
	*m = Moment(t.Unix())
	return nil
}

// IdentityView is an admitted participant.
type IdentityView struct {
	ID          string          `json:"id"`
	Role        contract.Role   `json:"role"`
	Status      contract.Status `json:"status"` // expired is not one: see not_after
	Key         flow.KeyID      `json:"key"`
	Certificate flow.Hash       `json:"certificate"`
	NotBefore   Moment          `json:"not_before"`
	NotAfter    Moment          `json:"not_after"`
	Expired     bool            `json:"expired"`
	Licence     string          `json:"licence,omitempty"` // pseudonym
	Tags        []string        `json:"tags"`
	Standing    string          `json:"standing,omitempty"` // of platforms, originators and producers
}

// EntryView is one entry of a list.
type EntryView struct {
	List     contract.List        `json:"list"`
	Number   uint64               `json:"number"`
	Key      []string             `json:"key"`
	From     Moment               `json:"from"`
	To       Moment               `json:"to"`
	Reason   string               `json:"reason"`
	Basis    string               `json:"basis"`
	Status   contract.EntryStatus `json:"status"`
	Added    uint64               `json:"added"` // orders; 0: none
	Rule     flow.Hash            `json:"rule,omitzero"`
	Appealed uint64               `json:"appealed,omitempty"`
	Appeal   string               `json:"appeal,omitempty"`
	Kept     uint64               `json:"kept,omitempty"`
	Lifted   uint64               `json:"lifted,omitempty"`
}

func entryView(e contract.Entry, now int64) EntryView {
	return EntryView{
		List: e.List, Number: e.Number, Key: e.Key, From: Moment(e.From), To: Moment(e.To), Reason: e.Reason, Basis: e.Basis,
		Status: e.StatusAt(now), Added: e.Added, Rule: e.Rule, Appealed: e.Appealed, Appeal: e.Appeal, Kept: e.Kept, Lifted: e.Lifted,
	}
}

// ListView is a list and what its keys are made of.
type ListView struct {
	Name    contract.List    `json:"name"`
	Code    string           `json:"code"`
	Key     []string         `json:"key"`
	Steps   []flow.Step      `json:"steps"`
	Message contract.Message `json:"message"`
	Defined uint64           `json:"defined"` // the order; 0: the chain's own
	Entries uint64           `json:"entries"` // ever added
}

// GrantView is a batch grant.
type GrantView struct {
	Code        string      `json:"code"`
	Institution string      `json:"institution"`
	Steps       []flow.Step `json:"steps"`
	From        Moment      `json:"from"`
	To          Moment      `json:"to"`
	Quota       uint64      `json:"quota"` // 0: any number
	Used        uint64      `json:"used"`
	Issued      uint64      `json:"issued"`            // orders; 0: none
	Rule        string      `json:"rule,omitempty"`    // that issued it, in place of an order
	Version     uint64      `json:"version,omitempty"` // of the rule contract it stood in
	Renewed     uint64      `json:"renewed,omitempty"`
	Revoked     uint64      `json:"revoked,omitempty"`
	Ended       bool        `json:"ended"`
}

func grantView(g contract.Grant, now int64) GrantView {
	return GrantView{
		Code: g.Code, Institution: g.Institution, Steps: g.Steps, From: Moment(g.From), To: Moment(g.To), Quota: g.Quota, Used: g.Used,
		Issued: g.Issued, Rule: g.Rule, Version: g.Version, Renewed: g.Renewed, Revoked: g.Revoked,
		Ended: g.Revoked != 0 || now >= g.To || g.Quota != 0 && g.Used >= g.Quota,
	}
}

// HoldView is a submission that waits for an officer.
type HoldView struct {
	Number   uint64        `json:"number"`
	Tx       flow.Hash     `json:"tx"`
	Step     flow.Step     `json:"step"`
	Business string        `json:"business"`
	Platform string        `json:"platform"`
	Actor    string        `json:"actor,omitempty"`
	Flow     flow.Hash     `json:"flow,omitzero"`
	Subject  string        `json:"subject,omitempty"` // pseudonym
	Since    Moment        `json:"since"`
	Deadline Moment        `json:"deadline"`
	Reasons  []flow.Reason `json:"reasons"`
}

// OrderView is an order that was carried out.
type OrderView struct {
	Number   uint64        `json:"number"`
	Kind     contract.Kind `json:"kind"`
	About    string        `json:"about"` // what the body says, in short
	Officer  string        `json:"officer"`
	Second   string        `json:"second,omitempty"`
	Reason   string        `json:"reason"`
	Issued   Moment        `json:"issued"`
	Expires  Moment        `json:"expires"`
	At       Moment        `json:"at"`
	Height   int64         `json:"height"`
	Tx       flow.Hash     `json:"tx"`
	BodyHash flow.Hash     `json:"body_hash"`
	Body     []byte        `json:"body,omitempty"` // as signed, CBOR; none when it is long: the transaction has it
}

// Outcome is what an order has brought about.
type Outcome struct {
	Number   uint64         `json:"number"`
	Kind     contract.Kind  `json:"kind"`
	Entries  []uint64       `json:"entries,omitempty"`
	Grant    string         `json:"grant,omitempty"`
	Bundle   flow.Hash      `json:"bundle,omitzero"`
	Resolved []ResolvedView `json:"resolved,omitempty"`
}

// ResolvedView is what came of a held submission.
type ResolvedView struct {
	Tx      flow.Hash     `json:"tx"`
	Verdict flow.Verdict  `json:"verdict"` // held when there are new reasons to wait
	Reasons []flow.Reason `json:"reasons"`
}

// RulesView is the bundle in force and what stands around it.
type RulesView struct {
	InForce   VersionView     `json:"in_force"`
	Versions  []VersionView   `json:"versions"` // the newest first, at most 100
	Scheduled []ScheduledView `json:"scheduled"`
}

// VersionView is a bundle that has taken force.
type VersionView struct {
	Number  uint64    `json:"version"`
	Address flow.Hash `json:"address"`
	Height  int64     `json:"height"`
	Order   uint64    `json:"order"`
	Text    string    `json:"text,omitempty"` // YAML, where one version is asked for, and of the one in force
}

// ScheduledView is a bundle that waits to take force.
type ScheduledView struct {
	Address flow.Hash `json:"address"`
	Height  int64     `json:"height,omitempty"`
	Time    Moment    `json:"time"`
	Order   uint64    `json:"order"`
}
