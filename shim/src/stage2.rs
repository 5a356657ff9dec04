//! Stage 2: an identity map of large blocks, out of which single pages can be taken [Arm ARM D8.3].
//!
//! 39 bits of IPA, so that a walk starts with one table at level 1, whatever the CPU; 4 KiB granule. Blocks are split
//! when a page of theirs is taken out, so tables are spent on holes and not on memory: a table for each 2 MiB with a
//! hole in it, one more for each such 1 GiB.

/// Entries of a table.
pub const ENTRIES: usize = 512;
/// Bytes of a table, and of a page.
pub const PAGE: u64 = 4096;
/// First address beyond the map.
pub const LIMIT: u64 = 1 << 39;

/// A translation table.
#[repr(C, align(4096))]
#[derive(Clone, Copy, Debug)]
pub struct Table(pub [u64; ENTRIES]);

/// What makes changes of tables known to the CPU's walks.
pub trait Maintenance {
    /// Returns when all that was written to the tables is seen by later walks.
    fn publish(&mut self);
    /// After an entry over `ipa` was made invalid: returns when nothing of it, and of nothing made with it, is cached.
    fn invalidate(&mut self, ipa: u64);
}

/// Memory types [Arm ARM D8.6.5].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Memory {
    /// Normal, write-back at both levels.
    Normal,
    /// Device-nGnRE, not executable.
    Device,
}

/// Why the map was not changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapError {
    /// All tables are in use.
    Exhausted,
    /// The address is beyond the map, or unaligned.
    BadAddress,
}

impl core::fmt::Display for MapError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Exhausted => "all stage-2 tables are in use",
            Self::BadAddress => "an address is beyond stage 2, or unaligned",
        })
    }
}

impl core::error::Error for MapError {}

const VALID: u64 = 1;
// At levels 1 and 2: a table, else a block. At level 3: a page.
const TABLE: u64 = 1 << 1;
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
const NORMAL: u64 = 0xf << 2;
const DEVICE: u64 = 0x1 << 2;
const READ_WRITE: u64 = 0x3 << 6;
const WRITE: u64 = 0x2 << 6;
const INNER_SHAREABLE: u64 = 0x3 << 8;
const ACCESSED: u64 = 1 << 10;
/// A bit for software [Arm ARM D8.3.2].
const FAILING: u64 = 1 << 55;
const NO_EXECUTE: u64 = 0x2 << 53;

impl Memory {
    const fn attributes(self) -> u64 {
        READ_WRITE
            | ACCESSED
            | match self {
                Self::Normal => NORMAL | INNER_SHAREABLE,
                Self::Device => DEVICE | NO_EXECUTE,
            }
    }
}

/// A level of the walk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
enum Level {
    One,
    Two,
    Three,
}

impl Level {
    const fn shift(self) -> u32 {
        match self {
            Self::One => 30,
            Self::Two => 21,
            Self::Three => 12,
        }
    }

    const fn bytes(self) -> u64 {
        1 << self.shift()
    }

    const fn index(self, ipa: u64) -> usize {
        ((ipa >> self.shift()) & 0x1ff) as usize
    }

    const fn below(self) -> Option<Self> {
        match self {
            Self::One => Some(Self::Two),
            Self::Two => Some(Self::Three),
            Self::Three => None,
        }
    }

    /// The bits that make an entry of this level map memory.
    const fn leaf(self) -> u64 {
        match self {
            Self::One | Self::Two => VALID,
            Self::Three => VALID | TABLE,
        }
    }
}

/// The map. The root is the pool's first table.
#[derive(Debug)]
pub struct Stage2<'a, M> {
    pool: &'a mut [Table],
    base: u64,
    used: usize,
    maintenance: M,
}

impl<'a, M: Maintenance> Stage2<'a, M> {
    /// An empty map in `pool`, whose first byte has the physical address `base`.
    ///
    /// # Errors
    /// [`MapError::Exhausted`] when the pool is empty, [`MapError::BadAddress`] when `base` is not a table's.
    pub fn new(pool: &'a mut [Table], base: u64, maintenance: M) -> Result<Self, MapError> {
        if !base.is_multiple_of(PAGE) || base & ADDRESS != base {
            return Err(MapError::BadAddress);
        }
        let mut map = Self {
            pool,
            base,
            used: 0,
            maintenance,
        };
        map.allocate()?;
        map.maintenance.publish();
        Ok(map)
    }

    /// The root's physical address, for VTTBR_EL2.
    pub const fn root(&self) -> u64 {
        self.base
    }

    /// How many tables are in use.
    pub const fn tables(&self) -> usize {
        self.used
    }

    /// Maps `bytes` from `start` to themselves, in the largest blocks that fit.
    ///
    /// # Errors
    /// See [`MapError`]; what was mapped before the error stays.
    pub fn map(&mut self, start: u64, bytes: u64, memory: Memory) -> Result<(), MapError> {
        let end = start
            .checked_add(bytes)
            .filter(|end| *end <= LIMIT)
            .ok_or(MapError::BadAddress)?;
        if !start.is_multiple_of(PAGE) || !end.is_multiple_of(PAGE) {
            return Err(MapError::BadAddress);
        }
        let mut ipa = start;
        while ipa < end {
            let fits = |level: &Level| ipa.is_multiple_of(level.bytes()) && end - ipa >= level.bytes();
            let level = [Level::One, Level::Two]
                .into_iter()
                .find(fits)
                .unwrap_or(Level::Three);
            let entry = self.entry(ipa, level)?;
            *entry = ipa | memory.attributes() | level.leaf();
            ipa += level.bytes();
        }
        self.maintenance.publish();
        Ok(())
    }

    /// Takes the page at `ipa` out, for good.
    ///
    /// # Errors
    /// See [`MapError`]; the page is then still there.
    pub fn take_out(&mut self, ipa: u64) -> Result<(), MapError> {
        if !ipa.is_multiple_of(PAGE) || ipa >= LIMIT {
            return Err(MapError::BadAddress);
        }
        *self.entry(ipa, Level::Three)? = 0;
        self.maintenance.invalidate(ipa);
        Ok(())
    }

    /// Remembers that the page at `ipa`, which can still be read, will be lost: [`Self::lost`] gives it too.
    ///
    /// # Errors
    /// See [`MapError`]; nothing is remembered then.
    pub fn remember_failing(&mut self, ipa: u64) -> Result<(), MapError> {
        if !ipa.is_multiple_of(PAGE) || ipa >= LIMIT {
            return Err(MapError::BadAddress);
        }
        // The translation stays what it is: nothing is invalidated.
        *self.entry(ipa, Level::Three)? |= FAILING;
        self.maintenance.publish();
        Ok(())
    }

    /// The first page from `from` on and before `end` that was taken out, can only be read, or fails; of what is mapped
    /// there as memory.
    pub fn lost(&self, from: u64, end: u64) -> Option<u64> {
        let end = end.min(LIMIT);
        let mut ipa = from.checked_next_multiple_of(PAGE)?;
        while ipa < end {
            let (entry, level) = self.look_up(ipa);
            let is_lost =
                level == Level::Three && (entry & (VALID | WRITE) != VALID | WRITE || entry & FAILING != 0);
            if is_lost {
                return Some(ipa);
            }
            ipa = (ipa & !(level.bytes() - 1)).checked_add(level.bytes())?;
        }
        None
    }

    /// The entry over `ipa` that leads no further, and its level.
    fn look_up(&self, ipa: u64) -> (u64, Level) {
        let (mut table, mut level) = (0, Level::One);
        loop {
            let entry = self.read(table, level.index(ipa));
            match level.below() {
                Some(below) if entry & (VALID | TABLE) == VALID | TABLE => match self.number(entry) {
                    Ok(next) => (table, level) = (next, below),
                    Err(_) => return (entry, level),
                },
                _ => return (entry, level),
            }
        }
    }

    /// Has the page at `ipa` only read from now on. One that was taken out stays out.
    ///
    /// # Errors
    /// See [`MapError`]; the page is then still as it was.
    pub fn protect(&mut self, ipa: u64) -> Result<(), MapError> {
        if !ipa.is_multiple_of(PAGE) || ipa >= LIMIT {
            return Err(MapError::BadAddress);
        }
        *self.entry(ipa, Level::Three)? &= !WRITE;
        self.maintenance.invalidate(ipa);
        Ok(())
    }

    /// The entry at `level` over `ipa`; blocks above it are split, tables that are missing are made.
    fn entry(&mut self, ipa: u64, level: Level) -> Result<&mut u64, MapError> {
        let mut table = 0;
        let mut above = Level::One;
        while above < level {
            let Some(next) = above.below() else { break };
            let slot = above.index(ipa);
            let found = self.read(table, slot);
            table = if found & (VALID | TABLE) == VALID | TABLE {
                self.number(found)?
            } else {
                self.grow(table, slot, next, ipa)?
            };
            above = next;
        }
        self.pool
            .get_mut(table)
            .and_then(|table| table.0.get_mut(level.index(ipa)))
            .ok_or(MapError::BadAddress)
    }

    /// Puts a table of `level` in the place of an entry that is a block, or nothing.
    fn grow(&mut self, table: usize, slot: usize, level: Level, ipa: u64) -> Result<usize, MapError> {
        let block = self.read(table, slot);
        let new = self.allocate()?;
        if block & VALID != 0 {
            let attributes = (block & !(ADDRESS | TABLE)) | level.leaf();
            let mut output = block & ADDRESS;
            for entry in self.pool.get_mut(new).into_iter().flat_map(|table| &mut table.0) {
                *entry = output | attributes;
                output += level.bytes();
            }
            // Break before make: a block and the table in its place must not be cached together, as the sizes differ
            // [Arm ARM D8.17.1].
            self.write(table, slot, 0);
            self.maintenance.invalidate(ipa);
        }
        self.maintenance.publish();
        let address = self.base + (new as u64) * PAGE;
        self.write(table, slot, address | VALID | TABLE);
        self.maintenance.publish();
        Ok(new)
    }

    fn allocate(&mut self) -> Result<usize, MapError> {
        let new = self.used;
        self.pool.get_mut(new).ok_or(MapError::Exhausted)?.0.fill(0);
        self.used += 1;
        Ok(new)
    }

    /// Which table of the pool an entry leads to.
    fn number(&self, entry: u64) -> Result<usize, MapError> {
        let offset = (entry & ADDRESS)
            .checked_sub(self.base)
            .ok_or(MapError::BadAddress)?;
        usize::try_from(offset / PAGE).map_err(|_| MapError::BadAddress)
    }

    fn read(&self, table: usize, slot: usize) -> u64 {
        self.pool
            .get(table)
            .and_then(|table| table.0.get(slot))
            .copied()
            .unwrap_or(0)
    }

    fn write(&mut self, table: usize, slot: usize, entry: u64) {
        if let Some(place) = self.pool.get_mut(table).and_then(|table| table.0.get_mut(slot)) {
            *place = entry;
        }
    }
}

#[cfg(test)]
mod tests;
