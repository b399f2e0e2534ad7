//! A small disk for one folder of a node, which a test fills and clears while the node runs: a
//! tmpfs in a mount name space of its own.
//!
//! It does not need root where the system lets users have name spaces; elsewhere the test that asks
//! for one says that it was left out.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Makes the name space, mounts the disk over the folder `$0` with what was in it, and holds both
/// until standard input ends, which it does with the test.
const HOLD: &str = "set -e; kept=$(mktemp -d); cp -a \"$0/.\" \"$kept/\"; \
    mount -t tmpfs -o \"size=$1m\" tmpfs \"$0\"; cp -a \"$kept/.\" \"$0/\"; rm -rf \"$kept\"; \
    echo ready; exec cat";

/// A file that takes all the room there is.
const BALLAST: &str = "ballast";

/// The disk. It goes with this value, and what is on it too.
pub struct SmallDisk {
    holder: Child,
    folder: PathBuf,
}

impl SmallDisk {
    /// Puts a folder on a disk of `mebibytes`; none, and a sentence on standard error, where this
    /// system lets no test do that.
    ///
    /// # Panics
    /// When the folder cannot be made.
    #[must_use]
    pub fn mount(folder: &Path, mebibytes: u32) -> Option<Self> {
        std::fs::create_dir_all(folder).expect("a folder");
        let held = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", HOLD])
            .arg(folder)
            .arg(mebibytes.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let disk = held.ok().map(|holder| Self {
            holder,
            folder: folder.to_owned(),
        });
        let ready = disk.and_then(|mut disk| {
            let mut said = String::new();
            let out = disk.holder.stdout.take()?;
            let _ = BufReader::new(out).read_line(&mut said);
            (said == "ready\n").then_some(disk)
        });
        if ready.is_none() {
            let thread = std::thread::current();
            let test = thread.name().unwrap_or("a test");
            // Past the capture of a test's output: a test that was left out must not look passed.
            let _ = writeln!(
                std::io::stderr(),
                "{test}: left out: this system lets no test mount a small disk (unshare, tmpfs)"
            );
        }
        ready
    }

    /// Shell words that run a program where the disk is to be seen.
    #[must_use]
    pub fn inside(&self) -> String {
        let holder = self.holder.id();
        format!("nsenter --target {holder} --user --mount --preserve-credentials")
    }

    /// A path below the folder as this process sees it.
    #[must_use]
    pub fn seen(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Takes all the room there is.
    ///
    /// # Panics
    /// When the disk fails for another reason than that it is full.
    pub fn fill(&self) {
        let path = self.seen(&self.folder).join(BALLAST);
        let mut file = File::create(path).expect("a ballast file");
        for piece in [64 << 10, 4 << 10, 1] {
            let zeros = vec![0; piece];
            let full = loop {
                if let Err(error) = file.write_all(&zeros) {
                    break error;
                }
            };
            assert_eq!(full.kind(), std::io::ErrorKind::StorageFull, "{full}");
        }
    }

    /// Gives the room back.
    ///
    /// # Panics
    /// When nothing was taken.
    pub fn free(&self) {
        let path = self.seen(&self.folder).join(BALLAST);
        std::fs::remove_file(path).expect("remove the ballast file");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Its end of file ends the holder; a node inside is stopped before.
        drop(self.holder.stdin.take());
        let _waited = self.holder.wait();
    }
}
