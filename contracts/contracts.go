// Package contracts holds the rule bundles that Signalbox ships: YAML files
// that an authority can publish as they are, or copy and change (R6.1). It
// only carries the files; package contract reads, admits and applies them.
package contracts

import _ "embed"

//go:embed prescription.yaml
var prescription string

// Prescription is the rule bundle for prescriptions, as YAML. Each call gives
// a copy of its own.
func Prescription() []byte { return []byte(prescription) }
