package authority

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
)

// Reason codes of enrolments that are not accepted (R2.1).
const (
	enrolCertificate = "certificate_invalid"
	enrolLicence     = "licence_unknown"
)

// ErrLicence is what a Register's answer wraps when the licence is not the
// person's or not valid; any other error means that it could not be asked.
var ErrLicence = errors.New("licence is unknown, not this person's, or not valid")

// examineApplication checks a reviewer's identity (R2.1): the certificate is of
// this authority's CA, the licence is in the register. An activation is then
// the chain's to record.
func (a *Authority) examineApplication(ctx context.Context, h flow.Header, payload []byte) (examined, error) {
	var app flow.Application
	if err := flow.DecodePayload(payload, &app); err != nil {
		return unreadable(unreadablePayload, ""), nil
	}
	cert, err := envelope.CheckCertificate(a.cfg.CA, app.Certificate, a.cfg.Clock())
	if err != nil || cert.ID != h.Actor || cert.Role != string(contract.RoleReviewer) || app.Kind != cert.Role {
		return unreadable(enrolCertificate, "/certificate"), nil
	}
	switch err := a.cfg.Register.CheckLicence(ctx, app); {
	case errors.Is(err, ErrLicence):
		return unreadable(enrolLicence, "/licence"), nil
	case err != nil:
		return examined{}, fmt.Errorf("asking the licence register: %w", err)
	}
	id := chain.IdentityOf(cert)
	id.Licence = a.name("licence", app.Licence)
	id.Tags = slices.Clone(app.Specialties)
	slices.Sort(id.Tags)
	return examined{
		facts:       contract.Facts{Business: h.Business, Reviewer: id.ID, Enrol: &id},
		certificate: app.Certificate,
	}, nil
}
