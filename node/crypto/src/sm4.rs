//! SM4 (GB/T 32907-2016) in Galois/counter mode, once for each kind of processor.
//!
//! | kernel | instructions | blocks at once | hash of |
//! |---|---|---|---|
//! | [`gfni512`] | AVX-512, GFNI, VPCLMULQDQ | 64, hash stitched into the rounds | 64 blocks |
//! | [`gfni256`] | AVX2, GFNI, PCLMULQDQ | 32, hash stitched into the rounds | 16 blocks |
//! | [`aesni`] | AVX2, AES-NI, PCLMULQDQ | 32, hash stitched into the rounds | 16 blocks |
//! | `neon` | NEON, AES and PMULL of aarch64 | 16 | 16 blocks |
//! | [`portable`] | none | 16, as planes of bits | 1 block |
//!
//! All compute the same. The S-box is never a table: it is a linear map, an inversion in
//! GF(2^8) by an instruction or a circuit of gates, and a linear map ([`field`] finds them). On
//! vectors the words of the state stay in the image of the first map, and the second is one with
//! the linear step L that follows it, so that a round costs three inversions with a map each.
//!
//! It does not touch memory or branch by what is secret, the key schedule included. Expanded
//! keys and key streams in memory are wiped; what a compiler keeps in registers or spills to the
//! stack for a moment is not, since no stable Rust reaches it.

#[cfg(target_arch = "x86_64")]
mod aesni;
mod batch;
mod bitslice;
#[cfg(target_arch = "x86_64")]
mod clmul;
mod field;
#[cfg(target_arch = "x86_64")]
mod gfni256;
#[cfg(target_arch = "x86_64")]
mod gfni512;
mod ghash;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
mod schedule;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod shuffles;
#[cfg(target_arch = "x86_64")]
mod vector;
#[cfg(target_arch = "x86_64")]
mod wide_clmul;
#[cfg(target_arch = "x86_64")]
mod ymm;

use std::fmt;
use std::sync::OnceLock;

use zeroize::{Zeroize, ZeroizeOnDrop};

use batch::{BatchKernel as _, KeyStream};
pub(crate) use portable::{DECRYPT_BLOCKS, Inverse};

/// A block of SM4, and a tag of GCM, in bytes.
pub(crate) const BLOCK_BYTES: usize = 16;

/// Which implementation of SM4-GCM this processor runs.
///
/// It is chosen once, by what the processor says of itself, and is the best that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sm4Backend {
    /// AVX-512 with GFNI and VPCLMULQDQ.
    Avx512Gfni,
    /// AVX2 with GFNI and PCLMULQDQ.
    Avx2Gfni,
    /// AVX2 with AES-NI and PCLMULQDQ.
    Avx2AesNi,
    /// NEON with the AES and PMULL instructions of aarch64.
    NeonAes,
    /// No special instructions.
    Portable,
}

impl Sm4Backend {
    /// Best first.
    const ALL: [Self; 5] = [
        Self::Avx512Gfni,
        Self::Avx2Gfni,
        Self::Avx2AesNi,
        Self::NeonAes,
        Self::Portable,
    ];

    /// The one that is used.
    #[must_use]
    pub fn selected() -> Self {
        Kernel::selected().backend()
    }

    /// All that this processor can run, the selected one first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let runs = |backend: &Self| Kernel::of(*backend).is_some();
        Self::ALL.into_iter().filter(runs).collect()
    }

    /// A short name for logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Avx512Gfni => "avx512-gfni",
            Self::Avx2Gfni => "avx2-gfni",
            Self::Avx2AesNi => "avx2-aesni",
            Self::NeonAes => "neon-aes",
            Self::Portable => "portable",
        }
    }
}

impl fmt::Display for Sm4Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A kernel that this processor was found to be able to run.
#[derive(Clone, Copy)]
pub(crate) enum Kernel {
    #[cfg(target_arch = "x86_64")]
    Avx512Gfni(gfni512::Gfni512),
    #[cfg(target_arch = "x86_64")]
    Avx2Gfni(gfni256::Gfni256),
    #[cfg(target_arch = "x86_64")]
    Avx2AesNi(aesni::AesNi),
    #[cfg(target_arch = "aarch64")]
    NeonAes(neon::Neon),
    Portable(portable::Portable),
}

impl Kernel {
    /// The best one.
    pub(crate) fn selected() -> Self {
        static SELECTED: OnceLock<Kernel> = OnceLock::new();
        *SELECTED.get_or_init(|| {
            let mut found = Sm4Backend::ALL.into_iter().filter_map(Self::of);
            found.next().unwrap_or(Self::Portable(portable::Portable))
        })
    }

    /// This one, if the processor can run it.
    pub(crate) fn of(backend: Sm4Backend) -> Option<Self> {
        match backend {
            #[cfg(target_arch = "x86_64")]
            Sm4Backend::Avx512Gfni => gfni512::Gfni512::detect().map(Self::Avx512Gfni),
            #[cfg(target_arch = "x86_64")]
            Sm4Backend::Avx2Gfni => gfni256::Gfni256::detect().map(Self::Avx2Gfni),
            #[cfg(target_arch = "x86_64")]
            Sm4Backend::Avx2AesNi => aesni::AesNi::detect().map(Self::Avx2AesNi),
            #[cfg(target_arch = "aarch64")]
            Sm4Backend::NeonAes => neon::Neon::detect().map(Self::NeonAes),
            Sm4Backend::Portable => Some(Self::Portable(portable::Portable)),
            // Those of other architectures.
            _ => None,
        }
    }

    /// Its public name.
    pub(crate) const fn backend(&self) -> Sm4Backend {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Gfni(_) => Sm4Backend::Avx512Gfni,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2Gfni(_) => Sm4Backend::Avx2Gfni,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2AesNi(_) => Sm4Backend::Avx2AesNi,
            #[cfg(target_arch = "aarch64")]
            Self::NeonAes(_) => Sm4Backend::NeonAes,
            Self::Portable(_) => Sm4Backend::Portable,
        }
    }

    /// Fills `expanded` for `key`.
    pub(crate) fn expand(&self, key: &[u8; 16], expanded: &mut Expanded) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Gfni(kernel) => kernel.expand(key, expanded),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2Gfni(kernel) => batch::expand(kernel, key, expanded),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2AesNi(kernel) => batch::expand(kernel, key, expanded),
            #[cfg(target_arch = "aarch64")]
            Self::NeonAes(kernel) => batch::expand(kernel, key, expanded),
            Self::Portable(kernel) => batch::expand(kernel, key, expanded),
        }
    }

    /// The encryption of one block, for known answers.
    pub(crate) fn encrypt_block(
        &self,
        key: &[u8; 16],
        block: &[u8; BLOCK_BYTES],
    ) -> [u8; BLOCK_BYTES] {
        let mut expanded = Expanded::ZERO;
        self.expand(key, &mut expanded);
        self.encrypt_with(&expanded, block)
    }

    /// The encryption of one block under a key that was expanded for this kernel. Sixteen are
    /// computed for it, so it is for modes that cannot have more.
    pub(crate) fn encrypt_with(
        &self,
        expanded: &Expanded,
        block: &[u8; BLOCK_BYTES],
    ) -> [u8; BLOCK_BYTES] {
        let [nonce @ .., b0, b1, b2, b3] = *block;
        let mut stream = KeyStream::ZERO;
        let counter = u32::from_be_bytes([b0, b1, b2, b3]);
        self.key_stream(expanded, &nonce, counter, &mut stream);
        let encrypted = stream.block(0);
        stream.zeroize();
        encrypted
    }

    /// Sixteen blocks of key stream.
    fn key_stream(&self, expanded: &Expanded, nonce: &[u8; 12], counter: u32, out: &mut KeyStream) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Gfni(kernel) => kernel.key_stream(expanded, nonce, counter, out),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2Gfni(kernel) => kernel.key_stream(expanded, nonce, counter, out),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2AesNi(kernel) => kernel.key_stream(expanded, nonce, counter, out),
            #[cfg(target_arch = "aarch64")]
            Self::NeonAes(kernel) => kernel.key_stream(expanded, nonce, counter, out),
            Self::Portable(kernel) => kernel.key_stream(expanded, nonce, counter, out),
        }
    }

    /// Encrypts `data` in place and returns its tag. `expanded` must be this kernel's, and `data`
    /// at most 2^32 - 2 blocks.
    pub(crate) fn seal(&self, expanded: &Expanded, message: Message<'_>) -> [u8; BLOCK_BYTES] {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Gfni(kernel) => kernel.seal(expanded, message),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2Gfni(kernel) => batch::crypt::<_, true>(kernel, expanded, message),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2AesNi(kernel) => batch::crypt::<_, true>(kernel, expanded, message),
            #[cfg(target_arch = "aarch64")]
            Self::NeonAes(kernel) => batch::crypt::<_, true>(kernel, expanded, message),
            Self::Portable(kernel) => batch::crypt::<_, true>(kernel, expanded, message),
        }
    }

    /// Decrypts `data` in place and returns the tag that it should have. The caller compares, and
    /// wipes `data` if it has another.
    pub(crate) fn open(&self, expanded: &Expanded, message: Message<'_>) -> [u8; BLOCK_BYTES] {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Gfni(kernel) => kernel.open(expanded, message),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2Gfni(kernel) => batch::crypt::<_, false>(kernel, expanded, message),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2AesNi(kernel) => batch::crypt::<_, false>(kernel, expanded, message),
            #[cfg(target_arch = "aarch64")]
            Self::NeonAes(kernel) => batch::crypt::<_, false>(kernel, expanded, message),
            Self::Portable(kernel) => batch::crypt::<_, false>(kernel, expanded, message),
        }
    }
}

/// What is sealed or opened.
pub(crate) struct Message<'a> {
    pub(crate) nonce: &'a [u8; 12],
    pub(crate) aad: &'a [u8],
    pub(crate) data: &'a mut [u8],
}

impl Message<'_> {
    /// The last block of GHASH: both lengths in bits (NIST SP 800-38D, 7.1).
    fn lengths(&self) -> [u8; BLOCK_BYTES] {
        let bits = |bytes: &[u8]| crate::encoding::length(bytes.len()).wrapping_mul(8);
        let both = u128::from(bits(self.aad)) << 64 | u128::from(bits(self.data));
        both.to_be_bytes()
    }
}

/// Round keys and powers of the hash key in the form that one kernel reads, wiped on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
#[repr(C, align(64))]
pub(crate) struct Expanded {
    /// Highest power first, so that the last `n` entries serve `n` blocks.
    powers: [[u64; 2]; 64],
    round_keys: [u32; 32],
}

impl Expanded {
    pub(crate) const ZERO: Self = Self {
        powers: [[0; 2]; 64],
        round_keys: [0; 32],
    };
}

#[cfg(test)]
mod tests;
