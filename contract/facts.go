package contract

import "signalbox.dev/signalbox/flow"

// Facts are the few values that the authority derives from an opened payload
// and that checks and rules may use. They stand on the supervision chain with
// the submission, signed by the authority. They hold keyed pseudonyms (lower
// hex), integers and tags, and no plaintext of the payload. CEL rules see this
// struct as `facts`, its fields by the names in the cel tags.
type Facts struct {
	_ struct{} `cbor:",toarray"`

	// Unreadable is the reason code when the payload could not be opened or
	// read; everything below is then empty and the contract refuses.
	Unreadable string `cel:"unreadable"`
	// UnreadablePath is a JSON pointer to what was wrong, where one is known.
	UnreadablePath string `cel:"unreadable_path"`

	Business   string `cel:"business"`   // kind of business, "prescription"
	Subject    string `cel:"subject"`    // subject key (R1.2), pseudonym
	Originator string `cel:"originator"` // pseudonym
	Prescriber string `cel:"prescriber"` // pseudonym of the issuing person
	Reviewer   string `cel:"reviewer"`   // identity on the supervision chain, as named in the header
	Producer   string `cel:"producer"`   // identity on the supervision chain, as named in the header

	Record  string `cel:"record"`  // pseudonym of (originator, record number)
	Content string `cel:"content"` // digest of the record's content, hex: same number and content is the same record

	Items    []ItemFacts `cel:"items"`
	Tags     []string    `cel:"tags"`     // sorted: "chronic", "narcotic", "insured", ...
	Amount   int64       `cel:"amount"`   // total, minor units
	Insured  int64       `cel:"insured"`  // part borne by insurance, minor units
	Currency string      `cel:"currency"` // ISO 4217

	DaysSupply int64 `cel:"days_supply"` // longest of the items
	IssuedOn   int64 `cel:"issued_on"`   // days since 1970-01-01; 0 unknown
	ExpiresOn  int64 `cel:"expires_on"`  // last day of validity, likewise

	Approved bool      `cel:"approved"` // review.result: the opinion
	Token    flow.Hash // review.result, settle: the token presented
	Permit   flow.Hash // review.result, settle: transaction hash of the decision that gave the token

	// Enrol carries what an enrolment asks for; nil otherwise.
	Enrol *Identity

	// What the chain knows itself. No submission brings these: they are not
	// encoded, and Decide fills them in from the state (Complete).
	ReviewerTags []string `cel:"reviewer_tags" cbor:"-" json:",omitempty"` // of the identity that reviews or has approved, sorted
	ProducerTags []string `cel:"producer_tags" cbor:"-" json:",omitempty"` // of the identity that makes up the order, sorted
	RecordTags   []string `cel:"record_tags" cbor:"-" json:",omitempty"`   // of the flow's record, as it was registered

	RecordExpiresOn int64 `cel:"record_expires_on" cbor:"-" json:",omitempty"` // last day of the record's validity, days since 1970-01-01; 0 unknown
}

// ItemFacts describe one item of a record or order.
type ItemFacts struct {
	_ struct{} `cbor:",toarray"`

	Item       string   `cel:"item"`        // keyed pseudonym of the item's code
	Quantity   int64    `cel:"quantity"`    // in thousandths of the unit
	DaysSupply int64    `cel:"days_supply"` //
	Amount     int64    `cel:"amount"`      // minor units
	Tags       []string `cel:"tags"`        // sorted: "narcotic", "antibiotic", ...
}

// Role is what an identity may do.
type Role string

// The roles of R2.1 and R7.1.
const (
	RolePlatform   Role = "platform"
	RoleOriginator Role = "originator"
	RoleProducer   Role = "producer"
	RoleReviewer   Role = "reviewer"
	RoleOfficer    Role = "officer"
	RoleNode       Role = "node" // a fusion node, or one of the supervision chain
)

// Status is an identity's standing on the chain. Only an active identity acts (R7.1).
type Status string

// The statuses.
const (
	Applied   Status = "applied"  // asks to be admitted (R2.1)
	Verified  Status = "verified" // an officer has checked who it is
	Active    Status = "active"
	Suspended Status = "suspended"
	Revoked   Status = "revoked"
)

// Identity is an admitted participant.
type Identity struct {
	_ struct{} `cbor:",toarray"`

	ID          string // a name by flow.CheckName, unique on the chain
	Role        Role
	Status      Status
	Key         flow.KeyID // signing key
	SPKI        []byte     // the signing key, DER SubjectPublicKeyInfo
	Certificate flow.Hash  // SHA-256 of the DER certificate
	NotBefore   int64      // Unix seconds
	NotAfter    int64      // Unix seconds
	Licence     string     // pseudonym of the licence number, reviewers only
	Tags        []string   // sorted: specialities and the like
}
