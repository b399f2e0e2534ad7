//! The kernel for processors with AVX-512, GFNI and VPCLMULQDQ.
//!
//! Sixty-four blocks go through the rounds together, as four groups of sixteen whose words fill a
//! register each. Between the rounds stand the products of GHASH: of the blocks before when
//! sealing, of the same blocks when opening. What does not fill such a pass comes last, in as few
//! groups as it needs, and the block that masks the tag goes with it. It does not keep a key
//! stream in memory.

use std::arch::x86_64::{
    __m128i, __m512i, _mm_set_epi8, _mm_setzero_si128, _mm_xor_si128, _mm512_add_epi32,
    _mm512_broadcast_i32x4, _mm512_castsi512_si128, _mm512_extracti32x4_epi32,
    _mm512_gf2p8affine_epi64_epi8, _mm512_gf2p8affineinv_epi64_epi8, _mm512_mask_set1_epi32,
    _mm512_rol_epi32, _mm512_set1_epi32, _mm512_set1_epi64, _mm512_setr_epi32,
    _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64, _mm512_xor_si512,
};

use std::hint::black_box;

use zeroize::Zeroize as _;

use super::batch::KeyStream;
use super::field::{BitMatrix, PRE, ROUND, ROUND_ADD, UNDO_PRE};
use super::gfni256::{round_keys, rows};
use super::shuffles::rotation;
use super::vector::{
    load_128, load_512, load_some, some, store_128, store_512, store_some, store_words,
};
use super::wide_clmul::{Product, Sum, absorb, powers};
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
    let groups = start::<1, false>(&fixed_words(&[0; 12]), 0);
    let [group] = rounds::<1>(&Maps::load(), &expanded.round_keys, groups);
    let mut hash_key = [0; BLOCK_BYTES];
    store_128(&mut hash_key, _mm512_castsi512_si128(finish(group)[0]));
    powers(&hash_key, &mut expanded.powers);
    hash_key.zeroize();
}

/// One group.
#[target_feature(enable = "avx2,avx512f,avx512bw,gfni,pclmulqdq,vpclmulqdq")]
fn key_stream(keys: &Expanded, nonce: &[u8; 12], counter: u32, out: &mut KeyStream) {
    let groups = start::<1, false>(&fixed_words(nonce), counter);
    let [group] = rounds::<1>(&Maps::load(), &keys.round_keys, groups);
    for (out, blocks) in out.0.as_chunks_mut().0.iter_mut().zip(finish(group)) {
        store_words(out, blocks);
    }
}

/// Encrypts or decrypts in place and returns the tag.
#[target_feature(enable = "avx2,avx512f,avx512bw,gfni,pclmulqdq,vpclmulqdq")]
fn crypt<const SEAL: bool>(keys: &Expanded, message: Message<'_>) -> [u8; BLOCK_BYTES] {
    let lengths = message.lengths();
    let Message { nonce, aad, data } = message;
    let mut run = Run::<SEAL> {
        keys,
        maps: Maps::load(),
        fixed: fixed_words(nonce),
        counter: 2,
        sum: _mm_setzero_si128(),
    };
    let (whole, rest) = data.as_chunks_mut::<PASS_BYTES>();
    // A short message is hashed at once with what goes before and after it.
    let blocks = [aad.len(), rest.len()].map(|bytes| bytes.div_ceil(BLOCK_BYTES));
    let at_once = whole.is_empty() && blocks[0] <= 16 && blocks[1] < 48;
    let (before, aad) = if at_once {
        (&[][..], aad)
    } else {
        (aad, &[][..])
    };
    for part in before.chunks(PASS_BYTES) {
        run.sum = absorb(&keys.powers, run.sum, part);
    }
    run.whole(whole);
    let hashed = if SEAL { whole.last() } else { None };
    match blocks[1] {
        0..16 => run.end::<1>(hashed, aad, rest, &lengths),
        16..32 => run.end::<2>(hashed, aad, rest, &lengths),
        32..64 => run.end::<4>(hashed, aad, rest, &lengths),
        // There is no room for the mask. So that comes alone.
        _ => {
            run.almost_whole(hashed, rest);
            run.end::<1>(None, aad, &mut [], &lengths)
        }
    }
}

/// What goes on from one pass to the next.
struct Run<'a, const SEAL: bool> {
    keys: &'a Expanded,
    maps: Maps,
    fixed: [__m512i; 3],
    /// That of the next block.
    counter: u32,
    /// GHASH so far.
    sum: __m128i,
}

impl<const SEAL: bool> Run<'_, SEAL> {
    /// Any number of times sixty-four blocks. When sealing, the last of them are not hashed yet.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,gfni,pclmulqdq,vpclmulqdq")]
    fn whole(&mut self, data: &mut [[u8; PASS_BYTES]]) {
        if SEAL && let Some(first) = data.first_mut() {
            // There is nothing to hash yet.
            let groups = start::<4, false>(&self.fixed, self.counter);
            let groups = rounds(&self.maps, &self.keys.round_keys, groups);
            self.add(groups, first);
        }
        for i in usize::from(SEAL)..data.len() {
            let (before, rest) = data.split_at_mut(i);
            let (Some(this), last) = (rest.first_mut(), before.last()) else {
                return;
            };
            let hashed = if SEAL { last } else { Some(&*this) };
            let Some(hashed) = hashed else { return };
            let groups = start::<4, false>(&self.fixed, self.counter);
            let groups = self.hashing_rounds::<4, false>(groups, hashed);
            self.add(groups, this);
        }
    }

    /// Adds a pass of key stream, and goes on to the next counters.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,gfni,pclmulqdq,vpclmulqdq")]
    fn add(&mut self, groups: [Group; 4], data: &mut [u8; PASS_BYTES]) {
        self.counter = self.counter.wrapping_add(64);
        let (bytes, _) = data.as_chunks_mut::<64>();
        for (bytes, group) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(groups) {
            for (bytes, key) in bytes.iter_mut().zip(finish(group)) {
                store_512(bytes, _mm512_xor_si512(load_512(bytes), key));
            }
        }
    }

    /// Sixty-four blocks of which the last is short, after `hashed`, which is not hashed yet.
    #[target_feature(enable = "avx2,avx512f,avx512bw,gfni,pclmulqdq,vpclmulqdq")]
    fn almost_whole(&mut self, hashed: Option<&[u8; PASS_BYTES]>, data: &mut [u8]) {
        if let Some(hashed) = hashed {
            self.sum = absorb(&self.keys.powers, self.sum, hashed);
        }
        let groups = start::<4, false>(&self.fixed, self.counter);
        let groups = rounds(&self.maps, &self.keys.round_keys, groups);
        let mut sum = Sum::of(&self.keys.powers, self.sum, 64);
        add_key_stream::<4, SEAL>(groups.map(|group| finish(group)), data, &mut sum);
        self.sum = sum.reduce();
    }

    /// All that is left: `data` of fewer blocks than `G` groups have, and the last of those masks
    /// the tag, which is returned.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,gfni,pclmulqdq,vpclmulqdq")]
    fn end<const G: usize>(
        &mut self,
        hashed: Option<&[u8; PASS_BYTES]>,
        aad: &[u8],
        data: &mut [u8],
        lengths: &[u8; BLOCK_BYTES],
    ) -> [u8; BLOCK_BYTES] {
        let groups = start::<G, true>(&self.fixed, self.counter);
        let groups = match hashed {
            Some(hashed) => self.hashing_rounds::<G, true>(groups, hashed),
            None => rounds(&self.maps, &self.keys.round_keys, groups),
        };
        let keys = groups.map(|group| finish(group));
        let blocks = [aad.len(), data.len()].map(|bytes| bytes.div_ceil(BLOCK_BYTES));
        let mut sum = Sum::of(&self.keys.powers, self.sum, blocks[0] + blocks[1] + 1);
        for part in aad.chunks(64) {
            sum.add(load_some(part), part.len());
        }
        let mask = _mm512_extracti32x4_epi32::<3>(keys[G - 1][3]);
        add_key_stream::<G, SEAL>(keys, data, &mut sum);
        sum.add(load_some(lengths), BLOCK_BYTES);
        let mut tag = [0; BLOCK_BYTES];
        store_128(&mut tag, _mm_xor_si128(clmul::swap(sum.reduce()), mask));
        tag
    }

    /// All rounds, and between them GHASH over sixty-four other blocks. `END` gives each of the
    /// two places where this is called a function of its own, which the compiler then puts there.
    #[inline]
    #[target_feature(enable = "avx2,avx512f,avx512bw,gfni,pclmulqdq,vpclmulqdq")]
    fn hashing_rounds<const G: usize, const END: bool>(
        &mut self,
        mut groups: [Group; G],
        hashed: &[u8; PASS_BYTES],
    ) -> [Group; G] {
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
            two_rounds::<0, G>(&self.maps, &mut groups, k0);
            product.add_blocks(&blocks[0], &powers[0]);
            two_rounds::<2, G>(&self.maps, &mut groups, k1);
            product.add_blocks(&blocks[1], &powers[1]);
        }
        self.sum = product.reduce();
        groups
    }
}

/// Adds the key stream to `data`, and the ciphertext to the hash.
#[inline]
#[target_feature(enable = "avx2,avx512f,avx512bw,gfni,pclmulqdq,vpclmulqdq")]
fn add_key_stream<const G: usize, const SEAL: bool>(
    keys: [[__m512i; 4]; G],
    data: &mut [u8],
    sum: &mut Sum<'_>,
) {
    for (bytes, key) in data.chunks_mut(64).zip(keys.as_flattened()) {
        let found = load_some(bytes);
        let made = _mm512_xor_si512(found, *key);
        store_some(bytes, made);
        let ciphertext = if SEAL { some(made, bytes.len()) } else { found };
        sum.add(ciphertext, bytes.len());
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

/// Counter blocks, mapped; at the end, the last is the one with counter 1, which masks the tag.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,gfni")]
fn start<const G: usize, const END: bool>(fixed: &[__m512i; 3], counter: u32) -> [Group; G] {
    // After the transposition in `finish` these stand in their order.
    let mut order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    let big_endian = _mm512_broadcast_i32x4(_mm_set_epi8(
        12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3,
    ));
    let base = _mm512_set1_epi32(counter.cast_signed());
    let [first, second, third] = *fixed;
    let mut groups = [[first, second, third, base]; G];
    for (i, group) in groups.iter_mut().enumerate() {
        let mut counters = _mm512_add_epi32(base, order);
        if END && i == G - 1 {
            counters = _mm512_mask_set1_epi32(counters, 1 << 15, 1);
        }
        let counters = _mm512_shuffle_epi8(counters, big_endian);
        group[3] = _mm512_gf2p8affine_epi64_epi8::<0>(counters, matrix(&PRE));
        order = _mm512_add_epi32(order, _mm512_set1_epi32(16));
    }
    groups
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,gfni")]
fn rounds<const G: usize>(
    maps: &Maps,
    round_keys: &[u32; 32],
    mut groups: [Group; G],
) -> [Group; G] {
    for [k0, k1] in round_keys.as_chunks::<2>().0.as_chunks::<2>().0 {
        two_rounds::<0, G>(maps, &mut groups, k0);
        two_rounds::<2, G>(maps, &mut groups, k1);
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
        // If it knew the places, the compiler would make rotations of all three shuffles again,
        // and those run on one port only, which is the one of the inversions.
        let [near, far] = *black_box(&[rotation(1), rotation(2)]);
        Self {
            round: [matrix(&ROUND[0]), matrix(&ROUND[1]), matrix(&ROUND[2])],
            rotate: [near, far].map(|places| _mm512_broadcast_i32x4(load_128(&places))),
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
