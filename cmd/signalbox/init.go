package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"signalbox.dev/signalbox/internal/config"
	"signalbox.dev/signalbox/internal/party"
)

// initCommand makes the folders of parties that run apart (R7.2, R7.3).
type initCommand struct {
	Authority initAuthorityCommand `cmd:"" help:"The authority: keys, CA, the supervision chain's genesis."`
	Officer   initOfficerCommand   `cmd:"" help:"An officer of the authority: a key, and a request to be admitted."`
	Node      initNodeCommand      `cmd:"" help:"A node of the supervision chain: keys, and a public file for the authority."`
	Fusion    initFusionCommand    `cmd:"" help:"A fusion node: keys, and a request to be admitted."`
	Platform  initPlatformCommand  `cmd:"" help:"A platform: keys, and a request to be admitted."`
	Ledger    initLedgerCommand    `cmd:"" help:"A business chain of the embedded kind."`
	Witness   initWitnessCommand   `cmd:"" help:"A witness that cosigns the authority's log: a key, and a configuration."`
	Producer  initProducerCommand  `cmd:"" help:"A producer: keys, and a request to be admitted."`
}

// Help implements kong's HelpProvider.
func (initCommand) Help() string {
	return "Keys are made where they stay, encrypted under a passphrase: the one in the file that SIGNALBOX_PASSPHRASE_FILE names, or else " +
		"a random one in the folder, readable by its owner alone. A folder that holds anything is left as it is.\n\n" +
		"In this order: init officer, init node for each further node of the chain, init authority, init fusion, init platform, init ledger; then the authority runs and admits " +
		"(signalbox authority admit), and the others run. docs/deployment.md tells it step by step."
}

// folder is where an init makes what it makes.
type folder struct {
	Dir  string `help:"The folder to make; it must be new or empty." required:"" type:"path" placeholder:"DIR"`
	JSON bool   `help:"Print one JSON object."`
}

// made is what an init says.
type made struct {
	Role           string   `json:"role"`
	ID             string   `json:"id"`
	Dir            string   `json:"dir"`
	Configuration  string   `json:"configuration,omitempty"`
	Request        string   `json:"request,omitempty"`
	RequestHash    string   `json:"request_fingerprint,omitempty"`
	Node           string   `json:"node,omitempty"`
	NodeHash       string   `json:"node_fingerprint,omitempty"`
	Network        string   `json:"network,omitempty"`
	Authority      string   `json:"authority_fingerprint,omitempty"`
	Genesis        string   `json:"genesis,omitempty"`
	GenesisHash    string   `json:"genesis_fingerprint,omitempty"`
	Nodes          []place  `json:"nodes,omitempty"`
	Published      string   `json:"authority_file,omitempty"`
	Admission      string   `json:"admission,omitempty"`
	Pin            string   `json:"pin,omitempty"`
	Key            string   `json:"key,omitempty"`
	TrialRequests  []string `json:"trial_requests,omitempty"`
	PassphraseFile string   `json:"passphrase_file,omitempty"`
	next           []string
}

// place is a node of genesis, and the fingerprint of its file.
type place struct {
	ID          string `json:"id"`
	Address     string `json:"address"`
	Fingerprint string `json:"fingerprint"`
}

// found makes the folder by fill, which has the passphrase.
func (f folder) found(fill func(d party.Dir, passphrase []byte) error) error {
	return party.Found(f.Dir, func(d party.Dir) error {
		passphrase, err := party.NewPassphrase(d.Path(party.PassphraseFile))
		if err != nil {
			return err
		}
		return fill(d, passphrase)
	})
}

// report says what was made.
func (f folder) report(a *app, m made) error {
	m.Dir = f.Dir
	if m.PassphraseFile = os.Getenv(party.PassphraseEnv); m.PassphraseFile == "" {
		m.PassphraseFile = filepath.Join(f.Dir, party.PassphraseFile)
	}
	if f.JSON {
		return json.NewEncoder(a.stdout).Encode(m)
	}
	t := newTable(a.stdout)
	row := func(en, zh, v string) {
		if v != "" {
			t.row(a.say.of(en, zh), v)
		}
	}
	row("made", "已创建", m.Role+" "+m.ID)
	row("folder", "目录", m.Dir)
	row("passphrase in", "口令文件", m.PassphraseFile)
	row("configuration", "配置文件", m.Configuration)
	row("request", "申请文件", m.Request)
	row("request fingerprint", "申请指纹", m.RequestHash)
	for _, r := range m.TrialRequests {
		row("trial request", "试用人员申请", r)
	}
	row("node file", "节点公开文件", m.Node)
	row("node fingerprint", "节点指纹", m.NodeHash)
	row("network id", "网络标识", m.Network)
	for _, n := range m.Nodes {
		row("node of genesis", "创世节点", n.ID+" "+n.Fingerprint)
	}
	row("genesis", "创世文件", m.Genesis)
	row("genesis fingerprint", "创世指纹", m.GenesisHash)
	row("authority's file", "监管机关公开文件", m.Published)
	row("authority's fingerprint", "监管机关指纹", m.Authority)
	row("officers' admission", "监管人员准入文件", m.Admission)
	row("pin", "公钥指纹 (pin)", m.Pin)
	row("public key", "公钥", m.Key)
	if err := t.end(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.stdout, strings.Join(m.next, "\n"))
	return err
}

// configured writes a role's configuration into the folder.
func configured(a *app, d party.Dir, role string, c any) (string, error) {
	var b bytes.Buffer
	if err := config.Write(&b, c, a.say.zh); err != nil {
		return "", err
	}
	name := d.Path(role + ".yaml")
	return name, party.Write(name, b.Bytes())
}

// applicant is who asks for admission.
type applicant struct {
	ID string `arg:"" help:"Its identity on the supervision chain, such as rx-platform-1."`
	folder
	Suite string `help:"Cryptography of the authority: gm or intl." enum:"gm,intl" default:"gm"`
}

// next says what to do with a request.
func (p applicant) next(a *app) string {
	return a.say.of("Send the request to the authority, and tell it the fingerprint by another way.", "请将申请文件交给监管机关，并通过其他途径告知其指纹。")
}

type initOfficerCommand struct{ applicant }

// Help implements kong's HelpProvider.
func (initOfficerCommand) Help() string {
	return "Example:\n  signalbox init officer rx-officer-1 --dir officer-1"
}

// Run makes an officer's folder.
func (c *initOfficerCommand) Run(a *app) error {
	return c.simple(a, "officer", false)
}

type initProducerCommand struct{ applicant }

// Help implements kong's HelpProvider.
func (initProducerCommand) Help() string {
	return "The request file holds the public sealing key too: the platform needs it for orders (producers in platform.yaml).\n\n" +
		"Example:\n  signalbox init producer rx-pharmacy-9 --dir pharmacy-9"
}

// Run makes a producer's folder.
func (c *initProducerCommand) Run(a *app) error { return c.simple(a, "producer", true) }

// simple makes the folder of somebody who opens no link.
func (p applicant) simple(a *app, role string, sealing bool) error {
	m := made{Role: role, ID: p.ID, Request: filepath.Join(p.Dir, party.RequestFile), next: []string{p.next(a)}}
	err := p.found(func(d party.Dir, passphrase []byte) error {
		hash, err := d.Apply(party.Application{Card: party.Card{ID: p.ID, Role: role, Suite: p.Suite}, Sealing: sealing}, passphrase)
		m.RequestHash = hash.String()
		return err
	})
	if err != nil {
		return err
	}
	return p.report(a, m)
}
