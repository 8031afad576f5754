package prescription

import (
	"strconv"
	"strings"

	"signalbox.dev/signalbox/profile"
	"signalbox.dev/signalbox/profile/jsontree"
)

// Quantity is in thousandths of an item's unit. As JSON it is text, "1.5"; a
// number is read too.
type Quantity int64

// Amount is in minor units, hundredths of the currency's unit. As JSON it is
// text with two decimals, "12.50". A JSON number is refused: writers round those.
type Amount int64

// maxQuantity is a million units.
const maxQuantity = 1_000_000 * 1000

// SetJSON implements jsontree.Value.
func (q *Quantity) SetJSON(kind jsontree.Kind, text string) (zh, en string) {
	v, ok := decimal(text, 3, maxQuantity)
	if kind != jsontree.String && kind != jsontree.Number || !ok {
		return "应为不超过 1000000 的非负小数，至多三位小数，如 \"1.5\"", `want a decimal up to 1000000, with at most three decimals, such as "1.5"`
	}
	*q = Quantity(v)
	return "", ""
}

// MarshalText writes the shortest form.
func (q Quantity) MarshalText() ([]byte, error) {
	s := decimalText(int64(q), 3)
	return []byte(strings.TrimSuffix(strings.TrimRight(s, "0"), ".")), nil
}

// SetJSON implements jsontree.Value.
func (a *Amount) SetJSON(kind jsontree.Kind, text string) (zh, en string) {
	v, ok := decimal(text, 2, profile.MaxAmount)
	if kind != jsontree.String || !ok {
		return "应为文本金额，至多两位小数，如 \"12.50\"", `want an amount as text, with at most two decimals, such as "12.50"`
	}
	*a = Amount(v)
	return "", ""
}

// MarshalText always writes two decimals.
func (a Amount) MarshalText() ([]byte, error) { return []byte(decimalText(int64(a), 2)), nil }

// decimal reads digits with at most places decimals that are not zero, as a
// whole number of the smallest place. No sign, no exponent.
func decimal(s string, places int, limit int64) (int64, bool) {
	whole, fraction, point := strings.Cut(s, ".")
	if whole == "" || point && fraction == "" || len(whole) > 1 && whole[0] == '0' {
		return 0, false
	}
	if len(fraction) > places {
		if strings.Trim(fraction[places:], "0") != "" {
			return 0, false
		}
		fraction = fraction[:places]
	}
	digits := whole + fraction + strings.Repeat("0", places-len(fraction))
	if strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	v, err := strconv.ParseInt(digits, 10, 64)
	return v, err == nil && v <= limit
}

func decimalText(v int64, places int) string {
	s := strconv.FormatInt(v, 10)
	if pad := places + 1 - len(s); pad > 0 {
		s = strings.Repeat("0", pad) + s
	}
	return s[:len(s)-places] + "." + s[len(s)-places:]
}
