package remote

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/ledger"
	"signalbox.dev/signalbox/receipt"
)

// The calls. A later form of the messages gets paths of its own.
const (
	pathPut    = "/ledger/v1/put"
	pathGet    = "/ledger/v1/get"
	pathList   = "/ledger/v1/list"
	pathFollow = "/ledger/v1/follow"
	pathAbout  = "/ledger/v1/about"
)

const contentType = "application/cbor"

// Bounds of what one side takes from the other.
const (
	// maxValue is the largest value that fits into a message with its receipt,
	// transaction id and place.
	maxValue     = flow.MaxMessage - receipt.MaxReceipt - 2<<10
	maxQuestion  = 4 << 10  // bytes of a request that carries no record
	maxListed    = 4096     // records of one flow
	maxListBytes = 64 << 20 // bytes of them all
	maxWhy       = 2 << 10  // bytes of a reason
	maxTxID      = 256      // bytes of a chain's transaction id
)

type recordMessage struct {
	Flow    flow.Hash `cbor:"flow"`
	Tx      flow.Hash `cbor:"tx"`
	Step    flow.Step `cbor:"step"`
	Value   []byte    `cbor:"value"`
	Receipt []byte    `cbor:"receipt"`
}

type storedMessage struct {
	Record   recordMessage `cbor:"record"`
	TxID     string        `cbor:"txid"`
	Position uint64        `cbor:"position"`
	Height   uint64        `cbor:"height"`
}

type putAnswer struct {
	TxID string `cbor:"txid"`
}

type keyMessage struct {
	Flow flow.Hash `cbor:"flow"`
	Tx   flow.Hash `cbor:"tx"`
}

type flowMessage struct {
	Flow flow.Hash `cbor:"flow"`
}

type followMessage struct {
	From uint64 `cbor:"from"`
}

type aboutMessage struct{}

type aboutAnswer struct {
	Name     string `cbor:"name"`
	Network  string `cbor:"network"`
	Durable  bool   `cbor:"durable"`
	Blocks   bool   `cbor:"blocks"`
	MaxValue int    `cbor:"max_value"`
}

func messageOf(rec ledger.Record) recordMessage {
	return recordMessage{Flow: rec.Key.Flow, Tx: rec.Key.Tx, Step: rec.Step, Value: rec.Value, Receipt: rec.Receipt}
}

func (m recordMessage) record() ledger.Record {
	return ledger.Record{Key: ledger.Key{Flow: m.Flow, Tx: m.Tx}, Step: m.Step, Value: m.Value, Receipt: m.Receipt}
}

func storedOf(s ledger.Stored) storedMessage {
	return storedMessage{Record: messageOf(s.Record), TxID: string(s.TxID), Position: s.Position, Height: s.Height}
}

func (m storedMessage) stored() ledger.Stored {
	return ledger.Stored{Record: m.Record.record(), TxID: ledger.TxID(m.TxID), Position: m.Position, Height: m.Height}
}

// failure is an error as it travels.
type failure struct {
	Code string `cbor:"code"`
	Why  string `cbor:"why"` // of a refusal: for people; otherwise what went wrong, without the server's own affairs
}

// The codes of failures.
const (
	codeNotFound  = "not_found"
	codeConflict  = "conflict"
	codeRefused   = "refused"
	codeForbidden = "forbidden"
	codeMalformed = "malformed"
	codeExpired   = "expired"
	codeBusy      = "busy"
	codeFailed    = "failed"
)

// Errors of the link itself. None of them says what became of a record.
var (
	// ErrForbidden: this key may not do that on this server. Its operator lists what it may.
	ErrForbidden = errors.New("not permitted to this key by the ledger's server")
	// ErrBusy: the server has more in hand than it takes; try again later.
	ErrBusy = errors.New("the ledger's server is busy")
	// ErrFailed: the server could not do it, or what it answered is no answer.
	ErrFailed = errors.New("the ledger's server failed")
)

var kinds = []struct {
	code   string
	status int
	err    error
}{
	{codeNotFound, http.StatusNotFound, ledger.ErrNotFound},
	{codeConflict, http.StatusConflict, ledger.ErrConflict},
	{codeExpired, http.StatusUnprocessableEntity, ledger.ErrExpired}, // before what it is a kind of
	{codeRefused, http.StatusUnprocessableEntity, ledger.ErrRefused},
	{codeForbidden, http.StatusForbidden, ErrForbidden},
	{codeMalformed, http.StatusBadRequest, errMalformed},
	{codeBusy, http.StatusServiceUnavailable, ErrBusy},
	{codeFailed, http.StatusInternalServerError, ErrFailed},
}

// errMalformed is what a server answers to a message that it can't read. To the
// client it is no more than a failure.
var errMalformed = errors.New("the message is not one of this protocol")

// failureOf turns an error into what travels. Only refusals and the link's own
// errors keep their text: others may tell of the server's files.
func failureOf(err error) (failure, int) {
	for _, k := range kinds {
		if !errors.Is(err, k.err) {
			continue
		}
		f := failure{Code: k.code}
		if k.code != codeFailed {
			f.Why = reason(err, k.err)
		}
		return f, k.status
	}
	return failure{Code: codeFailed}, http.StatusInternalServerError
}

// reason is what err says after the sentinel's own words.
func reason(err, sentinel error) string {
	_, why, _ := strings.Cut(err.Error(), sentinel.Error()+": ")
	return strings.ToValidUTF8(why[:min(len(why), maxWhy)], "")
}

// err is the failure as the client gives it.
func (f failure) err() error {
	for _, k := range kinds {
		switch {
		case k.code != f.Code:
		case f.Why == "":
			return k.err
		default:
			return fmt.Errorf("%w: %s", k.err, f.Why[:min(len(f.Why), maxWhy)])
		}
	}
	return fmt.Errorf("%w: it gave an unknown code", ErrFailed)
}

// The kinds of frames.
const (
	frameRecord    = 'r'
	frameHeartbeat = 'h'
	frameEnd       = 'e' // the list is whole
	frameFailure   = 'f'
)

// frame encodes one part of a streamed answer.
func frame(kind byte, message any) ([]byte, error) {
	var body []byte
	if message != nil {
		var err error
		if body, err = flow.Marshal(message); err != nil {
			return nil, err
		}
	}
	if len(body) > flow.MaxMessage {
		return nil, fmt.Errorf("message of %d bytes is over the limit of %d", len(body), flow.MaxMessage)
	}
	out := make([]byte, 5, 5+len(body))
	out[0] = kind
	binary.BigEndian.PutUint32(out[1:], uint32(len(body)))
	return append(out, body...), nil
}

// readFrame reads one part of a streamed answer.
func readFrame(r io.Reader) (byte, []byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, fmt.Errorf("reading a frame: %w", err)
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > flow.MaxMessage {
		return 0, nil, fmt.Errorf("%w: a frame of %d bytes, at most %d", ErrFailed, n, flow.MaxMessage)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return 0, nil, fmt.Errorf("reading a frame: %w", err)
	}
	return head[0], body, nil
}
