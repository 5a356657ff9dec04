//! Data and instruction aborts, by the row: every code, and every combination of code, SET and FnV. The expected values
//! are typed in from the manual (DDI 0487 M.a.a, D24.2.45) and from `facts/arch-and-linux.md` § 5.4, not computed.

use seawall_agent::syndrome::{AbortKind, FaultStatus, SynchronousErrorType, WriteUpdate};
use seawall_agent::{Abort, Esr, Severity};

const DATA_LOWER: u64 = 0x24 << 26 | 1 << 25;
const INSTRUCTION_LOWER: u64 = 0x20 << 26 | 1 << 25;

#[track_caller]
fn abort(esr: u64) -> Abort {
    Esr(esr).abort().expect("an abort class")
}

/// What the manual says of one fault status code.
struct Row {
    code: u64,
    status: FaultStatus,
    external: bool,
    has_set: bool,
    has_fnv: bool,
    walk: Option<i8>,
}

const fn fault(code: u64, status: FaultStatus) -> Row {
    Row {
        code,
        status,
        external: false,
        has_set: false,
        has_fnv: false,
        walk: None,
    }
}

const fn walk_fault(code: u64, status: FaultStatus, level: i8) -> Row {
    Row {
        code,
        status,
        external: false,
        has_set: false,
        has_fnv: false,
        walk: Some(level),
    }
}

const fn external_walk(code: u64, level: i8) -> Row {
    let status = FaultStatus::ExternalAbortOnWalk(level);
    Row {
        code,
        status,
        external: true,
        has_set: true,
        has_fnv: false,
        walk: Some(level),
    }
}

const fn parity_walk(code: u64, level: i8) -> Row {
    let status = FaultStatus::ParityOnWalk(level);
    Row {
        code,
        status,
        external: true,
        has_set: false,
        has_fnv: false,
        walk: Some(level),
    }
}

const fn reserved(code: u64, bits: u8) -> Row {
    fault(code, FaultStatus::Unknown(bits))
}

#[rustfmt::skip]
const CODES: [Row; 64] = [
    fault(0x00, FaultStatus::AddressSize(0)),
    fault(0x01, FaultStatus::AddressSize(1)),
    fault(0x02, FaultStatus::AddressSize(2)),
    fault(0x03, FaultStatus::AddressSize(3)),
    fault(0x04, FaultStatus::Translation(0)),
    fault(0x05, FaultStatus::Translation(1)),
    fault(0x06, FaultStatus::Translation(2)),
    fault(0x07, FaultStatus::Translation(3)),
    fault(0x08, FaultStatus::AccessFlag(0)),
    fault(0x09, FaultStatus::AccessFlag(1)),
    fault(0x0a, FaultStatus::AccessFlag(2)),
    fault(0x0b, FaultStatus::AccessFlag(3)),
    fault(0x0c, FaultStatus::Permission(0)),
    fault(0x0d, FaultStatus::Permission(1)),
    fault(0x0e, FaultStatus::Permission(2)),
    fault(0x0f, FaultStatus::Permission(3)),
    Row { code: 0x10, status: FaultStatus::ExternalAbort, external: true, has_set: true, has_fnv: true, walk: None },
    fault(0x11, FaultStatus::TagCheck),
    external_walk(0x12, -2),
    external_walk(0x13, -1),
    external_walk(0x14, 0),
    external_walk(0x15, 1),
    external_walk(0x16, 2),
    external_walk(0x17, 3),
    Row { code: 0x18, status: FaultStatus::Parity, external: true, has_set: false, has_fnv: false, walk: None },
    reserved(0x19, 0x19),
    reserved(0x1a, 0x1a),
    parity_walk(0x1b, -1),
    parity_walk(0x1c, 0),
    parity_walk(0x1d, 1),
    parity_walk(0x1e, 2),
    parity_walk(0x1f, 3),
    reserved(0x20, 0x20),
    fault(0x21, FaultStatus::Alignment),
    walk_fault(0x22, FaultStatus::GranuleProtectionOnWalk(-2), -2),
    walk_fault(0x23, FaultStatus::GranuleProtectionOnWalk(-1), -1),
    walk_fault(0x24, FaultStatus::GranuleProtectionOnWalk(0), 0),
    walk_fault(0x25, FaultStatus::GranuleProtectionOnWalk(1), 1),
    walk_fault(0x26, FaultStatus::GranuleProtectionOnWalk(2), 2),
    walk_fault(0x27, FaultStatus::GranuleProtectionOnWalk(3), 3),
    fault(0x28, FaultStatus::GranuleProtection),
    fault(0x29, FaultStatus::AddressSize(-1)),
    fault(0x2a, FaultStatus::Translation(-2)),
    fault(0x2b, FaultStatus::Translation(-1)),
    fault(0x2c, FaultStatus::AddressSize(-2)),
    reserved(0x2d, 0x2d),
    reserved(0x2e, 0x2e),
    reserved(0x2f, 0x2f),
    fault(0x30, FaultStatus::TlbConflict),
    fault(0x31, FaultStatus::UnsupportedAtomicUpdate),
    reserved(0x32, 0x32),
    reserved(0x33, 0x33),
    fault(0x34, FaultStatus::Lockdown),
    fault(0x35, FaultStatus::UnsupportedExclusive),
    reserved(0x36, 0x36),
    reserved(0x37, 0x37),
    reserved(0x38, 0x38),
    reserved(0x39, 0x39),
    reserved(0x3a, 0x3a),
    reserved(0x3b, 0x3b),
    reserved(0x3c, 0x3c),
    reserved(0x3d, 0x3d),
    reserved(0x3e, 0x3e),
    reserved(0x3f, 0x3f),
];

/// SET, its name, and the severity with and without `FEAT_RAS`.
const SETS: [(u64, SynchronousErrorType, Severity, Severity); 4] = [
    (
        0b00,
        SynchronousErrorType::Recoverable,
        Severity::Recoverable,
        Severity::Recoverable,
    ),
    (
        0b01,
        SynchronousErrorType::Reserved,
        Severity::Uncontainable,
        Severity::Uncontainable,
    ),
    (
        0b10,
        SynchronousErrorType::Uncontainable,
        Severity::Uncontainable,
        Severity::Uncontainable,
    ),
    (
        0b11,
        SynchronousErrorType::Restartable,
        Severity::Restartable,
        Severity::Recoverable,
    ),
];

#[test]
fn every_code_has_the_manuals_name_and_properties() {
    for (index, row) in CODES.iter().enumerate() {
        assert_eq!(row.code, index as u64, "the table has every code once");
        for class in [DATA_LOWER, INSTRUCTION_LOWER] {
            let abort = abort(class | row.code);
            assert_eq!(abort.fsc(), row.status, "{:#x}", row.code);
            assert_eq!(abort.is_external(), row.external, "{:#x}", row.code);
            assert_eq!(abort.walk_level(), row.walk, "{:#x}", row.code);
        }
    }
}

#[test]
fn set_and_fnv_mean_something_for_their_codes_alone_and_severity_follows_set() {
    for row in CODES.iter().step_by(if cfg!(miri) { 5 } else { 1 }) {
        for (bits, set, with_ras, without_ras) in SETS {
            for fnv in [false, true] {
                for class in [DATA_LOWER, INSTRUCTION_LOWER] {
                    let abort = abort(class | bits << 11 | u64::from(fnv) << 10 | row.code);
                    let what = format!("code {:#x} SET {bits:#b} FnV {fnv} {:?}", row.code, abort.kind);
                    assert_eq!(abort.set(), row.has_set.then_some(set), "{what}");
                    assert_eq!(abort.fnv(), row.has_fnv.then_some(fnv), "{what}");
                    assert_eq!(abort.far_valid(), !(row.code == 0x10 && fnv), "{what}");
                    let severity = match (row.external, row.has_set) {
                        (false, _) => (None, None),
                        (true, false) => (Some(Severity::Recoverable), Some(Severity::Recoverable)),
                        (true, true) => (Some(with_ras), Some(without_ras)),
                    };
                    let found = (Severity::of_abort(abort, true), Severity::of_abort(abort, false));
                    assert_eq!(found, severity, "{what}");
                }
            }
        }
    }
}

#[test]
fn four_classes_are_aborts_and_no_other() {
    for class in 0..64_u64 {
        let expected = match class {
            0x20 => Some((AbortKind::Instruction, true)),
            0x21 => Some((AbortKind::Instruction, false)),
            0x24 => Some((AbortKind::Data, true)),
            0x25 => Some((AbortKind::Data, false)),
            _ => None,
        };
        let found = Esr(class << 26 | 0x10)
            .abort()
            .map(|abort| (abort.kind, abort.from_lower_el));
        assert_eq!(found, expected, "{class:#x}");
    }
}

/// One bit, its reading when it is 0 and when it is 1, with the rest of the ISS as given.
#[track_caller]
fn check_bit(rest: u64, number: u32, read: impl Fn(Abort) -> Option<bool>, expected: Option<(bool, bool)>) {
    let zero = read(abort(rest & !(1 << number)));
    let one = read(abort(rest | 1 << number));
    assert_eq!(zero.zip(one), expected, "bit {number} of {rest:#x}");
    assert_eq!(zero.is_some(), expected.is_some());
}

const FLAG: Option<(bool, bool)> = Some((false, true));

#[test]
fn flags_of_a_data_abort_are_where_the_manual_has_them() {
    let external = DATA_LOWER | 0x10;
    let translation = DATA_LOWER | 0x07;
    let isv = external | 1 << 24;
    check_bit(external, 9, Abort::ea, FLAG);
    check_bit(translation, 9, Abort::ea, None);
    check_bit(DATA_LOWER | 0x18, 9, Abort::ea, FLAG);
    check_bit(external, 8, Abort::cm, FLAG);
    check_bit(external, 7, Abort::s1ptw, FLAG);
    check_bit(external, 6, Abort::wnr, FLAG);
    check_bit(translation, 6, Abort::wnr, FLAG);
    check_bit(DATA_LOWER | 0x31, 6, Abort::wnr, None);
    check_bit(DATA_LOWER | 0x35, 6, Abort::wnr, None);
    check_bit(external, 13, Abort::vncr, FLAG);
    check_bit(external, 24, Abort::isv, FLAG);
    // Without an instruction syndrome bits 15 and 14 are FnP and PFV, with one they are SF and AR.
    check_bit(external, 14, Abort::pfv, FLAG);
    check_bit(external, 14, Abort::ar, None);
    check_bit(external, 15, Abort::fnp, FLAG);
    check_bit(external, 15, Abort::sf, None);
    check_bit(isv, 14, Abort::pfv, None);
    check_bit(isv, 14, Abort::ar, FLAG);
    check_bit(isv, 15, Abort::fnp, None);
    check_bit(isv, 15, Abort::sf, FLAG);
    check_bit(isv, 21, Abort::sse, FLAG);
    check_bit(external, 21, Abort::sse, None);
    // FnP tells how exact the FAR is: with FnV set there is none.
    check_bit(external | 1 << 10, 15, Abort::fnp, None);
    check_bit(translation, 15, Abort::fnp, FLAG);
    check_bit(translation, 14, Abort::pfv, None);
    check_bit(DATA_LOWER | 0x12, 14, Abort::pfv, FLAG);
    check_bit(DATA_LOWER | 0x17, 14, Abort::pfv, FLAG);
    check_bit(DATA_LOWER | 0x18, 14, Abort::pfv, None);
}

#[test]
fn data_fields_mean_nothing_in_an_instruction_abort() {
    // All bits that could be taken for one of them are set.
    let abort = abort(INSTRUCTION_LOWER | 0x1ff_e9c0 | 0x10);
    assert_eq!(abort.isv(), None);
    assert_eq!(abort.sas(), None);
    assert_eq!(abort.sse(), None);
    assert_eq!(abort.srt(), None);
    assert_eq!(abort.sf(), None);
    assert_eq!(abort.ar(), None);
    assert_eq!(abort.vncr(), None);
    assert_eq!(abort.fnp(), None);
    assert_eq!(abort.wu(), None);
    assert_eq!(abort.cm(), None);
    assert_eq!(abort.wnr(), None);
    // These an instruction abort does have. Bit 24 is not ISV here, so PFV stands.
    assert_eq!(abort.pfv(), Some(true));
    assert_eq!(abort.s1ptw(), Some(true));
}

#[test]
fn fields_of_several_bits_are_whole() {
    for value in 0..4_u8 {
        let isv = DATA_LOWER | 1 << 24 | u64::from(value) << 22 | 0x10;
        assert_eq!(abort(isv).sas(), Some(value));
        assert_eq!(abort(isv & !(1 << 24)).sas(), None);
    }
    for value in 0..32_u8 {
        let isv = DATA_LOWER | 1 << 24 | u64::from(value) << 16 | 0x10;
        assert_eq!(abort(isv).srt(), Some(value));
        assert_eq!(abort(isv & !(1 << 24)).srt(), None);
    }
    for (bits, update) in [
        (0b00, WriteUpdate::Unspecified),
        (0b01, WriteUpdate::Reserved),
        (0b10, WriteUpdate::NotUpdated),
        (0b11, WriteUpdate::Updated),
    ] {
        assert_eq!(abort(DATA_LOWER | bits << 16 | 0x10).wu(), Some(update));
        assert_eq!(abort(DATA_LOWER | 1 << 24 | bits << 16 | 0x10).wu(), None);
        assert_eq!(abort(DATA_LOWER | bits << 16 | 0x07).wu(), None);
    }
}
