package profile

import (
	"errors"
	"fmt"

	"signalbox.dev/signalbox/flow"
)

// MaxAmount is the largest price or sum, in minor units: ten thousand million
// yuan. It keeps every sum of a record's lines far from overflow.
const MaxAmount = 1_000_000_000_000

// FullRatio is the reimbursement ratio at which insurance bears everything.
const FullRatio = 1000

// Split divides a line's price, in minor units, between insurance and subject
// by the item's reimbursement ratio per mill (R4.3). Insurance bears
// price*ratio/1000 rounded to the nearest minor unit, a half upwards, and the
// subject bears the rest: a half goes to the subject's favour, insured and self
// always sum to price, and neither is ever negative. Each line is rounded by
// itself, so that a receipt's lines add up to its total.
func Split(price, ratioPermill int64) (insured, self int64, err error) {
	if price < 0 || price > MaxAmount {
		return 0, 0, fmt.Errorf("splitting a price: want 0 to %d minor units", int64(MaxAmount))
	}
	if ratioPermill < 0 || ratioPermill > FullRatio {
		return 0, 0, fmt.Errorf("splitting a price: want a ratio of 0 to %d per mill", FullRatio)
	}
	insured = (price*ratioPermill + FullRatio/2) / FullRatio
	return insured, price - insured, nil
}

// Amounts are sums over lines, in minor units; Total = Insured + Self.
type Amounts struct {
	Total   int64
	Insured int64
	Self    int64
}

// add counts a line in.
func (a *Amounts) add(insured, self int64) error {
	a.Insured += insured
	a.Self += self
	a.Total += insured + self
	if a.Total > MaxAmount {
		return fmt.Errorf("summing lines: over %d minor units", int64(MaxAmount))
	}
	return nil
}

// Settle splits every line of an order (R4.3): what a settlement of it says.
// The errors name the line, from 1.
func Settle(lines []flow.OrderLine) ([]flow.SettlementLine, Amounts, error) {
	if len(lines) == 0 {
		return nil, Amounts{}, errors.New("settling an order: it has no lines")
	}
	var sum Amounts
	out := make([]flow.SettlementLine, 0, len(lines))
	for i, l := range lines {
		insured, self, err := Split(l.Price, l.Ratio)
		if err == nil {
			err = sum.add(insured, self)
		}
		if err != nil {
			return nil, Amounts{}, fmt.Errorf("settling line %d of an order: %w", i+1, err)
		}
		out = append(out, flow.SettlementLine{Item: l.Item, Price: l.Price, Insured: insured, Self: self})
	}
	return out, sum, nil
}
