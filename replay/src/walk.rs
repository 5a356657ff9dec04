//! The stage-1 walk, followed in software to learn at which level it met a hole.
//!
//! A stage-2 fault on a stage-1 walk says which IPA could not be read, not which level of the walk read it; the guest's
//! syndrome needs the level (FSC 0x14 to 0x17). So the walk is done again, as KVM does since Linux 6.18.

/// The registers a walk starts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Regime {
    /// TTBR0_EL1.
    pub ttbr0: u64,
    /// TTBR1_EL1.
    pub ttbr1: u64,
    /// TCR_EL1.
    pub tcr: u64,
}

// A descriptor's next-table address, for 48-bit output addresses and the 4 KiB granule [Arm ARM D8.3.1].
const TABLE: u64 = 0x0000_ffff_ffff_f000;

/// The level (0 to 3) at which the walk for `address` reads the page at `ipa`; `None` when it does not read there, when
/// the regime is not one of 4 KiB granules, or when `read` cannot give a descriptor on the way.
pub fn level_reading(
    regime: Regime,
    address: u64,
    ipa: u64,
    mut read: impl FnMut(u64) -> Option<u64>,
) -> Option<i8> {
    let Start {
        size,
        mut level,
        mut table,
    } = Start::of(regime, address)?;
    loop {
        let (entry, _) = entry(size, level, table, address)?;
        if entry & !0xfff == ipa & !0xfff {
            return Some(level);
        }
        let descriptor = read(entry)?;
        if level == 3 || descriptor & 3 != 3 {
            return None;
        }
        table = descriptor & TABLE;
        level = level.checked_add(1)?;
    }
}

/// The page that `address` leads to; `None` when it leads nowhere, and where [`level_reading`] gives up too.
pub fn page_of(regime: Regime, address: u64, mut read: impl FnMut(u64) -> Option<u64>) -> Option<u64> {
    let Start {
        size,
        mut level,
        mut table,
    } = Start::of(regime, address)?;
    loop {
        let (entry, shift) = entry(size, level, table, address)?;
        let descriptor = read(entry)?;
        let within = 1_u64.checked_shl(shift)?.checked_sub(1)?;
        match (descriptor & 3, level) {
            (3, 3) | (1, 1 | 2) => {
                return Some(((descriptor & TABLE & !within) | (address & within)) & !0xfff);
            }
            (3, 0..=2) => table = descriptor & TABLE,
            _ => return None,
        }
        level = level.checked_add(1)?;
    }
}

/// Where a walk begins.
struct Start {
    /// TxSZ.
    size: u64,
    level: i8,
    table: u64,
}

impl Start {
    fn of(regime: Regime, address: u64) -> Option<Self> {
        // Bit 55 chooses the half, whether or not the top byte is ignored [Arm ARM D8.2.4].
        let upper = (address >> 55) & 1 == 1;
        // T0SZ 5:0, TG0 15:14 (0 = 4 KiB); T1SZ 21:16, TG1 31:30 (2 = 4 KiB) [Arm ARM D24.2.191].
        let (base, size, granule_is_4k) = if upper {
            (
                regime.ttbr1,
                (regime.tcr >> 16) & 0x3f,
                (regime.tcr >> 30) & 3 == 2,
            )
        } else {
            (regime.ttbr0, regime.tcr & 0x3f, (regime.tcr >> 14) & 3 == 0)
        };
        if !granule_is_4k || !(16..=39).contains(&size) {
            return None;
        }
        let bits = 64_u64.checked_sub(size)?;
        // Each level resolves nine bits above the twelve of the page: 48 bits start at level 0, 39 at level 1.
        let level: i8 = match bits {
            40.. => 0,
            31..=39 => 1,
            _ => 2,
        };
        let table = base & TABLE & !1;
        Some(Self { size, level, table })
    }
}

/// The address of a level's descriptor for `address`, and how many bits are left below it.
fn entry(size: u64, level: i8, table: u64, address: u64) -> Option<(u64, u32)> {
    let shift = 12_u32.checked_add(9_u32.checked_mul(u32::try_from(3_i8.checked_sub(level)?).ok()?)?)?;
    let index = (address & (u64::MAX >> size)).checked_shr(shift)? & 0x1ff;
    Some((table.checked_add(index.checked_mul(8)?)?, shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    // 39-bit halves, 4 KiB granules: T0SZ = T1SZ = 25, TG1 = 2.
    const TCR39: u64 = 25 | (25 << 16) | (2 << 30);

    /// Tables at 0x1000 (level 1), 0x2000 (level 2), 0x3000 (level 3), each leading on from entry 1.
    fn memory(entry: u64) -> Option<u64> {
        match entry {
            0x1008 => Some(0x2003),
            0x2008 => Some(0x3003),
            0x3008 => Some(0x4003),
            _ => Some(0),
        }
    }

    fn level(ipa: u64) -> Option<i8> {
        let regime = Regime {
            ttbr0: 0x0001_0000_0000_1000,
            ttbr1: 0,
            tcr: TCR39,
        };
        level_reading(regime, (1 << 30) | (1 << 21) | (1 << 12), ipa, memory)
    }

    #[test]
    fn the_level_is_the_one_whose_table_is_the_page() {
        assert_eq!(level(0x1000), Some(1));
        assert_eq!(level(0x2008), Some(2));
        assert_eq!(level(0x3fff), Some(3));
        assert_eq!(level(0x4000), None);
        assert_eq!(level(0x9000), None);
    }

    #[test]
    fn forty_eight_bits_begin_at_level_zero_and_the_upper_half_has_its_own_base() {
        let tcr = 16 | (16 << 16) | (2 << 30);
        let regime = Regime {
            ttbr0: 0x1000,
            ttbr1: 0x7000,
            tcr,
        };
        assert_eq!(level_reading(regime, 1 << 39, 0x1000, memory), Some(0));
        // A tag in the top byte does not change the half.
        assert_eq!(
            level_reading(regime, 0x5aff_8000_0000_0000, 0x7000, |_| None),
            Some(0)
        );
        assert_eq!(
            level_reading(regime, 0xffff_8000_0000_0000, 0x7000, |_| None),
            Some(0)
        );
        assert_eq!(
            level_reading(regime, 0xffff_8000_0000_0000, 0x1000, |_| None),
            None
        );
    }

    #[test]
    fn other_granules_and_unreadable_tables_give_no_level() {
        let regime = Regime {
            ttbr0: 0x1000,
            ttbr1: 0,
            tcr: TCR39 | (1 << 14),
        };
        assert_eq!(level_reading(regime, 0, 0x1000, memory), None);
        let regime = Regime {
            ttbr0: 0x1000,
            ttbr1: 0,
            tcr: TCR39,
        };
        assert_eq!(level_reading(regime, 1 << 30, 0x2000, |_| None), None);
    }
    #[test]
    fn an_address_leads_to_its_page_or_nowhere() {
        let regime = Regime {
            ttbr0: 0x1000,
            ttbr1: 0,
            tcr: TCR39,
        };
        let page = |address| page_of(regime, address, memory);
        let address = (1 << 30) | (1 << 21) | (1 << 12);
        assert_eq!(page(address | 0xabc), Some(0x4000));
        assert_eq!(page(address + 0x1000), None, "no page");
        assert_eq!(page(address + (1 << 21)), None, "no table");
        assert_eq!(page(u64::MAX), None, "nothing in the upper half");
        // A block of 2 MiB, and a descriptor that means nothing at level 3.
        let block = |entry| match entry {
            0x2008 => Some(0x0040_0001 | (1 << 54)),
            other => memory(other),
        };
        assert_eq!(page_of(regime, address, block), Some(0x0040_1000));
        let reserved = |entry| match entry {
            0x3008 => Some(0x4001),
            other => memory(other),
        };
        assert_eq!(page_of(regime, address, reserved), None);
        assert_eq!(page_of(regime, address, |_| None), None);
    }
}
