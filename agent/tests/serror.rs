//! SErrors taken and deferred, by the row: every AET with every DFSC and both values of IDS. The expected values are
//! typed in from the manual and from `facts/arch-and-linux.md` § 5.2, 5.5 and 5.6, not computed.

use seawall_agent::syndrome::{AsynchronousErrorType as Aet, SErrorStatus, WriteUpdate};
use seawall_agent::{Disr, Esr, SError, Severity};

const SERROR: u64 = 0x2f << 26 | 1 << 25;
const DEFERRED: u64 = 1 << 31;

/// AET, its name, and the severity that the manual gives it.
const ERROR_TYPES: [(u64, Aet, Severity); 8] = [
    (0b000, Aet::Uncontainable, Severity::Uncontainable),
    (0b001, Aet::Unrecoverable, Severity::Unrecoverable),
    (0b010, Aet::Restartable, Severity::Restartable),
    (0b011, Aet::Recoverable, Severity::Recoverable),
    (0b100, Aet::Reserved(0b100), Severity::Uncontainable),
    (0b101, Aet::Reserved(0b101), Severity::Uncontainable),
    (0b110, Aet::Corrected, Severity::Corrected),
    (0b111, Aet::Reserved(0b111), Severity::Uncontainable),
];

fn serror(iss: u64) -> SError {
    Esr(SERROR | iss).serror().expect("class 0x2f")
}

#[test]
fn error_type_means_something_for_status_0x11_without_ids_alone() {
    for (bits, error_type, severity) in ERROR_TYPES {
        for dfsc in (0..64_u64).step_by(if cfg!(miri) { 17 } else { 1 }) {
            for ids in [false, true] {
                let iss = u64::from(ids) << 24 | bits << 10 | dfsc;
                let described = dfsc == 0x11 && !ids;
                let taken = serror(iss);
                let deferred = Disr(DEFERRED | iss);
                let what = format!("AET {bits:#05b} DFSC {dfsc:#x} IDS {ids}");
                assert_eq!(taken.ids(), ids, "{what}");
                assert_eq!(taken.aet(), described.then_some(error_type), "{what}");
                assert_eq!(deferred.aet(), described.then_some(error_type), "{what}");
                let expected = if described {
                    severity
                } else {
                    Severity::Uncontainable
                };
                assert_eq!(Severity::of_serror(taken, true), expected, "{what}");
                assert_eq!(Severity::of_disr(deferred, true), Some(expected), "{what}");
                // Without FEAT_RAS there is no error type to believe.
                assert_eq!(
                    Severity::of_serror(taken, false),
                    Severity::Uncontainable,
                    "{what}"
                );
                assert_eq!(
                    Severity::of_disr(deferred, false),
                    Some(Severity::Uncontainable),
                    "{what}"
                );
                assert_eq!(Severity::of_disr(Disr(iss), true), None, "A is clear: {what}");
                let status = match (ids, dfsc) {
                    (true, _) => None,
                    (false, 0x00) => Some(SErrorStatus::Uncategorised),
                    (false, 0x11) => Some(SErrorStatus::Asynchronous),
                    (false, other) => Some(SErrorStatus::Unknown(u8::try_from(other).unwrap())),
                };
                assert_eq!(taken.dfsc(), status, "{what}");
                assert_eq!(deferred.dfsc(), status, "{what}");
            }
        }
    }
}

#[test]
fn severities_are_ordered_mildest_first() {
    let order = [
        Severity::Corrected,
        Severity::Restartable,
        Severity::Recoverable,
        Severity::Unrecoverable,
        Severity::Uncontainable,
    ];
    assert!(order.is_sorted_by(|milder, worse| milder < worse));
    let names = order.map(Severity::name);
    assert_eq!(
        names,
        [
            "corrected",
            "restartable",
            "recoverable",
            "unrecoverable",
            "uncontainable"
        ]
    );
    assert_eq!(order.map(|severity| severity as u8), [0, 1, 2, 3, 4]);
}

/// One bit of an SError taken: read with DFSC 0x11, and absent without.
#[track_caller]
fn check(number: u32, read: impl Fn(SError) -> Option<bool>) {
    // WnRV stands, so that WnR counts too.
    let base = if number == 7 { 0x11 } else { 1 << 7 | 0x11 };
    assert_eq!(read(serror(base)), Some(false), "bit {number} clear");
    assert_eq!(read(serror(base | 1 << number)), Some(true), "bit {number} set");
    for other in [0x00, 0x10, 0x3f, 0x11 | 1 << 24] {
        assert_eq!(
            read(serror(other | 1 << 7 | 1 << number)),
            None,
            "bit {number} with {other:#x}"
        );
    }
    // Its neighbours do not show through.
    let neighbours = 0x7_ffc0 & !(1 << number) | 1 << 7 & !(1 << number) | 0x11;
    assert_eq!(
        read(serror(neighbours)),
        Some(false),
        "bit {number} alone is clear"
    );
}

#[test]
fn flags_of_an_serror_are_where_the_manual_has_them() {
    check(18, SError::els);
    check(15, SError::vfv);
    check(14, SError::pfv);
    check(13, SError::iesb);
    check(9, SError::ea);
    check(7, SError::wnrv);
    check(6, SError::wnr);
    assert_eq!(serror(1 << 6 | 0x11).wnr(), None, "WnRV is clear");
    assert_eq!(serror(0b10 << 16 | 0x11).wu(), Some(WriteUpdate::NotUpdated));
    assert_eq!(serror(0b11 << 16 | 0x11).wu(), Some(WriteUpdate::Updated));
    assert_eq!(serror(0b11 << 16 | 0x10).wu(), None);
}

#[test]
fn class_0x2f_alone_is_an_serror() {
    for class in 0..64_u64 {
        assert_eq!(
            Esr(class << 26 | 0x11).serror().is_some(),
            class == 0x2f,
            "{class:#x}"
        );
    }
}

#[test]
fn disr_has_its_own_fields_and_none_when_nothing_is_pending() {
    let all = Disr(DEFERRED | 0b11 << 16 | 0b011 << 10 | 1 << 9 | 1 << 7 | 1 << 6 | 0x11);
    assert!(all.pending() && all.a());
    assert_eq!(all.ids(), Some(false));
    assert_eq!(all.wu(), Some(WriteUpdate::Updated));
    assert_eq!(
        (all.ea(), all.wnrv(), all.wnr()),
        (Some(true), Some(true), Some(true))
    );
    let bare = Disr(DEFERRED | 0x11);
    assert_eq!(
        (bare.ea(), bare.wnrv(), bare.wnr()),
        (Some(false), Some(false), None)
    );
    for nothing in [0, 0x11, all.0 & !DEFERRED, 0x7fff_ffff, 0xffff_ffff_7fff_ffff] {
        let disr = Disr(nothing);
        assert!(!disr.pending(), "{nothing:#x}");
        assert_eq!(
            (disr.ids(), disr.aet(), disr.dfsc(), disr.wu()),
            (None, None, None, None)
        );
        assert_eq!((disr.ea(), disr.wnrv(), disr.wnr()), (None, None, None));
    }
    let implementation_defined = Disr(DEFERRED | 1 << 24 | 0x11);
    assert_eq!(
        (implementation_defined.ids(), implementation_defined.ea()),
        (Some(true), None)
    );
    // Bits of an ESR that a DISR does not have change nothing.
    let esr_only = Disr(bare.0 | 1 << 18 | 0b111 << 13);
    assert_eq!(Severity::of_disr(esr_only, true), Severity::of_disr(bare, true));
    assert!(
        ["els", "vfv", "pfv", "iesb"]
            .iter()
            .all(|name| esr_only.fields().get(name).is_none())
    );
}
