package oversight

import (
	"encoding/json"
	"net/http"

	"signalbox.dev/signalbox/contract"
)

func (h *handler) lists(*http.Request) (any, error) {
	s := h.Chain.State()
	definitions, err := contract.Definitions(s)
	if err != nil {
		return nil, err
	}
	out := []ListView{}
	for _, d := range definitions {
		count, err := contract.EntryCount(s, d.Name)
		if err != nil {
			return nil, err
		}
		out = append(out, ListView{Name: d.Name, Code: d.Name.Code(), Key: d.Key, Steps: d.Steps, Message: d.Message, Defined: d.Defined, Entries: count})
	}
	return out, nil
}

// EntryPage is a part of a list, by number; lifted and expired entries are in it.
type EntryPage struct {
	Entries []EntryView `json:"entries"`
	Next    uint64      `json:"next"` // where the next page begins; 0: nowhere
}

// list finds the list that the path names.
func (h *handler) list(s contract.State, r *http.Request) (contract.Definition, error) {
	d, ok, err := contract.DefinitionOf(s, contract.List(r.PathValue("list")))
	if err == nil && !ok {
		err = notFound("there is no such list", "没有该名单")
	}
	return d, err
}

func (h *handler) entries(r *http.Request) (any, error) {
	from, most, err := page(r)
	if err != nil {
		return nil, err
	}
	s, out := h.Chain.State(), EntryPage{Entries: []EntryView{}}
	d, err := h.list(s, r)
	if err != nil {
		return nil, err
	}
	for n := from; ; n++ {
		e, ok, err := contract.EntryOf(s, d.Name, n)
		if err != nil {
			return nil, err
		}
		if !ok {
			return out, nil
		}
		if n-from == most {
			out.Next = n
			return out, nil
		}
		out.Entries = append(out.Entries, entryView(e, h.now()))
	}
}

// Keys are keys of one list, as the chain has them.
type Keys struct {
	Keys [][]string `json:"keys"`
}

// Matches says for each key which of its entries counts now; 0: none does.
type Matches struct {
	Numbers []uint64 `json:"numbers"`
}

func (h *handler) match(r *http.Request) (any, error) {
	var in Keys
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, unreadable()
	}
	s := h.Chain.State()
	d, err := h.list(s, r)
	if err != nil {
		return nil, err
	}
	if len(in.Keys) > contract.MaxAdditions {
		return nil, badParameter("keys", "at most 4000", "至多 4000 个")
	}
	out := Matches{Numbers: make([]uint64, len(in.Keys))}
	for i, key := range in.Keys {
		entries, err := contract.EntriesFor(s, d.Name, key)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.InForce(h.now()) {
				out.Numbers[i] = e.Number
			}
		}
	}
	return out, nil
}

// Names are plain ids of one kind. They are turned into pseudonyms and forgotten:
// neither the chain nor a log has them.
type Names struct {
	Kind string   `json:"kind"` // subject, item, originator, prescriber, record, licence
	IDs  []string `json:"ids"`
}

// Pseudonyms are those of Names, in the same order.
type Pseudonyms struct {
	Pseudonyms []string `json:"pseudonyms"`
}

func (h *handler) pseudonyms(r *http.Request) (any, error) {
	var in Names
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, unreadable()
	}
	switch in.Kind {
	case "subject", "item", "originator", "prescriber", "record", "licence":
	default:
		return nil, badParameter("kind", "subject, item, originator, prescriber, record or licence",
			" subject、item、originator、prescriber、record 或 licence")
	}
	if len(in.IDs) > maxPseudonym {
		return nil, badParameter("ids", "at most 4000", "至多 4000 个")
	}
	out := Pseudonyms{Pseudonyms: make([]string, len(in.IDs))}
	for i, id := range in.IDs {
		if id == "" {
			return nil, badParameter("ids", "none that is empty", "非空的标识")
		}
		out.Pseudonyms[i] = h.Authority.Pseudonym(in.Kind, id)
	}
	return out, nil
}
