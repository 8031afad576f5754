package prescription

import (
	"strings"

	"signalbox.dev/signalbox/profile/jsontree"
)

// resource is one resource of the input and where it stands.
type resource struct {
	kind string // its resourceType
	at   string // JSON pointer
	node *jsontree.Node
	home *resource // the resource that contains it; itself when nothing does
}

// graph finds resources by reference (FHIR R4 §2.3.0.5 and §3.1.3.6).
type graph struct {
	all       []*resource          // in the order of the bundle; contained ones after what contains them
	byURL     map[string]*resource // by fullUrl
	byID      map[string]*resource // by "Patient/123"
	contained map[containedID]*resource
}

// containedID names a resource inside the one that contains it.
type containedID struct {
	home *resource
	id   string
}

// newGraph indexes a bundle's entries, or one resource when entries is nil. A
// place that could mean two resources is a problem: which one counts must not
// be a matter of who reads.
func newGraph(root *jsontree.Node, entries []fhirEntry, r *problems) *graph {
	g := &graph{byURL: map[string]*resource{}, byID: map[string]*resource{}, contained: map[containedID]*resource{}}
	if entries == nil {
		g.add(root, "", "", r)
	}
	for i, e := range entries {
		at := jsontree.Index("/entry", i)
		if e.Resource == nil || e.Resource.Str("resourceType") == "" {
			r.addAt(at+"/resource", "缺少资源或其类型", "is missing, or has no resourceType")
			continue
		}
		g.add(e.Resource, at, e.FullURL, r)
	}
	return g
}

func (g *graph) add(n *jsontree.Node, entry, url string, r *problems) {
	at := entry
	if entry != "" {
		at += "/resource"
	}
	res := &resource{kind: n.Str("resourceType"), at: at, node: n}
	res.home = res
	g.all = append(g.all, res)
	if url != "" {
		if g.byURL[url] != nil {
			r.addAt(entry+"/fullUrl", "与另一条目相同", "is that of another entry")
		}
		g.byURL[url] = res
	}
	if id := n.Str("id"); id != "" {
		if g.byID[res.kind+"/"+id] != nil {
			r.addAt(at+"/id", "与另一资源相同", "is that of another resource of its type")
		}
		g.byID[res.kind+"/"+id] = res
	}
	list := n.Get("contained")
	if list == nil || list.Kind != jsontree.Array {
		return
	}
	for i := range list.Kids {
		kid := &list.Kids[i]
		in := &resource{kind: kid.Str("resourceType"), at: jsontree.Index(at+"/contained", i), node: kid, home: res}
		g.all = append(g.all, in)
		name := containedID{res, kid.Str("id")}
		if name.id == "" {
			continue
		}
		if g.contained[name] != nil {
			r.addAt(in.at+"/id", "与另一资源相同", "is that of another contained resource")
			continue
		}
		g.contained[name] = in
	}
}

// ofKind lists the resources of a type, in order.
func (g *graph) ofKind(kind string) []*resource {
	var list []*resource
	for _, res := range g.all {
		if res.kind == kind {
			list = append(list, res)
		}
	}
	return list
}

// find follows a reference that stands in from; nil when the input does not
// hold its target.
func (g *graph) find(from *resource, ref string) *resource {
	if id, local := strings.CutPrefix(ref, "#"); local {
		return g.contained[containedID{from.home, id}]
	}
	ref, _, _ = strings.Cut(ref, "/_history/")
	if res := g.byURL[ref]; res != nil {
		return res
	}
	return g.byID[ref]
}
