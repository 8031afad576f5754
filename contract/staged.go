package contract

import "slices"

// staged is a State whose changes can be dropped: an order is carried out as a
// whole or not at all, and an explanation changes nothing.
type staged struct {
	base    State
	changes map[string][]byte
	order   []string // of the first change of each key
}

func newStaged(base State) *staged { return &staged{base: base, changes: make(map[string][]byte)} }

// Get implements State.
func (s *staged) Get(key []byte) ([]byte, error) {
	if v, ok := s.changes[string(key)]; ok {
		return v, nil
	}
	return s.base.Get(key)
}

// Set implements State.
func (s *staged) Set(key, value []byte) {
	if _, ok := s.changes[string(key)]; !ok {
		s.order = append(s.order, string(key))
	}
	s.changes[string(key)] = slices.Clone(value)
}

// unset makes it as if there were no value under key. It is not for commit.
func (s *staged) unset(key []byte) { s.changes[string(key)] = nil }

// commit passes the changes on.
func (s *staged) commit() {
	for _, key := range s.order {
		s.base.Set([]byte(key), s.changes[key])
	}
}
