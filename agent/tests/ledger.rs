//! The ledger: known once, never forgotten, and bounded.

mod numbers;

use std::collections::BTreeSet;

use numbers::numbers;
use seawall_agent::{FrameNumber, Ledger, LedgerError, Recorded};

#[test]
fn frame_is_new_once_and_known_for_ever() {
    let mut slots = [u64::MAX; 16];
    let mut ledger = Ledger::new(&mut slots).unwrap();
    assert!(ledger.is_empty(), "what was in the memory before does not count");
    for (frame, recorded, len) in [
        (0, Recorded::New, 1),
        (0, Recorded::Known, 1),
        (0x4_8000, Recorded::New, 2),
        (0x4_8001, Recorded::New, 3),
        (0x4_8000, Recorded::Known, 3),
        (0, Recorded::Known, 3),
        (u64::MAX - 1, Recorded::New, 4),
        (u64::MAX - 1, Recorded::Known, 4),
    ] {
        assert_eq!(ledger.record(FrameNumber(frame)), recorded, "{frame:#x}");
        assert_eq!(ledger.len(), len);
        assert!(ledger.contains(FrameNumber(frame)));
    }
    assert!(!ledger.contains(FrameNumber(1)));
    assert!(!ledger.contains(FrameNumber(0x4_8002)));
    assert!(!ledger.is_empty());
}

#[test]
fn full_ledger_counts_what_it_cannot_keep_and_forgets_nothing() {
    for (count, capacity) in [(4, 3), (8, 6), (16, 12), (64, 48), (1024, 768)] {
        let mut slots = vec![0; count];
        let mut ledger = Ledger::new(&mut slots).unwrap();
        assert_eq!(ledger.capacity(), capacity);
        for frame in 0..capacity as u64 {
            assert_eq!(
                ledger.record(FrameNumber(frame)),
                Recorded::New,
                "{frame} of {capacity}"
            );
        }
        assert_eq!(ledger.overflowed(), 0);
        for (beyond, overflowed) in [
            (capacity as u64, 1),
            (capacity as u64 + 1, 2),
            (capacity as u64, 3),
        ] {
            assert_eq!(ledger.record(FrameNumber(beyond)), Recorded::Full);
            assert_eq!(ledger.overflowed(), overflowed);
            assert!(!ledger.contains(FrameNumber(beyond)));
        }
        assert_eq!(ledger.len(), capacity);
        for frame in 0..capacity as u64 {
            assert_eq!(
                ledger.record(FrameNumber(frame)),
                Recorded::Known,
                "{frame} of {capacity}"
            );
        }
    }
}

#[test]
fn a_ledger_holds_as_many_frames_as_it_says_however_they_lie() {
    let fill = |count: usize, name: &str, frame: &mut dyn FnMut(u64) -> u64| {
        let mut slots = vec![0; count];
        let mut ledger = Ledger::new(&mut slots).unwrap();
        let mut index = 0;
        while ledger.len() < ledger.capacity() {
            let recorded = ledger.record(FrameNumber(frame(index)));
            assert_ne!(recorded, Recorded::Full, "{name}: {} frames", ledger.len());
            index += 1;
        }
        assert_eq!(ledger.overflowed(), 0);
    };
    for count in if cfg!(miri) {
        [4, 256, 4]
    } else {
        [64, 1_024, 32_768]
    } {
        // Neighbours; rows, banks and blocks; and distances that Fibonacci hashing takes badly.
        for distance in [
            1, 2, 3, 8, 64, 89, 512, 987, 2_584, 4_096, 10_946, 262_144, 832_040,
        ] {
            let name = format!("{count} slots, every {distance}");
            fill(count, &name, &mut |index| 0x4_0000 + index * distance);
        }
        for seed in 0..if cfg!(miri) { 1 } else { 8 } {
            let mut numbers = numbers::Numbers(seed);
            let name = format!("{count} slots, seed {seed}");
            fill(count, &name, &mut |_| numbers.next().unwrap() & 0xff_ffff);
        }
    }
}

#[test]
fn frames_that_collide_are_kept_apart() {
    // Filled to the brim, a small ledger has many frames in one run of slots.
    for seed in 0..if cfg!(miri) { 4 } else { 200_u64 } {
        let frames: BTreeSet<u64> = numbers::Numbers(seed)
            .map(|number| number & 0xff_ffff)
            .take(24)
            .collect();
        let mut slots = [0; 32];
        let mut ledger = Ledger::new(&mut slots).unwrap();
        for &frame in &frames {
            assert_eq!(ledger.record(FrameNumber(frame)), Recorded::New, "seed {seed}");
        }
        assert!((0..0x100).all(|frame| ledger.contains(FrameNumber(frame)) == frames.contains(&frame)));
        assert!(frames.iter().all(|&frame| ledger.contains(FrameNumber(frame))));
    }
}

#[test]
fn ledger_agrees_with_a_set_of_numbers() {
    let mut slots = [0; 256];
    let mut ledger = Ledger::new(&mut slots).unwrap();
    let mut model = BTreeSet::new();
    let mut overflowed = 0;
    for number in numbers(5_000) {
        // Few frames, so that many come again, and more than there is room for.
        let frame = number % 300;
        let expected = if model.contains(&frame) {
            Recorded::Known
        } else if model.len() < 192 {
            model.insert(frame);
            Recorded::New
        } else {
            overflowed += 1;
            Recorded::Full
        };
        assert_eq!(ledger.record(FrameNumber(frame)), expected, "{frame}");
        assert_eq!((ledger.len(), ledger.overflowed()), (model.len(), overflowed));
    }
}

#[test]
fn frame_beyond_every_address_is_not_taken_for_an_empty_slot() {
    let mut slots = [0; 8];
    let mut ledger = Ledger::new(&mut slots).unwrap();
    assert_eq!(ledger.record(FrameNumber(u64::MAX)), Recorded::Full);
    assert!(!ledger.contains(FrameNumber(u64::MAX)));
    assert_eq!((ledger.len(), ledger.overflowed()), (0, 1));
}

#[test]
fn threshold_is_reached_by_frames_or_by_overflow_and_never_without_one() {
    let mut slots = [0; 8];
    let mut ledger = Ledger::new(&mut slots).unwrap().with_threshold(2);
    for (frame, reached) in [(1, false), (1, false), (2, true), (3, true)] {
        let _ = ledger.record(FrameNumber(frame));
        assert_eq!(ledger.threshold_reached(), reached, "after {frame}");
    }
    for (threshold, reached) in [(None, false), (Some(100), true)] {
        let mut slots = [0; 4];
        let mut ledger = Ledger::new(&mut slots).unwrap();
        if let Some(frames) = threshold {
            ledger = ledger.with_threshold(frames);
        }
        for frame in 0..4 {
            let _ = ledger.record(FrameNumber(frame));
        }
        assert_eq!((ledger.overflowed(), ledger.threshold_reached()), (1, reached));
    }
}

#[test]
fn memory_that_cannot_hold_a_ledger_is_refused() {
    for (count, error, message) in [
        (
            0,
            LedgerError::TooSmall(0),
            "a ledger needs at least 4 slots; there are 0",
        ),
        (
            2,
            LedgerError::TooSmall(2),
            "a ledger needs at least 4 slots; there are 2",
        ),
        (
            6,
            LedgerError::NotPowerOfTwo(6),
            "a ledger needs a power of two of slots; there are 6",
        ),
        (
            100,
            LedgerError::NotPowerOfTwo(100),
            "a ledger needs a power of two of slots; there are 100",
        ),
    ] {
        let mut slots = vec![0; count];
        let found = Ledger::new(&mut slots).unwrap_err();
        assert_eq!((found, found.to_string().as_str()), (error, message));
    }
}
