extern crate std;
use std::vec;
use std::vec::Vec;

use super::*;

const BASE: u64 = 0x4030_0000;
const RAM: u64 = 0x5000_0000;

#[derive(Debug, Default)]
struct Log {
    invalidated: Vec<u64>,
    published: usize,
}

impl Maintenance for &mut Log {
    fn publish(&mut self) {
        self.published += 1;
    }

    fn invalidate(&mut self, ipa: u64) {
        self.invalidated.push(ipa);
    }
}

/// The walk as the manual has it, for an oracle: descriptor and level, or the level that has none.
fn walk(pool: &[Table], ipa: u64) -> Result<(u64, u32), u32> {
    let mut table = 0;
    for level in 1..=3 {
        let shift = 12 + 9 * (3 - level);
        let d = pool[table].0[usize::try_from((ipa >> shift) % 512).unwrap()];
        match (d & 3, level) {
            (3, 3) | (1, 1 | 2) => {
                let block = (d & 0xffff_ffff_f000) + (ipa % (1 << shift));
                assert_eq!(block, ipa, "identity");
                return Ok((d & !0xffff_ffff_f000, level));
            }
            (3, _) => table = usize::try_from(((d & 0xffff_ffff_f000) - BASE) / 4096).unwrap(),
            _ => return Err(level),
        }
    }
    unreachable!()
}

fn pool(tables: usize) -> Vec<Table> {
    vec![Table([u64::MAX; 512]); tables]
}

#[test]
fn memory_is_mapped_to_its_ends_in_blocks() {
    let (mut tables, mut log) = (pool(8), Log::default());
    let mut map = Stage2::new(&mut tables, BASE, &mut log).unwrap();
    map.map(RAM, 2 << 30, Memory::Normal).unwrap();
    map.map(0x0900_0000, 0x1000, Memory::Device).unwrap();
    assert_eq!((map.root(), map.tables()), (BASE, 5));
    // Write-back, read-write, inner shareable, accessed; block, then the same as a 1 GiB block.
    assert_eq!(walk(&tables, RAM), Ok((0x7fd, 2)));
    assert_eq!(walk(&tables, 0x8000_0000), Ok((0x7fd, 1)));
    assert_eq!(walk(&tables, RAM + (2 << 30) - 1), Ok((0x7fd, 2)));
    assert_eq!(walk(&tables, RAM + (2 << 30)), Err(2));
    assert_eq!(walk(&tables, RAM - 1), Err(2));
    assert_eq!(walk(&tables, 0x0900_0fff), Ok((0x0040_0000_0000_04c7, 3)));
    assert_eq!(walk(&tables, 0x0900_1000), Err(3));
    assert_eq!(walk(&tables, (1 << 39) - 1), Err(1));
    assert!(log.invalidated.is_empty());
}

#[test]
fn a_page_taken_out_leaves_its_neighbours() {
    let (mut tables, mut log) = (pool(8), Log::default());
    let mut map = Stage2::new(&mut tables, BASE, &mut log).unwrap();
    map.map(0x8000_0000, 1 << 30, Memory::Normal).unwrap();
    map.take_out(0x8765_4000).unwrap();
    assert_eq!(map.tables(), 3);
    map.take_out(0x8765_5000).unwrap();
    map.take_out(0x8765_5000).unwrap();
    assert_eq!(map.tables(), 3, "the same 2 MiB needs no further table");
    assert_eq!(walk(&tables, 0x8765_4123), Err(3));
    assert_eq!(walk(&tables, 0x8765_5123), Err(3));
    for page in [0x8760_0000, 0x8765_3000, 0x8765_6000, 0x877f_f000] {
        assert_eq!(walk(&tables, page), Ok((0x7ff, 3)), "{page:#x}");
    }
    assert_eq!(walk(&tables, 0x8740_0000), Ok((0x7fd, 2)));
    assert_eq!(walk(&tables, 0x8780_0000), Ok((0x7fd, 2)));
    // Two splits and three pages, each with its invalidation.
    assert_eq!(
        log.invalidated,
        [0x8765_4000, 0x8765_4000, 0x8765_4000, 0x8765_5000, 0x8765_5000]
    );
}

#[test]
fn a_page_that_is_protected_is_read_and_not_written_and_one_taken_out_stays_out() {
    let (mut tables, mut log) = (pool(8), Log::default());
    let mut map = Stage2::new(&mut tables, BASE, &mut log).unwrap();
    map.map(0x8000_0000, 1 << 30, Memory::Normal).unwrap();
    map.take_out(0x8765_4000).unwrap();
    for page in [0x8765_5000, 0x8765_5000, 0x8765_4000] {
        map.protect(page).unwrap();
    }
    assert_eq!(map.protect(0x8765_5008), Err(MapError::BadAddress));
    assert_eq!(map.protect(1 << 39), Err(MapError::BadAddress));
    assert_eq!(walk(&tables, 0x8765_4000), Err(3));
    // S2AP, bits 7:6, is 0b01; all else as in its neighbours.
    assert_eq!(walk(&tables, 0x8765_5123), Ok((0x77f, 3)));
    assert_eq!(walk(&tables, 0x8765_6000), Ok((0x7ff, 3)));
    assert_eq!(
        log.invalidated,
        [
            0x8765_4000,
            0x8765_4000,
            0x8765_4000,
            0x8765_5000,
            0x8765_5000,
            0x8765_4000
        ]
    );
}

#[test]
fn an_exhausted_pool_changes_nothing() {
    let (mut tables, mut log) = (pool(3), Log::default());
    let mut map = Stage2::new(&mut tables, BASE, &mut log).unwrap();
    map.map(RAM, 8 << 20, Memory::Normal).unwrap();
    map.take_out(RAM).unwrap();
    assert_eq!(map.take_out(RAM + (2 << 20)), Err(MapError::Exhausted));
    assert_eq!(walk(&tables, RAM + (2 << 20)), Ok((0x7fd, 2)));
}

#[test]
fn addresses_beyond_or_between_pages_are_refused() {
    let (mut tables, mut log) = (pool(3), Log::default());
    assert_eq!(
        Stage2::new(&mut [], BASE, &mut log).unwrap_err(),
        MapError::Exhausted
    );
    assert_eq!(
        Stage2::new(&mut tables, BASE + 8, &mut log).unwrap_err(),
        MapError::BadAddress
    );
    let mut map = Stage2::new(&mut tables, BASE, &mut log).unwrap();
    assert_eq!(
        map.map(RAM, (1 << 39) - RAM + 4096, Memory::Normal),
        Err(MapError::BadAddress)
    );
    assert_eq!(
        map.map(u64::MAX - 4095, 4096, Memory::Normal),
        Err(MapError::BadAddress)
    );
    assert_eq!(map.map(RAM + 1, 4096, Memory::Normal), Err(MapError::BadAddress));
    assert_eq!(map.take_out(1 << 39), Err(MapError::BadAddress));
    assert_eq!(map.take_out(RAM + 8), Err(MapError::BadAddress));
}

#[test]
fn what_is_lost_is_found_in_order_and_memory_that_is_sound_is_not() {
    let (mut tables, mut log) = (pool(16), Log::default());
    let mut map = Stage2::new(&mut tables, BASE, &mut log).unwrap();
    map.map(RAM, 3 << 30, Memory::Normal).unwrap();
    let end = RAM + (3 << 30);
    assert_eq!(map.lost(RAM, end), None);
    map.take_out(0x9000_5000).unwrap();
    map.protect(RAM + 0x1000).unwrap();
    map.remember_failing(end - 0x1000).unwrap();
    let mut found = Vec::new();
    let mut from = RAM;
    while let Some(page) = map.lost(from, end) {
        found.push(page);
        from = page + 1;
    }
    assert_eq!(found, [RAM + 0x1000, 0x9000_5000, end - 0x1000]);
    assert_eq!(map.lost(u64::MAX, u64::MAX), None);
    assert_eq!(map.remember_failing(RAM + 8), Err(MapError::BadAddress));
    assert!(walk(&tables, end - 0x1000).is_ok(), "it can be read still");
}
