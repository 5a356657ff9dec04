//! Explanations and fields: what `seawall explain` draws, and that nothing is ever lost or refused.

mod numbers;

use numbers::numbers;
use seawall_agent::explain::KEYS;
use seawall_agent::syndrome::{Field, Fields};
use seawall_agent::{Disr, Esr, Severity, explain, explain_disr};

#[track_caller]
fn check(esr: u64, severity: Option<Severity>, sentence: &str) {
    let explanation = explain(Esr(esr));
    assert_eq!(explanation.severity, severity, "{esr:#x}");
    assert_eq!(explanation.summary.to_string(), sentence, "{esr:#x}");
}

#[test]
fn explanation_says_what_happened_and_what_an_os_may_do() {
    check(
        0xbe00_1811,
        Some(Severity::Corrected),
        "SError exception: a corrected error. The hardware has corrected it and nothing is lost: an OS may count it and \
         resume.",
    );
    check(
        0xbe00_0411,
        Some(Severity::Unrecoverable),
        "SError exception: an uncorrected error in unrecoverable state. It is imprecise but contained: an OS must not \
         resume what was running, and may go on with all else.",
    );
    check(
        0xbe00_0811,
        Some(Severity::Restartable),
        "SError exception: an uncorrected error in restartable state. It is precise and what was interrupted has lost \
         nothing: an OS may resume without doing anything.",
    );
    check(
        0xbe00_0c11,
        Some(Severity::Recoverable),
        "SError exception: an uncorrected error in recoverable state. It is precise and contained: an OS may resume \
         after repairing what was lost, or end what was running, and that alone.",
    );
    check(
        0xbe00_0011,
        Some(Severity::Uncontainable),
        "SError exception: an uncontainable error. Wrong data may have spread: an OS must stop the system unless it \
         knows by other means that the error is isolated.",
    );
    check(
        0xbf00_0002,
        Some(Severity::Uncontainable),
        "SError exception: the syndrome is IMPLEMENTATION DEFINED (IDS is 1). Nothing is promised about what was hit: \
         an OS that does not know this implementation must take it as uncontainable and stop.",
    );
    check(
        0x9200_0010,
        Some(Severity::Recoverable),
        "Data Abort from a lower Exception level: synchronous external abort, not on a translation table walk. The \
         error is contained and the state recoverable: an OS may replace the poisoned page and resume, or end what was \
         running, and that alone; the poisoned frame must not be used again.",
    );
    check(
        0x9200_0017,
        Some(Severity::Recoverable),
        "Data Abort from a lower Exception level: synchronous external abort on a translation table walk, level 3. The \
         error is contained and the state recoverable: a translation table is poisoned, so an OS may rebuild it and \
         resume, or end the task it belongs to, and that task alone; the frame of the table must not be used again.",
    );
    check(
        0x8200_1010,
        Some(Severity::Uncontainable),
        "Instruction Abort from a lower Exception level: synchronous external abort, not on a translation table walk. \
         The error is uncontainable: wrong data may have spread, so an OS must stop the system unless it knows by other \
         means that the error is isolated.",
    );
    check(
        0x9200_0007,
        None,
        "Data Abort from a lower Exception level: translation fault, level 3. Not a memory error: an ordinary fault, \
         for the kernel's fault handler.",
    );
    check(0x5600_0000, None, "SVC in AArch64 state. Not a memory error.");
}

#[test]
fn explanation_of_disr_tells_a_deferred_error_from_none() {
    for (disr, severity, begin) in [
        (
            0x8000_0811,
            Some(Severity::Restartable),
            "SError deferred by an error synchronisation barrier: an uncorrected",
        ),
        (
            0x8000_1811,
            Some(Severity::Corrected),
            "SError deferred by an error synchronisation barrier: a corrected",
        ),
        (
            0x8100_0000,
            Some(Severity::Uncontainable),
            "SError deferred by an error synchronisation barrier: the syndrome",
        ),
        (0x0000_0811, None, "No SError was deferred. Bit 31 (A) is 0"),
    ] {
        let explanation = explain_disr(Disr(disr));
        let summary = explanation.summary.to_string();
        assert_eq!(explanation.severity, severity, "{disr:#x}");
        assert!(summary.starts_with(begin), "{summary}");
    }
}

/// Name and value of the fields that mean something.
fn present(fields: &Fields) -> Vec<(&'static str, u64)> {
    fields
        .iter()
        .filter(|field| field.absent.is_none())
        .map(|field| (field.name, field.value))
        .collect()
}

#[test]
fn fields_that_mean_something_are_exactly_these() {
    let check =
        |esr: u64, expected: &[(&str, u64)]| assert_eq!(present(&Esr(esr).fields()), expected, "{esr:#x}");
    #[rustfmt::skip]
    check(0x9200_0650, &[
        ("iss2", 0), ("ec", 0x24), ("il", 1), ("isv", 0), ("wu", 0), ("pfv", 0), ("vncr", 0), ("set", 0), ("fnv", 1),
        ("ea", 1), ("cm", 0), ("s1ptw", 0), ("wnr", 1), ("fsc", 0x10),
    ]);
    #[rustfmt::skip]
    check(0x93c5_8010, &[
        ("iss2", 0), ("ec", 0x24), ("il", 1), ("isv", 1), ("sas", 3), ("sse", 0), ("srt", 5), ("sf", 1), ("ar", 0),
        ("vncr", 0), ("set", 0), ("fnv", 0), ("ea", 0), ("cm", 0), ("s1ptw", 0), ("wnr", 0), ("fsc", 0x10),
    ]);
    #[rustfmt::skip]
    check(0x8200_5815, &[
        ("iss2", 0), ("ec", 0x20), ("il", 1), ("pfv", 1), ("set", 3), ("ea", 0), ("s1ptw", 0), ("fsc", 0x15),
    ]);
    #[rustfmt::skip]
    check(0xbe00_1811, &[
        ("iss2", 0), ("ec", 0x2f), ("il", 1), ("ids", 0), ("els", 0), ("wu", 0), ("vfv", 0), ("pfv", 0), ("iesb", 0),
        ("aet", 6), ("ea", 0), ("wnrv", 0), ("dfsc", 0x11),
    ]);
    check(
        0xbf00_0002,
        &[("iss2", 0), ("ec", 0x2f), ("il", 1), ("ids", 1), ("impdef", 2)],
    );
    check(
        0xbe00_0000,
        &[("iss2", 0), ("ec", 0x2f), ("il", 1), ("ids", 0), ("dfsc", 0)],
    );
    check(
        0x5600_0080,
        &[("iss2", 0), ("ec", 0x15), ("il", 1), ("iss", 0x80)],
    );
    let disr = Disr(0x8000_0cd1).fields();
    #[rustfmt::skip]
    assert_eq!(present(&disr), [
        ("a", 1), ("ids", 0), ("wu", 0), ("aet", 3), ("ea", 0), ("wnrv", 1), ("wnr", 1), ("dfsc", 0x11),
    ]);
    assert_eq!(present(&Disr(0x11).fields()), [("a", 0)]);
}

#[test]
fn field_without_meaning_gives_its_reason() {
    for (esr, name, reason) in [
        (
            0x9200_0007,
            "set",
            "SET is defined for codes 0x10 and 0x12 to 0x17 alone",
        ),
        (
            0x9200_0017,
            "fnv",
            "FnV is defined for code 0x10 alone; the FAR is valid",
        ),
        (0x93c5_8010, "pfv", "ISV is 1: the bits describe the instruction"),
        (0x9200_0010, "sas", "ISV is 0: there is no instruction syndrome"),
        (0x9200_0410, "fnp", "there is no valid FAR"),
        (0xbf00_0002, "aet", "IDS is 1: the rest is IMPLEMENTATION DEFINED"),
        (0xbe00_0000, "aet", "defined when DFSC is 0x11 alone"),
        (0xbe00_0011, "wnr", "WnRV is 0"),
    ] {
        let fields = Esr(esr).fields();
        assert_eq!(
            fields.get(name).and_then(|field| field.absent),
            Some(reason),
            "{esr:#x} {name}"
        );
    }
}

fn mask(field: &Field) -> u64 {
    (u64::MAX >> (63 - field.high)) & u64::MAX << field.low
}

/// Every bit is in some field, no two present fields share one, and the fields make up the value again.
fn check_whole(register: u64, fields: &Fields) {
    let mut covered = 0;
    let mut taken = 0;
    let mut again = 0;
    let mut last = 63;
    for field in fields {
        let mask = mask(field);
        assert!(
            field.low <= field.high && field.high <= last,
            "{register:#x}: order of {field:?}"
        );
        last = field.high;
        covered |= mask;
        again |= field.value << field.low;
        assert_eq!(
            field.value,
            (register & mask) >> field.low,
            "{register:#x}: {field:?}"
        );
        assert!(
            field.name == "res0" || KEYS.contains(&field.name),
            "{field:?} has no key"
        );
        if field.absent.is_none() {
            assert_eq!(taken & mask, 0, "{register:#x}: {field:?} shares bits");
            taken |= mask;
        } else {
            assert_eq!(field.meaning, None, "{register:#x}: {field:?}");
        }
    }
    assert_eq!(covered, u64::MAX, "{register:#x}: bits without a field");
    assert_eq!(again, register);
}

#[test]
fn any_value_is_decoded_explained_and_made_up_again() {
    let mut kinds = [0_u32; 3];
    let edges = (0..64)
        .map(|bit| 1 << bit)
        .chain([0, u64::MAX])
        .step_by(if cfg!(miri) { 16 } else { 1 });
    for number in numbers(20_000).chain(edges) {
        // A random class is an abort or an SError once in thirteen; force it for half of them.
        let class = [0x20, 0x21, 0x24, 0x25, 0x2f][usize::try_from(number >> 8 & 0xff).unwrap() % 5];
        for value in [number, number & !(0x3f << 26) | class << 26] {
            let explanation = explain(Esr(value));
            check_whole(value, &explanation.fields);
            assert!(explanation.summary.to_string().ends_with('.'));
            // Whether it is a memory error is told by class and code alone [Arm ARM D24.2.45].
            let is_error = match value >> 26 & 0x3f {
                0x2f => true,
                0x20 | 0x21 | 0x24 | 0x25 => {
                    matches!(value & 0x3f, 0x10 | 0x12..=0x18 | 0x1b..=0x1f)
                }
                _ => false,
            };
            assert_eq!(explanation.severity.is_some(), is_error, "{value:#x}");
            match (Esr(value).abort(), Esr(value).serror()) {
                (Some(_), None) => kinds[0] += 1,
                (None, Some(_)) => kinds[1] += 1,
                (None, None) => kinds[2] += 1,
                (Some(_), Some(_)) => panic!("{value:#x} is two things"),
            }
            let disr = explain_disr(Disr(value));
            check_whole(value, &disr.fields);
            assert_eq!(disr.severity.is_some(), value >> 31 & 1 == 1);
        }
    }
    assert!(
        kinds
            .iter()
            .all(|&count| count > if cfg!(miri) { 2 } else { 1_000 }),
        "each kind was met: {kinds:?}"
    );
}

#[test]
fn keys_are_distinct_and_each_is_used() {
    let mut met = std::collections::BTreeSet::new();
    for esr in [0x9200_0010, 0x8200_0010, 0xbe00_0011, 0xbf00_0000, 0x5600_0000] {
        met.extend(Esr(esr).fields().iter().map(|field| field.name));
    }
    met.extend(Disr(0x8000_0011).fields().iter().map(|field| field.name));
    met.remove("res0");
    let keys: std::collections::BTreeSet<_> = KEYS.into_iter().collect();
    assert_eq!(keys.len(), KEYS.len());
    assert_eq!(met, keys);
}
