//! Explanations: what a syndrome means, in words. Nothing on an abort's way comes here.

use core::fmt;

use crate::Severity;
use crate::syndrome::{Abort, AbortKind, Disr, Esr, Fields, SError, SErrorStatus, SynchronousErrorType};

/// The names of all fields that an explanation may have, in the order of the bits: for formats that name each, whether
/// or not it is there. Reserved bits are left out.
pub const KEYS: [&str; 30] = [
    "iss2", "ec", "il", "a", "iss", "isv", "ids", "impdef", "sas", "sse", "srt", "els", "wu", "sf", "fnp",
    "vfv", "ar", "pfv", "vncr", "iesb", "set", "aet", "fnv", "ea", "cm", "s1ptw", "wnrv", "wnr", "fsc",
    "dfsc",
];

/// What a value means.
#[derive(Clone, Copy, Debug)]
pub struct Explanation {
    /// The exception class in the manual's words.
    pub class: &'static str,
    /// How bad it is, on a PE with `FEAT_RAS`; `None` when it is not a memory error.
    pub severity: Option<Severity>,
    /// A sentence or two: what happened, and what an operating system may do.
    pub summary: Summary,
    /// The fields.
    pub fields: Fields,
}

/// What happened and what an operating system may do, as something to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    what: &'static str,
    detail: Option<&'static str>,
    advice: &'static str,
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.what)?;
        if let Some(detail) = self.detail {
            write!(formatter, ": {detail}")?;
        }
        write!(formatter, ". {}", self.advice)
    }
}

/// Explains a value of `ESR_ELx`.
#[must_use]
pub fn explain(esr: Esr) -> Explanation {
    let class = esr.class().name();
    let (severity, summary) = if let Some(abort) = esr.abort() {
        let severity = Severity::of_abort(abort, true);
        let advice = severity.map_or(ORDINARY, |severity| of_abort(abort, severity));
        (
            severity,
            Summary {
                what: class,
                detail: Some(abort.fsc().meaning()),
                advice,
            },
        )
    } else if let Some(serror) = esr.serror() {
        let severity = Severity::of_serror(serror, true);
        (Some(severity), of_serror(class, serror, severity))
    } else {
        (
            None,
            Summary {
                what: class,
                detail: None,
                advice: "Not a memory error.",
            },
        )
    };
    Explanation {
        class,
        severity,
        summary,
        fields: esr.fields(),
    }
}

/// Explains a value of `DISR_EL1`.
#[must_use]
pub fn explain_disr(disr: Disr) -> Explanation {
    let severity = Severity::of_disr(disr, true);
    let summary = match severity {
        None => Summary {
            what: "No SError was deferred",
            detail: None,
            advice: "Bit 31 (A) is 0, and the rest of the register means nothing.",
        },
        Some(severity) => Summary {
            what: "SError deferred by an error synchronisation barrier",
            detail: unnamed(disr.ids() == Some(true), disr.dfsc()).or(Some(name_of(severity))),
            advice: asynchronous(severity, disr.aet().is_some()),
        },
    };
    Explanation {
        class: "Deferred SError (DISR_EL1)",
        severity,
        summary,
        fields: disr.fields(),
    }
}

const ORDINARY: &str = "Not a memory error: an ordinary fault, for the kernel's fault handler.";

const fn of_abort(abort: Abort, severity: Severity) -> &'static str {
    let walk = abort.walk_level().is_some();
    match (severity, abort.set(), abort.kind) {
        (Severity::Uncontainable, Some(SynchronousErrorType::Reserved), _) => {
            "The error type (SET) is a reserved value and promises nothing: an OS must take it as uncontainable and stop."
        }
        (Severity::Uncontainable, ..) => {
            "The error is uncontainable: wrong data may have spread, so an OS must stop the system unless it knows by \
             other means that the error is isolated."
        }
        (Severity::Restartable, ..) if walk => {
            "The state is restartable: nothing is lost and an OS may resume, but the same walk may meet the same error \
             again; to make good the translation table, or to end the task it belongs to, puts an end to that."
        }
        (Severity::Restartable, ..) => {
            "The state is restartable: nothing is lost and an OS may resume, but the same access may meet the same error \
             again; to heal the page, or to end what was running, puts an end to that."
        }
        (_, None, _) => {
            "A parity or ECC error, reported without a type, for CPUs without FEAT_RAS have none: nothing is promised of \
             the state. An OS that takes the error to be contained may replace what is poisoned and resume, or end what \
             was running; its frame must not be used again."
        }
        _ if walk => {
            "The error is contained and the state recoverable: a translation table is poisoned, so an OS may rebuild it \
             and resume, or end the task it belongs to, and that task alone; the frame of the table must not be used \
             again."
        }
        (_, _, AbortKind::Instruction) => {
            "The error is contained and the state recoverable: an OS may read the code again from its file into another \
             frame and resume, or end what was running, and that alone; the poisoned frame must not be used again."
        }
        (_, _, AbortKind::Data) => {
            "The error is contained and the state recoverable: an OS may replace the poisoned page and resume, or end \
             what was running, and that alone; the poisoned frame must not be used again."
        }
    }
}

fn of_serror(class: &'static str, serror: SError, severity: Severity) -> Summary {
    Summary {
        what: class,
        detail: unnamed(serror.ids(), serror.dfsc()).or(Some(name_of(severity))),
        advice: asynchronous(severity, serror.aet().is_some()),
    }
}

/// Why there is no error type, when there is none.
const fn unnamed(ids: bool, dfsc: Option<SErrorStatus>) -> Option<&'static str> {
    match (ids, dfsc) {
        (true, _) => Some("the syndrome is IMPLEMENTATION DEFINED (IDS is 1)"),
        (false, Some(SErrorStatus::Asynchronous)) => None,
        (false, Some(SErrorStatus::Uncategorised) | None) => Some("the error is not categorised"),
        (false, Some(SErrorStatus::Unknown(_))) => Some("the fault status code is reserved"),
    }
}

const fn name_of(severity: Severity) -> &'static str {
    match severity {
        Severity::Corrected => "a corrected error",
        Severity::Restartable => "an uncorrected error in restartable state",
        Severity::Recoverable => "an uncorrected error in recoverable state",
        Severity::Unrecoverable => "an uncorrected error in unrecoverable state",
        Severity::Uncontainable => "an uncontainable error",
    }
}

const fn asynchronous(severity: Severity, has_error_type: bool) -> &'static str {
    match severity {
        Severity::Corrected => {
            "The hardware has corrected it and nothing is lost: an OS may count it and resume."
        }
        Severity::Restartable => {
            "It is precise and what was interrupted has lost nothing: an OS may resume without doing anything."
        }
        Severity::Recoverable => {
            "It is precise and contained: an OS may resume after repairing what was lost, or end what was running, and \
             that alone."
        }
        Severity::Unrecoverable => {
            "It is imprecise but contained: an OS must not resume what was running, and may go on with all else."
        }
        Severity::Uncontainable if has_error_type => {
            "Wrong data may have spread: an OS must stop the system unless it knows by other means that the error is \
             isolated."
        }
        Severity::Uncontainable => {
            "Nothing is promised about what was hit: an OS that does not know this implementation must take it as \
             uncontainable and stop."
        }
    }
}
