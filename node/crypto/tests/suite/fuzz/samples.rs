//! The keys, the sealed stream and the two TLS ends that the targets hold inputs against.
//!
//! It does not make them anew for each input; they are made once a process.

use std::sync::{Arc, LazyLock};

use crypto::envelope::{DetachedSignature, EnvelopedData, SignedAndEnvelopedData, SignedData};
use crypto::seal::{SealedHeader, SealedTrailer, Sealer, StreamParameters};
use crypto::tls::{
    ClientAuth, ClientConfig, ServerConfig, TlsAuthority, TlsIdentity, TlsRoots, client_config,
    server_config,
};
use crypto::{Authority, Certificate, Digest, SecretKey, SoftwareKey, Usage, Validity};
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConnection, ServerConnection};

/// What key files of the samples are under.
pub(crate) const PASSPHRASE: &[u8] = b"correct horse";

/// A key that is the same in each process, so that corpora can be kept.
pub(crate) static SECRET: LazyLock<SecretKey> =
    LazyLock::new(|| SecretKey::from_bytes(&[0x2a; 32]).expect("a scalar in range"));

/// A sealed stream of one chunk.
pub(crate) static STREAM: LazyLock<Stream> = LazyLock::new(|| wait(Stream::seal()));

/// A message of each kind of GM/T 0010.
pub(crate) static ENVELOPES: LazyLock<Envelopes> = LazyLock::new(|| wait(Envelopes::make()));

/// Two members of a ShangMi authority.
pub(crate) static TLS: LazyLock<Tls> = LazyLock::new(Tls::new);

/// Messages of GM/T 0010, who signed them and who may open them.
pub(crate) struct Envelopes {
    pub(crate) signer: Certificate,
    pub(crate) recipient: Certificate,
    pub(crate) key: SoftwareKey,
    pub(crate) content: Vec<u8>,
    pub(crate) messages: [Vec<u8>; 4],
}

impl Envelopes {
    async fn make() -> Self {
        let validity = Validity::days(1_764_000_000_000, 365);
        let authority = SecretKey::from_bytes(&[0x11; 32])
            .and_then(|key| Authority::create("CA", validity, key))
            .expect("an authority");
        let key_of = |scalar| SoftwareKey::from(SecretKey::from_bytes(&scalar).expect("a key"));
        let (signer_key, key) = (key_of([0x39; 32]), key_of([0x5b; 32]));
        let issue = |name, key: &SoftwareKey, usage| {
            authority
                .issue(name, key.public(), usage, validity)
                .expect("a certificate")
        };
        let signer = issue("signer", &signer_key, Usage::Sign);
        let recipient = issue("recipient", &key, Usage::Encrypt);
        let content = b"three containers of lamps, one of oil".to_vec();
        let to = std::slice::from_ref(&recipient);
        let signed = SignedData::sign(content.clone(), &signer, &signer_key).await;
        let detached = DetachedSignature::sign(&content, &signer, &signer_key).await;
        let both = SignedAndEnvelopedData::seal(&content, to, &signer, &signer_key).await;
        let messages = [
            signed.and_then(|it| it.to_der()),
            detached.and_then(|it| it.to_der()),
            EnvelopedData::seal(&content, to).and_then(|it| it.to_der()),
            both.and_then(|it| it.to_der()),
        ];
        Self {
            messages: messages.map(|it| it.expect("a message")),
            signer,
            recipient,
            key,
            content,
        }
    }
}

/// A sealed stream and who may open it.
pub(crate) struct Stream {
    pub(crate) sender: SoftwareKey,
    pub(crate) recipient: SoftwareKey,
    pub(crate) header: SealedHeader,
    pub(crate) chunk: Vec<u8>,
    pub(crate) trailer: SealedTrailer,
    pub(crate) plain: Vec<u8>,
}

impl Stream {
    async fn seal() -> Self {
        let sender = SoftwareKey::generate().expect("random bytes");
        let recipient = SoftwareKey::generate().expect("random bytes");
        let plain = b"rows".repeat(25);
        let parameters = StreamParameters {
            stream_id: [7; 16],
            schema: Digest::of(b"schema"),
            policy: Digest::of(b"policy"),
            plain_bytes: plain.len() as u64,
            created_at_ms: 1_764_000_000_000,
            context: b"release 7".to_vec(),
        };
        let recipients = [recipient.public().clone(), sender.public().clone()];
        let (sealer, header) = Sealer::start(parameters, &recipients, &sender)
            .await
            .expect("the stream starts");
        let chunk = sealer.seal_chunk(0, plain.clone()).expect("it seals");
        let trailer = sealer.finish(&sender).await.expect("it ends");
        Self {
            sender,
            recipient,
            header,
            chunk,
            trailer,
            plain,
        }
    }
}

/// Both ends' configurations, and what they are made of.
pub(crate) struct Tls {
    pub(crate) roots: TlsRoots,
    pub(crate) revocations: String,
    pub(crate) authority: String,
    pub(crate) identity: String,
    pub(crate) client_certificate: Vec<u8>,
    pub(crate) client_key: String,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Tls {
    fn new() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now_ms = now.map_or(0, |it| i64::try_from(it.as_millis()).unwrap_or(0));
        let validity = Validity::days(now_ms - 3_600_000, 2);
        let authority = TlsAuthority::create_shangmi("CA", validity).expect("an authority");
        let issue = |name| {
            TlsIdentity::issue(&authority, name, &["localhost"], validity).expect("an identity")
        };
        let (server, client) = (issue("server"), issue("client"));
        let roots = authority.roots().expect("roots");
        let revocations = authority.revocation_list(1, &server.chain()[..1], validity);
        let identity = client.to_pem().expect("PEM").to_string();
        let key_at = identity.find("-----BEGIN PRIVATE KEY").expect("a key");
        let asked = ClientAuth::Required(&roots);
        Self {
            revocations: revocations.expect("a list"),
            authority: [
                authority.certificate_pem().expect("PEM"),
                authority.key_pem().expect("PEM").to_string(),
            ]
            .concat(),
            client_certificate: client.chain()[0].to_vec(),
            client_key: identity[key_at..].to_owned(),
            client: client_config(&roots, Some(&client), &[]).expect("a configuration"),
            server: server_config(&server, asked, &[]).expect("a configuration"),
            identity,
            roots,
        }
    }

    /// The revocation list in DER.
    pub(crate) fn revocations_der(&self) -> Vec<u8> {
        let list = rustls::pki_types::CertificateRevocationListDer::from_pem_slice(
            self.revocations.as_bytes(),
        );
        list.expect("a list").to_vec()
    }

    /// A new client before its handshake.
    pub(crate) fn client(&self) -> ClientConnection {
        Self::client_with(Arc::clone(&self.client))
    }

    /// The same of another configuration.
    pub(crate) fn client_with(config: Arc<ClientConfig>) -> ClientConnection {
        let name = ServerName::try_from("localhost").expect("a name");
        ClientConnection::new(config, name).expect("a client")
    }

    /// A new server before its handshake.
    pub(crate) fn server(&self) -> ServerConnection {
        ServerConnection::new(Arc::clone(&self.server)).expect("a server")
    }
}

/// What a client says first.
pub(crate) fn first_flight(client: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).expect("memory takes bytes");
    }
    bytes
}

/// What a server answers to a client's first flight; its hello alone, since the rest is sealed.
pub(crate) fn hello_of_server() -> Vec<u8> {
    let (mut client, mut server) = (TLS.client(), TLS.server());
    let flight = first_flight(&mut client);
    server.read_tls(&mut flight.as_slice()).expect("memory");
    server.process_new_packets().expect("a client's hello");
    let mut bytes = Vec::new();
    server.write_tls(&mut bytes).expect("memory takes bytes");
    let length = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
    bytes.truncate(5 + length);
    bytes
}

/// Carries bytes between both ends until they are silent; says how it went for the server.
pub(crate) fn shake_hands(
    client: &mut ClientConnection,
    server: &mut ServerConnection,
) -> Result<(), rustls::Error> {
    loop {
        let (mut up, mut down) = (first_flight(client), Vec::new());
        let mut rest = up.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).expect("memory");
            server.process_new_packets()?;
        }
        while server.wants_write() {
            server.write_tls(&mut down).expect("memory takes bytes");
        }
        let mut rest = down.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).expect("memory");
            client.process_new_packets()?;
        }
        up.append(&mut down);
        if up.is_empty() {
            return Ok(());
        }
    }
}

/// Bytes as PEM.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let body: String = lines.map(|line| format!("{line}\n")).collect();
    format!("-----BEGIN {label}-----\n{body}-----END {label}-----\n")
}

/// Runs a future that does not wait for anything outside.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
        .block_on(future)
}
