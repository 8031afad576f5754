package flow

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"time"
)

// Token is the permission that a granted review request or order carries:
// SHA-256(date || txhash || suffix), the date as YYYY-MM-DD, the txhash as
// lower-hex text, the suffix "pres" or "order", no separators (R2.3, R3.3).
// Its text form is lower hex. It can be computed by anyone who knows the
// txhash, so it counts only together with the receipt of its decision.
func Token(day time.Time, txhash Hash, step Step) (Hash, error) {
	suffix := step.TokenSuffix()
	if suffix == "" {
		return Hash{}, fmt.Errorf("step %s carries no token", step)
	}
	return sha256.Sum256([]byte(day.Format(time.DateOnly) + txhash.String() + suffix)), nil
}

// TokenIsTrue recomputes the token for the day and compares in constant time (R2.3, R3.4).
func TokenIsTrue(token Hash, day time.Time, txhash Hash, step Step) bool {
	want, err := Token(day, txhash, step)
	return err == nil && subtle.ConstantTimeCompare(want[:], token[:]) == 1
}
