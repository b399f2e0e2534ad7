//! A file's characters as UTF-8, whatever it was written in.
//!
//! It does not replace what it cannot read: a wrong byte is an error that names row and offset,
//! because a replacement character in a name or a code is a wrong value that nobody sees.

use encoding_rs::{BIG5, Decoder, DecoderResult, Encoding, GB18030, UTF_8, UTF_16BE, UTF_16LE};

use super::source::{Source, Unpacked, as_u64};
use crate::Error;

/// Encodings that uploads may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8, with or without a byte order mark.
    Utf8,
    /// GB18030-2022, and with it GBK and GB 2312.
    Gb18030,
    /// Big5 with the characters of Hong Kong (HKSCS), as the WHATWG reads it.
    Big5,
    /// UTF-16, low byte first, as spreadsheets save "Unicode text".
    Utf16Le,
    /// UTF-16, high byte first.
    Utf16Be,
}

impl Charset {
    /// Every encoding.
    pub const ALL: &'static [Self] = &[
        Self::Utf8,
        Self::Gb18030,
        Self::Big5,
        Self::Utf16Le,
        Self::Utf16Be,
    ];

    /// Its name in messages and parameters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Gb18030 => "GB18030",
            Self::Big5 => "Big5",
            Self::Utf16Le => "UTF-16LE",
            Self::Utf16Be => "UTF-16BE",
        }
    }

    /// The encoding of that name, in any case; GBK and GB2312 are read as GB18030, which contains
    /// them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" => Some(Self::Utf8),
            "GB18030" | "GBK" | "GB2312" => Some(Self::Gb18030),
            "BIG5" | "BIG5-HKSCS" => Some(Self::Big5),
            "UTF-16LE" => Some(Self::Utf16Le),
            "UTF-16BE" => Some(Self::Utf16Be),
            _ => None,
        }
    }

    fn encoding(self) -> &'static Encoding {
        match self {
            Self::Utf8 => UTF_8,
            Self::Gb18030 => GB18030,
            Self::Big5 => BIG5,
            Self::Utf16Le => UTF_16LE,
            Self::Utf16Be => UTF_16BE,
        }
    }

    /// The byte order mark at the start of `head` and its length.
    fn of_mark(head: &[u8]) -> Option<(Self, usize)> {
        match head {
            [0xef, 0xbb, 0xbf, ..] => Some((Self::Utf8, 3)),
            [0xff, 0xfe, ..] => Some((Self::Utf16Le, 2)),
            [0xfe, 0xff, ..] => Some((Self::Utf16Be, 2)),
            _ => None,
        }
    }
}

/// How much is read and turned into UTF-8 at once.
const STEP_BYTES: usize = 256 << 10;

/// A file's text in UTF-8. What was UTF-8 already is passed on unchecked: the workers check their
/// blocks, in parallel.
pub(crate) struct Text {
    bytes: Unpacked,
    charset: Charset,
    decoder: Option<Decoder>,
    raw: Vec<u8>,
    pending: Vec<u8>,
    lines: u64,
    is_ended: bool,
}

impl Text {
    /// Opens a file. A declared encoding wins over a byte order mark, and the mark over UTF-8.
    pub(crate) fn open(source: &Source, declared: Option<Charset>) -> Result<Self, Error> {
        let mut bytes = source.unpacked()?;
        let mut head = [0_u8; 3];
        let found = bytes.fill(&mut head)?;
        let head = &head[..found];
        let mark = Charset::of_mark(head);
        let charset = declared
            .or_else(|| mark.map(|(charset, _)| charset))
            .unwrap_or(Charset::Utf8);
        let skipped = mark
            .filter(|(marked, _)| *marked == charset)
            .map_or(0, |(_, length)| length);
        let decoder = (charset != Charset::Utf8)
            .then(|| charset.encoding().new_decoder_without_bom_handling());
        Ok(Self {
            bytes,
            charset,
            decoder,
            raw: vec![0; STEP_BYTES],
            pending: head[skipped..].to_vec(),
            lines: 0,
            is_ended: false,
        })
    }

    /// As what the file is read.
    pub(crate) fn charset(&self) -> Charset {
        self.charset
    }

    /// The file's name.
    pub(crate) fn name(&self) -> &str {
        self.bytes.name()
    }

    /// Appends about a quarter of a megabyte of text to `out`; `false` when the file has ended.
    pub(crate) fn read_on(&mut self, out: &mut Vec<u8>) -> Result<bool, Error> {
        if self.is_ended {
            return Ok(false);
        }
        let pending = std::mem::take(&mut self.pending);
        self.raw[..pending.len()].copy_from_slice(&pending);
        let read = self.bytes.fill(&mut self.raw[pending.len()..])?;
        let available = pending.len() + read;
        self.is_ended = available < self.raw.len();
        match self.decoder.take() {
            None => out.extend_from_slice(&self.raw[..available]),
            Some(mut decoder) => {
                self.decode(&mut decoder, available, out)?;
                self.decoder = Some(decoder);
            }
        }
        Ok(!self.is_ended)
    }

    fn decode(
        &mut self,
        decoder: &mut Decoder,
        raw: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let mut done = 0;
        let begins_at = self.bytes.offset().saturating_sub(as_u64(raw));
        loop {
            let from = out.len();
            let room = decoder
                .max_utf8_buffer_length_without_replacement(raw - done)
                .unwrap_or(STEP_BYTES * 4);
            out.resize(from + room, 0);
            let (result, read, written) = decoder.decode_to_utf8_without_replacement(
                &self.raw[done..raw],
                &mut out[from..],
                self.is_ended,
            );
            out.truncate(from + written);
            done += read;
            self.lines += as_u64(memchr::memchr_iter(b'\n', &out[from..]).count());
            match result {
                DecoderResult::InputEmpty => return Ok(()),
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(length, after) => {
                    let back = u64::from(length) + u64::from(after);
                    return Err(Error::WrongByte {
                        file: self.name().to_owned(),
                        row: self.lines,
                        offset: (begins_at + as_u64(done)).saturating_sub(back),
                        encoding: self.charset.as_str(),
                        suspected: None,
                    });
                }
            }
        }
    }
}

/// What the whole file looks like, once it is known not to be UTF-8: GB18030 or Big5 when all of
/// it can be read so and it does not look like UTF-8 with some wrong bytes in it.
///
/// Most of Big5 is valid GB18030 too. The second byte tells them apart: in Big5 two of five are
/// below 0x80, in GB18030 only those of characters that GB 2312 does not have, which are rare.
///
/// UTF-8 Chinese is mostly valid GB18030 too, only other characters: taking a mixed file for
/// GB18030 would publish mojibake. So valid three-byte characters are counted against wrong bytes;
/// in real GB18030 text the former are chance.
pub(crate) fn suspected(source: &Source) -> Result<Option<Charset>, Error> {
    let mut bytes = source.unpacked()?;
    let mut head = [0_u8; 3];
    let found = bytes.fill(&mut head)?;
    if let Some((charset, _)) = Charset::of_mark(&head[..found]) {
        return Ok(Some(charset));
    }
    let mut buffer = vec![0_u8; STEP_BYTES];
    buffer[..found].copy_from_slice(&head[..found]);
    let mut carried = found;
    let mut gb = Some(GB18030.new_decoder_without_bom_handling());
    let mut big5 = Some(BIG5.new_decoder_without_bom_handling());
    let mut pairs = Pairs::default();
    let mut text = String::with_capacity(STEP_BYTES * 4);
    let (mut characters, mut wrong) = (0_u64, 0_u64);
    loop {
        let read = bytes.fill(&mut buffer[carried..])?;
        let all = &buffer[..carried + read];
        let is_last = all.len() < buffer.len();
        for chunk in all.utf8_chunks() {
            characters += as_u64(chunk.valid().chars().filter(|c| c.len_utf8() >= 3).count());
            wrong += u64::from(!chunk.invalid().is_empty());
        }
        gb = gb.and_then(|decoder| read_all(decoder, all, is_last, &mut text));
        big5 = big5.and_then(|decoder| read_all(decoder, all, is_last, &mut text));
        pairs.count(all);
        carried = 0;
        if is_last {
            break;
        }
    }
    let found = match (gb.is_some(), big5.is_some()) {
        (true, true) if pairs.are_big5() => Some(Charset::Big5),
        (true, _) => Some(Charset::Gb18030),
        (false, true) => Some(Charset::Big5),
        (false, false) => None,
    };
    Ok(found.filter(|_| wrong > characters))
}

/// Characters of two bytes, and those whose second byte is below 0x80.
#[derive(Debug, Default)]
struct Pairs {
    all: u64,
    low: u64,
    /// First byte of a pair that the next piece of the file completes.
    open: bool,
}

impl Pairs {
    fn count(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.open {
                self.all += 1;
                self.low += u64::from((0x40..0x7f).contains(byte));
            }
            self.open = !self.open && *byte >= 0x80;
        }
    }

    /// More than a sixth: between the two kinds of text, far from both.
    fn are_big5(&self) -> bool {
        self.low * 6 > self.all
    }
}

/// The decoder, if it could read all of `raw`.
fn read_all(mut decoder: Decoder, raw: &[u8], is_last: bool, text: &mut String) -> Option<Decoder> {
    text.clear();
    text.reserve(decoder.max_utf8_buffer_length_without_replacement(raw.len())?);
    let (result, _) = decoder.decode_to_string_without_replacement(raw, text, is_last);
    matches!(result, DecoderResult::InputEmpty).then_some(decoder)
}

/// Whether text with NUL bytes looks like UTF-16 read as something else.
pub(crate) fn suspected_utf16(text: &[u8]) -> Option<Charset> {
    let zeros = |odd: usize| {
        text.iter()
            .skip(odd)
            .step_by(2)
            .filter(|byte| **byte == 0)
            .count()
    };
    let half = text.len() / 2;
    match (zeros(0), zeros(1)) {
        (0, low) if low > half / 2 => Some(Charset::Utf16Le),
        (high, 0) if high > half / 2 => Some(Charset::Utf16Be),
        _ => None,
    }
}
