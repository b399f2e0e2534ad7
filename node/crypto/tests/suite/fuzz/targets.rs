//! What must hold for whatever bytes a peer, a file or a person gives to this crate.
//!
//! It does not choose the bytes: the tests beside it do. Each function
//! says whether the bytes were valid.

use crypto::envelope::{DetachedSignature, EnvelopedData, SignedAndEnvelopedData, SignedData};
use crypto::merkle::{ConsistencyProof, InclusionProof};
use crypto::password::PasswordHash;
use crypto::seal::{Opener, SealedHeader, SealedTrailer};
use crypto::tls::{CertificateDer, Suites, TlsAuthority, TlsIdentity, TlsRoots, client_config};
use crypto::{Certificate, Digest, KeyFile, KeyId, Label, PublicKey, SecretKey, Signature};
use rustls::pki_types::pem::PemObject as _;

use super::samples::{
    ENVELOPES, Envelopes, PASSPHRASE, SECRET, STREAM, TLS, Tls, first_flight, pem, shake_hands,
    wait,
};

/// A certificate in DER: one form, and no loss through PEM or hexadecimal.
pub(crate) fn certificate(bytes: &[u8]) -> bool {
    let Ok(read) = Certificate::from_der(bytes) else {
        return false;
    };
    assert_eq!(read.as_der(), bytes);
    let pem = read.to_pem().expect("what was read can be written");
    assert_eq!(Certificate::from_pem(&pem).as_ref(), Ok(&read));
    assert_eq!(hex::encode(bytes).parse().as_ref(), Ok(&read));
    assert!(!format!("{read:?}").is_empty());
    let at_ms = read.not_before_ms();
    let own = read.verify_issued_by(&read, at_ms);
    assert_eq!(read.verify_issued_by(&read, at_ms), own);
    true
}

/// A certificate in PEM: what it holds is a certificate in DER.
pub(crate) fn certificate_pem(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let Ok(read) = Certificate::from_pem(text) else {
        return false;
    };
    assert_eq!(Certificate::from_der(read.as_der()).as_ref(), Ok(&read));
    let unwrapped = CertificateDer::from_pem_slice(bytes).expect("two readers of PEM agree");
    assert_eq!(unwrapped.as_ref(), read.as_der(), "no byte is repaired");
    true
}

/// A signature: one form for two numbers, and none of the sample key but its own.
pub(crate) fn signature(bytes: &[u8]) -> bool {
    let Ok(read) = Signature::from_der(bytes) else {
        return false;
    };
    assert_eq!(read.as_der(), bytes);
    assert_eq!(read.to_string().parse().as_ref(), Ok(&read));
    let key = SECRET.public();
    let _verdict = key.verify(Label::Command, b"message", &read);
    assert!(
        key.verify(Label::Checkpoint, b"another message", &read)
            .is_err()
    );
    true
}

/// A message of GM/T 0010: it is of one kind, there is one form in which it is written, and it says
/// nothing but what the sample's signer wrote.
pub(crate) fn envelope(bytes: &[u8]) -> bool {
    let Envelopes {
        signer,
        recipient,
        key,
        content,
        ..
    } = &*ENVELOPES;
    let mut kinds = 0;
    if let Ok(read) = SignedData::from_der(bytes) {
        kinds += 1;
        assert_one_form(&read, SignedData::to_der, SignedData::from_der);
        if let Ok(verified) = read.verified_content(signer) {
            assert_eq!(verified, content);
        }
    }
    if let Ok(read) = DetachedSignature::from_der(bytes) {
        kinds += 1;
        assert_one_form(
            &read,
            DetachedSignature::to_der,
            DetachedSignature::from_der,
        );
        assert!(read.verify(b"another content", signer).is_err());
    }
    if let Ok(read) = EnvelopedData::from_der(bytes) {
        kinds += 1;
        assert_one_form(&read, EnvelopedData::to_der, EnvelopedData::from_der);
        let _content = wait(read.open_unauthenticated(recipient, key));
    }
    if let Ok(read) = SignedAndEnvelopedData::from_der(bytes) {
        kinds += 1;
        assert_one_form(
            &read,
            SignedAndEnvelopedData::to_der,
            SignedAndEnvelopedData::from_der,
        );
        if let Ok(opened) = wait(read.open(recipient, key, signer)) {
            assert_eq!(&*opened, content);
        }
    }
    assert!(kinds <= 1, "a message is of one kind");
    kinds == 1
}

/// What is written can be read, and is then written alike.
fn assert_one_form<T>(
    value: &T,
    write: impl Fn(&T) -> Result<Vec<u8>, crypto::Error>,
    read: impl Fn(&[u8]) -> Result<T, crypto::Error>,
) {
    let written = write(value).expect("what was read can be written");
    let again = read(&written).expect("what was written can be read");
    assert_eq!(write(&again), Ok(written));
}

/// A `SubjectPublicKeyInfo`: one form, and the same key by every way.
pub(crate) fn public_key(bytes: &[u8]) -> bool {
    let Ok(read) = PublicKey::from_spki_der(bytes) else {
        return false;
    };
    assert_eq!(read.to_spki_der(), bytes);
    assert_eq!(PublicKey::from_sec1(&read.to_sec1()).as_ref(), Ok(&read));
    assert_eq!(read.to_string().parse().as_ref(), Ok(&read));
    true
}

/// A private key in PKCS#8: what is written of it is the same key.
pub(crate) fn secret_key(bytes: &[u8]) -> bool {
    let Ok(read) = SecretKey::from_pkcs8_der(bytes) else {
        return false;
    };
    let written = read.to_pkcs8_der().expect("what was read can be written");
    let again = SecretKey::from_pkcs8_der(&written).expect("what was written can be read");
    assert_eq!(again.public(), read.public());
    true
}

/// A wrapped secret: it opens to what was wrapped or not at all.
pub(crate) fn wrap(bytes: &[u8]) -> bool {
    match SECRET.unwrap(bytes) {
        Ok(secret) => {
            assert_eq!(**secret, *b"secret", "a wrap was changed and still opens");
            true
        }
        Err(_) => false,
    }
}

/// A key file: what is written of it is the same file, and no change of it opens.
pub(crate) fn key_file(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let Ok(read) = KeyFile::from_json(text) else {
        return false;
    };
    let written = read.to_json().expect("what was read can be written");
    assert_eq!(KeyFile::from_json(&written).as_ref(), Ok(&read));
    // More rounds would only be slower.
    if written.contains("\"iterations\": 1000,") || written.contains("\"iterations\":1000,") {
        let opened = read.open(PASSPHRASE);
        if let Ok(key) = &opened {
            assert_eq!(key.public(), read.public());
        }
    }
    true
}

/// A password's hash as accounts keep it: one form.
pub(crate) fn password_hash(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let Ok(read) = text.parse::<PasswordHash>() else {
        return false;
    };
    assert_eq!(read.to_string(), text);
    true
}

/// What stands in records as text: one form each.
pub(crate) fn texts(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let forms = [
        text.parse().map(|read: Digest| read.to_string()),
        text.parse().map(|read: KeyId| read.to_string()),
        text.parse().map(|read: PublicKey| read.to_string()),
        text.parse().map(|read: Signature| read.to_string()),
        text.parse().map(|read: Suites| read.to_string()),
    ];
    let mut valid = false;
    for form in forms.into_iter().flatten() {
        assert_eq!(form, text);
        valid = true;
    }
    valid
}

/// Both kinds of Merkle proofs: no size makes a check endless, and nothing shows two roots.
pub(crate) fn merkle_proof(bytes: &[u8]) -> bool {
    let (leaf, root) = (Digest::of(b"a leaf"), Digest::of(b"no root"));
    if let Ok(proof) = serde_json::from_slice::<InclusionProof>(bytes) {
        assert!(proof.path.is_empty() || proof.verify(&leaf, &root).is_err());
        let written = serde_json::to_vec(&proof).expect("what was read can be written");
        assert_eq!(
            serde_json::from_slice::<InclusionProof>(&written).ok(),
            Some(proof)
        );
        return true;
    }
    if let Ok(proof) = serde_json::from_slice::<ConsistencyProof>(bytes) {
        let same = proof.old_size == proof.new_size || proof.old_size == 0;
        assert!(same || proof.verify(&leaf, &root).is_err());
        let written = serde_json::to_vec(&proof).expect("what was read can be written");
        assert_eq!(
            serde_json::from_slice::<ConsistencyProof>(&written).ok(),
            Some(proof)
        );
        return true;
    }
    false
}

/// The start of a sealed stream: one form, and its sender's only if unchanged.
pub(crate) fn sealed_header(bytes: &[u8]) -> bool {
    let Ok(read) = SealedHeader::from_bytes(bytes) else {
        return false;
    };
    assert_eq!(read.to_bytes().as_deref(), Ok(bytes));
    let parameters = read.unverified_parameters().expect("it was read");
    if let Ok(verified) = read.verify(STREAM.sender.public()) {
        assert_eq!(verified, parameters);
        assert_eq!(
            read, STREAM.header,
            "a header was changed and still verifies"
        );
        wait(Opener::start(
            &read,
            STREAM.sender.public(),
            &STREAM.recipient,
        ))
        .expect("it opens");
    }
    true
}

/// One chunk of a sealed stream: it opens to what was sealed or not at all.
pub(crate) fn sealed_chunk(bytes: &[u8]) -> bool {
    let opener = wait(Opener::start(
        &STREAM.header,
        STREAM.sender.public(),
        &STREAM.recipient,
    ))
    .expect("the sample opens");
    match opener.open_chunk(0, bytes.to_vec()) {
        Ok(plain) => {
            assert_eq!(bytes, STREAM.chunk, "a chunk was changed and still opens");
            assert_eq!(plain, STREAM.plain);
            true
        }
        Err(_) => false,
    }
}

/// The end of a sealed stream: one form, and its sender's only if unchanged.
pub(crate) fn sealed_trailer(bytes: &[u8]) -> bool {
    let Ok(read) = SealedTrailer::from_bytes(bytes) else {
        return false;
    };
    assert_eq!(read.to_bytes().as_deref(), Ok(bytes));
    if read.verify(STREAM.sender.public()).is_ok() {
        assert_eq!(
            read, STREAM.trailer,
            "a trailer was changed and still verifies"
        );
    }
    true
}

/// The texts that hold certificates and keys for TLS.
pub(crate) fn tls_pem(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let roots = TlsRoots::from_pem(text);
    let listed = TLS.roots.clone().with_revocations(text);
    let authority = TlsAuthority::from_pem(text, text);
    let identity = TlsIdentity::from_pem(text);
    if let Ok(identity) = &identity {
        let written = identity.to_pem().expect("what was read can be written");
        let again = TlsIdentity::from_pem(&written).expect("what was written can be read");
        assert_eq!(again.chain(), identity.chain());
        assert_eq!(again.spki_digest(), identity.spki_digest());
        let _configured = client_config(&TLS.roots, Some(identity), &[]);
    }
    roots.is_ok() || listed.is_ok() || authority.is_ok() || identity.is_ok()
}

/// A revocation list in DER, up to the configuration that enforces it.
pub(crate) fn revocation_list(bytes: &[u8]) -> bool {
    let text = pem("X509 CRL", bytes);
    let Ok(roots) = TLS.roots.clone().with_revocations(&text) else {
        return false;
    };
    client_config(&roots, None, &[]).is_ok()
}

/// A certificate of a peer in a handshake: it gets in only unchanged.
pub(crate) fn peer_certificate(bytes: &[u8]) -> bool {
    let text = [pem("CERTIFICATE", bytes), TLS.client_key.clone()].concat();
    let Ok(identity) = TlsIdentity::from_pem(&text) else {
        return false;
    };
    let Ok(client) = client_config(&TLS.roots, Some(&identity), &[]) else {
        return false;
    };
    let (mut client, mut server) = (Tls::client_with(client), TLS.server());
    let outcome = shake_hands(&mut client, &mut server);
    if outcome.is_ok() {
        assert_eq!(
            bytes, TLS.client_certificate,
            "a certificate was changed and still gets in"
        );
    }
    outcome.is_ok()
}

/// Bytes that a client sends first to a server.
pub(crate) fn tls_to_server(bytes: &[u8]) -> bool {
    let mut server = TLS.server();
    let mut rest = bytes;
    while !rest.is_empty() {
        let taken = server.read_tls(&mut rest);
        if taken.is_err() || server.process_new_packets().is_err() {
            return false;
        }
    }
    assert!(
        server.is_handshaking(),
        "one flight of a client is not enough"
    );
    true
}

/// Bytes that a server sends first to a client, who takes them for an answer to itself.
pub(crate) fn tls_to_client(bytes: &[u8]) -> bool {
    // The session identifier, RFC 8446 section 4.1.3: the same place in both hellos.
    const ECHO: std::ops::Range<usize> = 44..76;
    let mut client = TLS.client();
    let hello = first_flight(&mut client);
    let mut answer = bytes.to_vec();
    if let Some(echo) = answer.get_mut(ECHO) {
        echo.copy_from_slice(&hello[ECHO]);
    }
    let mut rest = answer.as_slice();
    while !rest.is_empty() {
        let taken = client.read_tls(&mut rest);
        if taken.is_err() || client.process_new_packets().is_err() {
            return false;
        }
    }
    assert!(
        client.is_handshaking(),
        "what follows was sealed for another client"
    );
    true
}

/// Records after a handshake: nothing that was not sealed for the connection comes out of it.
pub(crate) fn tls_records(bytes: &[u8]) -> bool {
    let (mut client, mut server) = (TLS.client(), TLS.server());
    shake_hands(&mut client, &mut server).expect("the samples shake hands");
    let mut rest = bytes;
    while !rest.is_empty() {
        let taken = server.read_tls(&mut rest);
        match server.process_new_packets() {
            Ok(state) => assert_eq!(state.plaintext_bytes_to_read(), 0),
            Err(_) => return false,
        }
        if taken.is_err() {
            return false;
        }
    }
    true
}
