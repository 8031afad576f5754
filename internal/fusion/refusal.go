package fusion

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

var (
	// ErrBusy says that the platform's stream is full, or that it pushes faster
	// than it may: nothing was stored, and the same call may succeed later. It
	// comes in a *Refused, which says when.
	ErrBusy = errors.New("the fusion node takes no more just now")
	// ErrDraining says that the node's operator lets this platform's submissions
	// run out: nothing was stored, and the same call may succeed when the drain
	// has ended. It comes in a *Refused, which says when to ask again.
	ErrDraining = errors.New("the fusion node's operator drains this platform: nothing new is taken")
)

// Refused is a refusal that time may mend: ErrBusy or ErrDraining, with a hint.
type Refused struct {
	Reason     error
	RetryAfter time.Duration // not sooner than this, from now
}

// Error implements error.
func (r *Refused) Error() string {
	return fmt.Sprintf("%v; try again in %v", r.Reason, r.RetryAfter)
}

// Unwrap gives the reason.
func (r *Refused) Unwrap() error { return r.Reason }

// How long a refused sender is asked to wait, where nothing better is known.
const (
	waitFull     = 2 * time.Second        // full streams empty at the authority's pace
	waitRate     = 250 * time.Millisecond // at least: many may be waiting for the next message's turn
	waitDraining = 30 * time.Second       // an operator ends a drain
)

// Codes of the gate's own answers, far from those of JetStream, beside which
// they come: a sender reads both alike.
const (
	codeDraining  jetstream.ErrorCode = 60001
	codeRate      jetstream.ErrorCode = 60002
	codeMalformed jetstream.ErrorCode = 60003
	codeNoRoute   jetstream.ErrorCode = 60004
	codeNotYours  jetstream.ErrorCode = 60005
)

// Codes of JetStream's errors for a stream or server that has no room; the
// jetstream package has no names for them.
const (
	codeInsufficientResources jetstream.ErrorCode = 10023
	codeInsufficientStorage   jetstream.ErrorCode = 10047
	codeStoreFailed           jetstream.ErrorCode = 10077
	codeTooManyRequests       jetstream.ErrorCode = 10167
)

// stored translates the outcome of a publish.
func stored(err error) error {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return err
	}
	switch api.ErrorCode {
	case codeInsufficientResources, codeInsufficientStorage, codeTooManyRequests:
		return &Refused{ErrBusy, waitFull}
	case codeStoreFailed:
		// The one code covers a full stream, which only its text tells from a
		// failing disk.
		for _, full := range []error{server.ErrMaxMsgs, server.ErrMaxBytes, server.ErrMaxMsgsPerSubject} {
			if strings.Contains(api.Description, full.Error()) {
				return &Refused{ErrBusy, waitFull}
			}
		}
	case codeDraining:
		return &Refused{ErrDraining, waitDraining}
	case codeRate:
		wait, parseErr := time.ParseDuration(api.Description)
		if parseErr != nil {
			wait = waitFull
		}
		return &Refused{ErrBusy, wait}
	case codeMalformed:
		return fmt.Errorf("%w: %s", ErrMalformed, api.Description)
	case codeNoRoute:
		return ErrNoRoute
	case codeNotYours:
		return ErrNotYours
	}
	return err
}

// refusal is the gate's answer to what it does not take, in JetStream's form.
// Of codeRate the text is how long to wait.
func refusal(code jetstream.ErrorCode, text string) []byte {
	data, err := json.Marshal(struct {
		Error jetstream.APIError `json:"error"`
	}{jetstream.APIError{Code: 503, ErrorCode: code, Description: text}})
	if err != nil {
		return nil // numbers and text always encode
	}
	return data
}
