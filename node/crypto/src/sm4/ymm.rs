//! What the two kernels on 256-bit vectors share: everything but the round itself.
//!
//! It does not contain functions but a macro that makes them, since a function is compiled for
//! one set of instructions, and the two kernels have different ones.

/// Makes `key_stream` and `key_streams_absorbing` for the module that calls it, which brings `Maps`
/// with the methods `load`, `to_image`, `out_of_image` and `round`.
macro_rules! key_stream {
    ($features:literal) => {
        #[target_feature(enable = $features)]
        fn key_stream(round_keys: &[u32; 32], nonce: &[u8; 12], counter: u32, out: &mut KeyStream) {
            let maps = Maps::load();
            let mut groups = start::<2>(&maps, nonce, counter);
            for [k0, k1] in round_keys.as_chunks::<2>().0.as_chunks::<2>().0 {
                two_rounds::<0, 2>(&maps, &mut groups, k0);
                two_rounds::<2, 2>(&maps, &mut groups, k1);
            }
            for (group, out) in groups.into_iter().zip(out.0.as_chunks_mut::<16>().0) {
                finish(&maps, group, out);
            }
        }

        /// Twice as much, since rounds wait for each other, and not all words fit into registers
        /// but the rounds of others hide that; with two batches of the hash between them.
        #[target_feature(enable = $features)]
        fn key_streams_absorbing(
            keys: &Expanded,
            (nonce, counter): (&[u8; 12], u32),
            out: &mut [KeyStream; 2],
            sum: &mut [u8; BLOCK_BYTES],
            data: &[[u8; BATCH_BYTES]; 2],
        ) {
            let maps = Maps::load();
            let mut groups = start::<4>(&maps, nonce, counter);
            let powers = &keys.powers[48..];
            let steps = keys.round_keys.as_chunks::<2>().0.as_chunks::<2>().0;
            for (steps, batch) in steps.chunks(4).zip(data) {
                let mut product = clmul::Product::starting(sum, &powers[0]);
                let blocks = batch.as_chunks::<BLOCK_BYTES>().0.as_chunks::<4>().0;
                let hash_steps = blocks.iter().zip(powers.as_chunks::<4>().0);
                for ([k0, k1], (blocks, powers)) in steps.iter().zip(hash_steps) {
                    two_rounds::<0, 4>(&maps, &mut groups, k0);
                    product.add_block(&blocks[0], &powers[0]);
                    product.add_block(&blocks[1], &powers[1]);
                    two_rounds::<2, 4>(&maps, &mut groups, k1);
                    product.add_block(&blocks[2], &powers[2]);
                    product.add_block(&blocks[3], &powers[3]);
                }
                product.finish(sum);
            }
            for (groups, out) in groups.as_chunks::<2>().0.iter().zip(out) {
                for (group, out) in groups.iter().zip(out.0.as_chunks_mut::<16>().0) {
                    finish(&maps, *group, out);
                }
            }
        }

        /// Groups of eight blocks, each as four words.
        #[inline]
        #[target_feature(enable = $features)]
        fn start<const G: usize>(maps: &Maps, nonce: &[u8; 12], counter: u32) -> [[__m256i; 4]; G] {
            let zero = _mm256_setzero_si256();
            let mut words = [zero; 4];
            for (word, bytes) in words.iter_mut().zip(nonce.as_chunks().0) {
                *word = maps.to_image(_mm256_set1_epi32(i32::from_le_bytes(*bytes)));
            }
            let mut groups = [words; G];
            // After the transposition in `finish` these stand in their order.
            let order = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);
            let big_endian = _mm256_broadcastsi128_si256(_mm_set_epi8(
                12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3,
            ));
            let mut counters = _mm256_add_epi32(_mm256_set1_epi32(counter.cast_signed()), order);
            for group in &mut groups {
                group[3] = maps.to_image(_mm256_shuffle_epi8(counters, big_endian));
                counters = _mm256_add_epi32(counters, _mm256_set1_epi32(8));
            }
            groups
        }

        /// Two rounds share the sum of the two words that both take.
        #[inline]
        #[target_feature(enable = $features)]
        fn two_rounds<const AT: usize, const G: usize>(
            maps: &Maps,
            groups: &mut [[__m256i; 4]; G],
            round_keys: &[u32; 2],
        ) {
            let k0 = _mm256_set1_epi32(round_keys[0].cast_signed());
            let k1 = _mm256_set1_epi32(round_keys[1].cast_signed());
            for x in groups {
                let [own, next, third, fourth] = [AT, AT + 1, (AT + 2) % 4, (AT + 3) % 4];
                let shared = _mm256_xor_si256(_mm256_xor_si256(x[third], x[fourth]), k0);
                x[own] = maps.round(x[own], _mm256_xor_si256(shared, x[next]));
                let shared = _mm256_xor_si256(shared, k1);
                x[next] = maps.round(x[next], _mm256_xor_si256(shared, x[own]));
            }
        }

        /// From four words of eight blocks to eight blocks.
        #[inline]
        #[target_feature(enable = $features)]
        fn finish(maps: &Maps, group: [__m256i; 4], out: &mut [u64; 16]) {
            // The output is the last four words in reverse.
            let [w3, w2, w1, w0] = group;
            let (w0, w1) = (maps.out_of_image(w0), maps.out_of_image(w1));
            let (w2, w3) = (maps.out_of_image(w2), maps.out_of_image(w3));
            let [a, b] = [_mm256_unpacklo_epi32(w0, w1), _mm256_unpackhi_epi32(w0, w1)];
            let [c, d] = [_mm256_unpacklo_epi32(w2, w3), _mm256_unpackhi_epi32(w2, w3)];
            let blocks = [
                _mm256_unpacklo_epi64(a, c),
                _mm256_unpackhi_epi64(a, c),
                _mm256_unpacklo_epi64(b, d),
                _mm256_unpackhi_epi64(b, d),
            ];
            for (block, out) in blocks.into_iter().zip(out.as_chunks_mut::<4>().0) {
                store_256(out, block);
            }
        }
    };
}

pub(super) use key_stream;
