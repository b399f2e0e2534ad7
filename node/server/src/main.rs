//! `kouan`, the node: `init`, `ca`, `invite`, `join`, `serve`, `check`, `account`, `restore`,
//! `demo`.
//!
//! It does not hold logic: it parses arguments, calls the library and turns errors into an exit
//! code.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program speaks to its user"
)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use schemas::Timestamp;
use server::config::Config;
use server::{Error, Listeners, Node, Settings, demo, init, operator, signals};

/// Many small allocations that one thread makes and another frees.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    Init(operator::init::Arguments),
    /// Transport certificates: authorities, requests, certificates, revocation lists.
    #[command(
        subcommand,
        after_help = "Example: kouan ca issue --dir authority --request gd-2.csr.pem \
            --out gd-2.cert.pem"
    )]
    Ca(operator::ca::Command),
    /// Invite a node into the federation, on the node that has the authorities' keys.
    #[command(
        after_help = "Example: kouan invite --config /var/lib/kouan/kouan.toml \
        --node sz-1 --participant gd.shenzhen.port --out sz-1.invitation.json"
    )]
    Invite(operator::invite::Invite),
    /// Make a node's directory by an invitation: keys here, certificates from the authority.
    #[command(after_help = "Example: kouan join --invitation sz-1.invitation.json \
        --dir /var/lib/kouan --name-zh 深圳口岸 --name-en Shenzhen --listen 10.1.3.2:7401")]
    Join(operator::invite::Join),
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
    /// Accounts of persons who sign in with a password and a one-time code.
    #[command(
        subcommand,
        after_help = "Example: kouan account list --config kouan.toml"
    )]
    Account(operator::account::Command),
    /// Begin the catalog again from a backup, with this node as its only voter.
    #[command(
        after_help = "Example: kouan restore --config kouan.toml --backup c.backup \
        --key 04..."
    )]
    Restore(operator::restore::Arguments),
    /// Three agencies on this machine publish, request, approve, transfer, refuse and prove.
    #[command(after_help = "Example: kouan demo --data ../shared/data --lang zh")]
    Demo(demo::Options),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Commands::Init(arguments) => operator::init::run(&arguments, now()),
        Commands::Ca(command) => operator::ca::run(&command, now()),
        Commands::Invite(it) => operator::invite::invite(&it, now()),
        Commands::Join(it) => operator::invite::join(&it, now()),
        Commands::Account(command) => operator::account::run(&command),
        Commands::Restore(arguments) => operator::restore::run(arguments),
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
        let settings = Settings::resolve(path, config).await?;
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
        signals::wait().await;
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

fn check(path: &Path) -> Result<(), Error> {
    let config = Config::read(path)?;
    let text = toml::to_string_pretty(&config).map_err(|e| Error::Config {
        path: path.to_owned(),
        why: e.to_string(),
    })?;
    let settings = runtime()?.block_on(Settings::resolve(path, config))?;
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
    for shown in settings.tls.certificates() {
        let (family, key, end) = (shown.family, shown.key, shown.not_after);
        println!("# transport key      {key} ({family}, until {end})");
        if let Some(days) = shown.due(now()) {
            println!("#   it ends in {days} days or less: kouan ca request begins a new one");
        }
    }
    println!("# all keys open; nothing was started");
    Ok(())
}
