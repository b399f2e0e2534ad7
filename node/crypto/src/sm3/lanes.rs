//! The compression function of SM3 on vectors whose lanes are different messages.
//!
//! It does not contain functions but a macro that makes them, since a function is compiled for
//! one set of instructions. The module that calls it brings `add`, `sum3`, `majority`, `choose`,
//! `constant` and `rotate` for its vectors.

/// Makes `compress_words` for vectors of type `$vector`.
macro_rules! compress_words {
    ($features:literal, $vector:ty) => {
        /// One block of each message, as its sixteen words.
        #[inline]
        #[target_feature(enable = $features)]
        fn compress_words(state: &mut [$vector; 8], words: &mut [$vector; 16]) {
            let before = *state;
            sixteen_rounds::<0>(state, words);
            sixteen_rounds::<16>(state, words);
            sixteen_rounds::<32>(state, words);
            sixteen_rounds::<48>(state, words);
            for (word, before) in state.iter_mut().zip(before) {
                *word = sum2(*word, before);
            }
        }

        #[inline]
        #[target_feature(enable = $features)]
        fn sixteen_rounds<const FROM: usize>(state: &mut [$vector; 8], words: &mut [$vector; 16]) {
            four_rounds::<FROM, 0>(state, words);
            four_rounds::<FROM, 4>(state, words);
            four_rounds::<FROM, 8>(state, words);
            four_rounds::<FROM, 12>(state, words);
        }

        #[inline]
        #[target_feature(enable = $features)]
        fn four_rounds<const FROM: usize, const AT: usize>(
            state: &mut [$vector; 8],
            words: &mut [$vector; 16],
        ) {
            round::<FROM>(AT, state, words);
            round::<FROM>(AT + 1, state, words);
            round::<FROM>(AT + 2, state, words);
            round::<FROM>(AT + 3, state, words);
        }

        /// As in the scalar form.
        #[inline]
        #[target_feature(enable = $features)]
        fn round<const FROM: usize>(
            at: usize,
            state: &mut [$vector; 8],
            words: &mut [$vector; 16],
        ) {
            let [a, b, c, d, e, f, g, h] = *state;
            let word = words[at];
            let word_pair = sum2(word, words[(at + 4) % 16]);
            if FROM + at < 52 {
                let far = rotate::<15>(words[(at + 13) % 16]);
                let x = sum3(word, words[(at + 7) % 16], far);
                let x = sum3(x, rotate::<15>(x), rotate::<23>(x));
                let near = rotate::<7>(words[(at + 3) % 16]);
                words[at] = sum3(x, near, words[(at + 10) % 16]);
            }
            let rotated = rotate::<12>(a);
            let first = add(rotated, add(e, constant(CONSTANTS[FROM + at])));
            let first = rotate::<7>(first);
            let second = sum2(first, rotated);
            let (left, right) = if FROM == 0 {
                (sum3(a, b, c), sum3(e, f, g))
            } else {
                (majority(a, b, c), choose(e, f, g))
            };
            let left = add(add(left, add(d, word_pair)), second);
            let right = add(add(right, add(h, word)), first);
            let right = sum3(right, rotate::<9>(right), rotate::<17>(right));
            *state = [left, a, rotate::<9>(b), c, right, e, rotate::<19>(f), g];
        }
    };
}

pub(super) use compress_words;
