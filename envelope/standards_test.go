package envelope

import (
	"encoding/asn1"
	"encoding/hex"
	"testing"

	"github.com/emmansun/gmsm/sm2"
)

// Values out of the standards show that the suites are what they say (R8.3),
// and not only that they agree with themselves.

func TestDigestsOfStandards(t *testing.T) {
	cases := []struct{ name, got, want string }{
		{"SM3 of abc, GB/T 32905 A.1", GM().Sum([]byte("abc")).String(), "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"},
		{"SHA-256 of abc, FIPS 180-4", Intl().Sum([]byte("a"), nil, []byte("bc")).String(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{
			"HMAC-SHA256, RFC 4231 §4.3",
			Intl().MAC([]byte("Jefe"), []byte("what do ya want "), []byte("for nothing?")).String(),
			"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
		},
	}
	for _, c := range cases {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", c.name, c.got, c.want)
		}
	}
}

// The key pair of GM/T 0003.5, annexes A and C.
const (
	gmtPrivate = "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8"
	gmtX       = "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
	gmtY       = "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)

func TestSignatureOfStandard(t *testing.T) {
	key, err := ParsePublicKey("gm", Signing, append([]byte(sm2SPKI), unhex(t, "04"+gmtX+gmtY)...))
	if err != nil {
		t.Fatal(err)
	}
	signature := sequence(t,
		"022100f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3",
		"022100b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa")
	if err := GM().Verify(key, []byte("message digest"), signature); err != nil {
		t.Errorf("the signature of GM/T 0003.5 A.2 does not verify: %v", err)
	}
	if GM().Verify(key, []byte("message digests"), signature) == nil {
		t.Error("it verifies for another message")
	}
}

func TestKeyTransportOfStandard(t *testing.T) {
	held, err := sm2.NewPrivateKey(unhex(t, gmtPrivate))
	if err != nil {
		t.Fatal(err)
	}
	ciphertext := sequence(t,
		"022004ebfc718e8d1798620432268e77feb6415e2ede0e073c0f4f640ecd2e149a73",
		"022100e858f9d81e5430a57b36daab8f950a3c64e6ee6a63094d99283aff767e124df0",
		"042059983c18f809e262923c53aec295d30383b54e39d609d160afcb1908d0bd8766",
		"041321886ca989ca9c7d58087307ca93092d651efa")
	plaintext, err := gm{}.unwrap(held, ciphertext)
	if err != nil || string(plaintext) != "encryption standard" {
		t.Errorf("the ciphertext of GM/T 0003.5 C.2 decrypts to %q, %v", plaintext, err)
	}
}

func TestContentCipherOfStandard(t *testing.T) {
	aead, err := gm{}.aead(unhex(t, "0123456789abcdeffedcba9876543210"))
	if err != nil {
		t.Fatal(err)
	}
	got := aead.Seal(nil, unhex(t, "00001234567800000000abcd"),
		unhex(t, "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd"+
			"eeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa"),
		unhex(t, "feedfacedeadbeeffeedfacedeadbeefabaddad2"))
	want := "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735" +
		"d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d" +
		"83de3541e4c2b58177e065a9bf7b62ec"
	if hex.EncodeToString(got) != want {
		t.Errorf("SM4-GCM of RFC 8998 A.1: %x, want %s", got, want)
	}
}

func sequence(tb testing.TB, elements ...string) []byte {
	tb.Helper()
	var body []byte
	for _, e := range elements {
		body = append(body, unhex(tb, e)...)
	}
	der, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: body})
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

// TestObjectIdentifiers compares the DER in the code with the identifiers of
// RFC 5083, RFC 5084, RFC 4055, RFC 5958, RFC 7914, GM/T 0006 and GM/T 0010.
func TestObjectIdentifiers(t *testing.T) {
	oid := func(arcs ...int) string {
		der, err := asn1.Marshal(asn1.ObjectIdentifier(arcs))
		if err != nil {
			t.Fatal(err)
		}
		return hex.EncodeToString(der)
	}
	sha256 := hex.EncodeToString(sequence(t, oid(2, 16, 840, 1, 101, 3, 4, 2, 1)))
	mgf1 := hex.EncodeToString(sequence(t, oid(1, 2, 840, 113549, 1, 1, 8), sha256))
	parameters := hex.EncodeToString(sequence(t, "a00d"+sha256, "a11a"+mgf1))
	cases := []struct{ name, got, want string }{
		{"authEnvelopedData", derAuthEnvelopedData, oid(1, 2, 840, 113549, 1, 9, 16, 1, 23)},
		{"data", derData, oid(1, 2, 840, 113549, 1, 7, 1)},
		{"gm data", derGMData, oid(1, 2, 156, 10197, 6, 1, 4, 2, 1)},
		{"SM4-GCM", derSM4GCM, oid(1, 2, 156, 10197, 1, 104, 8)},
		{"AES-256-GCM", derAES256GCM, oid(2, 16, 840, 1, 101, 3, 4, 1, 46)},
		{"SM2 encryption", derSM2Transport, hex.EncodeToString(sequence(t, oid(1, 2, 156, 10197, 1, 301, 3), "0500"))},
		{"OAEP", derOAEP, hex.EncodeToString(sequence(t, oid(1, 2, 840, 113549, 1, 1, 7), parameters))},
		{"PBES2", derPBES2, oid(1, 2, 840, 113549, 1, 5, 13)},
		{"scrypt", derScrypt, oid(1, 3, 6, 1, 4, 1, 11591, 4, 11)},
		{"keyUsage", derUsageHead[4:9], oid(2, 5, 29, 15)},
	}
	for _, c := range cases {
		if hex.EncodeToString([]byte(c.got)) != c.want {
			t.Errorf("%s: %x, want %s", c.name, c.got, c.want)
		}
	}
}
