//! What others do with the same files on the same machine in the same minute.
//!
//! It does not install anything: a peer that is not there is named and left out.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use conformance::process::Process;

use super::{mega, rate};

/// Transfers of nginx; the middle one is printed last.
const ROUNDS: usize = 3;

/// Rewrites the CSV as Parquet with the compression that we use, streaming, dates as dates.
const REWRITE: &str = "
import sys, time, resource, polars
begun = time.time()
polars.scan_csv(sys.argv[1], try_parse_dates=True).sink_parquet(
    sys.argv[2], compression='zstd', compression_level=1)
rows = polars.scan_parquet(sys.argv[2]).select(polars.len()).collect().item()
took = time.time() - begun
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(f'polars {polars.__version__}, no checks: {rows} rows in {took:.2f} s: '
      f'{rows / took:.0f} rows/s, peak memory {peak} kB')
";

/// Polars, where a Python has it.
pub(crate) fn polars(file: &Path, scratch: &Path) {
    let python = std::env::var_os("KOUAN_PEER_PYTHON").unwrap_or_else(|| "python3".into());
    for _ in 0..2 {
        let done = Command::new(&python)
            .args(["-c", REWRITE])
            .arg(file)
            .arg(scratch.join("polars.parquet"))
            .stderr(Stdio::null())
            .output();
        match done {
            Ok(done) if done.status.success() => {
                print!("{}", String::from_utf8_lossy(&done.stdout));
            }
            _ => println!("no polars: set KOUAN_PEER_PYTHON to a Python that imports it"),
        }
    }
}

/// nginx with TLS 1.3 and curl as its client, where both are there.
pub(crate) fn nginx(folder: &Path, node: &Process, scratch: &Path) {
    let files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("an artefact")
        .map(|it| it.expect("a file").path())
        .filter(|it| it.extension().is_some_and(|it| it == "parquet"))
        .collect();
    let bytes: u64 = files
        .iter()
        .map(|it| it.metadata().map_or(0, |it| it.len()))
        .sum();
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|it| it.local_addr())
        .expect("a free port")
        .port();
    let identity = node.prepared.dir.join("tls/standard.pem");
    let config = format!(
        "daemon off; worker_processes auto; pid {0}/nginx.pid; error_log {0}/nginx.log;\n\
         events {{}}\n\
         http {{ access_log off; sendfile on; client_body_temp_path {0}; proxy_temp_path {0}; \
         fastcgi_temp_path {0}; uwsgi_temp_path {0}; scgi_temp_path {0};\n\
         server {{ listen 127.0.0.1:{port} ssl; ssl_protocols TLSv1.3; ssl_certificate {1}; \
         ssl_certificate_key {1}; root {2}; }} }}\n",
        scratch.display(),
        identity.display(),
        folder.display(),
    );
    let path = scratch.join("nginx.conf");
    std::fs::write(&path, config).expect("write a configuration");
    let mut command = Command::new("nginx");
    // Started by root it would give its workers a user who may not read the folder.
    command.args(["-g", "user root;", "-c"]).arg(&path);
    let Ok(mut server) = command.stdin(Stdio::null()).spawn() else {
        println!("no nginx on the PATH");
        return;
    };
    let begun = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(10), "nginx starts");
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            let mut curl = Command::new("curl");
            curl.args(["-sk", "--parallel", "--fail"]);
            for file in &files {
                let name = file.file_name().expect("a name").to_string_lossy();
                curl.arg("-o").arg(scratch.join(&*name));
                curl.arg(format!("https://127.0.0.1:{port}/{name}"));
            }
            assert!(curl.status().is_ok_and(|it| it.success()), "curl fetches");
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    let name = format!("nginx to curl, {} files", files.len());
    rate(&name, bytes, times[ROUNDS / 2]);
    let written: u64 = files
        .iter()
        .map(|it| scratch.join(it.file_name().expect("a name")))
        .map(|it| it.metadata().map_or(0, |it| it.len()))
        .sum();
    assert_eq!(
        mega(written).to_bits(),
        mega(bytes).to_bits(),
        "curl wrote all"
    );
    // SIGTERM, so that the workers end with their master.
    let _asked = Command::new("kill").arg(server.id().to_string()).status();
    let _ended = server.wait();
}
