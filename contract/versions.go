package contract

import (
	"fmt"

	"signalbox.dev/signalbox/flow"
)

// bundleRef names the bundle in force.
type bundleRef struct {
	_ struct{} `cbor:",toarray"`

	Address flow.Hash
	Version uint64
}

func bundleInForce(s State) (bundleRef, error) {
	var ref bundleRef
	_, err := load(s, currentBundleKey(), &ref)
	return ref, err
}

// Version is a bundle that has taken force on this chain (R6.1).
type Version struct {
	_ struct{} `cbor:",toarray"`

	Number  uint64    // counts from 1
	Address flow.Hash //
	Height  int64     // the block from which it is in force; 0 for genesis
	Order   uint64    // the order that published it, or went back to it; 0 for genesis
}

// Scheduled is a bundle that waits to take force: from a height, or from the
// first block at or after a time.
type Scheduled struct {
	_ struct{} `cbor:",toarray"`

	Address flow.Hash
	Height  int64 // 0: by time
	Time    int64 // Unix seconds; 0: by height
	Order   uint64
}

// maxScheduled is how many bundles can wait at a time.
const maxScheduled = 16

// VersionOf returns a version by its number; false when there is none yet.
func VersionOf(s State, number uint64) (Version, bool, error) {
	var v Version
	ok, err := load(s, versionKey(number), &v)
	return v, ok, err
}

// BundleText returns a bundle as it was published; false when none of this
// address was.
func BundleText(s State, address flow.Hash) ([]byte, bool, error) {
	var text []byte
	ok, err := load(s, bundleKey(address), &text)
	return text, ok, err
}

// ScheduledBundles are those that wait to take force, in the order of publication.
func ScheduledBundles(s State) ([]Scheduled, error) {
	var all []Scheduled
	_, err := load(s, dueKey(), &all)
	return all, err
}

func (d Scheduled) due(height, now int64) bool {
	return d.Height != 0 && height >= d.Height || d.Time != 0 && now >= d.Time
}

// Due puts the bundles in force whose height or time has come, and says whether
// it did: the host, which calls it at the beginning of each block, before
// anything else of the block, then makes a new contract with New. When several
// are due at once each gets a version, and the one published last is in force.
// The error is a failure of the storage.
func Due(s State, height, now int64) (bool, error) {
	all, err := ScheduledBundles(s)
	if err != nil {
		return false, err
	}
	waiting := []Scheduled{}
	for _, d := range all {
		if !d.due(height, now) {
			waiting = append(waiting, d)
			continue
		}
		if err := enforce(s, d.Address, height, d.Order); err != nil {
			return false, fmt.Errorf("putting bundle %s in force: %w", d.Address, err)
		}
	}
	if len(waiting) == len(all) {
		return false, nil
	}
	return true, store(s, dueKey(), waiting)
}

// enforce puts a published bundle in force as the next version.
func enforce(s State, address flow.Hash, height int64, order uint64) error {
	ref, err := bundleInForce(s)
	if err != nil {
		return err
	}
	v := Version{Number: ref.Version + 1, Address: address, Height: height, Order: order}
	if err := store(s, versionKey(v.Number), v); err != nil {
		return err
	}
	return store(s, currentBundleKey(), bundleRef{Address: address, Version: v.Number})
}

// publish puts a bundle in force as the next version, at once.
func publish(s State, address flow.Hash, text []byte) error {
	if err := store(s, bundleKey(address), text); err != nil {
		return err
	}
	return enforce(s, address, 0, 0)
}

// Publish admits a bundle and puts it in force as the next version, from the
// next decision of the returned contract on. It is for tools and tests: on a
// running chain an officer's order publishes.
func Publish(s State, text []byte) (*Contract, error) {
	b, err := ParseBundle(text)
	if err != nil {
		return nil, err
	}
	rules, err := b.Admit()
	if err != nil {
		return nil, err
	}
	if err := publish(s, rules.address, text); err != nil {
		return nil, err
	}
	return New(s)
}
