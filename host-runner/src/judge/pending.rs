//! What the guest read of ISR_EL1.A where it had SErrors masked: that an error stayed pending, and that no handler ran.

use super::{Case, Findings};

pub(super) fn check(case: &Case<'_>, findings: &mut Findings) {
    let expected = &case.scenario.expect.pending;
    let found = &case.evidence.pending;
    findings.compare("pending", "the journal", expected.len(), found.len());
    for (index, (expected, (serror, handled))) in expected.iter().zip(found).enumerate() {
        let at = format!("reading {index}");
        findings.compare(
            "pending",
            format_args!("{at}, ISR_EL1.A"),
            expected.serror,
            *serror,
        );
        findings.compare(
            "pending",
            format_args!("{at}, errors handled before"),
            expected.handled,
            *handled,
        );
    }
}
