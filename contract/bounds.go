package contract

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/traits"
)

// Bounds of facts. The cost of rules is estimated for facts at these bounds,
// so Decide refuses facts beyond them before any rule sees them.
const (
	maxItems = 100 // items of a record or order
	maxTags  = 32  // tags of one record or item
	maxText  = 128 // bytes of one name, pseudonym or tag
	maxPath  = 512 // bytes of UnreadablePath
)

// outOfBounds names the first fact that is over its bound; empty for none.
func (f *Facts) outOfBounds() string {
	if len(f.UnreadablePath) > maxPath {
		return "unreadable_path"
	}
	if len(f.Items) > maxItems {
		return "items"
	}
	texts := []struct{ name, value string }{
		{"unreadable", f.Unreadable},
		{"business", f.Business},
		{"subject", f.Subject},
		{"originator", f.Originator},
		{"prescriber", f.Prescriber},
		{"reviewer", f.Reviewer},
		{"producer", f.Producer},
		{"record", f.Record},
		{"content", f.Content},
		{"currency", f.Currency},
	}
	for _, t := range texts {
		if len(t.value) > maxText {
			return t.name
		}
	}
	for _, t := range []struct {
		name string
		tags []string
	}{{"tags", f.Tags}, {"record_tags", f.RecordTags}, {"reviewer_tags", f.ReviewerTags}, {"producer_tags", f.ProducerTags}} {
		if !tagsInBounds(t.tags) {
			return t.name
		}
	}
	for i, item := range f.Items {
		if len(item.Item) > maxText || !tagsInBounds(item.Tags) {
			return itemPath(i)
		}
	}
	return ""
}

func tagsInBounds(tags []string) bool {
	if len(tags) > maxTags {
		return false
	}
	for _, t := range tags {
		if len(t) > maxText {
			return false
		}
	}
	return true
}

// sizes tells CEL's cost estimation how large facts and parameters can be.
// Whatever it does not know counts as unbounded.
type sizes struct {
	parameters map[string]any
	counters   map[string]*counting
}

// EstimateSize implements cost.Estimator.
func (s sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	path := n.Path()
	if len(path) == 0 {
		return nil
	}
	if v, ok := s.parameters[path[0]]; ok {
		return sizeOf(v, len(path) > 1)
	}
	switch last := path[len(path)-1]; {
	case last == "items":
		return &cost.SizeEstimate{Max: maxItems}
	case last == "tags", last == "record_tags", last == "reviewer_tags", last == "producer_tags":
		return &cost.SizeEstimate{Max: maxTags}
	case path[0] == "facts" && last == "unreadable_path":
		return &cost.SizeEstimate{Max: maxPath}
	case n.Type().Kind() == cel.StringKind && (path[0] == "facts" || path[0] == "item" || path[0] == "step"):
		return &cost.SizeEstimate{Max: maxText}
	default:
		return nil
	}
}

// EstimateCallCost implements cost.Estimator: every function is priced as the
// library prices it, but for counters by item.
func (s sizes) EstimateCallCost(name, _ string, _ *cost.AstNode, _ []cost.AstNode) *cost.CallEstimate {
	if c, ok := s.counters[name]; ok {
		return &cost.CallEstimate{CostEstimate: cost.Estimate{Min: 1, Max: c.readCost()}}
	}
	return nil
}

// readCost is what reading the counter under one key costs at most: finding it
// in the state, and adding up its days.
func (c *counting) readCost() uint64 { return 50 + 2*uint64(c.Window) }

// writeCost is what counting one step costs at most.
func (c *counting) writeCost() uint64 {
	if c.each {
		return maxItems * 2 * c.readCost()
	}
	return 2 * c.readCost()
}

// sizeOf is the size of a parameter, or of the largest of its elements.
func sizeOf(v any, element bool) *cost.SizeEstimate {
	switch v := v.(type) {
	case types.String:
		return &cost.SizeEstimate{Max: uint64(len(v))}
	case traits.Lister:
		if !element {
			return &cost.SizeEstimate{Max: uint64(v.Size().(types.Int))}
		}
		largest := uint64(1)
		for it := v.Iterator(); it.HasNext() == types.True; {
			if text, ok := it.Next().(types.String); ok {
				largest = max(largest, uint64(len(text)))
			}
		}
		return &cost.SizeEstimate{Max: largest}
	default:
		return &cost.SizeEstimate{Min: 1, Max: 1}
	}
}
