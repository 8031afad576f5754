package envelope

import (
	"bytes"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"signalbox.dev/signalbox/flow"
)

// The message is a CMS ContentInfo with AuthEnvelopedData (RFC 5083 §2.1), one
// KeyTransRecipientInfo version 2 a recipient (RFC 5652 §6.2.1, the subject key
// identifier form), GCM parameters of RFC 5084 §3.2, and neither originator
// information nor attributes. Only this one form is read, and only in DER: equal
// contents have one encoding, and a decoder that takes less has less to get wrong.

// maxRecipients bounds the recipients of one message, as flow.Header does.
const maxRecipients = 8

const (
	nonceSize = 12 // bytes, RFC 5084 §3.2
	tagSize   = 16 // bytes
)

// Fixed parts of the message, in DER.
const (
	derAuthEnvelopedData = "\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17" // 1.2.840.113549.1.9.16.1.23
	derVersion0          = "\x02\x01\x00"
	derVersion2          = "\x02\x01\x02"
	derNonceHead         = "\x30\x11\x04\x0c" // GCMParameters, up to the nonce
	derTagLength         = "\x02\x01\x10"     // their aes-ICVlen: 16
)

// Tags of the message's fields.
const (
	tagContent          = asn1.Tag(0x80 | 0x20) // [0] EXPLICIT
	tagKeyIdentifier    = asn1.Tag(0x80)        // [0] IMPLICIT OCTET STRING
	tagEncryptedContent = asn1.Tag(0x80)        // [0] IMPLICIT OCTET STRING
)

// algorithms is what a suite writes into the message, in DER.
type algorithms struct {
	transport   string // AlgorithmIdentifier of the key transport
	contentType string // OID of what is inside
	content     string // OID of the content cipher
	keySize     int    // of the content key, in bytes
	// wellWrapped says whether an encrypted content key has the form that the
	// suite writes.
	wellWrapped func(wrapped []byte) bool
}

// authEnveloped is the message's variable part. Its slices share memory with
// the message that it was decoded from.
type authEnveloped struct {
	recipients []recipient
	nonce      []byte
	ciphertext []byte
	tag        []byte
}

// recipient is the content key, encrypted to one key.
type recipient struct {
	id      flow.KeyID
	wrapped []byte
}

// encode gives the message's DER. Recipients are sorted by their encoding, as
// DER wants a SET OF.
func (a algorithms) encode(m authEnveloped) ([]byte, error) {
	infos := make([][]byte, 0, len(m.recipients))
	for _, r := range m.recipients {
		info, err := a.encodeRecipient(r)
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	slices.SortFunc(infos, bytes.Compare)

	b := cryptobyte.NewBuilder(make([]byte, 0, len(m.ciphertext)+len(infos)*512+256))
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes([]byte(derAuthEnvelopedData))
		b.AddASN1(tagContent, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddBytes([]byte(derVersion0))
				b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(slices.Concat(infos...)) })
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { a.addContent(b, m) })
				b.AddASN1OctetString(m.tag)
			})
		})
	})
	return b.Bytes()
}

func (a algorithms) encodeRecipient(r recipient) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes([]byte(derVersion2))
		b.AddASN1(tagKeyIdentifier, func(b *cryptobyte.Builder) { b.AddBytes(r.id[:]) })
		b.AddBytes([]byte(a.transport))
		b.AddASN1OctetString(r.wrapped)
	})
	return b.Bytes()
}

func (a algorithms) addContent(b *cryptobyte.Builder, m authEnveloped) {
	b.AddBytes([]byte(a.contentType))
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { a.addCipher(b, m.nonce) })
	b.AddASN1(tagEncryptedContent, func(b *cryptobyte.Builder) { b.AddBytes(m.ciphertext) })
}

// decode is the strict inverse of encode; every error wraps ErrMalformed. It
// copies nothing, so what it allocates is bounded by maxRecipients.
func (a algorithms) decode(der []byte) (authEnveloped, error) {
	if len(der) > flow.MaxMessage {
		return authEnveloped{}, fmt.Errorf("%w: %d bytes are over the limit of %d", ErrMalformed, len(der), flow.MaxMessage)
	}
	input := cryptobyte.String(der)
	var info, wrapper, data, recipients, content, tag cryptobyte.String
	if !input.ReadASN1(&info, asn1.SEQUENCE) || !input.Empty() ||
		!take(&info, derAuthEnvelopedData) ||
		!info.ReadASN1(&wrapper, tagContent) || !info.Empty() ||
		!wrapper.ReadASN1(&data, asn1.SEQUENCE) || !wrapper.Empty() ||
		!take(&data, derVersion0) ||
		!data.ReadASN1(&recipients, asn1.SET) ||
		!data.ReadASN1(&content, asn1.SEQUENCE) ||
		!data.ReadASN1(&tag, asn1.OCTET_STRING) || !data.Empty() {
		return authEnveloped{}, fmt.Errorf("%w: not AuthEnvelopedData in DER without attributes", ErrMalformed)
	}
	m := authEnveloped{tag: tag}
	var err error
	if m.recipients, err = a.decodeRecipients(recipients); err != nil {
		return authEnveloped{}, err
	}
	if m.nonce, m.ciphertext, err = a.decodeContent(content); err != nil {
		return authEnveloped{}, err
	}
	if len(tag) != tagSize {
		return authEnveloped{}, fmt.Errorf("%w: authentication tag", ErrMalformed)
	}
	return m, nil
}

func (a algorithms) decodeRecipients(set cryptobyte.String) ([]recipient, error) {
	var all []recipient
	var last cryptobyte.String
	for !set.Empty() {
		if len(all) == maxRecipients {
			return nil, fmt.Errorf("%w: over %d recipients", ErrMalformed, maxRecipients)
		}
		var element cryptobyte.String
		if !set.ReadASN1Element(&element, asn1.SEQUENCE) || bytes.Compare(last, element) >= 0 {
			return nil, fmt.Errorf("%w: recipient info %d is out of order", ErrMalformed, len(all)+1)
		}
		last = element
		r, ok := a.decodeRecipient(element)
		if !ok || slices.ContainsFunc(all, func(other recipient) bool { return other.id == r.id }) {
			return nil, fmt.Errorf("%w: recipient info %d", ErrMalformed, len(all)+1)
		}
		all = append(all, r)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: no recipient", ErrMalformed)
	}
	return all, nil
}

func (a algorithms) decodeRecipient(element cryptobyte.String) (recipient, bool) {
	var info, id, wrapped cryptobyte.String
	if !element.ReadASN1(&info, asn1.SEQUENCE) ||
		!take(&info, derVersion2) ||
		!info.ReadASN1(&id, tagKeyIdentifier) || len(id) != len(flow.KeyID{}) ||
		!take(&info, a.transport) ||
		!info.ReadASN1(&wrapped, asn1.OCTET_STRING) || !info.Empty() ||
		!a.wellWrapped(wrapped) {
		return recipient{}, false
	}
	return recipient{id: flow.KeyID(id), wrapped: wrapped}, true
}

func (a algorithms) decodeContent(content cryptobyte.String) (nonce, ciphertext []byte, err error) {
	var cipher, encrypted cryptobyte.String
	if take(&content, a.contentType) &&
		content.ReadASN1(&cipher, asn1.SEQUENCE) &&
		content.ReadASN1(&encrypted, tagEncryptedContent) && content.Empty() &&
		len(encrypted) >= plaintextHead {
		if nonce, ok := a.readCipher(cipher); ok {
			return nonce, encrypted, nil
		}
	}
	return nil, nil, fmt.Errorf("%w: encrypted content", ErrMalformed)
}

// addCipher writes the inside of the content cipher's AlgorithmIdentifier.
func (a algorithms) addCipher(b *cryptobyte.Builder, nonce []byte) {
	b.AddBytes([]byte(a.content))
	b.AddBytes([]byte(derNonceHead))
	b.AddBytes(nonce)
	b.AddBytes([]byte(derTagLength))
}

// readCipher is the inverse of addCipher.
func (a algorithms) readCipher(s cryptobyte.String) (nonce []byte, ok bool) {
	ok = take(&s, a.content) && take(&s, derNonceHead) &&
		s.ReadBytes(&nonce, nonceSize) && take(&s, derTagLength) && s.Empty()
	return nonce, ok
}

// take reads the fixed bytes and says whether they were there.
func take(s *cryptobyte.String, fixed string) bool {
	var got []byte
	return s.ReadBytes(&got, len(fixed)) && string(got) == fixed
}
