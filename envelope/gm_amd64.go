//go:build amd64 && !purego

package envelope

import _ "unsafe" // for go:linkname

// The library's field arithmetic of SM2 for processors with ADX and BMI2 is wrong for
// about one in a million inputs (v0.44.0): it takes a sealed message for damaged, and
// could take a good signature for a bad one, on such processors alone, so that
// validators would disagree. It has another way for processors without, which is
// right; this makes it go that way. TestRareInput fails without it. See
// docs/adr/0051-sm2-arithmetic.md.
//
//go:linkname supportBMI2 github.com/emmansun/gmsm/internal/sm2ec.supportBMI2
var supportBMI2 bool

var _ = withoutADX()

func withoutADX() bool {
	supportBMI2 = false
	return true
}
