//! The kernel for processors with AVX-512, GFNI and VPCLMULQDQ.
//!
//! Sixty-four blocks go through the rounds together, as four groups of sixteen whose words fill a
//! register each. Between the rounds stand the products of GHASH: of the blocks before when
//! sealing, of the same blocks when opening. It does not keep a key stream in memory, except for
//! the blocks that do not fill a pass.

use std::arch::x86_64::{
    __m128i, __m512i, _mm_set_epi8, _mm_setzero_si128, _mm_xor_si128, _mm512_add_epi32,
    _mm512_broadcast_i32x4, _mm512_cmpeq_epi32_mask, _mm512_gf2p8affine_epi64_epi8,
    _mm512_gf2p8affineinv_epi64_epi8, _mm512_mask_set1_epi32, _mm512_rol_epi32, _mm512_set1_epi32,
    _mm512_set1_epi64, _mm512_setr_epi32, _mm512_setzero_si512, _mm512_shuffle_epi8,
    _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32,
    _mm512_unpacklo_epi64, _mm512_xor_si512,
};

use zeroize::Zeroize as _;

use super::batch::KeyStream;
use super::field::{BitMatrix, PRE, ROUND, ROUND_ADD, UNDO_PRE};
use super::gfni256::{round_keys, rows};
use super::shuffles::rotation;
use super::vector::{
    load_128, load_512, load_some, load_words, store_128, store_512, store_some, store_words,
};
use super::wide_clmul::{Product, absorb, powers};
use super::{BLOCK_BYTES, Expanded, Message, clmul};

/// Exists only where the processor has the instructions.
#[derive(Clone, Copy)]
pub(crate) struct Gfni512(());

#[expect(
    unsafe_code,
    reason = "only here is it known that the processor has the instructions"
)]
impl Gfni512 {
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("gfni")
            && is_x86_feature_detected!("pclmulqdq")
            && is_x86_feature_detected!("vpclmulqdq");
        found.then_some(Self(()))
    }

    pub(super) fn expand(&self, key: &[u8; 16], expanded: &mut Expanded) {
        // SAFETY: `detect` found all instructions.
        unsafe { expand(key, expanded) }
    }

    pub(super) fn key_stream(
        &self,
        keys: &Expanded,
        nonce: &[u8; 12],
        counter: u32,
        out: &mut KeyStream,
    ) {
        // SAFETY: `detect` found all instructions.
        unsafe { key_stream(keys, nonce, counter, out) }
    }

    pub(super) fn seal(&self, keys: &Expanded, message: Message<'_>) -> [u8; BLOCK_BYTES] {
        // SAFETY: `detect` found all instructions.
        unsafe { crypt::<true>(keys, message) }
    }

    pub(super) fn open(&self, keys: &Expanded, message: Message<'_>) -> [u8; BLOCK_BYTES] {
        // SAFETY: `detect` found all instructions.
        unsafe { crypt::<false>(keys, message) }
    }
}

/// The bytes of a pass over all four groups.
const PASS_BYTES: usize = 64 * BLOCK_BYTES;

/// The four words of sixteen blocks.
type Group = [__m512i; 4];

#[target_feature(enable = "avx2,avx512f,avx512bw,gfni,pclmulqdq,vpclmulqdq")]
fn expand(key: &[u8; 16], expanded: &mut Expanded) {
    round_keys(key, &mut expanded.round_keys);
    // The hash key is the encryption of the zero block.
    let mut stream = Stream::<1>::ZERO;
    stream.fill(&expanded.round_keys, &fixed_words(&[0; 12]), 0, None);
    powers(&stream.block(0), &mut expanded.powers);
    stream.0.zeroize();
}

/// One group.
#[target_feature(enable = "avx2,avx512f,avx512bw,gfni,pclmulqdq,vpclmulqdq")]
fn key_stream(keys: &Expanded, nonce: &[u8; 12], counter: u32, out: &mut KeyStream) {
    let mut stream = Stream::<1>::ZERO;
    stream.fill(&keys.round_keys, &fixed_words(nonce), counter, None);
    out.0.copy_from_slice(stream.words());
    stream.0.zeroize();
}

/// Encrypts or decrypts in place and returns the tag.
#[target_feature(enable = "avx2,avx512f,avx512bw,gfni,pclmulqdq,vpclmulqdq")]
fn crypt<const SEAL: bool>(keys: &Expanded, message: Message<'_>) -> [u8; BLOCK_BYTES] {
    let lengths = message.lengths();
    let Message { nonce, aad, data } = message;
    let mut pass = Pass {
        keys,
        fixed: fixed_words(nonce),
        counter: 2,
        sum: _mm_setzero_si128(),
        mask: _mm_setzero_si128(),
    };
    for part in aad.chunks(PASS_BYTES) {
        pass.sum = absorb(&keys.powers, pass.sum, part);
    }
    // What does not fill a pass comes first, together with the mask of the tag.
    let first_blocks = data.len().div_ceil(BLOCK_BYTES) % 64;
    let (first, rest) = data.split_at_mut(data.len().min(first_blocks * BLOCK_BYTES));
    match first_blocks {
        0..16 => pass.short::<1, SEAL>(first, true),
        16..32 => pass.short::<2, SEAL>(first, true),
        _ => pass.short::<4, SEAL>(first, true),
    }
    let (whole, last) = rest.as_chunks_mut::<PASS_BYTES>();
    pass.whole::<SEAL>(whole);
    if !last.is_empty() {
        // Sixty-four blocks, the last of them not full.
        pass.short::<4, SEAL>(last, false);
    }
    let sum = absorb(&keys.powers, pass.sum, &lengths);
    let mut tag = [0; BLOCK_BYTES];
    store_128(&mut tag, _mm_xor_si128(clmul::swap(sum), pass.mask));
    tag
}

/// What goes on from one pass to the next.
struct Pass<'a> {
    keys: &'a Expanded,
    fixed: [__m512i; 3],
    /// That of the next block.
    counter: u32,
    /// GHASH so far.
    sum: __m128i,
    /// What is added to GHASH to make the tag.
    mask: __m128i,
}

impl Pass<'_> {
    /// At most sixty-four blocks; with the mask, fewer.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,gfni,pclmulqdq,vpclmulqdq")]
    fn short<const G: usize, const SEAL: bool>(&mut self, data: &mut [u8], with_mask: bool) {
        let mut stream = Stream::<G>::ZERO;
        let blocks = data.len().div_ceil(BLOCK_BYTES);
        let mask_at = with_mask.then_some(blocks);
        stream.fill(&self.keys.round_keys, &self.fixed, self.counter, mask_at);
        self.counter = self.counter.wrapping_add(BLOCKS[blocks]);
        if with_mask {
            self.mask = load_128(&stream.block(blocks));
        }
        if !SEAL {
            self.sum = absorb(&self.keys.powers, self.sum, data);
        }
        for (bytes, key) in data.chunks_mut(64).zip(stream.0.as_flattened()) {
            let found = load_some(bytes);
            store_some(bytes, _mm512_xor_si512(found, load_words(key)));
        }
        if SEAL {
            self.sum = absorb(&self.keys.powers, self.sum, data);
        }
        stream.0.zeroize();
    }

    /// Any number of times sixty-four blocks.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,gfni,pclmulqdq,vpclmulqdq")]
    fn whole<const SEAL: bool>(&mut self, data: &mut [[u8; PASS_BYTES]]) {
        for i in 0..data.len() {
            let (before, rest) = data.split_at_mut(i);
            let Some(this) = rest.first_mut() else { return };
            let hashed = if SEAL { before.last() } else { Some(&*this) };
            let groups = start(&self.fixed, self.counter, None);
            let groups = match hashed {
                Some(hashed) => self.hashing_rounds(groups, hashed),
                None => rounds(&self.keys.round_keys, groups),
            };
            self.counter = self.counter.wrapping_add(64);
            let (bytes, _) = this.as_chunks_mut::<64>();
            for (bytes, group) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(groups) {
                for (bytes, key) in bytes.iter_mut().zip(finish(group)) {
                    store_512(bytes, _mm512_xor_si512(load_512(bytes), key));
                }
            }
        }
        if SEAL && let Some(last) = data.last() {
            self.sum = absorb(&self.keys.powers, self.sum, last);
        }
    }

    /// All rounds on four groups, and between them GHASH over other sixty-four blocks.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,gfni,pclmulqdq,vpclmulqdq")]
    fn hashing_rounds(&mut self, mut groups: [Group; 4], hashed: &[u8; PASS_BYTES]) -> [Group; 4] {
        let maps = Maps::load();
        let (blocks, _) = hashed.as_chunks::<64>();
        let (powers, _) = self.keys.powers.as_chunks::<4>();
        let mut product = Product::starting(self.sum, &powers[0]);
        let hash_steps = blocks
            .as_chunks::<2>()
            .0
            .iter()
            .zip(powers.as_chunks::<2>().0);
        let round_steps = self.keys.round_keys.as_chunks::<2>().0.as_chunks::<2>().0;
        for ([k0, k1], (blocks, powers)) in round_steps.iter().zip(hash_steps) {
            two_rounds::<0, 4>(&maps, &mut groups, k0);
            product.add_blocks(&blocks[0], &powers[0]);
            two_rounds::<2, 4>(&maps, &mut groups, k1);
            product.add_blocks(&blocks[1], &powers[1]);
        }
        self.sum = product.reduce();
        groups
    }
}

/// A key stream that has to be kept for a moment: four vectors for each group.
#[repr(C, align(64))]
struct Stream<const G: usize>([[[u64; 8]; 4]; G]);

impl<const G: usize> Stream<G> {
    const ZERO: Self = Self([[[0; 8]; 4]; G]);

    /// The key stream from `counter` on; block `mask_at` is the one that masks the tag.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,gfni,pclmulqdq,vpclmulqdq")]
    fn fill(
        &mut self,
        round_keys: &[u32; 32],
        fixed: &[__m512i; 3],
        counter: u32,
        mask_at: Option<usize>,
    ) {
        let groups: [Group; G] = rounds(round_keys, start(fixed, counter, mask_at));
        for (out, group) in self.0.iter_mut().zip(groups) {
            for (out, blocks) in out.iter_mut().zip(finish(group)) {
                store_words(out, blocks);
            }
        }
    }

    fn words(&self) -> &[u64] {
        self.0.as_flattened().as_flattened()
    }

    fn block(&self, index: usize) -> [u8; BLOCK_BYTES] {
        let [low, high] = self.words().as_chunks().0[index];
        (u128::from(high) << 64 | u128::from(low)).to_le_bytes()
    }
}

/// The nonce in three words, mapped.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,gfni")]
fn fixed_words(nonce: &[u8; 12]) -> [__m512i; 3] {
    let mut words = [_mm512_setzero_si512(); 3];
    for (word, bytes) in words.iter_mut().zip(nonce.as_chunks().0) {
        let all = _mm512_set1_epi32(i32::from_le_bytes(*bytes));
        *word = _mm512_gf2p8affine_epi64_epi8::<0>(all, matrix(&PRE));
    }
    words
}

/// Counter blocks, mapped; block `mask_at` is the one with counter 1.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,gfni")]
fn start<const G: usize>(fixed: &[__m512i; 3], counter: u32, mask_at: Option<usize>) -> [Group; G] {
    // After the transposition in `finish` these stand in their order.
    let mut order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    let big_endian = _mm512_broadcast_i32x4(_mm_set_epi8(
        12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3,
    ));
    let base = _mm512_set1_epi32(counter.cast_signed());
    let [first, second, third] = *fixed;
    let mut groups = [[first, second, third, base]; G];
    for group in &mut groups {
        let mut counters = _mm512_add_epi32(base, order);
        if let Some(at) = mask_at {
            let masks = _mm512_cmpeq_epi32_mask(order, _mm512_set1_epi32(BLOCKS[at].cast_signed()));
            counters = _mm512_mask_set1_epi32(counters, masks, 1);
        }
        let counters = _mm512_shuffle_epi8(counters, big_endian);
        group[3] = _mm512_gf2p8affine_epi64_epi8::<0>(counters, matrix(&PRE));
        order = _mm512_add_epi32(order, _mm512_set1_epi32(16));
    }
    groups
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,gfni")]
fn rounds<const G: usize>(round_keys: &[u32; 32], mut groups: [Group; G]) -> [Group; G] {
    let maps = Maps::load();
    for [k0, k1] in round_keys.as_chunks::<2>().0.as_chunks::<2>().0 {
        two_rounds::<0, G>(&maps, &mut groups, k0);
        two_rounds::<2, G>(&maps, &mut groups, k1);
    }
    groups
}

/// Two rounds share the sum of the two words that both take.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,gfni")]
fn two_rounds<const AT: usize, const G: usize>(
    maps: &Maps,
    groups: &mut [Group; G],
    round_keys: &[u32; 2],
) {
    let k0 = _mm512_set1_epi32(round_keys[0].cast_signed());
    let k1 = _mm512_set1_epi32(round_keys[1].cast_signed());
    for x in groups {
        let [own, next, third, fourth] = [AT, AT + 1, (AT + 2) % 4, (AT + 3) % 4];
        let shared = sum3(x[third], x[fourth], k0);
        x[own] = maps.round(x[own], _mm512_xor_si512(shared, x[next]));
        x[next] = maps.round(x[next], sum3(shared, x[own], k1));
    }
}

/// Matrices in registers.
struct Maps {
    round: [__m512i; 3],
    rotate: [__m512i; 2],
}

impl Maps {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,gfni")]
    fn load() -> Self {
        Self {
            round: [matrix(&ROUND[0]), matrix(&ROUND[1]), matrix(&ROUND[2])],
            rotate: [
                _mm512_broadcast_i32x4(load_128(&rotation(1))),
                _mm512_broadcast_i32x4(load_128(&rotation(2))),
            ],
        }
    }

    /// `own` plus the round function of `x`. Two rotations are shuffles and one is not, since
    /// they run on different ports.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,gfni")]
    fn round(&self, own: __m512i, x: __m512i) -> __m512i {
        let same = _mm512_gf2p8affineinv_epi64_epi8::<{ ROUND_ADD as i32 }>(x, self.round[0]);
        let next = _mm512_gf2p8affineinv_epi64_epi8::<0>(x, self.round[1]);
        let last = _mm512_gf2p8affineinv_epi64_epi8::<0>(x, self.round[2]);
        let near = _mm512_shuffle_epi8(next, self.rotate[0]);
        let far = _mm512_shuffle_epi8(next, self.rotate[1]);
        let last = _mm512_rol_epi32::<8>(last);
        sum3(sum3(own, same, near), far, last)
    }
}

/// From four words of sixteen blocks to sixteen blocks.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,gfni")]
fn finish(group: Group) -> [__m512i; 4] {
    let undo = matrix(&UNDO_PRE);
    // The output is the last four words in reverse.
    let w0 = _mm512_gf2p8affine_epi64_epi8::<0>(group[3], undo);
    let w1 = _mm512_gf2p8affine_epi64_epi8::<0>(group[2], undo);
    let w2 = _mm512_gf2p8affine_epi64_epi8::<0>(group[1], undo);
    let w3 = _mm512_gf2p8affine_epi64_epi8::<0>(group[0], undo);
    let (a, b) = (_mm512_unpacklo_epi32(w0, w1), _mm512_unpackhi_epi32(w0, w1));
    let (c, d) = (_mm512_unpacklo_epi32(w2, w3), _mm512_unpackhi_epi32(w2, w3));
    [
        _mm512_unpacklo_epi64(a, c),
        _mm512_unpackhi_epi64(a, c),
        _mm512_unpacklo_epi64(b, d),
        _mm512_unpackhi_epi64(b, d),
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn sum3(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0x96>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn matrix(matrix: &BitMatrix) -> __m512i {
    _mm512_set1_epi64(rows(matrix))
}

/// The number of blocks in a pass as a counter.
const BLOCKS: [u32; 65] = {
    let mut blocks = [0; 65];
    let mut i = 1;
    while i < 65 {
        blocks[i] = blocks[i - 1] + 1;
        i += 1;
    }
    blocks
};
