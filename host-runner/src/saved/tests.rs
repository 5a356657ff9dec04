use seawall_replay::interpreter::Count;
use seawall_replay::transcript::{Event, What};

use super::encode::digest_of_file;
use super::*;

const BASE: u64 = 0x8000_0000;

pub(crate) fn sample() -> Saved {
    Saved {
        scenario: ScenarioId::of("load", "title = \"x\""),
        machine: Machine {
            memory_base: BASE,
            memory_bytes: 2 << 20,
            ipa_bits: 40,
            interrupts: 64,
            used: Machine::PMU | Machine::SYNDROMES,
            linux: "7.2.13".into(),
        },
        cpu: Cpu {
            midr: 0x410f_d0f0,
            revidr: 0,
            aidr: 1,
        },
        layout: Layout {
            holes: vec![BASE, BASE + 0x2000],
            read_only: vec![BASE + 0x3000],
            poisoned: vec![
                (BASE + 0x4000, PoisonedBy::Userfault),
                (BASE + 0x5000, PoisonedBy::Host),
            ],
        },
        memory: vec![Page {
            ipa: BASE + 0x1000,
            bytes: Box::new([0x5a; PAGE]),
        }],
        registers: vec![
            Register {
                id: 0x6020_0000_0010_00d4,
                bytes: vec![1, 2, 3, 4],
            },
            Register {
                id: 0x6030_0000_0013_c609,
                bytes: 0x8000_0c11_u64.to_le_bytes().to_vec(),
            },
        ],
        gic: vec![Attribute {
            group: 1,
            attr: 0x100,
            value: 7,
        }],
        vcpu: Vcpu {
            mp_state: 0,
            serror_pending: true,
            serror_has_esr: true,
            serror_esr: 0xc11,
        },
        board: Board {
            counts: vec![Count { seen: 3, fired: 1 }],
            journal_address: BASE + 0x8000,
            journal: Some((BASE + 0x8000, BASE + 0x9000)),
            uart: [1, 2, 3, 4, 5, 6],
            console: b"hello".to_vec(),
            pages: vec![(BASE, 0, 0x0010_0000_8000_0001)],
            reports: Vec::new(),
            lives: Lives::default(),
        },
        transcript: vec![Event {
            syndrome: 0xc11,
            ..Event::of(What::Pended)
        }],
        events_lost: 2,
    }
}

fn redigest(file: &mut [u8]) {
    let digest = digest_of_file(file).unwrap();
    file[32..64].copy_from_slice(&digest);
}

/// A file of these sections.
fn file_of(sections: &[(u32, &[u8])]) -> Vec<u8> {
    let mut file = vec![0; 64];
    for (kind, content) in sections {
        file.extend(kind.to_le_bytes());
        file.extend([0; 4]);
        file.extend((content.len() as u64).to_le_bytes());
        file.extend(*content);
    }
    let length = file.len() as u64;
    file[..8].copy_from_slice(b"SEAWALLV");
    file[8] = 1;
    file[12] = u8::try_from(sections.len()).unwrap();
    file[16..24].copy_from_slice(&length.to_le_bytes());
    redigest(&mut file);
    file
}

/// The kinds and contents in a good file.
fn sections_of(file: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let mut at = 64;
    let mut found = Vec::new();
    while at < file.len() {
        let kind = u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        let length = u64::from_le_bytes(file[at + 8..at + 16].try_into().unwrap());
        let end = at + 16 + usize::try_from(length).unwrap();
        found.push((kind, file[at + 16..end].to_vec()));
        at = end;
    }
    found
}

/// The sample with one section's content changed.
fn with(kind: u32, change: impl FnOnce(&mut Vec<u8>)) -> Result<Saved, SavedError> {
    let mut sections = sections_of(&encode(&sample()).unwrap());
    let (_, content) = sections.iter_mut().find(|(known, _)| *known == kind).unwrap();
    change(content);
    let sections: Vec<_> = sections
        .iter()
        .map(|(kind, content)| (*kind, content.as_slice()))
        .collect();
    decode(&file_of(&sections))
}

#[test]
fn a_vm_comes_back_as_it_went() {
    let file = encode(&sample()).unwrap();
    assert_eq!(decode(&file).unwrap(), sample());
    assert_eq!(
        decode(&file).unwrap().register(0x6030_0000_0013_c609),
        Some(0x8000_0c11)
    );
    assert_eq!(decode(&file).unwrap().register(0x6030_0000_0013_c608), None);
    // What the table at the module's top says of the header and of one section.
    assert_eq!(file[..16], *b"SEAWALLV\x01\0\0\0\x0a\0\0\0");
    assert_eq!(file[16..24], (file.len() as u64).to_le_bytes());
    let sections = sections_of(&file);
    assert_eq!(
        sections.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    );
    assert_eq!(sections[7].1, [0, 0, 0, 0, 1, 1, 0x11, 0xc, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_file_cut_anywhere_or_with_more_behind_it_is_refused() {
    let mut file = encode(&sample()).unwrap();
    for length in 0..file.len() {
        let says = if length < 64 { 64 } else { file.len() as u64 };
        let has = length as u64;
        assert_eq!(
            decode(&file[..length]),
            Err(SavedError::Cut { has, says }),
            "{length}"
        );
    }
    file.push(0);
    assert_eq!(decode(&file), Err(SavedError::Longer(1)));
}

#[test]
fn a_file_with_any_byte_changed_is_refused() {
    let file = encode(&sample()).unwrap();
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 0x10;
        let error = decode(&changed).unwrap_err();
        match at {
            0..8 => assert_eq!(error, SavedError::NotSaved),
            8..12 => assert!(matches!(error, SavedError::OtherVersion(_)), "{at}: {error:?}"),
            16..24 => assert!(
                matches!(error, SavedError::Cut { .. } | SavedError::Longer(_)),
                "{at}"
            ),
            _ => assert_eq!(error, SavedError::Altered, "{at}"),
        }
    }
}

#[test]
fn another_version_and_another_kind_of_file_are_told_by_name() {
    let mut file = encode(&sample()).unwrap();
    file[8] = 2;
    redigest(&mut file);
    let error = decode(&file).unwrap_err();
    assert_eq!(error, SavedError::OtherVersion(2));
    assert!(error.to_string().contains("version 2") && error.to_string().contains("version 1"));
    assert_eq!(decode(b"#!/bin/sh"), Err(SavedError::NotSaved));
    assert_eq!(decode(b"SEAW"), Err(SavedError::Cut { has: 4, says: 64 }));
}

#[test]
fn each_section_is_there_once_and_none_is_unknown() {
    let sections = sections_of(&encode(&sample()).unwrap());
    let slices: Vec<_> = sections
        .iter()
        .map(|(kind, content)| (*kind, content.as_slice()))
        .collect();
    for (at, section) in Section::ALL.into_iter().enumerate() {
        let mut without = slices.clone();
        without.remove(at);
        assert_eq!(decode(&file_of(&without)), Err(SavedError::Missing(section)));
        let mut twice = slices.clone();
        twice.push(slices[at]);
        assert_eq!(decode(&file_of(&twice)), Err(SavedError::Double(section)));
        assert!(SavedError::Double(section).to_string().contains(section.name()));
    }
    let mut more = slices.clone();
    more.push((13, &[]));
    assert_eq!(decode(&file_of(&more)), Err(SavedError::UnknownSection(13)));
    let mut turned = slices;
    turned.reverse();
    assert_eq!(
        decode(&file_of(&turned)).unwrap(),
        sample(),
        "their order does not matter"
    );
}

#[test]
fn a_section_that_is_longer_or_shorter_than_its_content_is_refused() {
    for section in Section::ALL {
        let longer = with(section as u32, |content| content.push(0));
        assert_eq!(longer, Err(SavedError::Rest(section, 1)), "{}", section.name());
        let shorter = with(section as u32, |content| content.truncate(content.len() - 1));
        assert_eq!(shorter, Err(SavedError::Short(section)), "{}", section.name());
        assert_eq!(with(section as u32, Vec::clear), Err(SavedError::Short(section)));
    }
}

#[test]
fn a_count_is_not_believed_before_the_bytes_are_there() {
    // Offsets of counts: of all these, 2^32 - 1 items would be up to 17 TB.
    for (section, at) in [
        (Section::Scenario, 0),
        (Section::Machine, 28),
        (Section::Layout, 0),
        (Section::Layout, 20),
        (Section::Layout, 32),
        (Section::Memory, 0),
        (Section::Registers, 0),
        (Section::Gic, 0),
        (Section::Board, 0),
        (Section::Board, 49),
        (Section::Transcript, 8),
    ] {
        let lied = with(section as u32, |content| content[at..at + 4].fill(0xff));
        assert_eq!(lied, Err(SavedError::Short(section)), "{} {at}", section.name());
    }
}

#[test]
fn values_that_cannot_be_are_refused_by_name() {
    let put = |at: usize, value: u64| {
        move |content: &mut Vec<u8>| content[at..at + 8].copy_from_slice(&value.to_le_bytes())
    };
    let rows: [(Section, usize, u64, &str); 14] = [
        (Section::Machine, 0, BASE + 1, "start of memory"),
        (Section::Machine, 0, u64::MAX << 21, "start of memory"),
        (Section::Machine, 8, 0, "size of memory"),
        (Section::Machine, 8, (2 << 20) + 1, "size of memory"),
        (Section::Machine, 8, !0x1f_ffff, "size of memory"),
        (Section::Layout, 4, BASE + 0x800, "page"),
        (Section::Layout, 4, BASE + 0x2000, "page"),
        (Section::Layout, 24, BASE - 0x1000, "page"),
        (Section::Memory, 4, BASE + (2 << 20), "page"),
        (Section::Memory, 4, BASE + 0x4000, "page"), // poisoned
        (Section::Registers, 4, 0x60f0_0000_0010_00d4, "register"),
        (Section::Registers, 16, 0x6020_0000_0010_00d4, "register"),
        (Section::Vcpu, 6, 1 << 25, "SError syndrome"),
        (Section::Board, 21, BASE + 0xa000, "journal"),
    ];
    for (section, at, value, what) in rows {
        let error = with(section as u32, put(at, value)).unwrap_err();
        match error {
            SavedError::Value(of, named, _) => assert_eq!((of, named), (section, what), "{value:#x}"),
            // A register of another length shifts what follows.
            other => panic!("{section:?} {at} {value:#x}: {other:?}"),
        }
    }
    let flag = with(Section::Vcpu as u32, |content| content[5] = 2).unwrap_err();
    assert_eq!(flag, SavedError::Value(Section::Vcpu, "flag", 2));
    let poison = with(Section::Layout as u32, |content| content[44] = 9).unwrap_err();
    assert_eq!(poison, SavedError::Value(Section::Layout, "kind of poison", 9));
    let name = with(Section::Scenario as u32, |content| content[4] = 0x1b).unwrap_err();
    assert_eq!(name, SavedError::Value(Section::Scenario, "name", 4));
}

#[test]
fn a_file_is_written_whole_for_its_owner_and_over_nothing_else() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vm.seawall");
    let bytes = encode(&sample()).unwrap();
    file::write(&path, &bytes, false).unwrap();
    assert_eq!(file::read(&path).unwrap(), sample());
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    file::write(&path, &bytes, false).expect("an older one may go");
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing stays beside it"
    );
    std::fs::write(&path, b"a letter").unwrap();
    assert!(matches!(
        file::write(&path, &bytes, false),
        Err(file::FileError::InTheWay(_))
    ));
    assert_eq!(std::fs::read(&path).unwrap(), b"a letter");
    file::write(&path, &bytes, true).unwrap();
    assert!(matches!(
        file::write(folder.path(), &bytes, true),
        Err(file::FileError::InTheWay(_))
    ));
    file::can_write(&folder.path().join("new"), false).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let nowhere = folder.path().join("none/vm.seawall");
    assert!(matches!(
        file::can_write(&nowhere, false),
        Err(file::FileError::Io(..))
    ));
    assert!(matches!(
        file::write(&nowhere, &bytes, false),
        Err(file::FileError::Io(..))
    ));
    std::fs::write(&path, &bytes[..100]).unwrap();
    let error = file::read(&path).unwrap_err().to_string();
    assert!(error.contains("vm.seawall") && error.contains("cut"), "{error}");
}

#[test]
fn more_registers_than_any_list_of_five_hundred_come_back() {
    // SVE's are the longest, with 256 bytes.
    let registers: Vec<Register> = (0..1200_u64)
        .map(|n| {
            let id = if n < 600 {
                0x6030_0000_0013_0000 | n
            } else {
                0x6080_0000_0015_0000 | n
            };
            let bytes = vec![n.to_le_bytes()[0]; register_bytes(id).unwrap()];
            Register { id, bytes }
        })
        .collect();
    let saved = Saved {
        registers,
        ..sample()
    };
    let again = decode(&encode(&saved).unwrap()).unwrap();
    assert_eq!(again, saved);
    assert_eq!(again.registers[1199].bytes.len(), 256);
}

#[test]
fn bytes_with_a_right_digest_are_a_vm_or_refused_and_nothing_else_comes_of_them() {
    let file = encode(&sample()).unwrap();
    let mut state = 1_u64;
    let mut taken = 0;
    for _ in 0..3000 {
        let mut changed = file.clone();
        for _ in 0..3 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // The page's own bytes are as good as any: elsewhere is where lengths and values are.
            let at = 64 + usize::try_from(state >> 33).unwrap() % (changed.len() - 64);
            let at = if changed[at] == 0x5a { 64 + at % 300 } else { at };
            changed[at] = state.to_be_bytes()[0];
        }
        redigest(&mut changed);
        if let Ok(saved) = decode(&changed) {
            taken += 1;
            assert_eq!(encode(&saved).unwrap().len(), changed.len());
        }
    }
    assert!((1..3000).contains(&taken), "{taken}");
}

#[test]
fn reports_that_wait_are_a_section_of_their_own_and_none_are_none() {
    let mut vm = sample();
    vm.board.reports = vec![BASE + 0x1001, BASE + 0x3003];
    let file = encode(&vm).unwrap();
    assert_eq!(decode(&file), Ok(vm.clone()));
    let start = file.len() - 20;
    assert_eq!(file[start - 16], 11);
    // Not a report, one outside of memory, a bit that means nothing; and a count of nothing.
    for (at, word, what) in [
        (4, BASE + 0x1000, "report"),
        (4, 0x1001, "report"),
        (12, BASE + 0x3007, "report"),
    ] {
        let mut wrong = file.clone();
        wrong[start + at..start + at + 8].copy_from_slice(&word.to_le_bytes());
        redigest(&mut wrong);
        let bad = decode(&wrong).unwrap_err().to_string();
        assert!(bad.contains(what), "{bad}");
    }
    vm.board.reports.clear();
    assert_eq!(encode(&vm).unwrap().len(), file.len() - 36);
}

#[test]
fn lives_before_a_reboot_are_a_section_of_their_own_and_the_first_has_none() {
    let mut vm = sample();
    vm.board.lives = Lives {
        reboots: true,
        journals: vec![vec![1, 2, 3], Vec::new()],
    };
    let file = encode(&vm).unwrap();
    assert_eq!(decode(&file), Ok(vm.clone()));
    for length in 0..file.len() {
        let cut = decode(&file[..length]);
        assert!(matches!(cut, Err(SavedError::Cut { .. })), "{length}");
    }
    let sections = sections_of(&file);
    let altered = |content: &[u8]| {
        let mut sections = sections.clone();
        sections.last_mut().unwrap().1 = content.to_vec();
        let slices: Vec<_> = sections
            .iter()
            .map(|(kind, content)| (*kind, content.as_slice()))
            .collect();
        decode(&file_of(&slices))
    };
    let (kind, good) = sections.last().unwrap();
    assert_eq!(
        (*kind, good.as_slice()),
        (12, &[1, 2, 0, 0, 0, 3, 0, 0, 0, 1, 2, 3, 0, 0, 0, 0][..])
    );
    let value = |what, value| Err(SavedError::Value(Section::Lives, what, value));
    assert_eq!(altered(&[&[2], &good[1..]].concat()), value("flag", 2));
    // A section that says nothing would not have been written.
    assert_eq!(altered(&[0; 5]), value("count of lives", 0));
    assert_eq!(
        altered(&[&[1, 5, 0, 0, 0][..], &[0; 20]].concat()),
        value("count of lives", 5)
    );
    assert_eq!(
        altered(&[1, 0xff, 0xff, 0xff, 0xff, 0]),
        Err(SavedError::Short(Section::Lives))
    );
    assert_eq!(altered(&good[..15]), Err(SavedError::Short(Section::Lives)));
    assert_eq!(
        altered(&[good, &[0][..]].concat()),
        Err(SavedError::Rest(Section::Lives, 1))
    );
    let long = vec![0; usize::try_from(Lives::LONGEST_JOURNAL).unwrap() + 1];
    let length = u32::try_from(long.len()).unwrap().to_le_bytes();
    let too_long = altered(&[&[0, 1, 0, 0, 0], &length[..], &long].concat());
    assert_eq!(too_long, value("length of a journal", long.len() as u64));
    vm.board.lives = Lives::default();
    assert_eq!(encode(&vm).unwrap().len(), file.len() - 32);
}
