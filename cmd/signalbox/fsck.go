package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"signalbox.dev/signalbox/internal/system"
	"signalbox.dev/signalbox/receipt"
)

type fsckCommand struct {
	Data      string   `help:"The data directory of an all-in-one. It must not be in use." required:"" xor:"what" type:"existingdir" placeholder:"DIR"`
	Authority string   `help:"The folder of an authority that runs apart. It must not be in use." required:"" xor:"what" type:"existingdir" placeholder:"DIR"`
	Ledger    []string `help:"With --authority: the folder of a business chain; may be repeated, one for each network." type:"existingdir" placeholder:"DIR"`
	Archive   string   `help:"Check this archive too, in itself and against the supervision chain." placeholder:"PLACE"`
	Witness   []string `help:"Compare the log with this folder of a witness's memory; may be repeated." type:"existingdir" placeholder:"DIR"`
	Policy    string   `help:"Check the cosignatures that the authority keeps, of the witnesses that this policy names." type:"existingfile" placeholder:"FILE"`
	Snapshots string   `help:"With --authority: where its node's snapshots are. Default: the folder snapshots in the authority's." placeholder:"PLACE"`
	JSON      bool     `help:"Print one JSON object."`
}

// Help implements kong's HelpProvider.
func (fsckCommand) Help() string {
	return "Re-executes both chains from their first block, checks the log against every signed checkpoint, every business record " +
		"against its decision and the other way round, and snapshots of the supervision chain against it; where they are named, every byte of the archive and whether it is of this chain, goes as far as " +
		"blocks were pruned and lacks no payload without an order, and whether witnesses have seen this log and no other. Changes nothing. " +
		"Exits with 1 when anything is inconsistent.\n\n" +
		"Examples:\n  signalbox fsck --data ./data\n  signalbox fsck --authority authority --ledger ledger-1 --ledger ledger-2\n" +
		"  signalbox fsck --authority authority --archive /srv/archive --witness witness-1/memory --policy court.policy"
}

// Run checks and prints.
func (c *fsckCommand) Run(a *app) error {
	if (len(c.Ledger) > 0 || c.Snapshots != "") && c.Authority == "" {
		return errors.New(a.say.of("--ledger and --snapshots go with --authority", "--ledger 和 --snapshots 须与 --authority 同用"))
	}
	say := func(what string) {
		if !c.JSON {
			zh := map[string]string{"supervision chain": "监管链", "business chain": "业务链", "archive": "归档", "snapshots": "快照", "witnesses": "见证方"}[what]
			fmt.Fprintln(a.stderr, a.say.of("checking the "+what+" …", "正在检查"+zh+" …"))
		}
	}
	also, err := c.beside()
	if err != nil {
		return err
	}
	var found system.Checked
	if c.Authority != "" {
		found, err = system.FsckApart(a.ctx, c.Authority, c.Ledger, also, time.Now(), say)
	} else {
		found, err = system.Fsck(a.ctx, c.Data, also, time.Now(), say)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(a.stdout).Encode(found)
	} else {
		err = printChecked(a.stdout, a.say, found)
	}
	if err != nil {
		return err
	}
	if len(found.Inconsistencies) > 0 {
		return exit(exitFailed)
	}
	return nil
}

// beside is what is checked with the chains.
func (c *fsckCommand) beside() (system.Beside, error) {
	also := system.Beside{Archive: c.Archive, Snapshots: c.Snapshots, Witnesses: c.Witness}
	if c.Policy == "" {
		return also, nil
	}
	text, err := os.ReadFile(c.Policy)
	if err != nil {
		return also, fmt.Errorf("reading the policy: %w", err)
	}
	policy, err := receipt.ParsePolicy(string(text))
	if err != nil {
		return also, err
	}
	for _, w := range policy.Witnesses() {
		also.Cosigners = append(also.Cosigners, w.Key)
	}
	if len(also.Cosigners) == 0 {
		return also, fmt.Errorf("%s names no witness", c.Policy)
	}
	return also, nil
}

// printBeside says what came of the archive and the witnesses, where they were named.
func printBeside(w io.Writer, say words, f system.Checked) {
	if a := f.Archive; a != nil {
		fmt.Fprintf(w, say.of("archive:           %d segments, %d decisions, %d payloads erased, %d still to be erased by its next run\n",
			"归档：%d 个分段，%d 条决定，已删除 %d 份载荷，另有 %d 份待下次运行时删除\n"), a.Segments, a.Decisions, a.Erased, f.ErasuresWaiting)
	}
	if f.Witnesses+f.Cosignatures > 0 {
		fmt.Fprintf(w, say.of("witnesses:         %d remember this log, %d cosignatures verified\n", "见证方：%d 个的记忆与本日志一致，验证 %d 个联署\n"), f.Witnesses, f.Cosignatures)
	}
}

func printChecked(w io.Writer, say words, f system.Checked) error {
	_, err := fmt.Fprintf(w, say.of(
		"supervision chain: %d blocks re-executed, %d decisions, %d checkpoints verified\n"+
			"business chain:    %d blocks re-executed, %d records, %d receipts verified\n"+
			"between them:      %d anchored, %d on their way, %d lapsed, %d inconsistencies\n",
		"监管链：重放 %d 个区块，%d 条决定，验证 %d 个检查点\n"+
			"业务链：重放 %d 个区块，%d 条记录，验证 %d 份回执\n"+
			"两链之间：%d 条已锚定，%d 条在途，%d 条失效，%d 处不一致\n"),
		f.SupervisionBlocks, f.Decisions, f.Checkpoints, f.BusinessBlocks, f.Records, f.Receipts,
		f.Anchored, f.Unfinished, f.Lapsed, len(f.Inconsistencies))
	if err != nil {
		return err
	}
	printBeside(w, say, f)
	if f.SupervisionPruned > 0 {
		if _, err := fmt.Fprintf(w, say.of(
			"The supervision chain's first %d blocks were pruned: no block was re-executed. Checked were the links and signatures of the blocks that are\n"+
				"left, the whole state against what the validators have signed, and leaf for leaf the log against every checkpoint; signalbox archive verify checks\n"+
				"what the pruned blocks held.\n",
			"监管链最早的 %d 个区块已裁剪，因此未重放任何区块。已检查：所余区块的链接与签名、全部状态与验证者所签的哈希，以及日志逐叶与每个检查点是否相符；\n"+
				"已裁剪区块的内容由 signalbox archive verify 检查。\n"), f.SupervisionPruned); err != nil {
			return err
		}
	}
	if f.Snapshots > 0 {
		if _, err := fmt.Fprintf(w, say.of("snapshots:         %d checked\n", "快照：检查 %d 份\n"), f.Snapshots); err != nil {
			return err
		}
	}
	for _, i := range f.Inconsistencies {
		if _, err := fmt.Fprintln(w, "✗", i); err != nil {
			return err
		}
	}
	if len(f.Inconsistencies) == 0 {
		_, err = fmt.Fprintln(w, say.of("✓ both chains hold, and agree", "✓ 两条链均完整且一致"))
	}
	return err
}
