package platform

import (
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/internal/party"
)

// Keys are the platform's own, and the sealing key of the business network that
// it operates (R8.4).
type Keys struct {
	Signing envelope.PrivateKey
	Sealing envelope.PrivateKey
	Network envelope.PrivateKey
}

// Slots are the key files in the platform's folder, with that of the network in
// a file of its own.
func (k *Keys) Slots(dir party.Dir, network string) []party.Slot {
	return []party.Slot{
		{Key: &k.Signing, Use: envelope.Signing, File: dir.Path("keys", "signing.pem")},
		{Key: &k.Sealing, Use: envelope.Sealing, File: dir.Path("keys", "sealing.pem")},
		{Key: &k.Network, Use: envelope.Sealing, File: network},
	}
}
