//! The counter home's file: frames that are only ever appended, and what tells a torn end from
//! damage.
//!
//! It does not know what frames mean. All numbers are big-endian.
//!
//! ```text
//! frame:  0  magic fe 'K' 'C' ff             4
//!         4  kind: 1 text, 2 persons         1
//!         5  zero                            3
//!         8  length of the payload           4
//!        12  number of the frame             8
//!        20  bytes durable when written      8
//!        28  check: SM3, cut, of the head    8
//!        36  check: SM3, cut, of both       12
//!        48  payload
//! ```
//!
//! What a crash tore was not durable: nobody was told that it is, and it is cut off. Where a later
//! frame says that a bad one was durable, the file is damaged and is not used: counting on from
//! fewer persons than were sent would be the worse mistake.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crypto::Hasher;

use super::Fault;

const MAGIC: [u8; 4] = [0xfe, b'K', b'C', 0xff];
const DURABLE_AT: usize = 20;
const HEAD_CHECK_AT: usize = 28;
const CHECK_AT: usize = 36;
const HEAD_BYTES: usize = 48;

/// Largest payload of one frame in bytes: 65,536 persons and some words.
pub(crate) const PAYLOAD_BYTES_MAX: usize = (1 << 20) + 4_096;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A record in canonical JSON.
    Text,
    /// Persons.
    Persons,
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::Text => 1,
            Self::Persons => 2,
        }
    }
}

/// A file of frames, open for appending.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    /// Where the next frame goes.
    bytes: u64,
    /// Bytes that are on the disk for sure.
    durable: u64,
    /// Number of the next frame.
    next: u64,
    /// Frames that are not durable yet.
    waiting: Vec<u8>,
    /// Set when the file's end is not known any more.
    broken: bool,
}

/// Bytes of frames that are written at one time.
const WAITING_BYTES_MAX: usize = 4 << 20;

impl Journal {
    /// A new file; there must be none of that name.
    pub(crate) fn create(path: &Path) -> Result<Self, Fault> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(Fault::io("make a counter file"))?;
        Ok(Self::at(path, file, 0, 0))
    }

    fn at(path: &Path, file: File, bytes: u64, next: u64) -> Self {
        Self {
            path: path.to_owned(),
            file,
            bytes,
            durable: bytes,
            next,
            waiting: Vec::new(),
            broken: false,
        }
    }

    /// Reads every frame and cuts a torn end off.
    ///
    /// # Errors
    /// [`Fault::Damaged`] when a frame that was durable is not what was written.
    pub(crate) fn open(
        path: &Path,
        mut each: impl FnMut(Kind, &[u8]) -> Result<(), Fault>,
    ) -> Result<Self, Fault> {
        let io = || Fault::io("read a counter file");
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).open(path).map_err(io())?;
        let length = file.metadata().map_err(io())?.len();
        let mut reader = BufReader::with_capacity(1 << 20, &file);
        let (mut bytes, mut next) = (0, 0);
        let mut payload = Vec::new();
        while let Some(kind) =
            read_frame(&mut reader, length - bytes, next, &mut payload).map_err(io())?
        {
            each(kind, &payload)?;
            bytes += frame_bytes(payload.len());
            next += 1;
        }
        drop(reader);
        if bytes < length {
            if durable_after(&mut file, bytes).map_err(io())? > bytes {
                return Err(Fault::Damaged {
                    file: path.to_owned(),
                    at: bytes,
                });
            }
            tracing::warn!(file = %path.display(), at = bytes, "cut a torn end off");
            file.set_len(bytes).map_err(io())?;
            file.sync_all().map_err(io())?;
        }
        file.seek(SeekFrom::Start(bytes)).map_err(io())?;
        Ok(Self::at(path, file, bytes, next))
    }

    /// Bytes of the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes a frame; durable only after [`Self::sync`].
    pub(crate) fn append(&mut self, kind: Kind, payload: &[u8]) -> Result<(), Fault> {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(Fault::Record {
                why: format!("a frame has {length} bytes, the limit is {PAYLOAD_BYTES_MAX}"),
            });
        }
        let mut head = [0; HEAD_BYTES];
        head[..4].copy_from_slice(&MAGIC);
        head[4] = kind.byte();
        head[8..12].copy_from_slice(&length.to_be_bytes());
        head[12..DURABLE_AT].copy_from_slice(&self.next.to_be_bytes());
        head[DURABLE_AT..HEAD_CHECK_AT].copy_from_slice(&self.durable.to_be_bytes());
        let of_head: [u8; CHECK_AT - HEAD_CHECK_AT] = check(&head[..HEAD_CHECK_AT], &[]);
        head[HEAD_CHECK_AT..CHECK_AT].copy_from_slice(&of_head);
        let of_both: [u8; HEAD_BYTES - CHECK_AT] = check(&head[..CHECK_AT], payload);
        head[CHECK_AT..].copy_from_slice(&of_both);
        self.waiting.extend_from_slice(&head);
        self.waiting.extend_from_slice(payload);
        self.next += 1;
        if self.waiting.len() >= WAITING_BYTES_MAX {
            return self.flush();
        }
        Ok(())
    }

    pub(crate) fn flush(&mut self) -> Result<(), Fault> {
        if self.broken {
            return Err(Fault::Broken);
        }
        if let Err(error) = self.file.write_all(&self.waiting) {
            self.broken = true;
            return Err(Fault::io("write a counter file")(error));
        }
        self.bytes += u64::try_from(self.waiting.len()).unwrap_or(u64::MAX);
        self.waiting.clear();
        Ok(())
    }

    /// Makes all frames durable. After a failure nothing is known of the file's end, and it takes
    /// no more: opening it anew finds out.
    pub(crate) fn sync(&mut self) -> Result<(), Fault> {
        self.flush()?;
        if let Err(error) = self.file.sync_data() {
            self.broken = true;
            return Err(Fault::io("sync a counter file")(error));
        }
        self.durable = self.bytes;
        Ok(())
    }

    /// Gives the file another name, which outlives a crash.
    pub(crate) fn rename(&mut self, to: &Path) -> Result<(), Fault> {
        let io = || Fault::io("name a counter file");
        std::fs::rename(&self.path, to).map_err(io())?;
        to.clone_into(&mut self.path);
        let parent = to.parent().unwrap_or(to);
        File::open(parent)
            .and_then(|folder| folder.sync_all())
            .map_err(io())
    }
}

/// The next frame; none at the end, or where the bytes are no frame.
fn read_frame(
    reader: &mut impl std::io::Read,
    left: u64,
    number: u64,
    payload: &mut Vec<u8>,
) -> std::io::Result<Option<Kind>> {
    let mut head = [0; HEAD_BYTES];
    if left < frame_bytes(0) {
        return Ok(None);
    }
    reader.read_exact(&mut head)?;
    let Some(read) = Head::read(&head).filter(|it| it.number == number) else {
        return Ok(None);
    };
    if frame_bytes(read.length) > left {
        return Ok(None);
    }
    payload.resize(read.length, 0);
    reader.read_exact(payload)?;
    let fits = head[CHECK_AT..] == check::<{ HEAD_BYTES - CHECK_AT }>(&head[..CHECK_AT], payload);
    Ok(read.kind.filter(|_| fits))
}

/// A frame's head, whose own check fits.
struct Head {
    kind: Option<Kind>,
    length: usize,
    number: u64,
    durable: u64,
}

impl Head {
    fn read(bytes: &[u8; HEAD_BYTES]) -> Option<Self> {
        let own: [u8; CHECK_AT - HEAD_CHECK_AT] = check(&bytes[..HEAD_CHECK_AT], &[]);
        if bytes[..4] != MAGIC || bytes[HEAD_CHECK_AT..CHECK_AT] != own {
            return None;
        }
        let number = |at: usize| -> Option<u64> {
            Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
        };
        let length = u32::from_be_bytes(*bytes.get(8..)?.first_chunk()?);
        let length = usize::try_from(length).ok()?;
        (length <= PAYLOAD_BYTES_MAX).then_some(Self {
            kind: match bytes[4] {
                1 => Some(Kind::Text),
                2 => Some(Kind::Persons),
                _ => None,
            },
            length,
            number: number(12)?,
            durable: number(DURABLE_AT)?,
        })
    }
}

/// The most that any frame after a bad one says was durable when it was written.
fn durable_after(file: &mut File, bad: u64) -> std::io::Result<u64> {
    file.seek(SeekFrom::Start(bad.saturating_add(1)))?;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let (mut window, mut held, mut most) = ([0_u8; HEAD_BYTES], 0_usize, 0);
    let mut buffer = [0; 4_096];
    loop {
        let read = reader.read(&mut buffer)?;
        if read == 0 {
            return Ok(most);
        }
        for byte in &buffer[..read] {
            window.rotate_left(1);
            window[HEAD_BYTES - 1] = *byte;
            held += 1;
            if held >= HEAD_BYTES && window[..4] == MAGIC {
                most = most.max(Head::read(&window).map_or(0, |it| it.durable));
            }
        }
    }
}

fn frame_bytes(payload: usize) -> u64 {
    u64::try_from(HEAD_BYTES.saturating_add(payload)).unwrap_or(u64::MAX)
}

fn check<const N: usize>(head: &[u8], payload: &[u8]) -> [u8; N] {
    let mut hasher = Hasher::new();
    hasher.update(head);
    hasher.update(payload);
    let mut cut = [0; N];
    for (to, from) in cut.iter_mut().zip(hasher.finish().as_bytes()) {
        *to = *from;
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, frames: &[&[u8]]) {
        let mut journal = Journal::create(path).unwrap();
        for it in frames {
            journal.append(Kind::Text, it).unwrap();
        }
        journal.sync().unwrap();
    }

    fn read(path: &Path) -> Result<Vec<Vec<u8>>, Fault> {
        let mut all = Vec::new();
        Journal::open(path, |_, payload| {
            all.push(payload.to_vec());
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn a_file_cut_anywhere_keeps_its_whole_frames_and_takes_more() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("persons-1");
        write(&path, &[b"one", b"two"]);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let ends = [0, HEAD_BYTES + 3, 2 * (HEAD_BYTES + 3)];
            let kept = ends.iter().rposition(|it| *it <= cut).unwrap();
            assert_eq!(read(&path).unwrap().len(), kept, "cut at {cut}");
            let mut journal = Journal::open(&path, |_, _| Ok(())).unwrap();
            journal.append(Kind::Text, b"more").unwrap();
            journal.sync().unwrap();
            assert_eq!(
                read(&path).unwrap().last().unwrap(),
                b"more",
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn zeros_after_the_last_frame_are_a_torn_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("persons-1");
        write(&path, &[b"one"]);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.resize(bytes.len() + 5_000, 0);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(read(&path).unwrap(), [b"one"]);
    }

    #[test]
    fn a_changed_byte_of_a_durable_frame_is_damage_wherever_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("persons-1");
        let mut journal = Journal::create(&path).unwrap();
        for it in [b"one", b"two"] {
            journal.append(Kind::Text, it).unwrap();
            journal.sync().unwrap();
        }
        // What is written after it says that it was durable.
        journal.append(Kind::Text, b"end").unwrap();
        journal.sync().unwrap();
        let whole = std::fs::read(&path).unwrap();
        for at in 0..2 * (HEAD_BYTES + 3) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            std::fs::write(&path, &bytes).unwrap();
            assert!(
                matches!(read(&path), Err(Fault::Damaged { .. })),
                "byte {at}"
            );
        }
    }

    #[test]
    fn frames_that_a_crash_tore_out_of_the_last_write_go_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("persons-1");
        write(&path, &[b"one"]);
        let mut journal = Journal::open(&path, |_, _| Ok(())).unwrap();
        journal.append(Kind::Text, b"two").unwrap();
        journal.append(Kind::Text, b"end").unwrap();
        journal.sync().unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[HEAD_BYTES + 3 + HEAD_BYTES] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(read(&path).unwrap(), [b"one"]);
    }
}
