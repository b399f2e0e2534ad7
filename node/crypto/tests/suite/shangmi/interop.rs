//! Live handshakes with OpenSSL 4, both ways, with and without client certificates.
//!
//! It is ignored by default, because it fetches two packages from PyPI (pyOpenSSL and the
//! `cryptography` wheel, which holds OpenSSL) into an environment of its own below the target
//! folder. Run it with `cargo test -p crypto --test suite -- --ignored openssl`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};

use crypto::tls::shangmi;
use crypto::tls::{
    ClientAuth, ClientConfig, ServerConfig, TlsAuthority, TlsIdentity, client_config, server_config,
};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConnection, StreamOwned};

use super::{Members, identity, members, validity};

const PACKAGES: [&str; 2] = ["pyOpenSSL==26.4.0", "cryptography==50.0.2"];
const SUITES: [&str; 2] = ["TLS_SM4_GCM_SM3", "TLS_SM4_CCM_SM3"];

/// The interpreter of an environment with the packages, made once.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rfc8998-openssl");
        let python = folder.join("bin/python3");
        let imports = || {
            let check = ["-c", "import OpenSSL"];
            let status = Command::new(&python).args(check).status();
            status.is_ok_and(|status| status.success())
        };
        if !imports() {
            let made = Command::new("python3")
                .args(["-m", "venv"])
                .arg(&folder)
                .status();
            assert!(made.unwrap().success(), "python3 -m venv");
            let mut pip = Command::new(&python);
            pip.args(["-m", "pip", "install", "--quiet"]).args(PACKAGES);
            assert!(pip.status().unwrap().success(), "pip install");
        }
        python
    })
}

/// OpenSSL in a process of its own, killed when it is not waited for.
struct OpenSsl {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    _folder: tempfile::TempDir,
}

impl OpenSsl {
    fn start(roots: &TlsAuthority, shown: &TlsIdentity, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let roots = roots.certificate_pem().unwrap();
        std::fs::write(folder.path().join("roots.pem"), roots).unwrap();
        shown.write_new(folder.path().join("identity.pem")).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/rfc8998.py");
        let mut child = Command::new(python())
            .arg(script)
            .arg(arguments[0])
            .arg(folder.path())
            .args(&arguments[1..])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            lines: BufReader::new(child.stdout.take().unwrap()),
            child,
            _folder: folder,
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// Sends content to an OpenSSL server, updates keys in the middle, and wants it back.
fn exchange_as_client(config: Arc<ClientConfig>, port: u16) -> std::io::Result<()> {
    let tcp = TcpStream::connect(("127.0.0.1", port))?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = StreamOwned::new(ClientConnection::new(config, name).unwrap(), tcp);
    let content = vec![0x5a; 500_000];
    stream.write_all(&1_000_000_u32.to_be_bytes())?;
    stream.write_all(&content)?;
    stream.conn.refresh_traffic_keys().unwrap();
    stream.write_all(&content)?;
    stream.flush()?;
    let mut back = vec![0; 1_000_000];
    stream.read_exact(&mut back)?;
    assert!(back.iter().all(|byte| *byte == 0x5a));
    Ok(())
}

/// Serves one OpenSSL client: reads content, updates keys, sends it back.
fn exchange_as_server(config: Arc<ServerConfig>, listener: &TcpListener) -> std::io::Result<()> {
    let (tcp, _) = listener.accept()?;
    let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), tcp);
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut content = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut content)?;
    stream.conn.refresh_traffic_keys().unwrap();
    stream.write_all(&content)?;
    stream.flush()?;
    // Until the client says that it has all.
    let _closed = stream.read(&mut [0]);
    Ok(())
}

fn client(members: &Members, anonymous: bool) -> Arc<ClientConfig> {
    if !anonymous {
        return client_config(&members.roots, Some(&members.client), &[]).unwrap();
    }
    Arc::new(
        ClientConfig::builder_with_provider(shangmi::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(super::records::root_store(members))
            .with_no_client_auth(),
    )
}

#[test]
#[ignore = "fetches OpenSSL from PyPI"]
fn openssl_serves_our_clients() {
    let members = members();
    for suite in SUITES {
        for anonymous in [false, true] {
            let mut arguments = vec!["serve", suite];
            arguments.extend(anonymous.then_some("--anonymous"));
            let mut peer = OpenSsl::start(&members.authority, &members.server, &arguments);
            let port = peer.line().parse().unwrap();
            exchange_as_client(client(&members, anonymous), port).unwrap();
            let name = if anonymous { "-" } else { "client" };
            assert_eq!(peer.line(), format!("ok {suite} {name}"));
        }
    }
}

#[test]
#[ignore = "fetches OpenSSL from PyPI"]
fn our_servers_serve_openssl() {
    let members = members();
    for suite in SUITES {
        for anonymous in [false, true] {
            let clients = match anonymous {
                false => ClientAuth::Required(&members.roots),
                true => ClientAuth::Optional(&members.roots),
            };
            let config = server_config(&members.server, clients, &[]).unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port().to_string();
            let mut arguments = vec!["connect", suite, &port];
            arguments.extend(anonymous.then_some("--anonymous"));
            let mut peer = OpenSsl::start(&members.authority, &members.client, &arguments);
            exchange_as_server(config, &listener).unwrap();
            assert_eq!(peer.line(), format!("ok {suite} server"));
        }
    }
}

#[test]
#[ignore = "fetches OpenSSL from PyPI"]
fn openssl_refuses_our_other_identifier_and_we_refuse_its_other_certificates() {
    let members = members();
    // A signature under the certificate identifier.
    let mut peer = OpenSsl::start(&members.authority, &members.server, &["serve", SUITES[0]]);
    let port = peer.line().parse().unwrap();
    let config = super::refusals::client_with_wrong_identifier(&members);
    assert!(exchange_as_client(config, port).is_err());
    let line = peer.line();
    assert!(line.contains("bad signature"), "{line}");
    // A certificate of another SM2 authority, and one of P-256.
    let other = TlsAuthority::create_shangmi("another CA", validity()).unwrap();
    let p256 = TlsAuthority::create("P-256 CA", validity()).unwrap();
    for (stranger, reason) in [
        (identity(&other, "stranger"), "unknown ca"),
        (identity(&p256, "stranger"), "handshake failure"),
    ] {
        let clients = ClientAuth::Required(&members.roots);
        let config = server_config(&members.server, clients, &[]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let arguments = ["connect", SUITES[0], &port];
        let mut peer = OpenSsl::start(&members.authority, &stranger, &arguments);
        assert!(exchange_as_server(config, &listener).is_err());
        let line = peer.line();
        assert!(line.starts_with("refused"), "{line} instead of {reason}");
    }
}
