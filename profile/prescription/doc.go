// Package prescription is the profile of the business "prescription" (R10.4):
// how a prescription is read, checked and masked, and which facts the authority
// derives from the payloads of its steps.
//
// Two forms are taken. A document with a resourceType is FHIR R4 JSON: one
// MedicationRequest with what it refers to contained in it, or a Bundle of type
// collection or message with the requests of one prescription. Anything else is
// our plain form, which is Prescription without Source and SourceDigest; it is
// strict, so that a misspelt field is found and not lost.
//
// Both become the canonical form: a Prescription as JSON, whose bytes are the
// same for the same input and the same Config, on every machine and on any day.
// Nothing here asks what today is: whether a prescription has expired is the
// contract's to judge.
//
// Start at form.go for the canonical form and its names in the national
// e-prescription interface (table in national.md), plain.go and fhir.go for the
// two inputs, validate.go for what is asked of both, mask.go for R1.1,
// digest.go for what counts as the same content, facts.go for the facts. Sample
// prescriptions are in package samples.
package prescription
