package jsontree

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"signalbox.dev/signalbox/profile"
)

// text reads a string, whose opening quote is at hand. Without escapes it is a
// part of the document and costs nothing.
func (p *parser) text(out *string) *profile.Problem {
	p.i++
	start := p.i
	for p.i < len(p.s) {
		switch c := p.s[p.i]; {
		case c == '"':
			*out = p.s[start:p.i]
			p.i++
			return nil
		case c == '\\':
			return p.escaped(out, start)
		case c < 0x20:
			return p.fault()
		default:
			p.i++
		}
	}
	return p.fault()
}

// escaped goes on with a string at its first escape.
func (p *parser) escaped(out *string, start int) *profile.Problem {
	var b strings.Builder
	b.WriteString(p.s[start:p.i])
	for p.i < len(p.s) {
		switch c := p.s[p.i]; {
		case c == '"':
			p.i++
			*out = b.String()
			return nil
		case c == '\\':
			r, err := p.escape()
			if err != nil {
				return err
			}
			b.WriteRune(r)
		case c < 0x20:
			return p.fault()
		default:
			b.WriteByte(c)
			p.i++
		}
	}
	return p.fault()
}

// escape reads one escape. A surrogate without its other half is refused:
// replacing it would give two documents one canonical form.
func (p *parser) escape() (rune, *profile.Problem) {
	p.i++
	if p.i >= len(p.s) {
		return 0, p.fault()
	}
	const letters, meant = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	c := p.s[p.i]
	if k := strings.IndexByte(letters, c); k >= 0 {
		p.i++
		return rune(meant[k]), nil
	}
	if c != 'u' {
		return 0, p.fault()
	}
	p.i++
	r, err := p.hex4()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if !strings.HasPrefix(p.s[p.i:], `\u`) {
		return 0, p.fault()
	}
	at := p.i
	p.i += 2
	low, err := p.hex4()
	if err != nil {
		return 0, err
	}
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		p.i = at
		return 0, p.fault()
	}
	return r, nil
}

func (p *parser) hex4() (rune, *profile.Problem) {
	var r rune
	for range 4 {
		if p.i >= len(p.s) {
			return 0, p.fault()
		}
		k := strings.IndexByte("0123456789abcdef", p.s[p.i]|0x20)
		if k < 0 || p.s[p.i] < '0' { // |0x20 would take control characters for digits
			return 0, p.fault()
		}
		r = r<<4 | rune(k)
		p.i++
	}
	return r, nil
}

// Pointer adds reference tokens to a JSON pointer (RFC 6901).
func Pointer(at string, tokens ...string) string {
	for _, t := range tokens {
		at += "/" + pointerEscapes.Replace(t)
	}
	return at
}

// Index adds an array's index to a JSON pointer.
func Index(at string, i int) string { return at + "/" + strconv.Itoa(i) }

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")
