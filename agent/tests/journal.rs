//! The journal: what is written is read, what is lost is counted, and no bytes can hurt the reader.

mod numbers;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use numbers::numbers;
use seawall_agent::journal::{Entry, EntryKind, HEADER_WORDS, RECORD_WORDS, ReadError, read};
use seawall_agent::{
    AbortRecord, Cause, Decision, Flags, FrameNumber, Journal, JournalError, Level, Origin, Running,
    Severity, TaskId,
};

fn memory(records: usize) -> Vec<AtomicU64> {
    // Not zeroed: what was in the memory before must not show.
    (0..HEADER_WORDS + RECORD_WORDS * records)
        .map(|word| AtomicU64::new(word as u64 | 0xaaaa << 48))
        .collect()
}

fn bytes(words: &[AtomicU64]) -> Vec<u8> {
    words
        .iter()
        .flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes())
        .collect()
}

fn words(bytes: &[u8]) -> Vec<u64> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|word| u64::from_le_bytes(*word))
        .collect()
}

fn record(number: u64) -> AbortRecord {
    AbortRecord {
        cause: Cause::SError,
        from: Level::El0,
        severity: Severity::Unrecoverable,
        origin: Origin::Task(TaskId(7)),
        running: Running::Task(TaskId(7)),
        decision: Decision::Kill,
        flags: Flags::FAR_VALID.with(Flags::FRAME_VALID),
        esr: 0xbe00_0411,
        far: 0x40_0008,
        elr: 0x20_0000,
        spsr: 0x6000_0000,
        disr: 0,
        pfar: 0,
        frame: Some(FrameNumber(0x4_8000)),
        time: number,
        cost: 480,
    }
}

fn entries(bytes: &[u8]) -> Vec<Entry> {
    read(bytes).unwrap().entries().collect()
}

#[test]
fn layout_is_the_documented_one_word_for_word() {
    let words_of_guest = memory(2);
    let mut journal = Journal::new(&words_of_guest).unwrap();
    journal.append_abort(&AbortRecord {
        cause: Cause::Deferred,
        from: Level::El1,
        severity: Severity::Recoverable,
        origin: Origin::Border(TaskId(0x1234)),
        running: Running::Task(TaskId(0x5678)),
        decision: Decision::Isolate,
        flags: Flags::PFAR_VALID.with(Flags::NEW_FRAME),
        esr: 0x3e,
        far: 0x4f,
        elr: 0x5e,
        spsr: 0x65,
        disr: 0x7d,
        pfar: 0x8f,
        frame: Some(FrameNumber(0x9f)),
        time: 0xa7,
        cost: 0xbc,
    });
    journal.append_note(0x90, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
    let bytes = bytes(&words_of_guest);
    assert_eq!(bytes[..8], *b"SEAWALLJ");
    let words = words(&bytes);
    assert_eq!(words[1..16], [1, 128, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    #[rustfmt::skip]
    assert_eq!(words[16..32], [
        1, 0xc00e_0604_0201_0201, 0x5678_1234, 0x3e, 0x4f, 0x5e, 0x65, 0x7d, 0x8f, 0x9f, 0xa7, 0xbc, 0, 0, 0, 1,
    ]);
    assert_eq!(
        words[32..48],
        [2, 0x90, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 2]
    );
}

#[test]
fn numbers_in_a_record_are_the_documented_ones() {
    // The head is word 1: kind, cause, level, severity, origin, decision, flags.
    let head_of = |record: &AbortRecord| {
        let words_of_guest = memory(1);
        let mut journal = Journal::new(&words_of_guest).unwrap();
        journal.append_abort(record);
        words(&bytes(&words_of_guest))[17]
    };
    let plain = record(1);
    for (number, cause) in [Cause::Synchronous, Cause::SError, Cause::Deferred, Cause::Patrol]
        .into_iter()
        .enumerate()
    {
        assert_eq!(
            head_of(&AbortRecord { cause, ..plain }) >> 8 & 0xff,
            number as u64
        );
    }
    for (number, decision) in [
        Decision::CarryOn,
        Decision::Heal,
        Decision::FailCopy,
        Decision::Signal,
        Decision::Restart,
        Decision::Kill,
        Decision::Isolate,
        Decision::Halt,
    ]
    .into_iter()
    .enumerate()
    {
        let head = head_of(&AbortRecord { decision, ..plain });
        assert_eq!(head >> 40 & 0xff, number as u64, "{decision:?}");
    }
    for (bit, flag) in [
        (0, Flags::FAR_VALID),
        (2, Flags::PFAR_VALID),
        (3, Flags::NEW_FRAME),
        (4, Flags::FAR_NOT_BELIEVED),
        (5, Flags::LEDGER_FULL),
        (6, Flags::HEAL_FAILED),
        (7, Flags::FRAME_BY_PFAR),
        (8, Flags::PFAR_NOT_BELIEVED),
        (9, Flags::SHARED),
        (12, Flags::MIGRATION_FAILED),
    ] {
        let unflagged = head_of(&AbortRecord {
            flags: Flags::NONE,
            ..plain
        });
        let head = head_of(&AbortRecord { flags: flag, ..plain });
        assert_eq!(head ^ unflagged, 1 << (48 + bit), "{flag:?}");
    }
}

#[test]
fn every_value_of_a_record_is_read_as_it_was_written() {
    let task = TaskId(0xffff);
    let origins = [
        Origin::Task(task),
        Origin::KernelCopy(task),
        Origin::Kernel,
        Origin::Walk(task),
        Origin::Border(TaskId(0)),
        Origin::Idle,
        Origin::Fresh,
    ];
    let decisions = [
        Decision::CarryOn,
        Decision::Heal,
        Decision::FailCopy,
        Decision::Signal,
        Decision::Restart,
        Decision::Kill,
        Decision::Isolate,
        Decision::Halt,
    ];
    let severities = [
        Severity::Corrected,
        Severity::Restartable,
        Severity::Recoverable,
        Severity::Unrecoverable,
        Severity::Uncontainable,
    ];
    let mut expected = Vec::new();
    for origin in origins {
        for decision in decisions.into_iter().step_by(if cfg!(miri) { 3 } else { 1 }) {
            for severity in severities.into_iter().step_by(if cfg!(miri) { 4 } else { 1 }) {
                for cause in [Cause::Synchronous, Cause::SError, Cause::Deferred, Cause::Patrol] {
                    let base = AbortRecord {
                        origin,
                        decision,
                        severity,
                        cause,
                        ..record(expected.len() as u64)
                    };
                    expected.push(base);
                    expected.push(AbortRecord {
                        from: Level::El1,
                        running: Running::Idle,
                        frame: None,
                        flags: Flags::FAR_NOT_BELIEVED.with(Flags::LEDGER_FULL),
                        ..base
                    });
                }
            }
        }
    }
    let memory = memory(expected.len());
    let mut journal = Journal::new(&memory).unwrap();
    for record in &expected {
        journal.append_abort(record);
    }
    let found = entries(&bytes(&memory));
    assert_eq!(found.len(), expected.len());
    for (index, (entry, expected)) in found.into_iter().zip(expected).enumerate() {
        assert_eq!(
            entry,
            Entry {
                sequence: index as u64 + 1,
                kind: EntryKind::Abort(expected)
            }
        );
    }
}

#[test]
fn full_journal_keeps_the_newest_and_counts_the_lost() {
    for capacity in if cfg!(miri) { &[2][..] } else { &[1, 2, 3, 7] }.iter().copied() {
        let memory = memory(capacity);
        let mut journal = Journal::new(&memory).unwrap();
        assert_eq!(journal.capacity(), capacity);
        for written in 0..=if cfg!(miri) { 5 } else { 20_u64 } {
            let bytes = bytes(&memory);
            let reader = read(&bytes).unwrap();
            let kept = written.min(capacity as u64);
            assert_eq!((reader.written(), journal.written()), (written, written));
            assert_eq!(reader.lost(), written - kept);
            assert_eq!(
                words(&bytes)[4..6],
                [written, written - kept],
                "the header says so too"
            );
            let found: Vec<_> = reader.entries().collect();
            let expected: Vec<_> = (written - kept + 1..=written)
                .map(|sequence| Entry {
                    sequence,
                    kind: EntryKind::Abort(record(sequence)),
                })
                .collect();
            assert_eq!(found, expected, "{written} in {capacity}");
            journal.append_abort(&record(written + 1));
        }
    }
}

#[test]
fn journal_in_used_memory_begins_empty() {
    let memory = memory(2);
    let mut old = Journal::new(&memory).unwrap();
    for number in 1..=2 {
        old.append_abort(&record(number));
    }
    let mut new = Journal::new(&memory).unwrap();
    assert_eq!(entries(&bytes(&memory)), []);
    new.append_note(0x80, &[1; 13]);
    let kind = EntryKind::Note {
        kind: 0x80,
        payload: [1; 13],
    };
    assert_eq!(entries(&bytes(&memory)), [Entry { sequence: 1, kind }]);
}

#[test]
fn note_is_never_taken_for_an_abort() {
    let memory = memory(4);
    let mut journal = Journal::new(&memory).unwrap();
    let payload = [7; 13];
    for kind in [0x80, 0xff, 0x01, 0x00] {
        journal.append_note(kind, &payload);
    }
    let kinds: Vec<_> = entries(&bytes(&memory))
        .into_iter()
        .map(|entry| entry.kind)
        .collect();
    assert_eq!(
        kinds,
        [0x80, 0xff, 0x81, 0x80].map(|kind| EntryKind::Note { kind, payload })
    );
}

#[test]
fn record_in_the_making_is_torn_and_its_neighbours_are_whole() {
    let memory = memory(3);
    let mut journal = Journal::new(&memory).unwrap();
    for number in 1..=4 {
        journal.append_abort(&record(number));
    }
    let whole = bytes(&memory);
    // Record 5 is to take the place of 2, which is the oldest: its number is cleared, some words are new, and the
    // header has not counted it.
    let mut torn = whole.clone();
    let place = (HEADER_WORDS + RECORD_WORDS) * 8;
    torn[place..place + 8].fill(0);
    torn[place + 24..place + 48].fill(0xee);
    let kinds: Vec<_> = entries(&torn)
        .into_iter()
        .map(|entry| (entry.sequence, entry.kind))
        .collect();
    let abort = |number| EntryKind::Abort(record(number));
    assert_eq!(kinds, [(2, EntryKind::Torn), (3, abort(3)), (4, abort(4))]);
    // Complete, but not counted yet: what was there is gone, which is all that can be said.
    torn[place] = 5;
    assert_eq!(entries(&torn)[0].kind, EntryKind::Torn);
    // The copy took the old number, and then new words: the number at the end tells.
    torn[place] = 2;
    torn[place + 120] = 5;
    assert_eq!(entries(&torn)[0].kind, EntryKind::Torn);
}

#[test]
fn header_that_does_not_fit_the_bytes_is_refused() {
    let memory = memory(2);
    let _ = Journal::new(&memory).unwrap();
    let good = bytes(&memory);
    let with = |word: usize, value: u64| {
        let mut bytes = good.clone();
        bytes[word * 8..word * 8 + 8].copy_from_slice(&value.to_le_bytes());
        bytes
    };
    for (bytes, error) in [
        (vec![], ReadError::TooShort(0)),
        (good[..127].to_vec(), ReadError::TooShort(127)),
        (with(0, 0), ReadError::Magic(0)),
        (
            with(0, u64::from_le_bytes(*b"SEAWALLK")),
            ReadError::Magic(0x4b4c_4c41_5741_4553),
        ),
        (with(1, 0), ReadError::Version(0)),
        (with(1, 2), ReadError::Version(2)),
        (with(2, 64), ReadError::RecordSize(64)),
        (with(3, 0), ReadError::Capacity(0)),
        (with(3, 3), ReadError::Capacity(3)),
        (with(3, u64::MAX), ReadError::Capacity(u64::MAX)),
        (good[..good.len() - 1].to_vec(), ReadError::Capacity(2)),
        (good[..128].to_vec(), ReadError::Capacity(2)),
    ] {
        let found = read(&bytes).unwrap_err();
        assert_eq!(found, error);
        assert!(!found.to_string().is_empty());
    }
    // A capacity below the memory's is a smaller journal, and bytes after the end are not its concern.
    assert_eq!(read(&with(3, 1)).unwrap().capacity(), 1);
    let longer = [good.clone(), vec![0xff; 1000]].concat();
    assert_eq!(read(&longer).unwrap().capacity(), 2);
}

#[test]
fn count_that_cannot_be_true_bounds_nothing_but_the_truth() {
    let memory = memory(3);
    let mut journal = Journal::new(&memory).unwrap();
    journal.append_abort(&record(1));
    for count in [3, 4, 1_000_000_007, u64::MAX - 1, u64::MAX] {
        let mut bytes = bytes(&memory);
        bytes[32..40].copy_from_slice(&count.to_le_bytes());
        let reader = read(&bytes).unwrap();
        assert_eq!((reader.written(), reader.lost()), (count, count - 3));
        let found: Vec<_> = reader.entries().collect();
        assert!(found.len() <= 3, "{count}");
        let whole = found.iter().filter(|entry| entry.kind != EntryKind::Torn).count();
        assert_eq!(whole, usize::from(count == 3), "{count}");
    }
}

#[test]
fn values_that_nobody_knows_are_handed_on_and_not_lost() {
    let memory = memory(1);
    let mut journal = Journal::new(&memory).unwrap();
    journal.append_abort(&record(1));
    let good = bytes(&memory);
    let head = HEADER_WORDS * 8 + 8;
    // Kind, cause, level, severity, origin and decision, each one beyond what there is; a task's origin without a task.
    for (at, value) in [
        (head, 2),
        (head, 0x7f),
        (head + 1, 4),
        (head + 2, 2),
        (head + 3, 5),
        (head + 4, 6),
        (head + 5, 8),
        (head + 7, 0x80),
    ] {
        let mut bytes = good.clone();
        bytes[at] = value;
        let [
            Entry {
                sequence: 1,
                kind: EntryKind::Unknown { kind, words },
            },
        ] = entries(&bytes)[..]
        else {
            panic!("byte {at} = {value}: {:?}", entries(&bytes));
        };
        assert_eq!(kind, bytes[head]);
        let expected: Vec<_> = self::words(&bytes)[HEADER_WORDS + 1..HEADER_WORDS + 15].to_vec();
        assert_eq!(words[..], expected);
    }
}

#[test]
fn corrupt_bytes_never_panic_and_a_wrong_byte_in_a_record_spoils_that_record_alone() {
    let memory = memory(3);
    let mut journal = Journal::new(&memory).unwrap();
    for number in 1..=5 {
        journal.append_abort(&record(number));
    }
    let good = bytes(&memory);
    let whole = entries(&good);
    for at in (0..good.len()).step_by(if cfg!(miri) { 41 } else { 1 }) {
        let flips: &[u8] = if cfg!(miri) {
            &[0xff]
        } else {
            &[0x01, 0x02, 0x40, 0x80, 0xff]
        };
        for flip in flips {
            let mut bytes = good.clone();
            bytes[at] ^= flip;
            let Ok(reader) = read(&bytes) else {
                assert!(at < 32, "byte {at} is not of the header's first words");
                continue;
            };
            let found: Vec<_> = reader.entries().collect();
            assert!(found.len() <= 3);
            if at >= HEADER_WORDS * 8 {
                let differing = found
                    .iter()
                    .zip(&whole)
                    .filter(|(found, whole)| found != whole)
                    .count();
                assert!(differing <= 1, "byte {at}");
            } else if (40..128).contains(&at) {
                assert_eq!(
                    found, whole,
                    "byte {at} carries nothing that the reader relies on"
                );
            }
        }
    }
    for length in (0..good.len()).step_by(if cfg!(miri) { 37 } else { 1 }) {
        assert!(read(&good[..length]).is_err(), "{length} bytes of {}", good.len());
    }
}

#[test]
fn noise_behind_a_good_header_is_read_without_end_or_panic() {
    let mut kinds = [0_u32; 4];
    for seed in numbers(500) {
        let memory = memory(4);
        let _ = Journal::new(&memory).unwrap();
        let mut bytes = bytes(&memory);
        for (index, byte) in bytes[128..].iter_mut().enumerate() {
            *byte = seed
                .rotate_left(u32::try_from(index % 64).unwrap())
                .wrapping_mul(index as u64 | 1)
                .to_le_bytes()[3];
        }
        bytes[32..40].copy_from_slice(&4_u64.to_le_bytes());
        for (place, number) in (128..bytes.len()).step_by(128).zip(1_u64..) {
            if number != 4 {
                bytes[place..place + 8].copy_from_slice(&number.to_le_bytes());
                bytes[place + 120..place + 128].copy_from_slice(&number.to_le_bytes());
            }
            bytes[place + 8] &= 0x81;
        }
        for entry in entries(&bytes) {
            kinds[match entry.kind {
                EntryKind::Abort(_) => 0,
                EntryKind::Note { .. } => 1,
                EntryKind::Torn => 2,
                EntryKind::Unknown { .. } => 3,
            }] += 1;
        }
    }
    assert_eq!(kinds.iter().sum::<u32>(), if cfg!(miri) { 4 } else { 2_000 });
    assert!(
        cfg!(miri) || kinds[1] > 0 && kinds[2] > 0 && kinds[3] > 0,
        "{kinds:?}"
    );
}

#[test]
fn reader_beside_a_writer_sees_whole_records_or_none() {
    let memory = memory(2);
    let mut journal = Journal::new(&memory).unwrap();
    let rounds = if cfg!(miri) { 8_u64 } else { 20_000 };
    let finished = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0;
            loop {
                let last = finished.load(Ordering::Acquire);
                // Lowest address first, as the format asks.
                let copy: Vec<u64> = memory.iter().map(|word| word.load(Ordering::Acquire)).collect();
                let bytes: Vec<u8> = copy.iter().flat_map(|word| word.to_le_bytes()).collect();
                let found = read(&bytes).unwrap();
                for entry in found {
                    match entry.kind {
                        EntryKind::Note { payload, .. } => {
                            assert_eq!(payload, [entry.sequence; 13], "words of another record");
                            seen += 1;
                        }
                        EntryKind::Torn => {}
                        other => panic!("{other:?}"),
                    }
                }
                if last {
                    assert_eq!(found.written(), rounds);
                    return seen;
                }
            }
        });
        for number in 1..=rounds {
            journal.append_note(0x80, &[number; 13]);
        }
        finished.store(true, Ordering::Release);
        reader.join().unwrap()
    });
    assert!(seen >= 2, "the last two records are whole at the end");
}

#[test]
fn memory_that_cannot_hold_a_journal_is_refused() {
    for count in [0, 15, 16, 31] {
        let memory: Vec<AtomicU64> = (0..count).map(|_| AtomicU64::new(9)).collect();
        let error = Journal::new(&memory).unwrap_err();
        assert_eq!(error, JournalError::TooSmall(count));
        assert_eq!(
            error.to_string(),
            format!("a journal needs 32 words at least; there are {count}")
        );
        assert!(
            memory.iter().all(|word| word.load(Ordering::Relaxed) == 9),
            "left alone"
        );
    }
    // Words beyond the last whole record are left alone too.
    let memory: Vec<AtomicU64> = (0..47).map(|_| AtomicU64::new(9)).collect();
    assert_eq!(Journal::new(&memory).unwrap().capacity(), 1);
    assert!(memory[32..].iter().all(|word| word.load(Ordering::Relaxed) == 9));
}

#[test]
fn the_last_record_of_a_task_is_found_until_it_is_overwritten() {
    let of = |task, number| AbortRecord {
        origin: Origin::Task(TaskId(task)),
        ..record(number)
    };
    let memory = memory(3);
    let mut journal = Journal::new(&memory).unwrap();
    assert_eq!(journal.last_charged(TaskId(1)), None);
    journal.append_abort(&of(1, 10));
    journal.append_abort(&of(1, 11));
    assert_eq!(journal.last_charged(TaskId(1)), Some(of(1, 11)));
    assert_eq!(journal.last_charged(TaskId(2)), None);
    journal.append_abort(&of(2, 12));
    journal.append_note(0x90, &[1; 13]);
    assert_eq!(journal.last_charged(TaskId(1)), Some(of(1, 11)));
    assert_eq!(journal.last_charged(TaskId(2)), Some(of(2, 12)));
    journal.append_abort(&of(3, 13));
    assert_eq!(journal.last_charged(TaskId(1)), None, "overwritten");
    assert_eq!(journal.last_charged(TaskId(2)), Some(of(2, 12)));
    // The kernel's own is charged to nobody.
    journal.append_abort(&AbortRecord {
        origin: Origin::Kernel,
        ..record(14)
    });
    assert_eq!(journal.last_charged(TaskId(7)), None);
    assert_eq!(journal.last_charged(TaskId(3)), Some(of(3, 13)));
}
