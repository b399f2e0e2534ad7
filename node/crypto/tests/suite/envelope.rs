//! GM/T 0010 messages: round trips, messages of other makers, and everything that is no message.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests end them when something does not work"
)]

mod detached;
mod interop;
mod refusals;
mod vectors;

use crypto::envelope::{DetachedSignature, EnvelopedData, SignedAndEnvelopedData, SignedData};
use crypto::{Authority, Certificate, Error, SecretKey, SoftwareKey, Usage, Validity};
use proptest::prelude::*;

const START_MS: i64 = 1_764_000_000_000;
const SIGNER_SCALAR: [u8; 32] = [0x39; 32];
const RECIPIENT_SCALAR: [u8; 32] = [0x5b; 32];

/// Who signs and who reads, with keys that a test can write down.
struct Parties {
    authority: Authority,
    signer: Certificate,
    signer_key: SoftwareKey,
    recipient: Certificate,
    recipient_key: SoftwareKey,
}

fn key(scalar: [u8; 32]) -> SoftwareKey {
    match SecretKey::from_bytes(&scalar) {
        Ok(key) => key.into(),
        Err(error) => panic!("no key: {error}"),
    }
}

impl Parties {
    fn new() -> Self {
        let made = SecretKey::generate()
            .and_then(|key| Authority::create("home", Validity::days(START_MS, 3_650), key));
        let authority = made.unwrap_or_else(|error| panic!("no authority: {error}"));
        let (signer_key, recipient_key) = (key(SIGNER_SCALAR), key(RECIPIENT_SCALAR));
        let issue = |name, key: &SoftwareKey, usage| {
            let issued =
                authority.issue(name, key.public(), usage, Validity::days(START_MS, 3_650));
            issued.unwrap_or_else(|error| panic!("no certificate: {error}"))
        };
        Self {
            signer: issue("signer", &signer_key, Usage::Sign),
            recipient: issue("recipient", &recipient_key, Usage::Encrypt),
            authority,
            signer_key,
            recipient_key,
        }
    }

    async fn sign(&self, content: &[u8]) -> Vec<u8> {
        let signed = SignedData::sign(content.to_vec(), &self.signer, &self.signer_key).await;
        signed.and_then(|it| it.to_der()).unwrap_or_default()
    }

    async fn sign_detached(&self, content: &[u8]) -> Vec<u8> {
        let signed = DetachedSignature::sign(content, &self.signer, &self.signer_key).await;
        signed.and_then(|it| it.to_der()).unwrap_or_default()
    }

    fn seal(&self, content: &[u8]) -> Vec<u8> {
        let sealed = EnvelopedData::seal(content, std::slice::from_ref(&self.recipient));
        sealed.and_then(|it| it.to_der()).unwrap_or_default()
    }

    async fn seal_both(&self, content: &[u8]) -> Vec<u8> {
        let recipients = std::slice::from_ref(&self.recipient);
        let (signer, key) = (&self.signer, &self.signer_key);
        let sealed = SignedAndEnvelopedData::seal(content, recipients, signer, key).await;
        sealed.and_then(|it| it.to_der()).unwrap_or_default()
    }

    async fn open(&self, message: &EnvelopedData) -> Result<Vec<u8>, Error> {
        let opened = message.open_unauthenticated(&self.recipient, &self.recipient_key);
        opened.await.map(|content| content.to_vec())
    }

    async fn open_both(&self, message: &SignedAndEnvelopedData) -> Result<Vec<u8>, Error> {
        let opened = message.open(&self.recipient, &self.recipient_key, &self.signer);
        opened.await.map(|content| content.to_vec())
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    match tokio::runtime::Builder::new_current_thread().build() {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => panic!("no runtime: {error}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_is_put_in_comes_out(content in prop::collection::vec(any::<u8>(), 0..400)) {
        let parties = Parties::new();
        block_on(async {
            let encoded = parties.sign(&content).await;
            let message = SignedData::from_der(&encoded).unwrap();
            prop_assert_eq!(message.verified_content(&parties.signer), Ok(&content[..]));
            prop_assert_eq!(message.to_der().unwrap(), encoded);
            let encoded = parties.seal(&content);
            let message = EnvelopedData::from_der(&encoded).unwrap();
            prop_assert_eq!(parties.open(&message).await, Ok(content.clone()));
            prop_assert_eq!(message.to_der().unwrap(), encoded);
            let encoded = parties.seal_both(&content).await;
            let message = SignedAndEnvelopedData::from_der(&encoded).unwrap();
            prop_assert_eq!(parties.open_both(&message).await, Ok(content.clone()));
            prop_assert_eq!(message.to_der().unwrap(), encoded);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn every_recipient_opens_it_and_nobody_else() {
    let parties = Parties::new();
    let keys: Vec<SoftwareKey> = (1..=16).map(|at| key([at; 32])).collect();
    let issue = |key: &SoftwareKey| {
        let validity = Validity::days(START_MS, 1);
        let issued = parties
            .authority
            .issue("one of many", key.public(), Usage::Encrypt, validity);
        issued.unwrap()
    };
    let certificates: Vec<Certificate> = keys.iter().map(issue).collect();
    let sealed = EnvelopedData::seal(b"for all", &certificates).unwrap();
    let message = EnvelopedData::from_der(&sealed.to_der().unwrap()).unwrap();
    for (certificate, key) in certificates.iter().zip(&keys) {
        let opened = message.open_unauthenticated(certificate, key).await;
        assert_eq!(**opened.unwrap(), *b"for all");
    }
    let stranger = parties.recipient.key_id();
    let outcome = parties.open(&message).await;
    assert_eq!(outcome, Err(Error::NotARecipient { key: stranger }));

    let too_many = [&certificates[..], &certificates[..1]].concat();
    let limit = Error::LimitExceeded {
        what: "recipients",
        limit: 16,
        found: 17,
    };
    assert_eq!(EnvelopedData::seal(b"", &too_many).err(), Some(limit));
}

/// Signed first and then encrypted, which a reader need not know: the content is the message.
#[tokio::test]
async fn signed_data_travel_inside_an_envelope() {
    let parties = Parties::new();
    let signed = parties.sign(b"manifest").await;
    let envelope = EnvelopedData::from_der(&parties.seal(&signed)).unwrap();
    let inside = SignedData::from_der(&parties.open(&envelope).await.unwrap()).unwrap();
    assert_eq!(
        inside.verified_content(&parties.signer),
        Ok(&b"manifest"[..])
    );
}

#[tokio::test]
async fn messages_of_gmssl_and_openssl_open() {
    let content = b"three containers of lamps, one of oil";
    let decode = |text| hex::decode(text).unwrap();
    let read = |text| Certificate::from_der(&decode(text)).unwrap();
    let mut parties = Parties::new();
    parties.signer = read(vectors::SIGNER);
    parties.recipient = read(vectors::RECIPIENT);
    for signed in [vectors::SIGNED, vectors::PLAIN] {
        let message = SignedData::from_der(&decode(signed)).unwrap();
        assert_eq!(message.verified_content(&parties.signer), Ok(&content[..]));
    }
    let message = EnvelopedData::from_der(&decode(vectors::ENVELOPED)).unwrap();
    assert_eq!(parties.open(&message).await.unwrap(), content);
    let message = SignedAndEnvelopedData::from_der(&decode(vectors::BOTH)).unwrap();
    assert_eq!(parties.open_both(&message).await.unwrap(), content);
}

/// Two envelopes that CFCA's toolkit made, with the certificates and keys that they are for: from
/// the test `TestOpenEnvelopedMessageWithSubjectKeyID` in pkcs7/envelope_test.go of
/// github.com/emmansun/gmsm (MIT licence). Recipients are named by subject key identifier, in the
/// second case without one in the certificate, and the cipher is SM4 without a mode.
#[tokio::test]
async fn envelopes_of_cfca_open() {
    for (certificate, scalar, message) in CFCA {
        let lines = |text: &str| text.replace([' ', '\n'], "");
        let decode = |text: &str| {
            let engine = base64::engine::general_purpose::STANDARD;
            base64::Engine::decode(&engine, lines(text)).unwrap()
        };
        let certificate = Certificate::from_der(&decode(certificate)).unwrap();
        let scalar: [u8; 32] = hex::decode(scalar).unwrap().try_into().unwrap();
        let message = EnvelopedData::from_der(&decode(message)).unwrap();
        let opened = message
            .open_unauthenticated(&certificate, &key(scalar))
            .await;
        assert_eq!(**opened.unwrap(), *b"Hello World!");
    }
}

const CFCA: [(&str, &str, &str); 2] = [
    (
        "MIIBuDCCAV+gAwIBAgIFAJFSEacwCgYIKoEcz1UBg3UwKTEQMA4GA1UEChMHQWNtZSBDbzEVMBMGA1UEAxMM
         RWRkYXJkIFN0YXJrMB4XDTI0MTExODA3MzE0NVoXDTI1MTExODA3MzE0NlowJTEQMA4GA1UEChMHQWNtZSBD
         bzERMA8GA1UEAxMISm9uIFNub3cwWTATBgcqhkjOPQIBBggqgRzPVQGCLQNCAASghjdohTwJilIskjwM8cCu
         jIxcaZ4t1PdRE3TSihbfnifJF+q55qR88pC+SJwl6U2Wpr5sz4TOmmrPp6437oazo3gwdjAOBgNVHQ8BAf8E
         BAMCAqQwEwYDVR0lBAwwCgYIKwYBBQUHAwQwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQU0M8ZE1AABLJj
         OnDM8sjQ/Z8dsPYwHwYDVR0jBBgwFoAUZOzkEm2S511/1i/JnKEe7DrX1U0wCgYIKoEcz1UBg3UDRwAwRAIg
         GvXkxK+XHv1BCzwKwmR598C8TL3ocRWawh3AroRj9eACIAW6aRyqEsv44if5qO9vlfgreODvheM60r948JI2
         OvMW",
        "f043481ce3ba1332cc266ae795f2a41f100e52e47ee560de15d9e014acab35c9",
        "MIH9BgoqgRzPVQYBBAIDoIHuMIHrAgECMYGoMIGlAgECgBTQzxkTUAAEsmM6cMzyyND9nx2w9jANBgkqgRzP
         VQGCLQMFAAR7MHkCIBKzH9XkTn+cOb8SGcXPk//8pRFCn13W+AQiZyb9/R53AiEA5U4c+efh30mWd2sXtE1+
         MrvUUSg8X4nu+VKRze5Oq3gEIFi6CF7AXjFgt4t7TVxpn0uLMrz3HljWDKkIqsYNOCzsBBB2NSP32EJPrw+r
         CzO2z408MDsGCiqBHM9VBgEEAgEwGwYHKoEcz1UBaAQQb88RbJjqyynzqbSgUpQMaYAQrwVyRbByCMGE5zrb
         o6EwAg==",
    ),
    (
        "MIIBiDCCAS6gAwIBAgIENWipfDAKBggqgRzPVQGDdTApMRAwDgYDVQQKEwdBY21lIENvMRUwEwYDVQQDEwxF
         ZGRhcmQgU3RhcmswHhcNMjQxMTE5MDIyNzE4WhcNMjUxMTE5MDIyNzE5WjAlMRAwDgYDVQQKEwdBY21lIENv
         MREwDwYDVQQDEwhKb24gU25vdzBZMBMGByqGSM49AgEGCCqBHM9VAYItA0IABJFW5KAFkKFMMdCnRg7B6ntw
         SqRRrmcyelmENz3ZXGDj0TcGCuScOCgtMQOFZTwGeu7TlLd1L6tRrh6rFStuv+2jSDBGMA4GA1UdDwEB/wQE
         AwIFoDATBgNVHSUEDDAKBggrBgEFBQcDBDAfBgNVHSMEGDAWgBQVt+9uB19T4yA+R34KmqNXHI4SLTAKBggq
         gRzPVQGDdQNIADBFAiEA+cvUlTDEYdqxaqvj1LNNxGpoYBEfAuQlKoK+xuSTVToCIHg8dnm7FTB79Gx4qGK/
         nCgGNqK4Bz90uNf5gvRXF0mU",
        "8f3d7f612401b9fa80ababb603e8e2ae977cc171c75e97b0b103b9db1d7d190e",
        "MIH8BgoqgRzPVQYBBAIDoIHtMIHqAgECMYGnMIGkAgECgBS2m2LapHwibk3oObGg5+JRDnDKPDANBgkqgRzP
         VQGCLQMFAAR6MHgCIFQQZYPJVXnSibUq87DKTMoHcLLMbrCBPz3RF/3Vp9AZAiAkETF7Gbyv3cg7vt48qPoP
         s4HH4TDRjpgiQk+8oPCmqAQgImgG5JOVBU3aoxeSCotYs3cUwAzWZyEi9pxQY2+3znIEEF0zrswN4wdXae/S
         elQURmgwOwYKKoEcz1UGAQQCATAbBgcqgRzPVQFoBBAZJrpOlPlWo4VvWEpHkGfDgBAV4QgsbZcB/rIV1btr
         G0yq",
    ),
];
