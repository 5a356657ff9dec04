//! A walk of a VM's stage-2 tables from outside, to the level-2 descriptor over a page.
//!
//! [Arm ARM D8.2, D8.3, D24.2.205 VTCR_EL2, D24.2.206 VTTBR_EL2] 4 KiB granule; the first level is the one that VTCR
//! says, with up to 16 tables joined; 48-bit and 52-bit (DS) descriptors.

use std::fmt;

/// The registers that a walk starts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Regime {
    /// VTTBR_EL2.
    pub(super) vttbr: u64,
    /// VTCR_EL2.
    pub(super) vtcr: u64,
}

/// Why a walk leads nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NoWay {
    /// VTCR_EL2 {0:#x} is not of the kind that this walk knows, or nothing was ever translated.
    Regime(u64),
    /// The address {0:#x} is beyond what stage 2 translates.
    Beyond(u64),
    /// The descriptor {descriptor:#x} of level {level} is not what it has to be.
    Descriptor {
        /// Its level.
        level: u32,
        /// Its value.
        descriptor: u64,
    },
}

impl fmt::Display for NoWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Regime(vtcr) => write!(f, "VTCR_EL2 {vtcr:#x} is of no stage 2 that can be walked"),
            Self::Beyond(ipa) => write!(f, "{ipa:#x} is beyond what stage 2 translates"),
            Self::Descriptor { level, descriptor } => {
                write!(f, "the walk of stage 2 meets {descriptor:#x} at level {level}")
            }
        }
    }
}

const TABLE: u64 = 3;
const BLOCK: u64 = 1;
/// Below a level-2 descriptor: 2 MiB; below one of level 3, a page.
const fn shift(level: u32) -> u32 {
    39 - 9 * level
}

/// The level's table, or block, or page; bits 9:8 are address bits 51:50 where DS is set.
const fn output(descriptor: u64, wide: bool) -> u64 {
    if wide {
        (descriptor & 0x0003_ffff_ffff_f000) | ((descriptor & 0x300) << 42)
    } else {
        descriptor & 0x0000_ffff_ffff_f000
    }
}

struct Start {
    level: u32,
    bits: u32,
    table: u64,
    wide: bool,
}

impl Start {
    fn of(regime: Regime) -> Result<Self, NoWay> {
        let Regime { vttbr, vtcr } = regime;
        let no = Err(NoWay::Regime(vtcr));
        // T0SZ 5:0; SL0 7:6; TG0 15:14, 0 = 4 KiB; DS 32; SL2 33, with which the first level is -1.
        let bits = 64 - (vtcr & 0x3f) as u32;
        let level = match (vtcr >> 6) & 3 {
            0 => 2,
            1 => 1,
            2 => 0,
            _ => return no,
        };
        let wide = vtcr & (1 << 32) != 0;
        // The first level resolves four bits more than another one at most, and one at least.
        let fits = bits > shift(level) && bits <= shift(level) + 13 && bits <= 52;
        let table = vttbr & 0x0000_ffff_ffff_f000;
        if (vtcr >> 14) & 3 != 0 || vtcr & (1 << 33) != 0 || !fits || table == 0 {
            return no;
        }
        Ok(Self {
            level,
            bits,
            table,
            wide,
        })
    }
}

/// A walk's step: the descriptor's place, its level and its value.
struct Step {
    place: u64,
    level: u32,
    descriptor: u64,
}

/// Walks towards `ipa`, as far as tables lead and at most to `last`; gives the last step.
fn walk<E: From<NoWay>>(
    regime: Regime,
    ipa: u64,
    last: u32,
    mut read: impl FnMut(u64) -> Result<u64, E>,
) -> Result<(Step, bool), E> {
    let Start {
        mut level,
        bits,
        mut table,
        wide,
    } = Start::of(regime)?;
    if ipa >> bits != 0 {
        return Err(NoWay::Beyond(ipa).into());
    }
    let mut index = ipa >> shift(level);
    loop {
        let place = table + index * 8;
        let descriptor = read(place)?;
        if level >= last || descriptor & 3 != TABLE {
            return Ok((
                Step {
                    place,
                    level,
                    descriptor,
                },
                wide,
            ));
        }
        table = output(descriptor, wide);
        level += 1;
        index = (ipa >> shift(level)) & 0x1ff;
    }
}

/// Where the level-2 descriptor over `ipa` stands, and its value: a table, or nothing. One that maps 2 MiB at once is no
/// walk that could be broken without its pages.
pub(super) fn descriptor_over<E: From<NoWay>>(
    regime: Regime,
    ipa: u64,
    read: impl FnMut(u64) -> Result<u64, E>,
) -> Result<(u64, u64), E> {
    let (step, _) = walk(regime, ipa, 2, read)?;
    match (step.level, step.descriptor & 3) {
        (2, TABLE | 0 | 2) => Ok((step.place, step.descriptor)),
        _ => Err(NoWay::Descriptor {
            level: step.level,
            descriptor: step.descriptor,
        }
        .into()),
    }
}

/// The physical page that `ipa` leads to.
pub(super) fn page_of<E: From<NoWay>>(
    regime: Regime,
    ipa: u64,
    read: impl FnMut(u64) -> Result<u64, E>,
) -> Result<u64, E> {
    let (step, wide) = walk(regime, ipa, 3, read)?;
    match (step.level, step.descriptor & 3) {
        (3, TABLE) | (1 | 2, BLOCK) => {
            let within = (1 << shift(step.level)) - 1;
            Ok((output(step.descriptor, wide) & !within) | (ipa & within & !0xfff))
        }
        _ => Err(NoWay::Descriptor {
            level: step.level,
            descriptor: step.descriptor,
        }
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // As KVM has it for 40 bits of IPA and 4 KiB pages: T0SZ 24, SL0 1, 48 bits of physical address.
    const VTCR: u64 = 24 | (1 << 6) | (5 << 16) | (1 << 31);
    const DS: u64 = 1 << 32;

    /// Two joined tables at 0x4000_2000 of level 1; entry 514 (IPA 514 GiB, in the second one) and entry 2 lead on.
    fn memory(place: u64) -> Result<u64, NoWay> {
        Ok(match place {
            // Level 1, entries 2 and 514.
            0x4000_2010 => 0x4000_5003,
            0x4000_3010 => 0x4000_6003,
            // Level 2: a table, nothing, a block of 2 MiB.
            0x4000_5000 => 0x4000_7003,
            0x4000_5010 => 0x0060_0000_5560_07fd,
            0x4000_6000 => 0x4000_7003,
            // Level 3: a page, with attributes above and below.
            0x4000_7008 => 0x0040_0000_4abc_d7ff,
            0x4000_7010 => 0x0000_0000_4abc_d7fd,
            _ => 0,
        })
    }

    const REGIME: Regime = Regime {
        vttbr: 0x0007_0000_4000_2001,
        vtcr: VTCR,
    };
    const IPA: u64 = 0x8000_1000;

    #[test]
    fn the_walk_begins_in_joined_tables() {
        let wide = Regime {
            vtcr: VTCR | DS,
            ..REGIME
        };
        // Bits 9:8 are how it is shared, or the address's uppermost.
        for (regime, page) in [(REGIME, 0x4abc_d000), (wide, 0x000c_0000_4abc_d000)] {
            for ipa in [IPA, 514 << 30 | 0x1000] {
                let place = if ipa == IPA { 0x4000_5000 } else { 0x4000_6000 };
                assert_eq!(descriptor_over(regime, ipa, memory), Ok((place, 0x4000_7003)));
                assert_eq!(page_of(regime, ipa | 0xabc, memory), Ok(page));
            }
        }
        assert_eq!(page_of(REGIME, 0x8040_3000, memory), Ok(0x5560_3000), "a block");
        // What is not there yet can be broken; a block cannot.
        assert_eq!(descriptor_over(REGIME, 0x8020_0000, memory), Ok((0x4000_5008, 0)));
        assert_eq!(
            descriptor_over(REGIME, 0x8040_0000, memory),
            Err(NoWay::Descriptor {
                level: 2,
                descriptor: 0x0060_0000_5560_07fd
            })
        );
    }

    #[test]
    fn wide_descriptors_keep_their_upper_bits_below() {
        assert_eq!(output(0x0003_0000_4000_0303, true), 0x000f_0000_4000_0000);
        assert_eq!(output(0x0003_0000_4000_0303, false), 0x4000_0000);
    }

    #[test]
    fn other_levels_begin_where_vtcr_says() {
        let one = |place: u64| -> Result<u64, NoWay> {
            Ok(match place {
                0x1000 => 0x2003,
                0x2010 => 0x3003,
                _ => 0,
            })
        };
        // 48 bits: level 0, entry 0; and 30 bits: level 2 at once.
        let regime = |vtcr| Regime { vttbr: 0x1000, vtcr };
        assert_eq!(
            descriptor_over(regime(16 | (2 << 6)), 0x8000_0000, one),
            Ok((0x3000, 0))
        );
        assert_eq!(descriptor_over(regime(34), 0x20_0000, one), Ok((0x1008, 0)));
    }

    #[test]
    fn whatever_is_no_way_is_said() {
        let over = |vttbr, vtcr, ipa| descriptor_over(Regime { vttbr, vtcr }, ipa, memory);
        for (vttbr, vtcr) in [
            (0, VTCR),
            (0x4000_2000, 0),
            (0x4000_2000, VTCR | (1 << 14)),
            (0x4000_2000, VTCR | (1 << 33)),
            (0x4000_2000, VTCR | (3 << 6)),
            // Too many bits for the first level, and none.
            (0x4000_2000, (VTCR & !0x3f) | 16),
            (0x4000_2000, (VTCR & !0x3f) | 34),
        ] {
            assert_eq!(over(vttbr, vtcr, IPA), Err(NoWay::Regime(vtcr)), "{vtcr:#x}");
        }
        assert_eq!(over(0x4000_2000, VTCR, 1 << 40), Err(NoWay::Beyond(1 << 40)));
        assert_eq!(
            over(0x4000_2000, VTCR, 0x4000_0000),
            Err(NoWay::Descriptor {
                level: 1,
                descriptor: 0
            })
        );
        for ipa in [0x8000_0000, 0x8000_2000] {
            assert!(matches!(
                page_of(REGIME, ipa, memory),
                Err(NoWay::Descriptor { level: 3, .. })
            ));
        }
    }
}
