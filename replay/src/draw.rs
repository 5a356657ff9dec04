//! Numbers that look random and are the same everywhere: which error an announcement gets, where a plan leaves that to a
//! seed.
//!
//! SplitMix64 [Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014; constants of Vigna's
//! splitmix64.c]: the state goes up by a constant for each number, so that the `n`-th one needs none of those before it,
//! and a plan that goes on elsewhere goes on with the same numbers.

/// What the state goes up by: 2^64 / φ, odd.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The number at this place, counted from zero, of the sequence that this seed begins.
#[must_use]
pub const fn number(seed: u64, place: u64) -> u64 {
    let state = seed.wrapping_add(GAMMA.wrapping_mul(place.wrapping_add(1)));
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The number at this place, brought below `limit`, by multiplication [Lemire 2019]. Not every value is exactly as likely:
/// the difference is below `limit` in 2^64. Zero where `limit` is.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the upper half of a product of two halves"
)]
pub const fn below(limit: u32, seed: u64, place: u64) -> u32 {
    ((number(seed, place) as u128).wrapping_mul(limit as u128) >> 64) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_published_generator() {
        // What splitmix64.c gives for this seed, as Rosetta Code's task "Pseudo-random numbers/Splitmix64" has it too.
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!([0, 1, 2, 3, 4].map(|place| number(1_234_567, place)), published);
    }

    #[test]
    fn below_a_limit_each_value_comes_about_as_often() {
        let mut counts = [0_u32; 7];
        for place in 0..70_000 {
            counts[below(7, 42, place) as usize] += 1;
        }
        assert!(
            counts.iter().all(|count| (9_500..10_500).contains(count)),
            "{counts:?}"
        );
        assert_eq!((below(0, 42, 0), below(1, 42, 0)), (0, 0));
    }
}
