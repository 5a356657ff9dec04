//! Our decoding beside that of `aarch64-esr-decoder` 0.2.5, which shares no code with it.
//!
//! It refuses what it does not know, and knows less than the manual. Each such refusal is named in [`refusal`]; where
//! nothing there applies it must answer, and the answers must agree. Where it answers wrongly, see [`wrong`].

mod numbers;

use aarch64_esr_decoder::{DecodeError, FieldInfo, decode};
use numbers::numbers;
use seawall_agent::Esr;

/// Why the oracle refuses a value that the manual allows or at least lets us keep.
fn refusal(esr: u64) -> Option<&'static str> {
    let bit = |number: u32| esr >> number & 1 == 1;
    let any = |high: u32, low: u32| esr >> low & ((1 << (high - low + 1)) - 1) != 0;
    let fsc = esr & 0x3f;
    let set = esr >> 11 & 0b11;
    let aet = esr >> 10 & 0b111;
    if any(63, 37) {
        return Some("ISS2 is taken to end at bit 36");
    }
    match esr >> 26 & 0x3f {
        0x20 | 0x21 => match fsc {
            0x12 | 0x22 | 0x2a | 0x2c => Some("no level -2"),
            0x19 | 0x1a | 0x20 | 0x2d..=0x2f | 0x32 | 0x33 | 0x36..=0x3f => Some("reserved FSC"),
            0x10 if set == 0b01 => Some("reserved SET"),
            _ if bit(14) => Some("PFV"),
            _ if any(24, 15) || bit(13) || bit(8) || bit(6) => Some("reserved bits"),
            _ => None,
        },
        0x24 | 0x25 => match fsc {
            0x12 | 0x22 | 0x2a | 0x2c => Some("no level -2"),
            0x19 | 0x1a | 0x20 | 0x2d..=0x2f | 0x32 | 0x33 | 0x36..=0x3f => Some("reserved FSC"),
            0x10 if set == 0b01 => Some("reserved SET"),
            _ if !bit(24) && any(17, 16) => Some("WU"),
            _ if !bit(24) && bit(15) => Some("FnP"),
            _ if !bit(24) && bit(14) => Some("PFV"),
            _ if !bit(24) && any(23, 18) => Some("reserved bits"),
            _ => None,
        },
        0x2f if bit(24) => None,
        0x2f => match fsc {
            0x01..=0x10 | 0x12..=0x3f => Some("reserved DFSC"),
            _ if aet == 0b110 => Some("AET CE is written 0x110 for 0b110"),
            _ if matches!(aet, 0b100 | 0b101 | 0b111) => Some("reserved AET"),
            _ if bit(18) => Some("ELS"),
            _ if any(17, 16) => Some("WU"),
            _ if bit(15) => Some("VFV"),
            _ if bit(14) => Some("PFV"),
            _ if bit(7) => Some("WnRV"),
            _ if bit(6) => Some("WnR"),
            _ if any(23, 19) || bit(8) => Some("reserved bits"),
            0x00 if bit(13) => Some("IESB with DFSC 0"),
            _ => None,
        },
        _ => unreachable!("the tests ask for these classes only"),
    }
}

/// Where the oracle does answer, but shows a field that means nothing there, or does not show one that does.
fn wrong(esr: u64, name: &str) -> Option<&'static str> {
    let fsc = esr & 0x3f;
    let class = esr >> 26 & 0x3f;
    match (class, name) {
        (0x20 | 0x21 | 0x24 | 0x25, "set") if matches!(fsc, 0x13..=0x17) => Some("SET only for 0x10"),
        (0x20 | 0x21 | 0x24 | 0x25, "fnv") if fsc != 0x10 => Some("FnV for every code"),
        (0x20 | 0x21 | 0x24 | 0x25, "ea") if !matches!(fsc, 0x10 | 0x12..=0x18 | 0x1b..=0x1f) => {
            Some("EA for every code")
        }
        (0x24 | 0x25, "wnr") if matches!(fsc, 0x31 | 0x35) => Some("WnR where it is UNKNOWN"),
        (0x2f, "aet" | "ea") if fsc != 0x11 => Some("AET and EA without DFSC 0x11"),
        _ => None,
    }
}

/// The oracle's fields below `ISS`, under our names.
fn flat(fields: &[FieldInfo]) -> Vec<(String, u64)> {
    let mut flat = Vec::new();
    for field in fields {
        let name = match field.name {
            "IFSC" => "fsc".to_owned(),
            "RES0" => continue,
            other => other.to_lowercase(),
        };
        flat.push((name, field.value));
        flat.extend(self::flat(&field.subfields));
    }
    flat
}

/// Asks both. `seen` collects the oracle's errors that were met.
fn check(esr: u64, seen: &mut Vec<&'static str>) {
    let answer = decode(esr);
    let reason = refusal(esr);
    assert_eq!(
        answer.is_err(),
        reason.is_some(),
        "{esr:#x}: {answer:?}, where we know of {reason:?}"
    );
    seen.extend(reason);
    let Ok(answer) = answer else { return };
    let serror = esr >> 26 & 0x3f == 0x2f;
    let theirs: Vec<_> = flat(&answer)
        .into_iter()
        .map(|(name, value)| {
            if name == "dfsc" && !serror {
                ("fsc".to_owned(), value)
            } else {
                (name, value)
            }
        })
        .filter(|(name, _)| name != "iss")
        .collect();
    let fields = Esr(esr).fields();
    for (name, value) in &theirs {
        let ours = fields.get(name).filter(|field| field.absent.is_none());
        match wrong(esr, name) {
            Some(error) => {
                seen.push(error);
                assert_eq!(ours, None, "{esr:#x} {name}");
            }
            None => assert_eq!(ours.map(|field| field.value), Some(*value), "{esr:#x} {name}"),
        }
    }
    // Nor do we show anything that it does not, but for the fields that it does not know.
    for field in fields.iter().filter(|field| field.absent.is_none()) {
        let unknown =
            matches!(field.name, "wu" | "fnp" | "pfv" | "els" | "vfv" | "wnrv" | "wnr") && field.value == 0;
        let known = theirs.iter().any(|(name, _)| name == field.name);
        match wrong(esr, field.name) {
            Some(error) => seen.push(error),
            None => assert!(known || unknown, "{esr:#x}: only we show {field:?}"),
        }
    }
}

const CLASSES: [u64; 5] = [0x20, 0x21, 0x24, 0x25, 0x2f];

/// Every error of the oracle's that is named above. A newer version that mends one fails the test, and the name goes.
const ERRORS: [&str; 21] = [
    "AET CE is written 0x110 for 0b110",
    "AET and EA without DFSC 0x11",
    "EA for every code",
    "ELS",
    "FnP",
    "FnV for every code",
    "IESB with DFSC 0",
    "ISS2 is taken to end at bit 36",
    "PFV",
    "SET only for 0x10",
    "VFV",
    "WU",
    "WnR",
    "WnR where it is UNKNOWN",
    "WnRV",
    "no level -2",
    "reserved AET",
    "reserved DFSC",
    "reserved FSC",
    "reserved SET",
    "reserved bits",
];

#[test]
#[cfg_attr(
    miri,
    ignore = "too many values for Miri; tests/explain.rs takes the same way with fewer"
)]
fn decoding_agrees_with_the_oracle_but_for_its_errors_which_are_these() {
    let mut seen = Vec::new();
    for class in CLASSES {
        let top = class << 26 | 1 << 25;
        // Every code with every value of bits 13:6, without and with bit 24 (ISV, or IDS).
        for low in 0..1 << 14 {
            check(top | low, &mut seen);
            check(top | 1 << 24 | low, &mut seen);
        }
        // Every single bit, on a code that makes most of it.
        for bit in 0..64 {
            if !(26..32).contains(&bit) {
                check(
                    top ^ 1 << bit | if class == 0x2f { 0x11 } else { 0x10 },
                    &mut seen,
                );
            }
        }
        // Anything: sparse enough that the oracle answers now and then.
        for number in numbers(40_000) {
            let sparse = number & number.rotate_left(17) & number.rotate_left(41);
            check(top | sparse & !(0x3f << 26), &mut seen);
        }
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, ERRORS);
}

#[test]
fn every_class_that_the_oracle_names_has_a_name_here_too() {
    let mut answered = 0;
    for class in 0..64 {
        // It may refuse an ISS of 0 all the same; that is not our concern.
        if !matches!(decode(class << 26 | 1 << 25), Err(DecodeError::InvalidEc { .. })) {
            answered += 1;
            assert!(
                !Esr(class << 26).class().name().starts_with("Reserved"),
                "{class:#x}"
            );
        }
    }
    assert_eq!(answered, 35, "classes that the oracle knows");
}
