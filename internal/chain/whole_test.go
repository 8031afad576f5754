package chain

import (
	"bytes"
	"fmt"
	"testing"

	"signalbox.dev/signalbox/internal/comet"
)

// logged is a database with a log of so many leaves, of which the first were forgotten.
func logged(t *testing.T, size, gone int64) (db comet.KV, want []byte) {
	t.Helper()
	db = comet.NewMemKV()
	a := &application{db: db}
	var at meta
	stage := func(change func(*block) error) {
		t.Helper()
		b := &block{overlay: newOverlay(db)}
		if err := change(b); err != nil {
			t.Fatal(err)
		}
		state, err := b.summed(at.State)
		if err != nil {
			t.Fatal(err)
		}
		at.State = state
		if err := a.write(b.overlay, at); err != nil {
			t.Fatal(err)
		}
	}
	stage(func(b *block) error {
		for i := range size {
			if err := b.appendLeaf(i, fmt.Append(nil, "leaf ", i)); err != nil {
				return err
			}
		}
		return b.store(archivedName, archived{Forgotten: gone})
	})
	stage(func(b *block) error {
		for i := range gone {
			if i%100 != 7 { // one that waits still
				b.set(leafKey(i), nil)
			}
			if (i+1)%tileLeaves == 0 {
				b.forgetTile(i / tileLeaves)
			}
		}
		return nil
	})
	root, err := newOverlay(db).root(size)
	if err != nil {
		t.Fatal(err)
	}
	return db, appHash(size, root, at.State)
}

// taken gives the entries of a snapshot of a database.
func taken(t *testing.T, db comet.KV, fn func(key, value []byte) error) error {
	t.Helper()
	s := &Snapshot{chain: &Chain{db: db}}
	if err := s.open(); err != nil {
		t.Fatal(err)
	}
	defer s.close()
	return s.Each(t.Context(), fn)
}

// R10.1: a snapshot of a state that has forgotten much has the hash that the chain
// has, and restores the very hashes of the log that the chain keeps.
func TestWholeOfForgotten(t *testing.T) {
	for _, c := range []struct{ size, gone int64 }{{0, 0}, {1, 0}, {700, 0}, {700, 3}, {700, 256}, {700, 300}, {700, 512}, {700, 699}, {768, 768}, {1300, 1290}} {
		db, want := logged(t, c.size, c.gone)
		var whole Whole
		kept := comet.NewMemKV()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("%d leaves, %d forgotten: %v", c.size, c.gone, err)
			}
		}
		must(taken(t, db, func(key, value []byte) error {
			first, completed, err := whole.put(string(key), value)
			for i, h := range completed {
				must(kept.Set([]byte(hashKey(first+int64(i))), h[:]))
			}
			return err
		}))
		if got, err := whole.AppHash(); err != nil || !bytes.Equal(got, want) || whole.Size() != c.size {
			t.Errorf("%d leaves, %d forgotten: another application hash, of %d leaves: %v", c.size, c.gone, whole.Size(), err)
		}
		compared := &replay{fresh: kept, stored: db}
		must(compared.comparePrefix(hashPrefix))
		for _, p := range compared.Problems {
			t.Errorf("%d leaves, %d forgotten: %s", c.size, c.gone, p)
		}
	}
}

// A state in which something is left out, put elsewhere or changed has another hash,
// or is no state at all.
func TestWholeForged(t *testing.T) {
	db, want := logged(t, 700, 300)
	type entry struct{ key, value []byte }
	var all []entry
	if err := taken(t, db, func(key, value []byte) error {
		all = append(all, entry{bytes.Clone(key), bytes.Clone(value)})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	fits := func(list []entry) bool {
		var whole Whole
		for _, e := range list {
			if whole.Put(e.key, e.value) != nil {
				return false
			}
		}
		got, err := whole.AppHash()
		return err == nil && bytes.Equal(got, want)
	}
	if !fits(all) {
		t.Fatal("the state itself does not fit")
	}
	for i := 0; i < len(all); i += 7 {
		forge := func(what string, list []entry) {
			t.Helper()
			if fits(list) {
				t.Errorf("entry %d, %q: %s fits", i, all[i].key, what)
			}
		}
		other := bytes.Clone(all[i].value)
		other[len(other)/2] ^= 4
		forge("another value", append(append(append([]entry{}, all[:i]...), entry{all[i].key, other}), all[i+1:]...))
		forge("nothing", append(append([]entry{}, all[:i]...), all[i+1:]...))
		forge("twice", append(append([]entry{}, all[:i+1]...), all[i:]...))
		forge("at the end", append(append(append([]entry{}, all[:i]...), all[i+1:]...), all[i], entry{append(all[i].key, 'x'), all[i].value}))
	}
}
