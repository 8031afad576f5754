package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"signalbox.dev/signalbox/contract"
	"signalbox.dev/signalbox/envelope"
	"signalbox.dev/signalbox/flow"
	"signalbox.dev/signalbox/internal/chain"
	"signalbox.dev/signalbox/internal/durable"
	"signalbox.dev/signalbox/internal/oversight"
	"signalbox.dev/signalbox/internal/party"
)

// orderFileFormat names the form of order files.
const orderFileFormat = "signalbox/order-file/v1"

// orderFile is a signed order on its way from one officer to another, who signs
// it too: four eyes over two machines. It holds no secret.
type orderFile struct {
	Format          string `json:"format"`
	Chain           string `json:"chain"`
	Suite           string `json:"suite"`
	Order           []byte `json:"order"` // as signed, CBOR
	Signature       []byte `json:"signature"`
	Second          string `json:"second,omitempty"`
	SecondSignature []byte `json:"second_signature,omitempty"`
}

func (f orderFile) signed() chain.SignedOrder {
	return chain.SignedOrder{Order: f.Order, Signature: f.Signature, Second: f.Second, SecondSignature: f.SecondSignature}
}

// toFile signs an order into a new file and does not hand it in.
func (w warrant) toFile(a *app, o order) error {
	by, err := w.signers()
	if err != nil {
		return err
	}
	c := w.client()
	defer c.Close()
	status, err := c.Status(a.ctx)
	if err != nil {
		return a.plain(err)
	}
	s, err := w.sign(status, o, by, time.Now())
	if err != nil {
		return err
	}
	f := orderFile{orderFileFormat, status.Chain, status.Suite, s.Order, s.Signature, s.Second, s.SecondSignature}
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	if err := party.Write(w.ToFile, append(data, '\n')); err != nil {
		return err
	}
	_, v, err := readOrderFile(w.ToFile)
	if err != nil {
		return err
	}
	return printFiled(a, w.JSON, v)
}

// readOrderFile reads an order file, and what its order says.
func readOrderFile(name string) (orderFile, oversight.OrderView, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return orderFile{}, oversight.OrderView{}, fmt.Errorf("reading an order: %w", err)
	}
	var f orderFile
	var o contract.Order
	if json.Unmarshal(data, &f) != nil || f.Format != orderFileFormat || flow.Unmarshal(f.Order, &o) != nil {
		return orderFile{}, oversight.OrderView{}, fmt.Errorf("reading an order: %s is no order file", name)
	}
	return f, oversight.Unfiled(o, f.Second), nil
}

func printFiled(a *app, asJSON bool, v oversight.OrderView) error {
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(v)
	}
	return printOrder(a, v)
}

type orderReadCommand struct {
	File string `arg:"" help:"The order file." type:"existingfile"`
	JSON bool   `help:"Print JSON."`
}

// Help implements kong's HelpProvider.
func (orderReadCommand) Help() string { return "Example:\n  signalbox authority order read order.json" }

// Run prints what an order file asks to be signed.
func (c *orderReadCommand) Run(a *app) error {
	_, v, err := readOrderFile(c.File)
	if err != nil {
		return err
	}
	return printFiled(a, c.JSON, v)
}

type orderCountersignCommand struct {
	File string `arg:"" help:"The order file, of another officer." type:"existingfile"`
	Keys string `help:"The folder of the officer who signs, as signalbox init officer made it." type:"existingdir" placeholder:"DIR" required:""`
	JSON bool   `help:"Print JSON."`
}

// Help implements kong's HelpProvider.
func (orderCountersignCommand) Help() string {
	return "Needs no running system: it may be on another machine. Read the order first; what is printed here is what was signed.\n\n" +
		"Example:\n  signalbox authority freeze subject id:... --keys officer-1 --expires 24h --to-file order.json --reason \"case 17\"\n" +
		"  signalbox authority order countersign order.json --keys officer-2\n  signalbox authority order submit order.json --data ./authority"
}

// Run signs second.
func (c *orderCountersignCommand) Run(a *app) error {
	f, v, err := readOrderFile(c.File)
	if err != nil {
		return err
	}
	by, err := warrant{}.signer("", c.Keys)
	if err != nil {
		return err
	}
	switch {
	case f.Second != "":
		return fmt.Errorf(a.say.of("officer %s has signed it second already", "监管人员 %s 已会签"), f.Second)
	case v.Officer == by.id:
		return errors.New(a.say.of("the second officer must be another one than the first", "会签人须与签发人不同"))
	case time.Now().After(v.Expires.Time()):
		return errors.New(a.say.of("the order has expired: let the first officer sign it anew", "指令已过有效期：请签发人重新签发"))
	}
	suite, err := envelope.ByName(f.Suite)
	if err != nil {
		return err
	}
	f.Second = by.id
	if f.SecondSignature, err = suite.Sign(rand.Reader, by.key, chain.OrderInput(f.Chain, f.Order)); err != nil {
		return err
	}
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.WriteFile(c.File, append(data, '\n')); err != nil {
		return fmt.Errorf("writing the order file: %w", err)
	}
	v.Second = f.Second
	return printFiled(a, c.JSON, v)
}

type orderSubmitCommand struct {
	control
	File string `arg:"" help:"The order file." type:"existingfile"`
}

// Help implements kong's HelpProvider.
func (orderSubmitCommand) Help() string {
	return "The order has a number: when another order was carried out meanwhile, it is refused and must be signed anew.\n\n" +
		"Example:\n  signalbox authority order submit order.json --data ./authority"
}

// Run hands it in.
func (c *orderSubmitCommand) Run(a *app) error {
	f, _, err := readOrderFile(c.File)
	if err != nil {
		return err
	}
	cl := c.client()
	defer cl.Close()
	out, err := cl.Order(a.ctx, f.signed())
	if err != nil {
		return a.plain(err)
	}
	return warrant{control: c.control}.report(a, out)
}
