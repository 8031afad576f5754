package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"signalbox.dev/signalbox/archive"
	"signalbox.dev/signalbox/archive/blob"
	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/archiving"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/receipt"
)

// archivedDecision is what --json and an export say of a decision.
type archivedDecision struct {
	Segment     int64         `json:"segment"`
	Index       int64         `json:"index"`
	Tx          flow.Hash     `json:"tx"`
	Flow        *flow.Hash    `json:"flow,omitempty"`
	Submission  flow.ID       `json:"submission"`
	Platform    string        `json:"platform"`
	Business    string        `json:"business"`
	Step        flow.Step     `json:"step"`
	Verdict     flow.Verdict  `json:"verdict"`
	Issued      time.Time     `json:"issued"`
	Stands      bool          `json:"stands"` // false: a later decision took its place
	Reasons     []flow.Reason `json:"reasons,omitempty"`
	Basis       string        `json:"basis,omitempty"`
	Subject     string        `json:"subject,omitempty"`
	Anchor      string        `json:"anchor,omitempty"`
	Height      int64         `json:"height"`
	Receipt     string        `json:"receipt"`               // tlog-proof
	Sealed      string        `json:"sealed,omitempty"`      // base64; the payload, sealed for the authority
	Transaction string        `json:"transaction,omitempty"` // base64
	Erased      *erasedBy     `json:"erased,omitempty"`      // the payload and the transaction are not there any more
}

// erasedBy says which order of the officers' erased a payload, by the authority's
// signed statement.
type erasedBy struct {
	Order  uint64    `json:"order"`
	At     time.Time `json:"at"`
	Ground string    `json:"ground"`
}

func groundText(say words, g contract.Ground) string {
	zh := map[contract.Ground]string{contract.ByRetention: "保存期满", contract.ByLaw: "法律要求"}[g]
	if zh == "" {
		return string(g)
	}
	return say.of(string(g), zh)
}

func describe(f archiving.Found) archivedDecision {
	l, d := f.Leaf, f.Decision
	return archivedDecision{
		Segment: f.Segment, Index: f.Index, Tx: l.Tx, Flow: some(l.Flow), Submission: l.Submission, Platform: l.Platform, Business: l.Business,
		Step: l.Step, Verdict: l.Verdict, Issued: time.Unix(l.Issued, 0).UTC(), Stands: d.Stands, Reasons: d.Reasons, Basis: d.Basis,
		Subject: d.Subject, Anchor: d.Anchor, Height: d.Height, Receipt: string(f.Receipt),
	}
}

// withTransaction adds the transaction and the sealed payload in it.
func (d *archivedDecision) withTransaction(a *app, r *archiving.Reader) ([]byte, error) {
	raw, err := r.Transaction(a.ctx, d.Tx, d.Height)
	var gone *chain.ErasedError
	if errors.As(err, &gone) {
		d.Erased = &erasedBy{gone.Order, time.Unix(gone.At, 0).UTC(), gone.Ground}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	sub, err := chain.OpenTransaction(raw)
	if err != nil {
		return nil, err
	}
	d.Sealed, d.Transaction = base64.StdEncoding.EncodeToString(sub.Sealed), base64.StdEncoding.EncodeToString(raw)
	return raw, nil
}

type archiveGetCommand struct {
	archiveSource
	Receipt string `help:"Write the receipt to this file." type:"path" placeholder:"FILE"`
	Tx      string `arg:"" help:"The transaction's hash."`
}

// Help implements kong's HelpProvider.
func (archiveGetCommand) Help() string {
	return "Reads the archive alone; the receipt is the one that was given at the time, and is verified before it is given.\n\n" +
		"Examples:\n  signalbox archive get --from ./archive --keys data/authority.pub 5f70…\n" +
		"  signalbox archive get --from ./archive --keys data/authority.pub --receipt r.tlog-proof 5f70…"
}

// Run gets one decision.
func (c *archiveGetCommand) Run(a *app) error {
	tx, err := flow.ParseHash(c.Tx)
	if err != nil {
		return fmt.Errorf("transaction: %w", err)
	}
	store, keys, err := c.open(a)
	if err != nil {
		return err
	}
	defer store.Close()
	r := archiving.NewReader(store, keys)
	found, err := r.ByTx(a.ctx, tx)
	if err != nil {
		return err
	}
	d := describe(found)
	if _, err := d.withTransaction(a, r); err != nil {
		return err
	}
	if c.Receipt != "" {
		if err := os.WriteFile(c.Receipt, found.Receipt, 0o600); err != nil {
			return fmt.Errorf("writing the receipt: %w", err)
		}
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(d)
	}
	p, err := receipt.Verify(found.Receipt, keys, keys.Origin())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, a.say.of("✓ segment %d, leaf %d, block %d\n%s\n%s", "✓ 分段 %d，第 %d 片叶，区块 %d\n%s\n%s"),
		d.Segment, d.Index, d.Height, proven(a.say, verifiedOf("", p)), d.payload(a.say))
	return err
}

func (d archivedDecision) payload(say words) string {
	if e := d.Erased; e != nil {
		return fmt.Sprintf(say.of("  Its payload was erased by officers' order %d of %s, ground: %s. The decision and its receipt stand.\n",
			"  其载荷已依第 %d 号指令（%s）删除，依据：%s。决定及回执仍然有效。\n"), e.Order, e.At.Format(time.DateOnly), groundText(say, contract.Ground(e.Ground)))
	}
	return fmt.Sprintf(say.of("  Its transaction is there, with the sealed payload of %d bytes (--json gives both).\n", "  交易及 %d 字节的密封载荷在档（--json 可输出两者）。\n"),
		base64.StdEncoding.DecodedLen(len(d.Sealed)))
}

type archiveExportCommand struct {
	archiveSource
	To      string `help:"The folder to write; it must be new or empty." required:"" type:"path" placeholder:"DIR"`
	Flow    string `help:"Only the decisions of this flow." xor:"what" placeholder:"HASH"`
	Subject string `help:"Only the decisions of this subject key." xor:"what" placeholder:"KEY"`
}

// Help implements kong's HelpProvider.
func (archiveExportCommand) Help() string {
	return "Writes decisions.jsonl, receipts/TX.tlog-proof, which signalbox verify checks, and transactions/TX.cbor with the sealed payloads. " +
		"A decision that a later one took the place of has its receipt too, named with its leaf.\n\n" +
		"Examples:\n  signalbox archive export --from ./archive --keys data/authority.pub --to ./case-17 --flow 5f70…\n" +
		"  signalbox archive export --from ./archive --keys data/authority.pub --to ./all"
}

// Run exports.
func (c *archiveExportCommand) Run(a *app) error {
	store, keys, err := c.open(a)
	if err != nil {
		return err
	}
	defer store.Close()
	if left, err := os.ReadDir(c.To); err == nil && len(left) > 0 {
		return fmt.Errorf("exporting: %s is not empty", c.To)
	}
	for _, dir := range []string{"receipts", "transactions"} {
		if err := os.MkdirAll(filepath.Join(c.To, dir), 0o700); err != nil {
			return fmt.Errorf("exporting: %w", err)
		}
	}
	list, err := os.OpenFile(filepath.Join(c.To, "decisions.jsonl"), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("exporting: %w", err)
	}
	defer list.Close()
	count, r := 0, archiving.NewReader(store, keys)
	err = c.each(a, store, r, func(f archiving.Found) error {
		count++
		return c.write(a, r, json.NewEncoder(list), f)
	})
	if err != nil {
		return err
	}
	if err := list.Close(); err != nil {
		return fmt.Errorf("exporting: %w", err)
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(map[string]any{"decisions": count, "to": c.To})
	}
	_, err = fmt.Fprintf(a.stdout, a.say.of("✓ %d decisions exported to %s\n", "✓ 已导出 %d 条决定至 %s\n"), count, c.To)
	return err
}

func (c *archiveExportCommand) each(a *app, s archive.Store, r *archiving.Reader, fn func(archiving.Found) error) error {
	var all []archiving.Found
	var err error
	switch {
	case c.Flow != "":
		id, perr := flow.ParseHash(c.Flow)
		if perr != nil {
			return fmt.Errorf("--flow: %w", perr)
		}
		all, err = r.ByFlow(a.ctx, id)
	case c.Subject != "":
		all, err = r.BySubject(a.ctx, c.Subject)
	default:
		return r.Each(a.ctx, fn)
	}
	if err != nil {
		return err
	}
	for _, f := range all {
		if err := fn(f); err != nil {
			return err
		}
	}
	return nil
}

func (c *archiveExportCommand) write(a *app, r *archiving.Reader, list *json.Encoder, f archiving.Found) error {
	d := describe(f)
	raw, err := d.withTransaction(a, r)
	if err != nil {
		return err
	}
	d.Transaction, d.Sealed = "", "" // they are in files
	if err := list.Encode(d); err != nil {
		return fmt.Errorf("exporting: %w", err)
	}
	name := d.Tx.String()
	if !f.Decision.Stands {
		name = fmt.Sprintf("%s-%d", name, f.Index)
	}
	if err := os.WriteFile(filepath.Join(c.To, "receipts", name+".tlog-proof"), f.Receipt, 0o600); err != nil {
		return fmt.Errorf("exporting: %w", err)
	}
	if raw == nil {
		return nil
	}
	if err := os.WriteFile(filepath.Join(c.To, "transactions", d.Tx.String()+".cbor"), raw, 0o600); err != nil {
		return fmt.Errorf("exporting: %w", err)
	}
	return nil
}

type archiveRestoreCommand struct {
	archiveSource
	To string `help:"Where to restore to; a folder is made when it does not exist." required:"" placeholder:"PLACE"`
}

// Help implements kong's HelpProvider.
func (archiveRestoreCommand) Help() string {
	return "Copies segment by segment and verifies each first, so that what is restored is a readable archive with the same root of the log. It stops at " +
		"the first segment that is not as it was written. Run again, it goes over everything once more.\n\n" +
		"Example:\n  signalbox archive restore --from file:///mnt/archive --keys authority.pub --to ./restored"
}

// Run restores.
func (c *archiveRestoreCommand) Run(a *app) error {
	store, keys, err := c.open(a)
	if err != nil {
		return err
	}
	defer store.Close()
	to, err := blob.Open(a.ctx, c.To)
	if err != nil {
		return err
	}
	defer to.Close()
	found, err := archiving.Copy(a.ctx, store, to, keys, func(w archiving.Written) error {
		if c.JSON {
			return nil
		}
		_, err := fmt.Fprintf(a.stderr, a.say.of("segment %d restored\n", "已恢复分段 %d\n"), w.Segment)
		return err
	})
	if err != nil {
		return err
	}
	return printArchive(a, c.JSON, found)
}
