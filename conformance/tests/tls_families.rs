//! What TLS each port of a node speaks, and what a configuration that cannot be kept says.
//!
//! The handshakes themselves, both ways and against other stacks, are in the tests of `crypto`.
#![expect(
    clippy::expect_used,
    reason = "a promise that is not kept ends the test"
)]

use std::net::SocketAddr;

use conformance::Cluster;
use crypto::tls::{
    ClientOptions, ClientTls, FALLBACK_PROTOCOL, Family, Resumption, Suites, TlsIdentity,
    client_config, connect,
};
use server::Settings;
use server::config::Config;

/// Which family a client with this policy ends up in; none when it is refused.
fn spoken(cluster: &Cluster, to: SocketAddr, suites: Suites, own: &Own) -> Option<Family> {
    let roots = cluster.federation().authorities.roots().expect("roots");
    let tls = ClientTls::new(ClientOptions {
        suites,
        roots: &roots,
        shangmi: Some(&own.shangmi),
        standard: Some(&own.standard),
        resumption: Resumption::Never,
        alpn: &[b"h2"],
    });
    let tls = tls.expect("a configuration");
    let connected = cluster.run(async move { connect(to, "localhost", tls).await });
    connected.ok().map(|stream| stream.family())
}

struct Own {
    shangmi: TlsIdentity,
    standard: TlsIdentity,
}

fn check(cluster: &Cluster, expected: &[(&str, SocketAddr, [Option<Family>; 3])]) {
    let own = Own {
        shangmi: cluster.identity(0),
        standard: cluster.standard_identity(0),
    };
    for (port, address, families) in expected {
        for (suites, family) in Suites::ALL.into_iter().zip(families) {
            assert_eq!(
                spoken(cluster, *address, suites, &own),
                *family,
                "{port}: a client that is {suites}"
            );
        }
    }
}

#[test]
fn each_port_speaks_what_its_policy_names() {
    let (shangmi, standard) = (Some(Family::ShangMi), Some(Family::Standard));
    let mut cluster = Cluster::start(1);
    let at = cluster.node(0).addresses();
    // A client is, in this order, shangmi-only, shangmi-preferred, standard.
    let both = [shangmi, shangmi, standard];
    check(
        &cluster,
        &[
            ("catalog", at.catalog, [shangmi, shangmi, None]),
            ("data", at.data, both),
            ("admin", at.admin, both),
            ("operations", at.operations, both),
        ],
    );

    // Whoever was talked out of RFC 8998 says so, and is told that it is spoken here.
    let roots = cluster.federation().authorities.roots().expect("roots");
    let downgraded = client_config(&roots, None, &[b"h2", FALLBACK_PROTOCOL]).expect("a client");
    let refused = cluster.run(async { connect(at.admin, "localhost", downgraded).await });
    assert!(refused.is_err(), "a forged alert led to standard TLS");

    cluster.stop(0);
    let path = cluster.member(0).prepared.config.clone();
    let mut config = Config::read(&path).expect("a configuration");
    config.data_plane.suites = Suites::ShangMiOnly;
    config.admin.suites = Suites::Standard;
    let text = toml::to_string(&config).expect("a text");
    std::fs::write(&path, text).expect("write a configuration");
    cluster.restart(0).expect("the node starts");
    check(
        &cluster,
        &[
            ("data", at.data, [shangmi, shangmi, None]),
            ("admin", at.admin, [None, standard, standard]),
        ],
    );
}

#[test]
fn a_policy_without_its_certificate_is_refused_before_anything_starts() {
    let mut cluster = Cluster::start(1);
    cluster.stop(0);
    let path = cluster.member(0).prepared.config.clone();
    let good = Config::read(&path).expect("a configuration");
    let refusal = |change: fn(&mut Config)| {
        let mut config = good.clone();
        change(&mut config);
        match cluster.run(Settings::resolve(&path, config)) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    };
    for (change, says) in [
        (
            (|it| it.tls.shangmi = None) as fn(&mut Config),
            "tls.peers = \"shangmi-only\" needs tls.shangmi, an SM2 certificate",
        ),
        (
            |it| it.tls.standard = None,
            "data-plane.suites = \"shangmi-preferred\" needs tls.standard, a P-256 certificate",
        ),
        (
            |it| std::mem::swap(&mut it.tls.shangmi, &mut it.tls.standard),
            "tls.shangmi needs a certificate with an SM2 key; this is another",
        ),
        (
            |it| it.tls.standard = it.tls.shangmi.clone(),
            "tls.standard needs a certificate with a P-256 key; this is SM2",
        ),
        (|it| it.tls.roots = "tls/shangmi.key".into(), "No such file"),
        (|_| (), ""),
    ] {
        let said = refusal(change);
        assert!(
            said.contains(says) && says.is_empty() == said.is_empty(),
            "{said}"
        );
    }
}
