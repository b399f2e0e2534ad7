//! `kouan`, the node: `init`, `serve`, `check`, `demo`.
//!
//! It does not hold logic: it parses arguments, calls the library and turns errors into an exit
//! code.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program speaks to its user"
)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use schemas::participant::ParticipantKind;
use schemas::{Jurisdiction, LocalText, Timestamp};
use server::config::Config;
use server::{Error, Listen, Listeners, Node, Settings, demo, init};

/// 口岸 kouan: the exchange and governance node.
#[derive(Parser)]
#[command(version, about, after_help = "Example: kouan demo")]
struct Arguments {
    #[command(subcommand)]
    command: Commands,
}

#[derive(Subcommand)]
enum Commands {
    /// Make a node's directory: keys, certificates, first persons, configuration.
    #[command(after_help = "Example: kouan init --dir /var/lib/kouan --node gd-1 \
        --participant gd.province --name-zh 广东省 --name-en Guangdong")]
    Init(Init),
    /// Run the node of a configuration file until SIGINT or SIGTERM.
    #[command(after_help = "Example: kouan serve --config /var/lib/kouan/kouan.toml")]
    Serve {
        /// The configuration file.
        #[arg(long, env = "KOUAN_CONFIG")]
        config: PathBuf,
    },
    /// Check a configuration: print the effective settings and open every key, start nothing.
    #[command(after_help = "Example: kouan check --config /var/lib/kouan/kouan.toml")]
    Check {
        /// The configuration file.
        #[arg(long, env = "KOUAN_CONFIG")]
        config: PathBuf,
    },
    /// Three agencies on this machine publish, request, approve, transfer, refuse and prove.
    #[command(after_help = "Example: kouan demo --data ../shared/data --lang zh")]
    Demo(demo::Options),
}

#[derive(clap::Args)]
struct Init {
    /// An empty or new directory.
    #[arg(long)]
    dir: PathBuf,
    /// Identifier of the node.
    #[arg(long)]
    node: String,
    /// Identifier of the participant that it acts for.
    #[arg(long)]
    participant: String,
    /// The participant's Chinese name.
    #[arg(long)]
    name_zh: String,
    /// The participant's English name.
    #[arg(long)]
    name_en: String,
    /// What the participant is in law: STATE_ORGAN, AUTHORISED_ORGANISATION or ENTERPRISE.
    #[arg(long, default_value = "STATE_ORGAN", value_parser = parse_kind)]
    kind: ParticipantKind,
    /// Address of the Raft listener; the other three take the next ports.
    #[arg(long, default_value = "127.0.0.1:7401")]
    listen: SocketAddr,
    /// Names or addresses under which others call this node.
    #[arg(long = "host", default_value = "localhost")]
    hosts: Vec<String>,
}

fn parse_kind(text: &str) -> Result<ParticipantKind, String> {
    ParticipantKind::parse(text)
        .ok_or_else(|| "write STATE_ORGAN, AUTHORISED_ORGANISATION or ENTERPRISE".to_owned())
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Commands::Init(arguments) => initialise(&arguments),
        Commands::Serve { config } => serve(&config),
        Commands::Check { config } => check(&config),
        Commands::Demo(options) => demo::run(options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kouan: {error}");
            ExitCode::FAILURE
        }
    }
}

fn now() -> Timestamp {
    use enforcement::Clock as _;
    enforcement::SystemClock::new().now()
}

fn initialise(arguments: &Init) -> Result<(), Error> {
    let port = |offset: u16| {
        let mut address = arguments.listen;
        address.set_port(address.port().saturating_add(offset));
        address
    };
    let plan = init::Plan {
        node: arguments.node.clone(),
        raft_number: 1,
        participant: arguments.participant.clone(),
        name: LocalText::new(&*arguments.name_zh, &*arguments.name_en),
        kind: arguments.kind,
        jurisdiction: Jurisdiction::MAINLAND,
        listen: Listen {
            catalog: port(0),
            data: port(1),
            admin: port(2),
            operations: port(3),
        },
        hosts: arguments.hosts.clone(),
        now: now(),
    };
    let authority = init::create_authority(&arguments.dir.join("authority"), plan.now)?;
    let prepared = init::prepare(&arguments.dir, &plan, &authority)?;
    init::write_founding(&prepared, plan.now)?;
    println!("made {}", prepared.dir.display());
    println!("  configuration  {}", prepared.config.display());
    for person in &prepared.persons {
        println!(
            "  {:<55} {}",
            person.record.id.as_str(),
            person.key_file.display()
        );
    }
    println!("\nBefore others rely on this node:");
    println!(
        "  1. give each key file under persons/ to its person, and its passphrase separately;"
    );
    println!("  2. move authority/authority.key.pem off this machine;");
    println!("  3. move keys/passphrase to where only the service can read it.");
    println!("\nNext: kouan serve --config {}", prepared.config.display());
    Ok(())
}

fn log(filter: &str) {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}

fn serve(path: &Path) -> Result<(), Error> {
    let config = Config::read(path)?;
    log(&config.node.log);
    let runtime = runtime()?;
    let served = runtime.block_on(async {
        let settings = Settings::resolve(path, config)?;
        let founding = init::read_founding(&settings.dir)?;
        let listeners = Listeners::bind(&settings.listen).await?;
        let node = Node::start(settings, listeners).await?;
        if let Some(founding) = founding {
            node.found_once(founding).await?;
        }
        let addresses = node.addresses();
        eprintln!("kouan: node {} serves", node.id());
        eprintln!("  REST        https://{}/api/v1", addresses.admin);
        eprintln!("  data plane  https://{}", addresses.data);
        eprintln!("  health      https://{}/readyz", addresses.operations);
        wait_for_signal().await;
        eprintln!("kouan: stopping");
        node.stop().await;
        Ok(())
    });
    // A job that blocks a thread, say in the middle of a large file, is run again after the next
    // start; an operator who stops a node does not wait for it.
    runtime.shutdown_timeout(WORKERS_END_MAX);
    served
}

/// How long threads may go on once the node has stopped: enough to finish a batch of rows.
const WORKERS_END_MAX: Duration = Duration::from_secs(2);

fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::File {
            what: "runtime",
            path: PathBuf::new(),
            why: e.to_string(),
        })
}

async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupt = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            // Without a handler for SIGTERM there is still SIGINT.
            let _ = interrupt.await;
        }
    }
}

fn check(path: &Path) -> Result<(), Error> {
    let config = Config::read(path)?;
    let text = toml::to_string_pretty(&config).map_err(|e| Error::Config {
        path: path.to_owned(),
        why: e.to_string(),
    })?;
    let settings = Settings::resolve(path, config)?;
    println!("{text}");
    println!("# directory          {}", settings.dir.display());
    println!(
        "# node key           {}",
        settings.signing.public().key_id()
    );
    for hosted in settings.hosted.values() {
        println!(
            "# {} signs with    {}",
            hosted.participant,
            hosted.signing.public().key_id()
        );
        println!(
            "# {} opens with    {}",
            hosted.participant,
            hosted.encryption.public().key_id()
        );
    }
    println!(
        "# transport key      {}",
        settings.tls_identity.spki_digest()
    );
    println!("# all keys open; nothing was started");
    Ok(())
}
