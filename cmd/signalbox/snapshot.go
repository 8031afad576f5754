package main

import (
	"encoding/json"
	"fmt"
	"log/slog"

	"signalbox.dev/signalbox/archive"
	"signalbox.dev/signalbox/archive/blob"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/config"
	"signalbox.dev/signalbox/internal/party/node"
	"signalbox.dev/signalbox/internal/snapshot"
)

// snapshotCommand is what a node's operator does with snapshots.
type snapshotCommand struct {
	List   snapshotListCommand   `cmd:"" help:"List snapshots and their fingerprints."`
	Verify snapshotVerifyCommand `cmd:"" help:"Check snapshots, byte for byte and against the validators' signatures."`
}

// Help implements kong's HelpProvider.
func (snapshotCommand) Help() string {
	return "A node takes snapshots where node.yaml or authority.yaml says so (snapshots.every). A place is a folder, file:///PATH, or " +
		"s3://BUCKET?region=REGION in a program built with the tag s3. docs/nodes.md is the operator's guide.\n\n" +
		"Examples:\n  signalbox snapshot list --from site-2/snapshots\n  signalbox snapshot verify --from site-2/snapshots"
}

type snapshotListCommand struct {
	From string `help:"The snapshots' place." required:"" placeholder:"PLACE"`
	JSON bool   `help:"Print one JSON object a line."`
}

// Help implements kong's HelpProvider.
func (snapshotListCommand) Help() string {
	return "Reads manifests and checks nothing but their form. All nodes that take snapshots at the same intervals have the same fingerprint for the " +
		"same block: have one read out by an operator of another site.\n\nExample:\n  signalbox snapshot list --from site-2/snapshots"
}

// Run lists.
func (c *snapshotListCommand) Run(a *app) error {
	store, err := blob.OpenReadOnly(a.ctx, c.From)
	if err != nil {
		return err
	}
	defer store.Close()
	return eachSnapshot(a, store, func(height int64) error {
		m, err := snapshot.Read(a.ctx, store, height)
		if err != nil {
			return err
		}
		return c.print(a, m)
	})
}

func (c *snapshotListCommand) print(a *app, m snapshot.Manifest) error {
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(m)
	}
	_, err := fmt.Fprintf(a.stdout, a.say.of("block %d: %d decisions, %d chunks, %d bytes, fingerprint %s\n", "区块 %d：%d 条决定，%d 个分片，%d 字节，指纹 %s\n"),
		m.Height, m.Decisions, len(m.Chunks), m.Bytes(), m.Fingerprint)
	return err
}

func eachSnapshot(a *app, store archive.Store, fn func(height int64) error) error {
	whole, _, err := snapshot.Heights(a.ctx, store)
	if err != nil {
		return err
	}
	for _, height := range whole {
		if err := fn(height); err != nil {
			return err
		}
	}
	return nil
}

type snapshotVerifyCommand struct {
	From string `help:"The snapshots' place." required:"" placeholder:"PLACE"`
	JSON bool   `help:"Print one JSON object a line."`
}

// Help implements kong's HelpProvider.
func (snapshotVerifyCommand) Help() string {
	return "Reads every file. Names the snapshot and the file of whatever is not as it was written or not what the validators signed, and then exits " +
		"with 1. Whether it is the chain's history, the fingerprint tells, or signalbox fsck.\n\nExample:\n  signalbox snapshot verify --from site-2/snapshots"
}

// Run verifies.
func (c *snapshotVerifyCommand) Run(a *app) error {
	store, err := blob.OpenReadOnly(a.ctx, c.From)
	if err != nil {
		return err
	}
	defer store.Close()
	bad := false
	err = eachSnapshot(a, store, func(height int64) error {
		_, err := snapshot.Check(a.ctx, store, height)
		if a.ctx.Err() != nil {
			return a.ctx.Err()
		}
		bad = bad || err != nil
		return c.print(a, height, err)
	})
	if err == nil && bad {
		return exit(exitFailed)
	}
	return err
}

func (c *snapshotVerifyCommand) print(a *app, height int64, problem error) error {
	if c.JSON {
		out := struct {
			Height  int64  `json:"height"`
			Problem string `json:"problem"` // empty when it holds
		}{Height: height}
		if problem != nil {
			out.Problem = problem.Error()
		}
		return json.NewEncoder(a.stdout).Encode(out)
	}
	if problem != nil {
		_, err := fmt.Fprintf(a.stdout, a.say.of("✗ block %d: %v\n", "✗ 区块 %d：%v\n"), height, problem)
		return err
	}
	_, err := fmt.Fprintf(a.stdout, a.say.of("✓ block %d: the snapshot holds\n", "✓ 区块 %d：快照完整\n"), height)
	return err
}

type nodeRestoreCommand struct {
	Config      string `help:"The node's configuration." required:"" type:"existingfile" placeholder:"FILE"`
	From        string `help:"Where another node's snapshots are, or a copy of them." required:"" placeholder:"PLACE"`
	Height      int64  `help:"The block whose snapshot it is." required:"" placeholder:"N"`
	Fingerprint string `help:"Its fingerprint, as another site's operator reads it out: 64 hexadecimal digits." required:"" placeholder:"HEX"`
	JSON        bool   `help:"Print JSON."`
}

// Help implements kong's HelpProvider.
func (nodeRestoreCommand) Help() string {
	return "For a new node of a chain whose first blocks are pruned, and for one that was away for longer than the others keep blocks. The node must not " +
		"run. Everything is verified before anything is changed; keys and votes stay. It can be ended at any moment: run it again, or the node.\n\n" +
		"Example:\n  signalbox node restore --config site-5/node.yaml --from ./from-site-2 --height 12000 --fingerprint 9b1c…"
}

// Run restores.
func (c *nodeRestoreCommand) Run(a *app) error {
	fingerprint, err := flow.ParseHash(c.Fingerprint)
	if err != nil {
		return fmt.Errorf("--fingerprint: %w", err)
	}
	conf := node.Default()
	if err := config.Load(c.Config, conf); err != nil {
		return err
	}
	store, err := blob.OpenReadOnly(a.ctx, c.From)
	if err != nil {
		return err
	}
	defer store.Close()
	m, err := node.Restore(a.ctx, conf, store, c.Height, fingerprint, slog.New(slog.DiscardHandler), func(done, of int) {
		if !c.JSON {
			fmt.Fprintf(a.stderr, a.say.of("chunk %d of %d\n", "分片 %d（共 %d 个）\n"), done, of)
		}
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(m)
	}
	_, err = fmt.Fprintf(a.stdout, a.say.of("✓ the node is at block %d, with %d decisions: run it\n", "✓ 节点已处于区块 %d，含 %d 条决定：可以启动\n"), m.Height, m.Decisions)
	return err
}
