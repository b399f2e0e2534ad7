//! The block cipher below the mode, on every kernel that this processor has.

use ::sm4::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use proptest::prelude::*;

use super::*;

fn kernels() -> impl Iterator<Item = Kernel> {
    Sm4Backend::available().into_iter().filter_map(Kernel::of)
}

/// GB/T 32907-2016, A.1 and A.2. The key is that of both, and so is the first plaintext.
#[test]
fn every_kernel_gives_the_answers_of_the_standard() {
    let key = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210_u128.to_be_bytes();
    for kernel in kernels() {
        let once = u128::from_be_bytes(kernel.encrypt_block(&key, &key));
        assert_eq!(
            once,
            0x681e_df34_d206_965e_86b3_e94f_536e_4246,
            "{}",
            kernel.backend()
        );
        let mut expanded = Expanded::ZERO;
        kernel.expand(&key, &mut expanded);
        let mut block = key;
        for _ in 0..1_000_000 {
            let [nonce @ .., b0, b1, b2, b3] = block;
            let mut stream = KeyStream::ZERO;
            let counter = u32::from_be_bytes([b0, b1, b2, b3]);
            kernel.key_stream(&expanded, &nonce, counter, &mut stream);
            block = stream.block(0);
        }
        let many = u128::from_be_bytes(block);
        assert_eq!(
            many,
            0x5952_98c7_c6fd_271f_0402_f804_c33d_3f66,
            "{}",
            kernel.backend()
        );
    }
}

proptest! {
    #[test]
    fn key_streams_agree_with_rustcrypto_and_counters_wrap(
        key: [u8; 16],
        nonce: [u8; 12],
        counter in prop_oneof![any::<u32>(), u32::MAX - 17..=u32::MAX],
    ) {
        let oracle = ::sm4::Sm4::new(&key.into());
        for kernel in kernels() {
            let mut expanded = Expanded::ZERO;
            kernel.expand(&key, &mut expanded);
            let mut stream = KeyStream::ZERO;
            kernel.key_stream(&expanded, &nonce, counter, &mut stream);
            for i in 0..16 {
                let mut block = [0; 16];
                block[..12].copy_from_slice(&nonce);
                block[12..].copy_from_slice(&counter.wrapping_add(i).to_be_bytes());
                let mut block = block.into();
                oracle.encrypt_block(&mut block);
                let found = stream.block(usize::try_from(i).unwrap());
                prop_assert_eq!(&found[..], &block[..], "{} of {}", i, kernel.backend());
            }
        }
    }
}

/// What the system says of the processor decides, so the expectation does not come from the code
/// that selects. Names are those of /proc/cpuinfo.
#[cfg(target_os = "linux")]
#[test]
fn the_best_kernel_that_the_processor_has_instructions_for_is_selected() {
    const NEEDED: [(Sm4Backend, &str, &str); 5] = [
        (
            Sm4Backend::Avx512Gfni,
            "x86_64",
            "avx2 avx512f avx512bw gfni pclmulqdq vpclmulqdq",
        ),
        (Sm4Backend::Avx2Gfni, "x86_64", "avx2 gfni pclmulqdq"),
        (Sm4Backend::Avx2AesNi, "x86_64", "avx2 aes pclmulqdq"),
        (Sm4Backend::NeonAes, "aarch64", "asimd aes pmull"),
        (Sm4Backend::Portable, std::env::consts::ARCH, ""),
    ];
    let described = std::fs::read_to_string("/proc/cpuinfo").unwrap();
    let line = described.lines().find(|line| {
        let name = line.split(':').next().unwrap_or_default().trim();
        ["flags", "Features"].contains(&name)
    });
    let found: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
    let runs = |(_, architecture, needed): &(Sm4Backend, &str, &str)| {
        *architecture == std::env::consts::ARCH
            && needed.split_whitespace().all(|it| found.contains(&it))
    };
    let expected: Vec<Sm4Backend> = NEEDED.into_iter().filter(runs).map(|it| it.0).collect();
    assert_eq!(Sm4Backend::available(), expected, "{found:?}");
    assert_eq!(Sm4Backend::selected(), expected[0], "{found:?}");
}

#[test]
fn expanded_keys_are_wiped() {
    let mut expanded = Expanded::ZERO;
    Kernel::selected().expand(&[0x77; 16], &mut expanded);
    assert!(expanded.round_keys.iter().all(|word| *word != 0));
    expanded.zeroize();
    assert_eq!(expanded.round_keys, [0; 32]);
    assert_eq!(expanded.powers, [[0; 2]; 64]);
}
