package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"signalbox.dev/signalbox/archive"
	"signalbox.dev/signalbox/archive/blob"
	"signalbox.dev/signalbox/archive/segment"
	"signalbox.dev/signalbox/internal/archiving"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/comet"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/party/authority"
	"signalbox.dev/signalbox/internal/system"
	"signalbox.dev/signalbox/receipt"
)

// archiveCommand is the archive of a supervision chain (R10.1).
type archiveCommand struct {
	Run     archiveRunCommand     `cmd:"" help:"Archive what a stopped supervision chain has beyond the archive."`
	List    archiveListCommand    `cmd:"" help:"List an archive's segments."`
	Verify  archiveVerifyCommand  `cmd:"" help:"Check every byte of an archive against the authority's published keys."`
	Get     archiveGetCommand     `cmd:"" help:"Give an archived decision, its receipt and its transaction."`
	Export  archiveExportCommand  `cmd:"" help:"Write decisions, receipts and sealed payloads of an archive into a folder."`
	Restore archiveRestoreCommand `cmd:"" help:"Make a verified copy of an archive, with the same root of the log."`
}

// Help implements kong's HelpProvider.
func (archiveCommand) Help() string {
	return "A place is a folder, file:///PATH, or s3://BUCKET?region=REGION in a program built with the tag s3. A running authority archives by " +
		"itself where authority.yaml names a place. docs/archive.md is the operator's guide.\n\n" +
		"Examples:\n" +
		"  signalbox archive run --data ./data --to ./archive\n" +
		"  signalbox archive verify --from ./archive --keys data/authority.pub\n" +
		"  signalbox archive get --from ./archive --keys data/authority.pub 5f70…"
}

// archiveSource is where an archive is read, and what is believed.
type archiveSource struct {
	From string `help:"The archive's place." required:"" placeholder:"PLACE"`
	Keys string `help:"File with the authority's public keys, a vkey line each." required:"" type:"existingfile" placeholder:"FILE"`
	JSON bool   `help:"Print JSON."`
}

func (s archiveSource) open(a *app) (archive.Store, receipt.Keys, error) {
	keys, err := readKeys(s.Keys)
	if err != nil {
		return nil, keys, err
	}
	store, err := blob.OpenReadOnly(a.ctx, s.From)
	return store, keys, err
}

func readKeys(file string) (receipt.Keys, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return receipt.Keys{}, fmt.Errorf("reading the authority's keys: %w", err)
	}
	return receipt.ParseKeys(string(text))
}

type archiveRunCommand struct {
	Data      string `help:"The data directory of an all-in-one. It must not be in use." required:"" xor:"what" type:"existingdir" placeholder:"DIR"`
	Authority string `help:"The folder of an authority that runs apart. It must not be in use." required:"" xor:"what" type:"existingdir" placeholder:"DIR"`
	To        string `help:"The archive's place; a folder is made when it does not exist." required:"" placeholder:"PLACE"`
	Decisions int64  `help:"How many decisions a segment holds: a multiple of 256." default:"1024" placeholder:"N"`
	JSON      bool   `help:"Print one JSON object a line: each segment, then the whole."`
}

// Help implements kong's HelpProvider.
func (archiveRunCommand) Help() string {
	return "Writes whole segments only; decisions beyond the last whole one wait for the next run. Each segment is verified in the archive before " +
		"it counts. It can be ended at any moment, and goes on at the next run. Payloads that officers ordered erased are taken out. The chain is not changed.\n\n" +
		"Examples:\n  signalbox archive run --data ./data --to ./archive\n  signalbox archive run --authority authority --to file:///mnt/archive --decisions 4096"
}

// Run archives.
func (c *archiveRunCommand) Run(a *app) error {
	dir, keysFile := system.SupervisionChain(c.Data), filepath.Join(c.Data, "authority.pub")
	if c.Authority != "" {
		d := party.Dir(c.Authority)
		dir, keysFile = authority.ChainDir(d), authority.LogKeysFile(d)
	}
	keys, err := readKeys(keysFile)
	if err != nil {
		return err
	}
	source, err := chain.OpenSource(dir)
	if errors.Is(err, comet.ErrInUse) {
		return fmt.Errorf("%w: %s", err, a.say.of("a running authority archives by itself: set archive.place in authority.yaml", "运行中的监管机关会自行归档：请在 authority.yaml 中设置 archive.place"))
	}
	if err != nil {
		return err
	}
	defer source.Close()
	store, err := blob.Open(a.ctx, c.To)
	if err != nil {
		return err
	}
	defer store.Close()
	return c.write(a, archiving.Writer{Source: source, Store: store, Keys: keys, Leaves: c.Decisions})
}

func (c *archiveRunCommand) write(a *app, w archiving.Writer) error {
	size, err := w.Source.Size()
	if err != nil {
		return err
	}
	last, err := w.Run(a.ctx, func(s archiving.Written) error { return printWritten(a, c.JSON, s, size) })
	if err != nil {
		return err
	}
	erased, err := w.Erase(a.ctx, nil)
	if err != nil {
		return err
	}
	done := struct {
		Archived int64 `json:"archived"`
		Waiting  int64 `json:"waiting"`
		Erased   int   `json:"erased"` // payloads that this run took out of the archive
	}{0, size, erased}
	if last != nil {
		done.Archived, done.Waiting = last.To, size-last.To
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(done)
	}
	if erased > 0 {
		fmt.Fprintf(a.stdout, a.say.of("✓ %d payloads erased, as officers ordered\n", "✓ 已按指令删除 %d 份载荷\n"), erased)
	}
	_, err = fmt.Fprintf(a.stdout, a.say.of("✓ %d decisions archived, %d wait for a whole segment\n", "✓ 已归档 %d 条决定，%d 条尚不足一个分段\n"), done.Archived, done.Waiting)
	return err
}

func printWritten(a *app, asJSON bool, s archiving.Written, of int64) error {
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(s)
	}
	_, err := fmt.Fprintf(a.stderr, a.say.of("segment %d: decisions %d to %d of %d, %d bytes\n", "分段 %d：第 %d 至 %d 条决定（共 %d 条），%d 字节\n"),
		s.Segment, s.From, s.To-1, of, s.Bytes)
	return err
}

type archiveListCommand struct {
	From string `help:"The archive's place." required:"" placeholder:"PLACE"`
	JSON bool   `help:"Print one JSON object a line."`
}

// Help implements kong's HelpProvider.
func (archiveListCommand) Help() string {
	return "Reads manifests and checks nothing but their form: archive verify checks.\n\nExample:\n  signalbox archive list --from ./archive"
}

// Run lists.
func (c *archiveListCommand) Run(a *app) error {
	store, err := blob.OpenReadOnly(a.ctx, c.From)
	if err != nil {
		return err
	}
	defer store.Close()
	return archiving.List(a.ctx, store, func(m segment.Manifest) error {
		w := archiving.WrittenOf(m)
		if c.JSON {
			return json.NewEncoder(a.stdout).Encode(w)
		}
		_, err := fmt.Fprintf(a.stdout, a.say.of("segment %d: decisions %d to %d, blocks below %d, %d files, %d bytes\n", "分段 %d：第 %d 至 %d 条决定，区块 %d 之前，%d 个文件，%d 字节\n"),
			w.Segment, w.From, w.To-1, w.Blocks, w.Files, w.Bytes)
		return err
	})
}

type archiveVerifyCommand struct{ archiveSource }

// Help implements kong's HelpProvider.
func (archiveVerifyCommand) Help() string {
	return "Reads every file and nothing but the archive and the keys. Names the segment and the file of everything that is not as it was written, " +
		"and then exits with 1.\n\nExample:\n  signalbox archive verify --from ./archive --keys data/authority.pub"
}

// Run verifies.
func (c *archiveVerifyCommand) Run(a *app) error {
	store, keys, err := c.open(a)
	if err != nil {
		return err
	}
	defer store.Close()
	found, err := archiving.Check(a.ctx, store, keys, func(n, count int64) {
		if !c.JSON {
			fmt.Fprintf(a.stderr, a.say.of("segment %d of %d checked\n", "已检查分段 %d（共 %d 个）\n"), n, count)
		}
	})
	if err != nil {
		return err
	}
	return printArchive(a, c.JSON, found)
}

// printArchive says what a check of an archive came to; a fault is exit code 1.
func printArchive(a *app, asJSON bool, c archiving.Checked) error {
	if asJSON {
		if err := json.NewEncoder(a.stdout).Encode(c); err != nil {
			return err
		}
	} else {
		writeArchive(a, c)
	}
	if len(c.Faults) > 0 {
		return exit(exitFailed)
	}
	return nil
}

func writeArchive(a *app, c archiving.Checked) {
	fmt.Fprintf(a.stdout, a.say.of(
		"archive of %s: %d segments, %d decisions, %d transactions (%d erased), %d checkpoints verified, %d bytes\nlog: size %d, root %s\n",
		"%s 的归档：%d 个分段，%d 条决定，%d 笔交易（已删除 %d 笔），验证 %d 个检查点，%d 字节\n日志：大小 %d，根 %s\n"),
		c.Chain, c.Segments, c.Decisions, c.Transactions, c.Erased, c.Checkpoints, c.Bytes, c.Size, c.Root)
	for _, f := range c.Faults {
		fmt.Fprintln(a.stdout, "✗", f)
	}
	if len(c.Faults) == 0 {
		fmt.Fprintln(a.stdout, a.say.of("✓ the archive holds", "✓ 归档完整"))
	}
}
