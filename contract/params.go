package contract

import (
	"time"
)

// params are the chain's fixed parameters, as genesis sets them.
type params struct {
	_ struct{} `cbor:",toarray"`

	Chain               string
	Suite               string
	Zone                string
	ZoneOffset          int64 // seconds east of UTC
	TokenGrace          int64 // seconds
	EnforceRecordExpiry bool
	Businesses          []string // none: all
	Networks            []string // none: all
	RequireGrants       bool     // whoever is neither allowed nor denied needs a batch grant (R6.3)
	HoldDeadline        int64    // seconds that a held submission waits for an officer
}

const secondsPerDay = 24 * 60 * 60

// day is the number of the authority's day at now, counted from 1970-01-01.
func (p params) day(now int64) int64 {
	local := now + p.ZoneOffset
	d := local / secondsPerDay
	if local%secondsPerDay < 0 {
		d-- // before 1970
	}
	return d
}

// date is now in the authority's time zone (R2.3).
func (p params) date(now int64) time.Time {
	return time.Unix(now, 0).In(time.FixedZone(p.Zone, int(p.ZoneOffset)))
}

// expiry is when a token given at now ends: with the authority's day, but not
// before the grace has passed. The token counts before that second only.
func (p params) expiry(now int64) int64 {
	midnight := (p.day(now)+1)*secondsPerDay - p.ZoneOffset
	return max(midnight, now+p.TokenGrace)
}
