package system

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"signalbox.dev/signalbox/internal/archiving"
	"signalbox.dev/signalbox/internal/audit"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/party/authority"
	ledgerparty "signalbox.dev/signalbox/internal/party/ledger"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/ledger/embedded"
	"signalbox.dev/signalbox/receipt"
)

// Checked is what Fsck found.
type Checked struct {
	SupervisionBlocks int64 `json:"supervision_blocks"`
	SupervisionPruned int64 `json:"supervision_pruned"` // blocks that are not there; with any, none was re-executed
	Archived          int64 `json:"archived"`           // decisions that are in the archive alone
	BusinessBlocks    int64 `json:"business_blocks"`
	Checkpoints       int   `json:"checkpoints"`
	Snapshots         int   `json:"snapshots"` // of the supervision chain's state

	Archive         *archiving.Checked `json:"archive,omitempty"`          // where one was named
	ErasuresWaiting int                `json:"erasures_waiting,omitempty"` // in the archive, until its next run
	Witnesses       int                `json:"witnesses,omitempty"`        // whose memory is of this log
	Cosignatures    int                `json:"cosignatures,omitempty"`     // valid ones under the stored checkpoints
	audit.Report
}

// Fsck re-checks a data directory that is not in use: both chains from their
// first block, the log against every checkpoint, every business record against
// its decision, and the other way round (R7.2, R8.1); and what stands beside them where
// it is named, the archive (R10.1) and witnesses. Only public keys are read.
// say is told what is being done.
func Fsck(ctx context.Context, dir string, also Beside, now time.Time, say func(string)) (Checked, error) {
	s, err := LoadSettings(dir)
	if err != nil {
		return Checked{}, err
	}
	l := dataDir(dir)
	return check(ctx, chains{l.published(), s.Chain, l.chain(), []business{{s.Network, l.ledger()}}, also}, now, say)
}

// FsckApart is Fsck for parties that run apart: the authority's folder, and those
// of the business chains, one for each network. Decisions of networks whose
// business chain is not among them are re-executed and compared with nothing.
func FsckApart(ctx context.Context, authorityDir string, ledgers []string, also Beside, now time.Time, say func(string)) (Checked, error) {
	dir := party.Dir(authorityDir)
	trust, err := authority.ReadTrust(dir)
	if err != nil {
		return Checked{}, err
	}
	if also.Snapshots == "" {
		own := party.SnapshotsDir(dir)
		if _, err := os.Stat(own); err == nil {
			also.Snapshots = own
		}
	}
	c := chains{authority.LogKeysFile(dir), trust.Chain, authority.ChainDir(dir), nil, also}
	for _, l := range ledgers {
		d := party.Dir(l)
		g, err := ledgerparty.ReadGenesis(d)
		if err != nil {
			return Checked{}, err
		}
		if slices.ContainsFunc(c.business, func(b business) bool { return b.network == g.Network }) {
			return Checked{}, fmt.Errorf("%s is a second business chain of network %s", l, g.Network)
		}
		c.business = append(c.business, business{g.Network, ledgerparty.ChainDir(d)})
	}
	return check(ctx, c, now, say)
}

// chains are what is checked.
type chains struct {
	published string // file of the authority's log keys
	id        string // the supervision chain's
	dir       string // of its node
	business  []business
	beside    Beside
}

type business struct {
	network string
	dir     string // of the chain's node
}

func check(ctx context.Context, c chains, now time.Time, say func(string)) (Checked, error) {
	text, err := os.ReadFile(c.published)
	if err != nil {
		return Checked{}, fmt.Errorf("reading the authority's keys: %w", err)
	}
	keys, err := receipt.ParseKeys(string(text))
	if err != nil {
		return Checked{}, err
	}
	var audits []*audit.Audit
	for _, b := range c.business {
		audits = append(audits, audit.New(keys, c.id, b.network, now))
	}
	out := Checked{Report: audit.Report{Inconsistencies: []string{}}}
	say("supervision chain")
	older, err := c.beside.older(ctx, keys)
	if err != nil {
		return Checked{}, err
	}
	defer older.close()
	supervision, err := chain.ReplayArchived(ctx, c.dir, keys, older.archived, func(d chain.Decided) error {
		out.Decisions++
		for _, a := range audits {
			a.Decision(d.Leaf, d.Anchor)
		}
		return nil
	})
	if errors.Is(err, os.ErrNotExist) {
		return out, nil // founded and never run
	}
	if err != nil {
		return Checked{}, err
	}
	out.SupervisionBlocks, out.Checkpoints = supervision.Blocks, supervision.Checkpoints
	out.SupervisionPruned, out.Archived = supervision.Pruned, supervision.Forgotten
	if out.Archived > 0 && older.archived == nil && len(c.business) > 0 {
		return Checked{}, fmt.Errorf("the supervision chain has %d decisions in its archive alone: name it (--archive), or what they let in can't be compared", out.Archived)
	}
	out.Inconsistencies = append(out.Inconsistencies, supervision.Problems...)
	if err := out.beside(ctx, c.beside, c.dir, keys, older, say); err != nil {
		return Checked{}, err
	}
	for i, b := range c.business {
		say("business chain")
		if err := out.business(ctx, b, audits[i]); err != nil {
			return Checked{}, err
		}
	}
	return out, nil
}

// business replays one business chain and adds what its audit finds.
func (c *Checked) business(ctx context.Context, b business, a *audit.Audit) error {
	replayed, err := embedded.Replay(ctx, b.dir, func(r ledger.Stored, _ time.Time) error {
		a.Record(r)
		return nil
	})
	problems := replayed.Differences
	switch {
	case ctx.Err() != nil, errors.Is(err, comet.ErrInUse):
		return err
	case err != nil:
		problems = append(problems, "business chain: "+err.Error())
	}
	c.BusinessBlocks += replayed.Blocks
	r := a.Report()
	c.Records += r.Records
	c.Receipts += r.Receipts
	c.Anchored += r.Anchored
	c.Unfinished += r.Unfinished
	c.Lapsed += r.Lapsed
	for _, p := range append(problems, r.Inconsistencies...) {
		c.Inconsistencies = append(c.Inconsistencies, b.network+": "+p)
	}
	return nil
}
