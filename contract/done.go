package contract

import "signalbox.dev/signalbox/flow"

// DoneWith gives the keys of what no later decision is judged by, once the decision tx
// of a flow is archived (R10.1): the flow's state when it is final, and the token that
// the decision gave when it was used or has expired. Deterministic.
func DoneWith(s State, tx, id flow.Hash, now int64) (keys [][]byte, err error) {
	var p permit
	known, err := load(s, permitKey(tx), &p)
	if err != nil {
		return nil, err
	}
	if known && (p.Used || now >= p.Expires) {
		keys = append(keys, permitKey(tx))
	}
	if id.IsZero() {
		return keys, nil
	}
	f, known, err := FlowOf(s, id)
	if err == nil && known && f.State.Final() {
		keys = append(keys, flowKey(id))
	}
	return keys, err
}
