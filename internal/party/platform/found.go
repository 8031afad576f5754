package platform

import (
	"fmt"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/party"
	"signalbox.dev/signalbox/internal/party/trial"
	"signalbox.dev/signalbox/ledger/remote"
)

// Found makes what a platform has beside an applicant's keys: the sealing key of
// its business network (R8.4), and its key for the business chain, whose pin it
// gives.
func Found(dir party.Dir, card party.Card, passphrase []byte) (flow.Hash, error) {
	suite, err := envelope.ByName(card.Suite)
	if err != nil {
		return flow.Hash{}, err
	}
	var network envelope.PrivateKey
	if err := party.MakeKeys(suite, passphrase, []party.Slot{{Key: &network, Use: envelope.Sealing, File: networkFile(dir)}}); err != nil {
		return flow.Hash{}, err
	}
	k, err := party.MakeTransport(ledgerFile(dir), passphrase)
	if err != nil {
		return flow.Hash{}, err
	}
	return remote.Pin(k.Public())
}

func networkFile(dir party.Dir) string { return dir.Path("keys", "network.pem") }
func ledgerFile(dir party.Dir) string  { return dir.Path("keys", "ledger.pem") }

// trialDir is the folder of one of the built-in people.
func trialDir(dir party.Dir, id string) party.Dir { return party.Dir(dir.Path("trial", id)) }

// FoundTrial makes the built-in people of a platform on trial, each in a folder
// with keys of its own, and gives their request files.
func FoundTrial(dir party.Dir, card party.Card, passphrase []byte) ([]string, error) {
	var files []string
	for _, p := range trial.Of(card.ID) {
		d := trialDir(dir, p.ID)
		_, err := d.Apply(party.Application{
			Card:    party.Card{ID: p.ID, Role: string(p.Role), Suite: card.Suite},
			Sealing: p.Role == contract.RoleProducer,
		}, passphrase)
		if err != nil {
			return nil, fmt.Errorf("making %s: %w", p.ID, err)
		}
		files = append(files, d.Path(party.RequestFile))
	}
	return files, nil
}
