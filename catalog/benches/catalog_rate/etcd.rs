//! Three members of etcd with TLS on every port, as child processes that end with the benchmark.
//!
//! It does not install anything.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::kv::PutRequest;
use super::{Values, Wire};
use crate::raft_world::now;

/// As long as our values.
const VALUE_BYTES: usize = 1_024;

/// The members.
pub(crate) struct Members {
    children: Vec<Child>,
    clients: Vec<SocketAddr>,
}

impl Members {
    /// Starts them with certificates of the clients' authority; none without the program.
    pub(crate) fn start(wire: &Wire) -> Option<Self> {
        let version = Command::new("etcd").arg("--version").output().ok()?;
        let version = String::from_utf8_lossy(&version.stdout).into_owned();
        println!("{}", version.lines().next().unwrap_or("etcd"));
        let dir = wire.dir.path();
        let roots = dir.join("roots.pem");
        let authority = wire.authority.certificate_pem().expect("a PEM text");
        std::fs::write(&roots, authority).expect("write the roots");
        let ports: Vec<SocketAddr> = (0..6).map(|_| free_port()).collect();
        let (clients, peers) = ports.split_at(3);
        let all: Vec<String> = peers
            .iter()
            .enumerate()
            .map(|(at, peer)| format!("m{at}=https://{peer}"))
            .collect();
        let mut children = Vec::new();
        for at in 0..3 {
            let identity = wire.identity(&format!("etcd-{at}"));
            let pem = dir.join(format!("etcd-{at}.pem"));
            std::fs::write(&pem, identity.to_pem().expect("a PEM text").as_bytes())
                .expect("write an identity");
            let (client, peer) = (
                format!("https://{}", clients[at]),
                format!("https://{}", peers[at]),
            );
            let mut command = Command::new("etcd");
            command
                .args(["--name", &format!("m{at}")])
                .arg("--data-dir")
                .arg(dir.join(format!("etcd-{at}")))
                .args(["--listen-client-urls", &client])
                .args(["--advertise-client-urls", &client])
                .args(["--listen-peer-urls", &peer])
                .args(["--initial-advertise-peer-urls", &peer])
                .args(["--initial-cluster", &all.join(",")])
                .args(["--client-cert-auth", "--peer-client-cert-auth"])
                .args(["--log-level", "error", "--logger", "zap"])
                .args(["--quota-backend-bytes", "8589934592"]);
            for side in ["", "peer-"] {
                command.arg(format!("--{side}cert-file")).arg(&pem);
                command.arg(format!("--{side}key-file")).arg(&pem);
                command.arg(format!("--{side}trusted-ca-file")).arg(&roots);
            }
            command.stdout(Stdio::null()).stdin(Stdio::null());
            children.push(command.spawn().expect("start etcd"));
        }
        let members = Self {
            children,
            clients: clients.to_vec(),
        };
        members.wait();
        Some(members)
    }

    /// Where clients write.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.clients
    }

    /// A member opens its client port when it has found the others; a leader follows soon.
    fn wait(&self) {
        let begun = Instant::now();
        for address in &self.clients {
            while std::net::TcpStream::connect(address).is_err() {
                assert!(begun.elapsed() < Duration::from_secs(30), "etcd starts");
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        std::thread::sleep(Duration::from_secs(2));
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended by itself.
            let _ended = child.kill();
            let _status = child.wait();
        }
    }
}

/// New keys for each client, without end.
pub(crate) fn values(clients: usize) -> Vec<Values> {
    let round = now().millis();
    let of = |client: usize| -> Values {
        Box::new((0_u64..).map(move |number| PutRequest {
            key: format!("{round}-{client}-{number}").into(),
            value: vec![b'x'; VALUE_BYTES].into(),
        }))
    };
    (0..clients).map(of).collect()
}

fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address")
}
