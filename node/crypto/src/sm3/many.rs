//! SM3 of many messages: which block of which message goes into which lane.
//!
//! A lane that has finished a message takes the next one, so messages may differ in length. It
//! does not reorder results, and it falls back to one stream when one message is left.

use super::scalar::{self, Stream};
use super::{BLOCK_BYTES, DIGEST_BYTES, INITIAL, pad, to_digest};

/// What runs several compression functions side by side.
pub(super) trait LaneKernel<const N: usize> {
    /// Takes as many blocks from each run as the shortest one has. `state[w][l]` is word `w` of
    /// lane `l`.
    fn compress(&self, state: &mut [[u32; N]; 8], runs: &[&[[u8; BLOCK_BYTES]]; N]);
}

/// How many messages a processor hashes side by side.
#[derive(Clone, Copy)]
pub(crate) enum Lanes {
    #[cfg(target_arch = "x86_64")]
    Sixteen(super::lanes16::Lanes16),
    #[cfg(target_arch = "x86_64")]
    Eight(super::lanes8::Lanes8),
    #[cfg(target_arch = "aarch64")]
    Four(super::lanes4::Lanes4),
    One,
}

impl Lanes {
    /// All that this processor can run, best first.
    pub(crate) fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let wide = [
            super::lanes16::Lanes16::detect().map(Self::Sixteen),
            super::lanes8::Lanes8::detect().map(Self::Eight),
        ];
        #[cfg(target_arch = "aarch64")]
        let wide = [super::lanes4::Lanes4::detect().map(Self::Four)];
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let wide = [None];
        wide.into_iter().flatten().chain([Self::One])
    }

    /// How many.
    pub(crate) const fn count(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Sixteen(_) => 16,
            #[cfg(target_arch = "x86_64")]
            Self::Eight(_) => 8,
            #[cfg(target_arch = "aarch64")]
            Self::Four(_) => 4,
            Self::One => 1,
        }
    }

    /// The digests of `prefix` with each of `messages`, in their order. The prefix is shorter
    /// than a block.
    pub(crate) fn digests(self, prefix: &[u8], messages: &[&[u8]]) -> Vec<[u8; DIGEST_BYTES]> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Sixteen(kernel) if messages.len() > 1 => side_by_side(&kernel, prefix, messages),
            #[cfg(target_arch = "x86_64")]
            Self::Eight(kernel) if messages.len() > 1 => side_by_side(&kernel, prefix, messages),
            #[cfg(target_arch = "aarch64")]
            Self::Four(kernel) if messages.len() > 1 => side_by_side(&kernel, prefix, messages),
            _ => messages.iter().map(|it| one(prefix, it)).collect(),
        }
    }
}

/// The digests of `prefix` with each of `messages`, on as many lanes as there are.
pub(crate) fn digests(prefix: &[u8], messages: &[&[u8]]) -> Vec<[u8; DIGEST_BYTES]> {
    Lanes::available()
        .next()
        .map_or_else(Vec::new, |lanes| lanes.digests(prefix, messages))
}

fn one(prefix: &[u8], message: &[u8]) -> [u8; DIGEST_BYTES] {
    let mut stream = Stream::new();
    stream.update(prefix);
    stream.update(message);
    stream.finish()
}

fn side_by_side<const N: usize>(
    kernel: &impl LaneKernel<N>,
    prefix: &[u8],
    messages: &[&[u8]],
) -> Vec<[u8; DIGEST_BYTES]> {
    let mut digests = vec![[0; DIGEST_BYTES]; messages.len()];
    let mut queue = messages.iter().enumerate();
    let mut state = [[0; N]; 8];
    let mut lanes: [Option<Lane<'_>>; N] = [const { None }; N];
    loop {
        for (l, lane) in lanes.iter_mut().enumerate() {
            if let Some(done) = lane.take_if(|lane| lane.next_run().is_empty()) {
                digests[done.index] = to_digest(&state.each_ref().map(|words| words[l]));
            }
            if lane.is_none()
                && let Some((index, message)) = queue.next()
            {
                *lane = Some(Lane::new(index, prefix, message));
                for (words, initial) in state.iter_mut().zip(INITIAL) {
                    words[l] = initial;
                }
            }
        }
        let mut busy = lanes
            .iter()
            .enumerate()
            .filter_map(|(l, lane)| Some((l, lane.as_ref()?)));
        let Some((first, any)) = busy.next() else {
            return digests;
        };
        if busy.next().is_none() {
            let state = state.each_ref().map(|words| words[first]);
            digests[any.index] = any.finish(state);
            return digests;
        }
        // A lane without a message repeats another's, and nobody looks at it.
        let runs = lanes
            .each_ref()
            .map(|lane| lane.as_ref().unwrap_or(any).next_run());
        let taken = runs.iter().map(|run| run.len()).min().unwrap_or(0);
        kernel.compress(&mut state, &runs);
        for lane in lanes.iter_mut().flatten() {
            lane.advance(taken);
        }
    }
}

/// A message on its way through a lane, as up to three runs of blocks.
struct Lane<'a> {
    index: usize,
    /// The block that starts with the prefix, if the message fills it.
    head: Option<[u8; BLOCK_BYTES]>,
    /// What follows in place.
    body: &'a [[u8; BLOCK_BYTES]],
    /// The rest with its padding, one block or two.
    tail: [u8; 2 * BLOCK_BYTES],
    tail_from: usize,
    tail_end: usize,
}

impl<'a> Lane<'a> {
    fn new(index: usize, prefix: &[u8], message: &'a [u8]) -> Self {
        let mut tail = [0; 2 * BLOCK_BYTES];
        let (mut head, mut body, mut rest) = (None, &[][..], message);
        let mut held = 0;
        let first = (BLOCK_BYTES - prefix.len()) % BLOCK_BYTES;
        if prefix.is_empty() || message.len() < first {
            tail[..prefix.len()].copy_from_slice(prefix);
            held = prefix.len();
        } else {
            let mut block = [0; BLOCK_BYTES];
            block[..prefix.len()].copy_from_slice(prefix);
            block[prefix.len()..].copy_from_slice(&message[..first]);
            head = Some(block);
            rest = &message[first..];
        }
        if held == 0 {
            (body, rest) = rest.as_chunks();
        }
        tail[held..held + rest.len()].copy_from_slice(rest);
        let bytes = crate::encoding::length(prefix.len() + message.len());
        let tail_end = pad(&mut tail, held + rest.len(), bytes);
        Self {
            index,
            head,
            body,
            tail,
            tail_from: 0,
            tail_end,
        }
    }

    /// The next blocks that lie together; none when all are taken.
    fn next_run(&self) -> &[[u8; BLOCK_BYTES]] {
        match &self.head {
            Some(block) => std::slice::from_ref(block),
            None if self.body.is_empty() => self.tail[self.tail_from..self.tail_end].as_chunks().0,
            None => self.body,
        }
    }

    /// Takes blocks from the next run.
    fn advance(&mut self, taken: usize) {
        if self.head.is_some() {
            self.head = None;
        } else if self.body.is_empty() {
            self.tail_from += taken * BLOCK_BYTES;
        } else {
            self.body = &self.body[taken..];
        }
    }

    /// The rest without company.
    fn finish(&self, mut state: [u32; 8]) -> [u8; DIGEST_BYTES] {
        if let Some(block) = &self.head {
            scalar::compress(&mut state, std::slice::from_ref(block));
        }
        scalar::compress(&mut state, self.body);
        scalar::compress(
            &mut state,
            self.tail[self.tail_from..self.tail_end].as_chunks().0,
        );
        to_digest(&state)
    }
}
