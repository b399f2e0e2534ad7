"""GM/T 0010 messages by other hands: structures by asn1crypto, SM2 and SM3 by GmSSL (gmssl_pyx),
SM4-CBC by OpenSSL (cryptography). Nothing of ours is used.

    gmt0010.py make FOLDER    writes signed.der, plain.der (no attributes), detached.der and
                              detached-plain.der (no content), enveloped.der, both.der
    gmt0010.py read FOLDER    checks ours-signed.der, ours-detached.der, ours-enveloped.der and
                              ours-both.der

The folder has content, and for each of signer and recipient NAME.der (certificate) and NAME.key
(private scalar, 32 bytes).
"""

import datetime
import os
import pathlib
import sys

import gmssl_pyx
from asn1crypto import core, x509
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

GM = "1.2.156.10197.6.1.4.2."
SM3 = "1.2.156.10197.1.401"
SM2_SIGN = "1.2.156.10197.1.301.1"
SM2_ENCRYPT = "1.2.156.10197.1.301.3"
SM4_CBC = "1.2.156.10197.1.104.2"
CONTENT_TYPE = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
SIGNING_TIME = "1.2.840.113549.1.9.5"


class Algorithm(core.Sequence):
    _fields = [("algorithm", core.ObjectIdentifier), ("parameters", core.Any, {"optional": True})]


class Algorithms(core.SetOf):
    _child_spec = Algorithm


class IssuerAndSerial(core.Sequence):
    _fields = [("issuer", x509.Name), ("serial", core.Integer)]


class Values(core.SetOf):
    _child_spec = core.Any


class Attribute(core.Sequence):
    _fields = [("type", core.ObjectIdentifier), ("values", Values)]


class Attributes(core.SetOf):
    _child_spec = Attribute


class SignerInfo(core.Sequence):
    _fields = [
        ("version", core.Integer),
        ("sid", IssuerAndSerial),
        ("digest", Algorithm),
        ("attributes", Attributes, {"implicit": 0, "optional": True}),
        ("algorithm", Algorithm),
        ("signature", core.OctetString),
    ]


class SignerInfos(core.SetOf):
    _child_spec = SignerInfo


class RecipientInfo(core.Sequence):
    _fields = [
        ("version", core.Integer),
        ("rid", IssuerAndSerial),
        ("algorithm", Algorithm),
        ("key", core.OctetString),
    ]


class RecipientInfos(core.SetOf):
    _child_spec = RecipientInfo


class EncryptedContentInfo(core.Sequence):
    _fields = [
        ("type", core.ObjectIdentifier),
        ("algorithm", Algorithm),
        ("content", core.OctetString, {"implicit": 0}),
    ]


class Certificates(core.SetOf):
    _child_spec = x509.Certificate


class Data(core.Sequence):
    _fields = [
        ("type", core.ObjectIdentifier),
        ("content", core.OctetString, {"explicit": 0, "optional": True}),
    ]


class SignedData(core.Sequence):
    _fields = [
        ("version", core.Integer),
        ("digests", Algorithms),
        ("content", Data),
        ("certificates", Certificates, {"implicit": 0, "optional": True}),
        ("signers", SignerInfos),
    ]


class EnvelopedData(core.Sequence):
    _fields = [
        ("version", core.Integer),
        ("recipients", RecipientInfos),
        ("content", EncryptedContentInfo),
    ]


class SignedAndEnvelopedData(core.Sequence):
    _fields = [
        ("version", core.Integer),
        ("recipients", RecipientInfos),
        ("digests", Algorithms),
        ("content", EncryptedContentInfo),
        ("certificates", Certificates, {"implicit": 0, "optional": True}),
        ("signers", SignerInfos),
    ]


def content_info(number, spec):
    class ContentInfo(core.Sequence):
        _fields = [("type", core.ObjectIdentifier), ("content", spec, {"explicit": 0})]

    ContentInfo.number = GM + str(number)
    return ContentInfo


KINDS = [content_info(2, SignedData), content_info(3, EnvelopedData)]
KINDS.append(content_info(4, SignedAndEnvelopedData))


class Party:
    def __init__(self, folder, name):
        self.certificate = x509.Certificate.load((folder / f"{name}.der").read_bytes())
        self.key = (folder / f"{name}.key").read_bytes()
        tbs = self.certificate["tbs_certificate"]
        self.public = tbs["subject_public_key_info"]["public_key"].contents[2:]
        self.name = {"issuer": tbs["issuer"], "serial": tbs["serial_number"].native}


def attributes(content):
    now = core.UTCTime(datetime.datetime.now(datetime.timezone.utc))
    digest = core.OctetString(gmssl_pyx.sm3_hash(content))
    return Attributes(
        [
            {"type": CONTENT_TYPE, "values": [core.ObjectIdentifier(GM + "1")]},
            {"type": MESSAGE_DIGEST, "values": [digest]},
            {"type": SIGNING_TIME, "values": [now]},
        ]
    )


def sign(party, content, with_attributes):
    signed = attributes(content) if with_attributes else None
    message = signed.dump(force=True) if signed else content
    info = {
        "version": 1,
        "sid": party.name,
        "digest": {"algorithm": SM3},
        "algorithm": {"algorithm": SM2_SIGN, "parameters": core.Null()},
        "signature": gmssl_pyx.sm2_sign(party.key, party.public, message),
    }
    if signed:
        info["attributes"] = signed
    return [info]


def encrypt(party, content):
    key, iv = os.urandom(16), os.urandom(16)
    padder = padding.PKCS7(128).padder()
    padded = padder.update(content) + padder.finalize()
    cipher = Cipher(algorithms.SM4(key), modes.CBC(iv)).encryptor()
    recipient = {
        "version": 1,
        "rid": party.name,
        "algorithm": {"algorithm": SM2_ENCRYPT, "parameters": core.Null()},
        "key": gmssl_pyx.sm2_encrypt(party.public, key),
    }
    info = {
        "type": GM + "1",
        "algorithm": {"algorithm": SM4_CBC, "parameters": core.OctetString(iv)},
        "content": cipher.update(padded) + cipher.finalize(),
    }
    return [recipient], info


def make(folder, signer, recipient):
    content = (folder / "content").read_bytes()
    digests = [{"algorithm": SM3}]
    certificates = [signer.certificate]
    signed, enveloped, both = KINDS

    def write(name, kind, value):
        message = kind({"type": kind.number, "content": value})
        (folder / f"{name}.der").write_bytes(message.dump())

    attached = {"type": GM + "1", "content": content}
    for name, with_attributes, inner in [
        ("signed", True, attached),
        ("plain", False, attached),
        ("detached", True, {"type": GM + "1"}),
        ("detached-plain", False, {"type": GM + "1"}),
    ]:
        data = {
            "version": 1,
            "digests": digests,
            "content": inner,
            "certificates": certificates,
            "signers": sign(signer, content, with_attributes),
        }
        write(name, signed, data)
    recipients, info = encrypt(recipient, content)
    envelope = {"version": 1, "recipients": recipients, "content": info}
    write("enveloped", enveloped, envelope)
    signers = sign(signer, content, False)
    extra = {"digests": digests, "certificates": certificates, "signers": signers}
    write("both", both, envelope | extra)


def read_kind(folder, name, kind):
    message = kind.load((folder / f"ours-{name}.der").read_bytes(), strict=True)
    assert message["type"].native == kind.number
    return message["content"]


def check_signature(signer, data, content):
    [info] = data["signers"]
    assert info["sid"].dump() == IssuerAndSerial(signer.name).dump()
    assert [it["algorithm"].native for it in data["digests"]] == [SM3]
    assert info["algorithm"]["algorithm"].native == SM2_SIGN
    assert data["certificates"][0].dump() == signer.certificate.dump()
    found = {it["type"].native: it["values"][0] for it in info["attributes"]}
    assert found[CONTENT_TYPE].parse(core.ObjectIdentifier).dotted == GM + "1"
    digest = found[MESSAGE_DIGEST].parse(core.OctetString).native
    assert digest == gmssl_pyx.sm3_hash(content)
    message = info["attributes"].untag().dump(force=True)
    assert gmssl_pyx.sm2_verify(signer.public, message, info["signature"].native)


def decrypt(recipient, data):
    [info] = data["recipients"]
    assert info["rid"].dump() == IssuerAndSerial(recipient.name).dump()
    assert info["algorithm"]["algorithm"].native == SM2_ENCRYPT
    key = gmssl_pyx.sm2_decrypt(recipient.key, info["key"].native)
    content = data["content"]
    assert content["algorithm"]["algorithm"].native == SM4_CBC
    iv = content["algorithm"]["parameters"].parse(core.OctetString).native
    cipher = Cipher(algorithms.SM4(key), modes.CBC(iv)).decryptor()
    padded = cipher.update(content["content"].native) + cipher.finalize()
    unpadder = padding.PKCS7(128).unpadder()
    return unpadder.update(padded) + unpadder.finalize()


def read(folder, signer, recipient):
    content = (folder / "content").read_bytes()
    signed, enveloped, both = KINDS
    data = read_kind(folder, "signed", signed)
    assert data["content"]["content"].native == content
    check_signature(signer, data, content)
    data = read_kind(folder, "detached", signed)
    assert data["content"]["type"].native == GM + "1"
    assert data["content"]["content"].native is None
    check_signature(signer, data, content)
    assert decrypt(recipient, read_kind(folder, "enveloped", enveloped)) == content
    data = read_kind(folder, "both", both)
    assert decrypt(recipient, data) == content
    check_signature(signer, data, content)


def main():
    folder = pathlib.Path(sys.argv[2])
    parties = Party(folder, "signer"), Party(folder, "recipient")
    {"make": make, "read": read}[sys.argv[1]](folder, *parties)
    print("done")


main()
