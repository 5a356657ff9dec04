//! Numbers that look random and are the same in every run.

/// SplitMix64: the tests need many values, not good ones.
pub(crate) struct Numbers(pub(crate) u64);

impl Iterator for Numbers {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(z ^ z >> 31)
    }
}

/// `count` of them; under Miri, which is some thousand times slower, one in five hundred.
pub(crate) fn numbers(count: usize) -> impl Iterator<Item = u64> {
    Numbers(1).take(if cfg!(miri) { count.div_ceil(500) } else { count })
}
