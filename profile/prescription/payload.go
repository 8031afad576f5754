package prescription

import (
	"fmt"
	"slices"
	"strings"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/profile"
	"signalbox.dev/signalbox/profile/jsontree"
)

// What is asked of the fields that several payloads share.

func (p *problems) present(at string, is bool) {
	if !is {
		p.missing(at)
	}
}

func (p *problems) participant(at, id string) {
	if id == "" {
		p.missing(at)
	} else if flow.CheckName("", id) != nil {
		p.add(at, "应为参与方标识：1 至 64 个字母、数字、点、下划线或连字符", "want a participant's name: 1 to 64 letters, digits, '.', '_' or '-'")
	}
}

func (p *problems) subject(id string) {
	switch {
	case id == "":
		p.missing("/subject_id")
	case !subjectIDIsNormal(id):
		p.add("/subject_id", "应为规范化的“类型:号码”", "want type:number in normal form, as the record has it")
	}
}

func (p *problems) currency(c string) {
	if !slices.Contains(currencies(), c) {
		list := strings.Join(currencies(), ", ")
		p.add("/currency", "应为下列之一："+list, "want one of "+list)
	}
}

func (p *problems) method(at, m string) {
	if m != "pickup" && m != "courier" {
		p.add(at, "应为 pickup 或 courier", "want pickup or courier")
	}
}

// amount reports whether v is no amount of money in minor units.
func (p *problems) amount(at string, v int64) (wrong bool) {
	if wrong = v < 0 || v > profile.MaxAmount; wrong {
		p.add(at, "应为非负整数（最小货币单位）且不超过上限", fmt.Sprintf("want 0 to %d minor units", int64(profile.MaxAmount)))
	}
	return wrong
}

// split gives insurance's part of an order's line.
func (p *problems) split(at string, l flow.OrderLine) int64 {
	insured, _, err := profile.Split(l.Price, l.Ratio)
	if err == nil {
		return insured
	}
	if !p.amount(at+"/price", l.Price) {
		p.add(at+"/ratio_permill", "应为 0 至 1000", "want 0 to 1000")
	}
	return 0
}

// lines checks what holds for the lines of orders and settlements.
type lines struct {
	*problems
	seen map[string]bool
}

func newLines(p *problems, count int) lines {
	switch {
	case count == 0:
		p.missing("/lines")
	case count > MaxItems:
		p.add("/lines", fmt.Sprintf("超过 %d 行", MaxItems), fmt.Sprintf("holds over %d", MaxItems))
	}
	return lines{problems: p, seen: make(map[string]bool, count)}
}

// next checks the i-th line's item and gives the line's place.
func (l lines) next(i int, item string) string {
	at := jsontree.Index("/lines", i)
	switch {
	case item == "":
		l.missing(at + "/item")
	case l.seen[item]:
		l.add(at+"/item", "与前面某行相同", "is that of a line before it")
	}
	l.seen[item] = true
	return at
}

// total holds a running sum to its limit, and says whether it keeps it.
func (l lines) total(sum int64) bool {
	if sum > profile.MaxAmount {
		l.add("/lines", "金额合计过大", fmt.Sprintf("sum to over %d minor units", int64(profile.MaxAmount)))
		return false
	}
	return true
}
