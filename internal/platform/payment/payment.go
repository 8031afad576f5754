// Package payment is the port to a payment provider, and one that is built in
// for trying Signalbox out (Sandbox).
//
// The provider learns a reference, an amount and a description without any
// personal data. What it says is asked, never taken from a notice.
package payment

import (
	"context"
	"errors"
	"time"
)

// Provider takes the subject's part of an order's price (R4.3, R4.4).
// Implementations are safe for concurrent use.
type Provider interface {
	// Create makes a payment link. When it returns nil the provider keeps it for
	// good. Creating again with the same Ref returns the same link; with another
	// amount or currency it is ErrConflict.
	Create(ctx context.Context, c Charge) (Link, error)
	// Status says where a payment stands, or ErrNotFound.
	Status(ctx context.Context, id string) (Status, error)
}

// Charge is what is to be paid.
type Charge struct {
	Ref         string // ours; the same for every attempt
	Currency    string // ISO 4217
	Amount      int64  // minor units, above 0
	Description string // no personal data, no goods
}

// Link is where the subject pays.
type Link struct {
	ID  string // the provider's
	URL string
}

// Status is where a payment stands.
type Status struct {
	Ref      string
	Currency string
	Amount   int64 // minor units, as charged
	Paid     bool
	PaidAt   time.Time // zero until paid
}

// Errors of every provider.
var (
	ErrNotFound = errors.New("no such payment")
	ErrConflict = errors.New("another charge stands under this reference")
)
