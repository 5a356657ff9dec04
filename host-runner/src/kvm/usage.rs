//! What this process holds of its host beside the guest's memory: bytes in memory, and descriptors.

use std::io::{BufRead, BufReader, Read};
use std::ops::Range;

use crate::backend::Usage;

/// Measures this process; `guest` is where the guest's memory lies in it. `None` where the host does not say.
pub(super) fn measure(guest: &Range<usize>) -> Option<Usage> {
    // The folder is open itself while it is read.
    let descriptors = std::fs::read_dir("/proc/self/fd").ok()?.count().checked_sub(1)?;
    let maps = std::fs::File::open("/proc/self/smaps").ok()?;
    Some(Usage {
        bytes: resident_beside(guest, maps)?,
        descriptors: u64::try_from(descriptors).ok()?,
    })
}

/// The sum of what is resident of all mappings that do not begin in this range.
fn resident_beside(guest: &Range<usize>, maps: impl Read) -> Option<u64> {
    let mut maps = BufReader::with_capacity(64 << 10, maps);
    let (mut sum, mut is_guests) = (0_u64, false);
    let mut line = String::new();
    loop {
        line.clear();
        if maps.read_line(&mut line).ok()? == 0 {
            return Some(sum);
        }
        // Each mapping begins with its range, `7f00-7f10 rw-p …`; its figures are `Name: 12 kB`.
        let mut words = line.split_ascii_whitespace();
        let (first, second) = (words.next()?, words.next());
        if first == "Rss:" && !is_guests {
            let kibibytes: u64 = second?.parse().ok()?;
            sum = sum.checked_add(kibibytes.checked_mul(1024)?)?;
        } else if !first.ends_with(':') {
            let (start, _) = first.split_once('-')?;
            is_guests = guest.contains(&usize::from_str_radix(start, 16).ok()?);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_guests_does_not_count() {
        // As `proc(5)` has it.
        let maps = "1000-2000 rw-p 00000000 00:00 0 [heap]\nSize: 4 kB\nRss: 4 kB\nVmFlags: rd wr\n\
                    8000-9000 rw-p 00000000 00:00 0\nRss: 400 kB\n\
                    9000-b000 rw-p 00000000 00:00 0\nRss: 800 kB\n\
                    b000-c000 r-xp 00000000 00:00 0 /bin/x\nRss: 12 kB\n";
        assert_eq!(
            resident_beside(&(0x8000..0xb000), maps.as_bytes()),
            Some(16 << 10)
        );
        assert_eq!(resident_beside(&(0..0), maps.as_bytes()), Some(1216 << 10));
        for wrong in ["x", "10-20\nRss: many kB\n", "10-20\nRss:\n", "zz-20 rw\n", "\n"] {
            assert_eq!(resident_beside(&(0..0), wrong.as_bytes()), None, "{wrong:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_and_descriptors_that_are_held_are_seen() {
        let before = measure(&(0..0)).unwrap();
        let held = vec![1_u8; 8 << 20];
        let files: Vec<_> = (0..5).map(|_| tempfile::tempfile().unwrap()).collect();
        let after = measure(&(0..0)).unwrap();
        assert!(after.bytes >= before.bytes + (6 << 20), "{before:?} {after:?}");
        // Other tests of this process open files too; five more than there were is what is sure to be there.
        assert!(after.descriptors >= 5 + 3);
        let start = held.as_ptr().addr();
        let without = measure(&(start - 4096..start + held.len())).unwrap();
        assert!(without.bytes + (6 << 20) <= after.bytes, "{without:?} {after:?}");
        drop(files);
    }
}
