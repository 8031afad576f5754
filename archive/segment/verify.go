package segment

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/receipt"
)

// Fault is something in an archive that is not as it must be.
type Fault struct {
	Segment int64  `json:"segment"`
	File    string `json:"file"`
	What    string `json:"what"`
}

func (f Fault) String() string { return fmt.Sprintf("segment %d, %s: %s", f.Segment, f.File, f.What) }

// Verifier checks segments, one after the other. Not safe for concurrent use.
type Verifier struct {
	keys  receipt.Keys
	fetch Fetch
	roots map[tlog.Tile]tlog.Hash // of whole tiles, without their width
	last  *Manifest               // the segment checked before
	sum   flow.Hash               // of its manifest
}

// NewVerifier makes one that believes the keys and nothing else.
func NewVerifier(keys receipt.Keys, fetch Fetch) *Verifier {
	return &Verifier{keys: keys, fetch: fetch, roots: map[tlog.Tile]tlog.Hash{}}
}

// Verified is what a check of a segment came to.
type Verified struct {
	Manifest     Manifest
	Checkpoints  int
	Transactions int
	Erased       int
	Faults       []Fault
}

// Segment checks everything that a segment says and holds: each file against its
// SHA-256, tiles against leaves, the root against the signed checkpoint, leaves
// against transactions, the index against what it indexes, and the segment against
// the one before, where that was checked. An error says that its manifest can't be
// read, and so nothing of it be checked; what is wrong otherwise is in Faults.
func (v *Verifier) Segment(number int64) (Verified, error) {
	raw, err := v.fetch(ManifestName(number))
	if err != nil {
		return Verified{}, err
	}
	m, err := DecodeManifest(raw)
	if err != nil {
		return Verified{}, err
	}
	c := &check{Verifier: v, Verified: Verified{Manifest: m}, files: map[string][]byte{}}
	c.order(number)
	c.read()
	c.log()
	c.parts()
	v.last, v.sum = &m, flow.SumHash(raw)
	return c.Verified, nil
}

// check is one segment being checked.
type check struct {
	*Verifier
	Verified
	files    map[string][]byte // those that are as the manifest has them
	leaves   [][]byte          // from From on, as far as bundles could be read
	decoded  []receipt.Leaf
	erasures []Erasure
}

func (c *check) fault(file, what string, args ...any) {
	c.Faults = append(c.Faults, Fault{Segment: c.Manifest.Number, File: file, What: fmt.Sprintf(what, args...)})
}

// order checks the manifest's place.
func (c *check) order(number int64) {
	m, name := c.Manifest, ManifestName(number)
	if m.Number != number {
		c.fault(name, "it is the manifest of segment %d", m.Number)
	}
	if m.Chain != c.keys.Origin() {
		c.fault(name, "it is of another chain than %s", c.keys.Origin())
	}
	switch {
	case number == 0 && (m.From != 0 || !m.Previous.IsZero()):
		c.fault(name, "the first segment names one before it")
	case number == 0 || c.last == nil || c.last.Number != number-1:
	case m.Previous != c.sum:
		c.fault(name, "it follows on another manifest than that of segment %d", number-1)
	case m.From != c.last.To || m.Blocks < c.last.Blocks || m.Size < c.last.Size:
		c.fault(name, "it does not begin where segment %d ends", number-1)
	}
}

// read reads every file, and compares it with the manifest.
func (c *check) read() {
	c.readErased()
	for _, f := range c.Manifest.Files {
		data, err := c.fetch(f.Name)
		if err != nil {
			c.fault(f.Name, "%v", err)
			continue
		}
		got := flow.SumHash(data)
		if got != f.SHA256 && !(f.Name == Name(c.Manifest.Number, Transactions) && c.erasedTo(got)) {
			c.fault(f.Name, "its SHA-256 is not the manifest's")
			continue
		}
		c.files[f.Name] = data
	}
}

func (c *check) readErased() {
	name := Name(c.Manifest.Number, Erased)
	data, err := c.fetch(name)
	if err != nil {
		return // nothing was erased; if something was, transactions will not fit the manifest
	}
	all, err := DecodeErased(data)
	if err != nil {
		c.fault(name, "%v", err)
	}
	for _, e := range all {
		if err := e.Check(c.keys); err != nil {
			c.fault(name, "%v", err)
			continue
		}
		c.erasures = append(c.erasures, e)
	}
}

// erasedTo says whether an erasure left transactions with this SHA-256.
func (c *check) erasedTo(sum flow.Hash) bool {
	for _, e := range c.erasures {
		if e.After == sum {
			return true
		}
	}
	return false
}

// log checks tiles against leaves, and the root against the checkpoint.
func (c *check) log() {
	for _, t := range tiles(c.Manifest.From, c.Manifest.Size) {
		name := tileName(t)
		data, ok := c.files[name]
		if !ok {
			c.missing(name)
			continue
		}
		if t.L < 0 {
			leaves, err := unbundle(data)
			if err != nil || len(leaves) != t.W {
				c.fault(name, "it does not hold %d leaves", t.W)
				continue
			}
			if int64(len(c.leaves)) == t.N<<tileHeight-c.Manifest.From {
				c.leaves = append(c.leaves, leaves...)
			}
			continue
		}
		if len(data) != t.W*tlog.HashSize {
			c.fault(name, "it does not hold %d hashes", t.W)
			continue
		}
		if err := c.tile(t, data); err != nil {
			c.fault(name, "%v", err)
		}
	}
	c.leafHashes()
	c.checkpoint()
}

// missing notes a file that the manifest should name and does not.
func (c *check) missing(name string) {
	for _, f := range c.Manifest.Files {
		if f.Name == name {
			return // noted when it was read
		}
	}
	c.fault(name, "the manifest does not name it")
}

// tile checks a tile of hashes against those below it.
func (c *check) tile(t tlog.Tile, data []byte) error {
	if t.W == Width {
		c.roots[place(t)] = rootOf(data)
	}
	if t.L == 0 {
		return nil // against leaves
	}
	for i := range t.W {
		below := tlog.Tile{H: tileHeight, L: t.L - 1, N: t.N<<tileHeight + int64(i), W: Width}
		root, ok := c.roots[place(below)]
		if !ok {
			lower, err := c.fetch(tileName(below))
			if err != nil || len(lower) != Width*tlog.HashSize {
				return fmt.Errorf("%s below it can't be read", tileName(below))
			}
			root = rootOf(lower)
			c.roots[place(below)] = root
		}
		if !bytes.Equal(root[:], data[i*tlog.HashSize:][:tlog.HashSize]) {
			return fmt.Errorf("its hash %d is not that of %s", i, tileName(below))
		}
	}
	return nil
}

func place(t tlog.Tile) tlog.Tile { t.W = 0; return t }

// rootOf is the hash over a whole tile.
func rootOf(data []byte) tlog.Hash {
	level := make([]tlog.Hash, 0, Width)
	for ; len(data) > 0; data = data[tlog.HashSize:] {
		level = append(level, tlog.Hash(data[:tlog.HashSize]))
	}
	for ; len(level) > 1; level = level[:len(level)/2] {
		for i := range len(level) / 2 {
			level[i] = tlog.NodeHash(level[2*i], level[2*i+1])
		}
	}
	return level[0]
}

// leafHashes checks leaves against the lowest tiles.
func (c *check) leafHashes() {
	for n := c.Manifest.From >> tileHeight; n<<tileHeight < c.Manifest.Size; n++ {
		t := wide(0, n, c.Manifest.Size)
		data, from := c.files[tileName(t)], n<<tileHeight-c.Manifest.From
		if len(data) != t.W*tlog.HashSize || int64(len(c.leaves)) < from+int64(t.W) {
			continue // noted already
		}
		for i := range t.W {
			h := tlog.RecordHash(c.leaves[from+int64(i)])
			if !bytes.Equal(h[:], data[i*tlog.HashSize:][:tlog.HashSize]) {
				c.fault(tileName(t), "its hash %d is not that of leaf %d", i, n<<tileHeight+int64(i))
				break
			}
		}
	}
}

// checkpoint checks the root against the log, and the signatures over it.
func (c *check) checkpoint() {
	m, name := c.Manifest, ManifestName(c.Manifest.Number)
	root, err := tlog.TreeHash(m.Size, &Log{Size: m.Size, Fetch: c.fetch})
	switch {
	case err != nil:
		c.fault(name, "its root can't be computed: %v", err)
	case root != m.Root:
		c.fault(name, "its root is not the log's")
	}
	cp, err := receipt.VerifyCheckpoint([]byte(m.Checkpoint), c.keys, m.Chain)
	switch {
	case err != nil:
		c.fault(name, "%v", err)
	case cp.Size != m.Size || cp.Root != m.Root:
		c.fault(name, "its checkpoint is of another size or root")
	}
}

// parts checks what stands beside the log.
func (c *check) parts() {
	if n := c.Manifest.To - c.Manifest.From; int64(len(c.leaves)) >= n {
		decoded, err := decodeLeaves(c.leaves[:n])
		if err != nil {
			c.fault(tileName(wide(-1, c.Manifest.From>>tileHeight, c.Manifest.Size)), "%v", err)
		}
		c.decoded = decoded
	}
	c.checkpoints()
	if data, ok := c.part(Orders); ok {
		if _, err := DecodeOrders(data); err != nil {
			c.fault(Name(c.Manifest.Number, Orders), "%v", err)
		}
	}
	data, ok := c.part(Decisions)
	if !ok || c.decoded == nil {
		return
	}
	decisions, err := DecodeDecisions(data)
	if err == nil && len(decisions) != len(c.decoded) {
		err = fmt.Errorf("%w: %d decisions for %d leaves", ErrDamaged, len(decisions), len(c.decoded))
	}
	for i := 0; err == nil && i < len(decisions); i++ {
		if d := decisions[i]; d.Index != c.Manifest.From+int64(i) || d.Tx != c.decoded[i].Tx {
			err = fmt.Errorf("%w: decision %d is of another leaf", ErrDamaged, i)
		}
	}
	if err != nil {
		c.fault(Name(c.Manifest.Number, Decisions), "%v", err)
		return
	}
	if data, ok := c.part(Index); ok && !bytes.Equal(data, index(decisions, c.decoded)) {
		c.fault(Name(c.Manifest.Number, Index), "it is not that of the segment's decisions")
	}
	c.transactions(decisions)
}

// part gives a part's bytes, where they are as the manifest has them.
func (c *check) part(part string) ([]byte, bool) {
	name := Name(c.Manifest.Number, part)
	data, ok := c.files[name]
	if !ok {
		c.missing(name)
	}
	return data, ok
}

// checkpoints checks every signed checkpoint over the segment.
func (c *check) checkpoints() {
	data, ok := c.part(Checkpoints)
	if !ok {
		return
	}
	all, err := DecodeCheckpoints(data)
	if err == nil && (len(all) == 0 || string(all[len(all)-1].Note) != c.Manifest.Checkpoint) {
		err = errors.New("the last is not the manifest's")
	}
	log := &Log{Size: c.Manifest.Size, Fetch: c.fetch}
	for i := 0; err == nil && i < len(all); i++ {
		var cp receipt.Checkpoint
		var root tlog.Hash
		if cp, err = receipt.VerifyCheckpoint(all[i].Note, c.keys, c.Manifest.Chain); err == nil {
			root, err = tlog.TreeHash(min(cp.Size, c.Manifest.Size), log)
		}
		if err == nil && (cp.Size != all[i].Size || cp.Root != root) {
			err = fmt.Errorf("checkpoint of size %d: its root is not the log's", all[i].Size)
		}
		c.Checkpoints++
	}
	if err != nil {
		c.fault(Name(c.Manifest.Number, Checkpoints), "%v", err)
	}
}

// transactions checks that every decision's transaction is there, and is the one
// that its leaf names.
func (c *check) transactions(decisions []Decision) {
	data, ok := c.part(Transactions)
	if !ok {
		return
	}
	all, err := DecodeTransactions(data)
	if err == nil {
		err = c.match(decisions, all)
	}
	if err != nil {
		c.fault(Name(c.Manifest.Number, Transactions), "%v", err)
	}
}

func (c *check) match(decisions []Decision, all []Transaction) error {
	rest := all
	for _, d := range decisions {
		if !d.First {
			continue
		}
		if len(rest) == 0 || rest[0].Index != d.Index || rest[0].Tx != d.Tx {
			return fmt.Errorf("%w: the transaction of leaf %d is missing", ErrDamaged, d.Index)
		}
		t := rest[0]
		rest = rest[1:]
		by := c.erasureOf(t.Tx)
		switch {
		case t.Erased != 0 && by != t.Erased:
			return fmt.Errorf("%w: transaction %s was taken out, and no statement of the authority's says by which order", ErrDamaged, t.Tx)
		case t.Erased == 0 && by != 0:
			return fmt.Errorf("transaction %s is still there, and order %d has erased it: the archive's next run will", t.Tx, by)
		case t.Erased != 0:
			c.Erased++
		case flow.SumHash(t.Raw) != t.Tx:
			return fmt.Errorf("%w: transaction %s is not the one that its leaf names", ErrDamaged, t.Tx)
		}
		c.Transactions++
	}
	if len(rest) > 0 {
		return fmt.Errorf("%w: %d transactions too many", ErrDamaged, len(rest))
	}
	return nil
}

// erasureOf gives the order that erased a transaction, by a statement that holds; 0
// for none.
func (c *check) erasureOf(tx flow.Hash) uint64 {
	for _, e := range c.erasures {
		if e.Tx == tx {
			return e.Order
		}
	}
	return 0
}

// Check says whether the authority has stated the erasure.
func (e Erasure) Check(keys receipt.Keys) error {
	stated, err := receipt.VerifyErasure(e.Statement, keys)
	if err != nil {
		return fmt.Errorf("erasure of transaction %s: %w", e.Tx, err)
	}
	if stated.Tx != e.Tx || stated.Order != e.Order {
		return fmt.Errorf("%w: erasure of transaction %s: its statement is of another", ErrDamaged, e.Tx)
	}
	return nil
}
