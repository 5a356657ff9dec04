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
/// What of TTBRx_EL1 is no ASID.
const ADDRESS: u64 = 0x0000_ffff_ffff_ffff;

/// The level (0 to 3) at which the walk for `address` reads the page at `ipa`; `None` when it does not read there, when
/// there is no walk for such an address, when the regime is not one of 4 KiB granules and 25 to 48 bits, or when `read`
/// cannot give a descriptor on the way.
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
        // T0SZ 5:0, EPD0 7, TG0 15:14 (0 = 4 KiB), TBI0 37; T1SZ 21:16, EPD1 23, TG1 31:30 (2 = 4 KiB), TBI1 38
        // [Arm ARM D24.2.191].
        let (tcr, base) = (regime.tcr, if upper { regime.ttbr1 } else { regime.ttbr0 });
        let (sizes, granule_is_4k, tag_is_ignored) = if upper {
            (tcr >> 16, (tcr >> 30) & 3 == 2, (tcr >> 38) & 1 == 1)
        } else {
            (tcr, (tcr >> 14) & 3 == 0, (tcr >> 37) & 1 == 1)
        };
        let (size, walks_are_off) = (sizes & 0x3f, (sizes >> 7) & 1 == 1);
        if !granule_is_4k || walks_are_off || !(16..=39).contains(&size) {
            return None;
        }
        // Above what TxSZ leaves every bit is as bit 55, but for an ignored tag; else the address faults without a walk.
        let counted = if tag_is_ignored { u64::MAX >> 8 } else { u64::MAX };
        let differing = if upper { !address } else { address };
        if differing & counted & !(u64::MAX >> size) != 0 {
            return None;
        }
        let bits = 64_u64.checked_sub(size)?;
        // Each level resolves nine bits above the twelve of the page: 48 bits start at level 0, 39 at level 1.
        let level: i8 = match bits {
            40.. => 0,
            31..=39 => 1,
            _ => 2,
        };
        // A table that is smaller than a page lies on its own size, and on 64 bytes at least: BADDR begins there.
        let (last, _) = entry(size, level, 0, u64::MAX)?;
        let within = last.checked_add(7)?.max(63);
        let table = base & ADDRESS & !within;
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
        // A tag in the top byte does not change the half; where the byte counts (TBI1 = 0), there is no walk.
        let tagged = |tcr| {
            let regime = Regime { tcr, ..regime };
            level_reading(regime, 0x5aff_8000_0000_0000, 0x7000, |_| None)
        };
        assert_eq!(
            [tagged(tcr | (1 << 38)), tagged(tcr | (1 << 37))],
            [Some(0), None]
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

    #[test]
    fn a_root_table_smaller_than_a_page_lies_on_its_own_size_or_64_bytes() {
        // TxSZ, TTBR (with an ASID and CnP), the highest address of that many bits, and where its descriptor is.
        for (size, base, address, wanted) in [
            // 44 bits from level 0: 32 entries.
            (20, 0x1101, 0x0000_0fff_ffff_f000, 0x11f8),
            (20, 0x11ff, 0x0000_0fff_ffff_f000, 0x11f8),
            // 40 bits from level 0: 2 entries, on 64 bytes all the same.
            (24, 0x1041, 0x0000_00ff_ffff_f000, 0x1048),
            (24, 0x107f, 0x0000_00ff_ffff_f000, 0x1048),
            // 42 bits from level 0: 8 entries, which are 64 bytes.
            (22, 0x10c0, 0x0000_03ff_ffff_f000, 0x10f8),
            // 43 bits from level 0: 16 entries.
            (21, 0x10c0, 0x0000_07ff_ffff_f000, 0x10f8),
            // 31 bits from level 1 and 30 from level 2: 2 and 512 entries.
            (33, 0x1fc0, 0x0000_0000_7fff_f000, 0x1fc8),
            (34, 0x1fc0, 0x0000_0000_3fff_f000, 0x1ff8),
            (16, 0x1fff, 0x0000_ffff_ffff_f000, 0x1ff8),
        ] {
            let regime = Regime {
                ttbr0: base | (0x5ea << 48),
                ttbr1: 0x9000,
                tcr: size,
            };
            let mut first = None;
            let page = page_of(regime, address, |entry| {
                first = first.or(Some(entry));
                None
            });
            assert_eq!((page, first), (None, Some(wanted)), "T0SZ = {size}, {base:#x}");
            assert!(level_reading(regime, address, 0x1000, |_| None).is_some());
        }
    }

    #[test]
    fn an_address_beyond_its_half_leads_nowhere() {
        let leads = |tcr, address| {
            let regime = Regime {
                ttbr0: 0x1000,
                ttbr1: 0x1000,
                tcr: TCR39 | tcr,
            };
            let page = page_of(regime, address, memory);
            // Where there is no walk, it reads nothing.
            assert_eq!(
                level_reading(regime, address, 0x1000, memory).is_some(),
                page.is_some()
            );
            page.is_some()
        };
        let lower = (1 << 30) | (1 << 21) | (1 << 12);
        let upper = lower | (u64::MAX << 39);
        assert!(leads(0, lower) && leads(0, upper));
        for bit in 39..55 {
            for tbi in [0, 3 << 37] {
                assert!(!leads(tbi, lower | (1 << bit)) && !leads(tbi, upper & !(1 << bit)));
            }
        }
        // TBI0 is bit 37, TBI1 bit 38.
        for bit in 56..64 {
            let (low, high) = (lower | (1 << bit), upper & !(1 << bit));
            assert!(!leads(0, low) && !leads(1 << 38, low) && leads(1 << 37, low));
            assert!(!leads(0, high) && !leads(1 << 37, high) && leads(1 << 38, high));
        }
        // EPD0 is bit 7, EPD1 bit 23: no walk in that half.
        assert!(!leads(1 << 7, lower) && leads(1 << 7, upper));
        assert!(leads(1 << 23, lower) && !leads(1 << 23, upper));
    }
}
