package jsontree

import "fmt"

// AppendCanonical writes the one form of n that is hashed: no space, members in
// the order of their names' UTF-8 bytes, strings escaped as in RFC 8785 §3.2.2.2
// (only what must be), numbers as they were written. It departs from RFC 8785
// in the numbers, because 0.50 and 0.5 are different statements in FHIR, and in
// the order of names beyond the basic plane.
//
// skip, where not nil, is asked for every member and leaves out those it names;
// parent is the name under which the object that holds the member stands.
func AppendCanonical(dst []byte, n *Node, skip func(parent string, object *Node, member string) bool) []byte {
	return appendNode(dst, n, n.Name, skip)
}

func appendNode(dst []byte, n *Node, name string, skip func(string, *Node, string) bool) []byte {
	switch n.Kind {
	case String:
		return appendText(dst, n.Text)
	case Array:
		dst = append(dst, '[')
		for i := range n.Kids {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendNode(dst, &n.Kids[i], name, skip) // an array's values stand under its name
		}
		return append(dst, ']')
	case Object:
		dst = append(dst, '{')
		first := true
		for i := range n.Kids {
			kid := &n.Kids[i]
			if skip != nil && skip(name, n, kid.Name) {
				continue
			}
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(appendText(dst, kid.Name), ':')
			dst = appendNode(dst, kid, kid.Name, skip)
		}
		return append(dst, '}')
	default:
		return append(dst, n.Text...)
	}
}

func appendText(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, `\b`...)
		case '\f':
			dst = append(dst, `\f`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			if c < 0x20 {
				dst = fmt.Appendf(dst, `\u%04x`, c)
				continue
			}
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
