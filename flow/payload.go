package flow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Application asks to enrol a reviewer (R2.1).
type Application struct {
	Kind        string    `json:"kind"` // "reviewer"
	Name        string    `json:"name"`
	Licence     string    `json:"licence"`
	Specialties []string  `json:"specialties,omitempty"`
	Certificate []byte    `json:"certificate"` // DER, signed by the authority's CA
	AppliedAt   time.Time `json:"applied_at"`
}

// ReviewAsk asks for permission to review a record (R2.2).
type ReviewAsk struct {
	Flow     Hash      `json:"flow"`
	Reviewer string    `json:"reviewer"`
	AskedAt  time.Time `json:"asked_at"`
}

// Opinion is a reviewer's conclusion.
type Opinion string

// The opinions.
const (
	Approve Opinion = "approve"
	Reject  Opinion = "reject"
)

// Review is a reviewer's result (R2.5), with the token that permitted it.
type Review struct {
	Flow       Hash      `json:"flow"`
	Reviewer   string    `json:"reviewer"`
	Opinion    Opinion   `json:"opinion"`
	Reasons    []string  `json:"reasons,omitempty"`
	ReviewedAt time.Time `json:"reviewed_at"`
	Token      Hash      `json:"token"`
	Request    Hash      `json:"request"` // transaction hash of the granted review request
}

// OrderLine is one ordered item.
type OrderLine struct {
	Item     string `json:"item"` // the record's item code
	Name     string `json:"name"`
	Quantity int64  `json:"quantity"` // in thousandths of the item's unit
	Unit     string `json:"unit"`
	Price    int64  `json:"price"`         // for the line, in minor units of the currency
	Ratio    int64  `json:"ratio_permill"` // reimbursement ratio, 0 to 1000
}

// Purchase is a subject's order of an approved record from a producer (R3.1).
type Purchase struct {
	Flow      Hash        `json:"flow"`
	SubjectID string      `json:"subject_id"` // "type:number", as in the record
	Producer  string      `json:"producer"`
	Currency  string      `json:"currency"` // ISO 4217
	Lines     []OrderLine `json:"lines"`
	Delivery  string      `json:"delivery"` // "pickup" or "courier"
	OrderedAt time.Time   `json:"ordered_at"`
}

// SettlementLine splits one line's price between insurance and subject.
type SettlementLine struct {
	Item    string `json:"item"`
	Price   int64  `json:"price"`
	Insured int64  `json:"insured"`
	Self    int64  `json:"self"`
}

// Settlement is what was paid for an order (R4.3, R4.4). Amounts are integers
// in minor units; Total = Insured + Self.
type Settlement struct {
	Flow      Hash             `json:"flow"`
	SubjectID string           `json:"subject_id"`
	Producer  string           `json:"producer"`
	Order     Hash             `json:"order"` // transaction hash of the granted order
	Token     Hash             `json:"token"`
	Currency  string           `json:"currency"`
	Lines     []SettlementLine `json:"lines"`
	Total     int64            `json:"total"`
	Insured   int64            `json:"insured"`
	Self      int64            `json:"self"`
	Payment   string           `json:"payment"` // the provider's payment id
	PaidAt    time.Time        `json:"paid_at"`
}

// Delivery reports that the subject has the goods (R5).
type Delivery struct {
	Flow        Hash      `json:"flow"`
	Producer    string    `json:"producer"`
	Method      string    `json:"method"` // "pickup" or "courier"
	DeliveredAt time.Time `json:"delivered_at"`
}

// EncodePayload is the JSON that gets sealed.
func EncodePayload(v any) ([]byte, error) { return json.Marshal(v) }

// DecodePayload reads a payload strictly: unknown fields and trailing data are errors.
func DecodePayload(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("reading payload: %w", withoutValues(err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("reading payload: data after its end")
	}
	return nil
}

// withoutValues keeps payload values, which may be personal, out of errors.
func withoutValues(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fmt.Errorf("field %s: wrong type, want %s", wrong.Field, wrong.Type)
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("not JSON at byte %d", syntax.Offset)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("ends early")
	}
	return errors.New("does not fit the payload's form")
}
