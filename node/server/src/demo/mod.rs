//! The demonstration: three agencies publish, request, approve, transfer, refuse and prove.
//!
//! It does not fake anything: three nodes with their own directories, keys, TLS, Raft and ledgers
//! meet on loopback, and every step goes through REST as a user's program would.

mod agency;
mod dirty;
mod entitled;
mod generate;
mod real;
mod rest;
mod story;
mod teller;

use std::path::PathBuf;
use std::time::Duration;

use schemas::LocalText;
use schemas::participant::ParticipantKind;

use crate::Error;
use crate::federation::{Federation, MemberPlan};
use crate::messages::{Language, Messages};
use teller::Teller;

/// What to show, and how.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// A folder of real files (see its INDEX.md): publish those and prove their row counts.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Rows of generated port traffic.
    #[arg(long, default_value_t = 200_000, value_parser = rows_range())]
    pub rows: u64,
    /// Seed of the generated data: the same seed gives the same rows.
    #[arg(long, default_value_t = 809)]
    pub seed: u64,
    /// Where the nodes keep their state; a temporary directory when absent.
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Leave the nodes running at the end, until Ctrl-C or SIGTERM, and keep their directories.
    #[arg(long)]
    pub keep: bool,
    /// Fail when the story takes longer; without this it only says so beyond a minute.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub within: Option<u64>,
    /// Language of the story; from LANG when absent.
    #[arg(long, value_enum)]
    pub lang: Option<Language>,
}

/// Enough rows for every step to have something to show (a transfer of one chunk is over before it
/// can be stopped), and no more than container numbers last.
fn rows_range() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(200_000..=3_600_000)
}

/// The province first: it is the federation's authority.
fn plans() -> Vec<MemberPlan> {
    let member = |node, participant, zh, en| MemberPlan {
        node,
        participant,
        name: LocalText::new(zh, en),
        kind: ParticipantKind::StateOrgan,
    };
    vec![
        member(
            "province",
            "gd.province",
            "广东省政务数据主管部门",
            "Guangdong data authority",
        ),
        member(
            "guangzhou",
            "gd.guangzhou.port",
            "广州港口主管部门",
            "Guangzhou port authority",
        ),
        member(
            "shenzhen",
            "gd.shenzhen.port",
            "深圳口岸主管部门",
            "Shenzhen port office",
        ),
    ]
}

/// Tells the story.
///
/// # Errors
/// [`Error::Demo`] naming the step that did not end as promised; whatever kept a node from
/// starting.
pub fn run(options: Options) -> Result<(), Error> {
    let language = options.lang.unwrap_or_else(Language::of_environment);
    let teller = Teller::new(Messages::new(language));
    // Only what an operator would have to act on; the story is on standard output. The Delta kernel
    // calls it an error that a table does not exist yet.
    let filter = tracing_subscriber::EnvFilter::try_from_env("KOUAN_LOG").unwrap_or_else(|_| {
        tracing_subscriber::EnvFilter::new("error,openraft=off,buoyant_kernel=off")
    });
    // A second demonstration in one process keeps the first one's log.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
    let (dir, temporary) = directory(&options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::Demo {
            step: "start",
            why: e.to_string(),
        })?;
    let told = runtime.block_on(tell(&options, &teller, dir));
    if let (Some(temporary), true) = (temporary, options.keep) {
        teller.line("kept", &[("dir", temporary.keep().display().to_string())]);
    }
    told
}

fn directory(options: &Options) -> Result<(PathBuf, Option<tempfile::TempDir>), Error> {
    let wrong = |e: std::io::Error| Error::Demo {
        step: "make a directory",
        why: e.to_string(),
    };
    match &options.dir {
        Some(dir) => Ok((dir.clone(), None)),
        None => {
            let temporary = tempfile::Builder::new()
                .prefix("kouan-demo-")
                .tempdir()
                .map_err(wrong)?;
            Ok((temporary.path().to_owned(), Some(temporary)))
        }
    }
}

async fn tell(options: &Options, teller: &Teller, dir: PathBuf) -> Result<(), Error> {
    teller.title("title", &[]);
    let federation = Box::pin(Federation::start(&dir, &plans())).await?;
    story::founded(teller, &federation).await?;
    let asked = options.clone();
    let told = teller.clone();
    // The story calls the nodes over REST and waits for answers; the nodes need the runtime.
    let (federation, outcome) = tokio::task::spawn_blocking(move || {
        let outcome = match &asked.data {
            None => story::tell(&told, &federation, &asked, &dir),
            Some(data) => real::tell(&told, &federation, data, &dir),
        };
        (federation, outcome)
    })
    .await
    .map_err(|e| Error::Demo {
        step: "tell",
        why: e.to_string(),
    })?;
    outcome?;
    story::proved(teller, &federation).await?;
    let took = teller.total();
    if options.keep {
        story::look_around(teller, &federation);
        crate::signals::wait().await;
    }
    federation.stop().await;
    match options.within {
        Some(seconds) if took > Duration::from_secs(seconds) => Err(Error::Demo {
            step: "total",
            why: format!("it took {:.1} s, not {seconds} s", took.as_secs_f64()),
        }),
        _ => Ok(()),
    }
}
