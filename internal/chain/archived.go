package chain

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// ArchivedTo is the body of KindArchive: the authority's word that its archive holds,
// verified, what is named here (R10.1). Every node may then give up its own copy.
type ArchivedTo struct {
	_ struct{} `cbor:",toarray"`

	Leaves int64 // decisions of leaves below this
	Blocks int64 // all that blocks below this height hold of decisions, orders and anchors
	Seen   int64 // anchors of blocks up to this height stand with the decisions
}

// archived is what the chain keeps of that.
type archived struct {
	_ struct{} `cbor:",toarray"`

	Leaves    int64
	Blocks    int64
	Root      tlog.Hash // of the log at Leaves
	Forgotten int64     // leaves below this are taken out of the state
	Spans     []span    // that are not, all of them whole tiles
}

// archive takes the authority's word. It never goes back.
func (b *block) archive(tx Transaction) error {
	var body ArchivedTo
	if err := parseBody(tx, &body); err != nil {
		return refuse(codeMalformed, "%w", err)
	}
	var at archived
	if _, err := b.load(archivedName, &at); err != nil {
		return err
	}
	if body.Leaves < at.Leaves || body.Blocks < at.Blocks || body.Leaves > b.size || body.Blocks > b.height {
		return refuse(codeTooEarly, "archived up to leaf %d and block %d: the chain is at %d and %d, and had %d and %d archived", body.Leaves, body.Blocks, b.size, b.height, at.Leaves, at.Blocks)
	}
	if len(at.Spans) >= maxSpans {
		return refuse(codeTooEarly, "%d statements on the archive are not carried out yet", len(at.Spans))
	}
	root, err := b.root(body.Leaves)
	if err != nil {
		return err
	}
	if to := body.Leaves - body.Leaves%tileLeaves; to > at.Forgotten && (len(at.Spans) == 0 || to > at.Spans[len(at.Spans)-1].To) {
		at.Spans = append(at.Spans, span{To: to, Seen: min(body.Seen, b.height)})
	}
	at.Leaves, at.Blocks, at.Root = body.Leaves, body.Blocks, root
	return b.store(archivedName, at)
}

// Archived is what the authority has said last of its archive.
func (c *Chain) Archived() (ArchivedTo, error) { return archivedTo(c.get) }

func archivedTo(get func(string) ([]byte, error)) (ArchivedTo, error) {
	var at archived
	_, err := load(get, archivedName, &at)
	return ArchivedTo{Leaves: at.Leaves, Blocks: at.Blocks}, err
}

// given is what blocks may be given up by.
type given struct {
	archived int64 // below this height all is archived
	erasing  int64 // below this height stands what an officers' order wants destroyed
}

// given reads it from what is committed.
func (a *application) given() (given, error) {
	var out given
	var at archived
	if _, err := load(a.get, archivedName, &at); err != nil {
		return out, err
	}
	raw, err := a.get(erasingName)
	if err != nil {
		return out, err
	}
	if raw != nil {
		out.erasing = ordinalOf(raw)
	}
	out.archived = at.Blocks
	return out, nil
}

func (a *application) get(key string) ([]byte, error) { return a.db.Get([]byte(key)) }

// retain is the height below which this node's blocks may go; base is the lowest that
// it has. A payload that is to be destroyed goes with its block, and with all before
// it, whatever the node would keep otherwise.
func (c *Chain) retain(base, height int64) int64 {
	g, err := c.app.given()
	if err != nil {
		c.app.log.Error("looking which blocks may go", "error", err)
		return 0
	}
	var below int64
	if c.cfg.Keep > 0 {
		below = min(g.archived, height-c.cfg.Keep)
	}
	if erasing := min(g.erasing, g.archived); erasing > below {
		below = erasing
	}
	if g.erasing > 0 && base >= g.erasing {
		c.scrub()
	}
	return below
}

// scrub tells that blocks have gone whose payload is to be destroyed.
func (c *Chain) scrub() {
	select {
	case c.scrubbing <- struct{}{}:
	default: // told
	}
}

// scrubs destroys what scrub tells of, until ctx ends.
func (c *Chain) scrubs(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.scrubbing:
		}
		if err := c.scrubbed(); err != nil && ctx.Err() == nil {
			c.app.log.Error("destroying blocks with erased payloads", "error", err)
		}
	}
}

// scrubbed has the store of blocks write itself anew without those that have gone:
// what a store deletes it keeps for a while.
func (c *Chain) scrubbed() error {
	g, err := c.app.given()
	if err != nil {
		return err
	}
	notes := c.Notes("erasure")
	var done int64
	if _, err := notes.Load("scrubbed", &done); err != nil || done >= g.erasing {
		return err
	}
	if err := c.node.Compact(); err != nil {
		return fmt.Errorf("destroying blocks: %w", err)
	}
	return notes.Store("scrubbed", g.erasing)
}
