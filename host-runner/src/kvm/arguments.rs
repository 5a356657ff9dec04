//! What `KVM_SET_VCPU_EVENTS` must not be asked: our own check held against the running kernel's answers, in VMs that are
//! made for it and run nothing.
//!
//! [Linux `Documentation/virt/kvm/api.rst` §4.32; `kvm_arm_vcpu_set_events`, `__kvm_arm_vcpu_set_events`] The last row is
//! why the check is there: since Linux 6.17, a bad syndrome beside `ext_dabt_pending` is refused when the abort has been
//! given already. Before, the syndrome was looked at first.

use super::events::{self, Circumstance, EventsError, LeftFor};
use super::uapi::VcpuEvents;

/// What has to be answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expected {
    /// By both: yes.
    Taken,
    /// By both: no, and nothing was done.
    Refused(i32),
    /// By the kernel: no, and older ones have not given the abort, others have. By us: no, before.
    HalfDone(i32),
}

/// Arguments, and what has to be answered.
#[derive(Clone, Debug)]
struct Case {
    name: String,
    initialised: bool,
    events: VcpuEvents,
    expected: Expected,
}

/// What a kernel answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Answer {
    error: Option<i32>,
    /// A data abort was given.
    gave: bool,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Held {
    /// Argument errors that were tried.
    pub(crate) errors: usize,
    /// Good arguments that were tried.
    pub(crate) good: usize,
    /// Argument errors that are refused here, and that this kernel takes: older ones take some.
    pub(crate) taken: Vec<String>,
    /// The kernel refused a bad syndrome when it had given the abort beside it.
    pub(crate) half_done: bool,
    /// What was answered otherwise than it has to be, each with both answers.
    pub(crate) differences: Vec<String>,
}

fn case(name: impl Into<String>, events: VcpuEvents, expected: Expected) -> Case {
    Case {
        name: name.into(),
        initialised: true,
        events,
        expected,
    }
}

/// All of them; `syndromes` is `KVM_CAP_ARM_INJECT_SERROR_ESR`.
fn cases(syndromes: bool) -> Vec<Case> {
    use Expected::{HalfDone, Refused, Taken};
    let none = VcpuEvents::default();
    let with_syndrome = |syndrome| VcpuEvents {
        serror_pending: 1,
        serror_has_esr: 1,
        serror_esr: syndrome,
        ..none
    };
    let mut all = vec![Case {
        initialised: false,
        ..case("a vCPU that is not initialised", none, Refused(libc::ENOEXEC))
    }];
    for at in 0..none.pad.len() {
        let mut events = none;
        events.pad.iter_mut().skip(at).take(1).for_each(|byte| *byte = 1);
        all.push(case(format!("pad[{at}]"), events, Refused(libc::EINVAL)));
    }
    for at in 0..none.reserved.len() {
        let mut events = none;
        let mut word = events.reserved.iter_mut().skip(at).take(1);
        word.by_ref().for_each(|word| *word = 1);
        all.push(case(format!("reserved[{at}]"), events, Refused(libc::EINVAL)));
    }
    // ISS is bits 24:0 [Arm ARM D24.2.45].
    for bit in 25..64 {
        all.push(case(
            format!("bit {bit} of serror_esr"),
            with_syndrome(1 << bit),
            Refused(libc::EINVAL),
        ));
    }
    let if_syndromes = if syndromes { Taken } else { Refused(libc::EINVAL) };
    for syndrome in [0, 0x01ff_ffff] {
        let name = format!("serror_esr {syndrome:#x}");
        all.push(case(name, with_syndrome(syndrome), if_syndromes));
    }
    let serror = VcpuEvents {
        serror_pending: 1,
        ..none
    };
    let ignored = VcpuEvents {
        serror_esr: u64::MAX,
        ..serror
    };
    all.extend([
        case("nothing", none, Taken),
        case("an SError without a syndrome", serror, Taken),
        case("a syndrome that does not count", ignored, Taken),
        case("a data abort", events::data_abort(), Taken),
        case(
            "a bad syndrome beside a data abort",
            VcpuEvents {
                ext_dabt_pending: 1,
                ..with_syndrome(1 << 25)
            },
            HalfDone(libc::EINVAL),
        ),
    ]);
    all
}

/// The error that our check says KVM would answer with.
fn ours(case: &Case, syndromes: bool) -> Option<i32> {
    let now = Circumstance {
        initialised: case.initialised,
        syndromes,
        data_aborts: true,
        left_for: LeftFor::UnansweredAccess,
    };
    match events::check(case.events, now) {
        Ok(_) => None,
        Err(EventsError::NotInitialised) => Some(libc::ENOEXEC),
        Err(_) => Some(libc::EINVAL),
    }
}

/// Holds both answers against what has to be answered. `ask` has the kernel answer.
fn hold(syndromes: bool, mut ask: impl FnMut(&Case) -> Result<Answer, String>) -> Result<Held, String> {
    let mut held = Held::default();
    for case in cases(syndromes) {
        let theirs = ask(&case).map_err(|error| format!("{}: {error}", case.name))?;
        let (error, gave) = match case.expected {
            Expected::Taken => (None, case.events.ext_dabt_pending != 0),
            Expected::Refused(error) => (Some(error), false),
            Expected::HalfDone(error) => {
                held.half_done = theirs.gave;
                (Some(error), theirs.gave)
            }
        };
        if error.is_none() {
            held.good += 1;
        } else {
            held.errors += 1;
        }
        let ours = ours(&case, syndromes);
        let is_lax = theirs.error.is_none() && !theirs.gave;
        if is_lax && ours == error && matches!(case.expected, Expected::Refused(_)) {
            held.taken.push(case.name);
        } else if (ours, theirs) != (error, Answer { error, gave }) {
            let abort = |gave| if gave { ", with an abort given" } else { "" };
            held.differences.push(format!(
                "{}: {}{} was expected, this command says {}, KVM {}{}",
                case.name,
                word(error),
                abort(gave),
                word(ours),
                word(theirs.error),
                abort(theirs.gave)
            ));
        }
    }
    Ok(held)
}

fn word(error: Option<i32>) -> String {
    match error {
        None => "yes".into(),
        Some(libc::EINVAL) => "EINVAL".into(),
        Some(libc::ENOEXEC) => "ENOEXEC".into(),
        Some(other) => format!("error {other}"),
    }
}

#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
pub(crate) use asked::ask;

#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
mod asked {
    use kvm_bindings::kvm_vcpu_init;
    use kvm_ioctls::{Kvm, VmFd};

    use super::super::uapi::{KVM_CAP_ARM_INJECT_SERROR_ESR, Register};
    use super::super::{give, registers};
    use super::{Answer, Case, Held, hold};

    /// A data abort from EL1h, where a vCPU begins: EC 0x25, and a synchronous external abort [Arm ARM D24.2.45].
    const GIVEN: u64 = 0x9400_0010;
    /// Older kernels have it from the last exit, of which there was none.
    const IL: u64 = 1 << 25;

    /// Asks the running kernel; `machine` makes a VM.
    ///
    /// # Errors
    /// What kept it from being asked, for people.
    pub(crate) fn ask(
        kvm: &Kvm,
        machine: impl Fn() -> Result<VmFd, kvm_ioctls::Error>,
    ) -> Result<Held, String> {
        let syndromes = kvm.check_extension_raw(KVM_CAP_ARM_INJECT_SERROR_ESR.into()) > 0;
        hold(syndromes, |case| {
            let vm = machine().map_err(|error| format!("KVM_CREATE_VM: {error}"))?;
            answer(&vm, case).map_err(|error| error.to_string())
        })
    }

    /// In a VM of its own: what is pending cannot be taken back.
    fn answer(vm: &VmFd, case: &Case) -> Result<Answer, kvm_ioctls::Error> {
        let vcpu = vm.create_vcpu(0)?;
        if case.initialised {
            let mut kind = kvm_vcpu_init::default();
            vm.get_preferred_target(&mut kind)?;
            vcpu.vcpu_init(&kind)?;
        }
        let error = vcpu
            .set_vcpu_events(&give::bound(&case.events))
            .err()
            .map(|error| error.errno());
        let gave = case.initialised && registers::get(&vcpu, Register::EsrEl1)? & !IL == GIVEN;
        Ok(Answer { error, gave })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kernel as it is documented.
    fn documented(case: &Case) -> Answer {
        let VcpuEvents {
            pad,
            reserved,
            ext_dabt_pending,
            serror_pending,
            serror_has_esr,
            serror_esr,
        } = case.events;
        let error = match () {
            () if !case.initialised => Some(libc::ENOEXEC),
            () if pad != [0; 5] || reserved != [0; 12] => Some(libc::EINVAL),
            () if serror_pending != 0 && serror_has_esr != 0 && serror_esr >> 25 != 0 => Some(libc::EINVAL),
            () => None,
        };
        let gave = ext_dabt_pending != 0 && pad == [0; 5] && reserved == [0; 12];
        Answer { error, gave }
    }

    #[test]
    fn a_kernel_as_documented_has_no_difference_and_any_other_is_told_by_name() {
        let held = hold(true, |case| Ok(documented(case))).unwrap();
        // The vCPU, 5 bytes, 12 words, bits 25 to 63, and the one that is half done.
        assert_eq!((held.errors, held.good), (1 + 5 + 12 + 39 + 1, 6));
        assert_eq!(held.differences, Vec::<String>::new());
        for name in cases(true).into_iter().map(|case| case.name) {
            let held = hold(true, |case| {
                let right = documented(case);
                let wrong = Answer {
                    error: Some(libc::EPERM),
                    ..right
                };
                Ok(if case.name == name { wrong } else { right })
            });
            let differences = held.unwrap().differences;
            assert!(
                matches!(differences.as_slice(), [one] if one.starts_with(&format!("{name}: "))),
                "{differences:?}"
            );
        }
        assert!(hold(true, |_| Err("no".into())).is_err());
    }

    #[test]
    fn a_kernel_that_takes_more_is_told_from_one_that_does_half() {
        let lax = |case: &Case| match documented(case) {
            _ if !case.initialised => Answer {
                error: None,
                gave: false,
            },
            right => right,
        };
        let held = hold(true, |case| Ok(lax(case))).unwrap();
        assert_eq!(held.taken, ["a vCPU that is not initialised"]);
        assert_eq!(held.differences, Vec::<String>::new());
        // To give an abort for a bad argument, or none for one that asks for it, is something else.
        let half = |case: &Case| Answer {
            gave: !documented(case).gave,
            ..documented(case)
        };
        let held = hold(true, |case| Ok(half(case))).unwrap();
        assert_eq!((held.taken.len(), held.differences.len()), (0, 57 + 6));
        // Either is known of a bad syndrome beside an abort.
        assert!(!held.half_done && hold(true, |case| Ok(documented(case))).unwrap().half_done);
    }

    #[test]
    fn without_syndromes_every_one_is_refused_by_ours() {
        for case in cases(false) {
            let is_with_syndrome = case.events.serror_has_esr != 0;
            let is_refused = ours(&case, false).is_some();
            assert!(!is_with_syndrome || is_refused, "{}", case.name);
        }
    }
}
