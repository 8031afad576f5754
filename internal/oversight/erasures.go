package oversight

import (
	"cmp"
	"net/http"
	"slices"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
)

// ErasureView is a payload that officers ordered erased (R10.1). From the order on
// nobody is given it.
type ErasureView struct {
	Tx     flow.Hash       `json:"tx"`
	Order  uint64          `json:"order"`
	At     Moment          `json:"at"`
	Ground contract.Ground `json:"ground"`
	Height int64           `json:"height"` // of the block that held it
	// Waiting says that this node still has that block: it goes once the archive holds
	// what else is in it, and then the node's store is written anew.
	Waiting bool `json:"waiting"`
}

func (h *handler) erasures(*http.Request) (any, error) {
	out, base := []ErasureView{}, h.Chain.Base()
	err := h.Chain.Erasures(func(e chain.Erasure) error {
		out = append(out, ErasureView{Tx: e.Tx, Order: e.Order, At: Moment(e.At), Ground: e.Ground, Height: e.Height, Waiting: e.Height >= base})
		return nil
	})
	slices.SortFunc(out, func(a, b ErasureView) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.Tx.String(), b.Tx.String()))
	})
	return out, err
}

// PayloadView names a payload for an order that erases it.
type PayloadView struct {
	Payload []byte `json:"payload"` // encoded contract.Payload
}

func (h *handler) payload(r *http.Request) (any, error) {
	tx, err := flow.ParseHash(r.PathValue("tx"))
	if err != nil {
		return nil, badParameter("tx", "64 lower-case hexadecimal digits", " 64 位小写十六进制数字")
	}
	p, err := h.Chain.Payload(tx)
	if err != nil {
		return nil, err
	}
	b, err := flow.Marshal(p)
	return PayloadView{b}, err
}
