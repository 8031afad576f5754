package prescription

import (
	"signalbox.dev/signalbox/profile/jsontree"
)

// readPlain reads our own form, strictly.
func readPlain(root *jsontree.Node, rx *Prescription, r *problems) {
	r.decoded(jsontree.Decode(root, "", rx, jsontree.Strict))
	for _, name := range []string{"source", "source_digest"} {
		if root.Get(name) != nil {
			r.add("/"+name, "由接收方填写，请省略", "is set at intake: leave it out")
		}
	}
	rx.Source, rx.SourceDigest = Plain, ""
}
