package flow

// Reason says why a submission was refused or held. Code is stable and is what
// stands in the leaf; the texts are for people, in both languages.
type Reason struct {
	Code string `json:"code"`           // "duplicate_record", "LIST-SUBJECT", "RX-QTY-01"
	Path string `json:"path,omitempty"` // JSON pointer into the payload, or the name of a fact
	Zh   string `json:"zh"`
	En   string `json:"en"`
}

// Decision is the supervision chain's answer to one submission as it travels
// back through the fusion node. Nothing in it is believed without Receipt: the
// platform verifies that and takes verdict, token and hashes from the leaf.
type Decision struct {
	_ struct{} `cbor:",toarray"`

	ID       ID      // the submission
	Platform string  //
	Business string  //
	Flow     Hash    // equals Tx for a granted registration
	Tx       Hash    // transaction hash on the supervision chain
	Verdict  Verdict //
	Reasons  []Reason
	Receipt  []byte // tlog-proof, see package receipt; empty only when the submission could not be attributed to anyone
}

// Anchor tells the supervision chain where a granted step's record stands on
// the business chain (the last write of a step).
type Anchor struct {
	_ struct{} `cbor:",toarray"`

	Tx         Hash   // the decision's transaction on the supervision chain
	BusinessTx string // the business chain's transaction id
}
