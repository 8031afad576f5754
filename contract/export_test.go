package contract

import (
	"maps"
	"slices"
)

// Codes gives every reason code that the contract words itself.
func Codes() []string { return slices.Sorted(maps.Keys(texts)) }

// OrderCodes gives every code with which an order is refused.
func OrderCodes() []string { return slices.Sorted(maps.Keys(orderTexts)) }

// The bounds of facts, for tests that go beyond them.
const (
	MaxItems = maxItems
	MaxTags  = maxTags
	MaxText  = maxText
)
