package embedded

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/receipt"
)

// Genesis is what the contract is told when the chain begins, and what holds
// from then on.
type Genesis struct {
	Network       string   `json:"network"`        // this business chain's network id, which receipts must name
	Supervision   string   `json:"supervision"`    // the supervision chain whose decisions count
	AuthorityKeys string   `json:"authority_keys"` // the authority's log keys, vkey lines
	Platforms     []string `json:"platforms"`      // admitted to this network
	MaxValue      int      `json:"max_value"`      // largest value in bytes; 0 is 512 KiB
}

const (
	defaultMaxValue = 512 << 10
	// maxOverhead is what a transaction holds beside the value.
	maxOverhead = receipt.MaxReceipt + 1<<10
)

// Validate says what is wrong with g, naming the field.
func (g Genesis) Validate() error {
	if err := errors.Join(flow.CheckName("network", g.Network), flow.CheckName("supervision", g.Supervision)); err != nil {
		return fmt.Errorf("genesis: %w", err)
	}
	if _, err := receipt.ParseKeys(g.AuthorityKeys); err != nil {
		return fmt.Errorf("genesis: authority_keys: %w", err)
	}
	if len(g.Platforms) == 0 {
		return errors.New("genesis: platforms: none is admitted")
	}
	for _, p := range g.Platforms {
		if err := flow.CheckName("platforms", p); err != nil {
			return fmt.Errorf("genesis: %w", err)
		}
	}
	if g.MaxValue < 0 || g.MaxValue > flow.MaxMessage-maxOverhead {
		return fmt.Errorf("genesis: max_value: want 0 to %d", flow.MaxMessage-maxOverhead)
	}
	return nil
}

func (g Genesis) maxValue() int { return cmp.Or(g.MaxValue, defaultMaxValue) }

func (g Genesis) equal(o Genesis) bool {
	return g.Network == o.Network && g.Supervision == o.Supervision && g.AuthorityKeys == o.AuthorityKeys &&
		slices.Equal(g.Platforms, o.Platforms) && g.maxValue() == o.maxValue()
}

// readGenesis reads the chain's genesis state strictly.
func readGenesis(data []byte) (Genesis, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var g Genesis
	if err := d.Decode(&g); err != nil {
		return Genesis{}, fmt.Errorf("reading genesis: %w", err)
	}
	return g, g.Validate()
}
