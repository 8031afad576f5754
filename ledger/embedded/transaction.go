package embedded

import (
	"bytes"
	"errors"
	"fmt"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/ledger"
)

// transaction is a put as it stands in a block.
type transaction struct {
	_ struct{} `cbor:",toarray"`

	Version uint8 // 1
	Flow    flow.Hash
	Tx      flow.Hash
	Step    flow.Step
	Value   []byte
	Receipt []byte
}

const version = 1

func encodeRecord(rec ledger.Record) ([]byte, error) {
	b, err := flow.Marshal(transaction{
		Version: version, Flow: rec.Key.Flow, Tx: rec.Key.Tx,
		Step: rec.Step, Value: rec.Value, Receipt: rec.Receipt,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding record: %w", err)
	}
	return b, nil
}

var errMalformed = errors.New("not a transaction of this chain")

// decodeRecord takes exactly what encodeRecord writes, so that one record with one
// receipt has one transaction hash.
func decodeRecord(tx []byte) (ledger.Record, error) {
	var t transaction
	if err := flow.Unmarshal(tx, &t); err != nil || t.Version != version || !t.Step.Known() {
		return ledger.Record{}, errMalformed
	}
	rec := ledger.Record{Key: ledger.Key{Flow: t.Flow, Tx: t.Tx}, Step: t.Step, Value: t.Value, Receipt: t.Receipt}
	if again, err := encodeRecord(rec); err != nil || !bytes.Equal(again, tx) {
		return ledger.Record{}, errMalformed
	}
	return rec, nil
}
