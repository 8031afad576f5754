package contract_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/contracts"
	"signalbox.dev/signalbox/flow"
)

// mapState is a State in memory.
type mapState map[string][]byte

func (m mapState) Get(key []byte) ([]byte, error) { return m[string(key)], nil }
func (m mapState) Set(key, value []byte)          { m[string(key)] = slices.Clone(value) }

// dump shows the whole state, for comparison.
func (m mapState) dump() string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "%s = %x\n", k, m[k])
	}
	return b.String()
}

var errStorage = errors.New("the disk is gone")

// failingState fails from the nth read on.
type failingState struct {
	mapState
	left *int
}

func (f failingState) Get(key []byte) ([]byte, error) {
	if *f.left == 0 {
		return nil, errStorage
	}
	*f.left--
	return f.mapState.Get(key)
}

// Everyone in the tests is valid through these years, in Unix seconds.
const (
	since = 1546300800 // 2019-01-01 00:00 UTC
	until = 1861920000 // 2029-01-01 00:00 UTC
)

func keyOf(id string) ([]byte, flow.KeyID) {
	spki := []byte("public key of " + id)
	sum := flow.SumHash(spki)
	return spki, flow.KeyID(sum[:20])
}

func identity(role contract.Role, id string) contract.Identity {
	spki, key := keyOf(id)
	return contract.Identity{
		ID: id, Role: role, Status: contract.Active, SPKI: spki, Key: key,
		NotBefore: since, NotAfter: until,
	}
}

// genesis has a platform P1 and the shipped rules.
func genesis() contract.Genesis {
	return contract.Genesis{Chain: "chain-1", Suite: "intl", Bundle: contracts.Prescription()}
}

func begin(t testing.TB, g contract.Genesis) (mapState, *contract.Contract) {
	t.Helper()
	s := mapState{}
	if err := contract.Init(s, g); err != nil {
		t.Fatal(err)
	}
	c, err := contract.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}
