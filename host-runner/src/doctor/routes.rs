//! The ways of injection: which are possible here, on which backend, and why not on the others.

use super::host::{Answers, Host, version};
use super::judge::{SEA_TO_USER, Scope, UFFDIO_POISON, kvm_able, usable};
use super::rows::{Route, Row};
use crate::backend::Missing;
use crate::events::Unavailable;
use crate::kvm::needs::Need;

mod ways;

pub(super) use ways::OFFERS;
use ways::{WAYS, Way};

/// Whether a backend has it.
enum State {
    Yes,
    /// Yes, and something is to be said about it.
    But(&'static str),
    No(Missing),
    /// It was not looked at from inside: why it cannot be told from outside.
    Unknown(&'static str),
}

const NO_LEVEL: &str = "before Linux 6.18 KVM reports code 0x10 instead of the walk's level";
/// Linux from which on KVM has `KVM_CAP_ARM_EL2`.
const NESTING: (u32, u32) = (6, 16);

fn no(what: impl Into<String>, fix: impl Into<String>) -> State {
    State::No(Missing {
        what: what.into(),
        fix: fix.into(),
    })
}

fn if_version(found: Option<(u32, u32)>, least: (u32, u32), what: &str, fix: &str) -> State {
    match found {
        None => State::Unknown("the lab's kernel version is not known either"),
        Some(found) if found >= least => State::Yes,
        Some(_) => no(what, fix),
    }
}

/// What is to be said of a way that is there, by KVM's version.
fn by_version(way: &Way, version: Option<(u32, u32)>) -> State {
    if way.word == "walk" && version.is_some_and(|version| version < (6, 18)) {
        State::But(NO_LEVEL)
    } else {
        State::Yes
    }
}

/// On this host's own KVM, which can run the guest. What could be done here is no matter of what brings it about.
fn on_kvm(way: &Way, host: &Host, answers: &Answers, is_offered: bool) -> State {
    let lacks = |need: Need| answers.lacks.iter().find(|(lacked, _)| *lacked == need);
    // The lab that this looks from has no outside, and the one in which scenarios run has.
    let asked = |need: &&Need| **need != Need::Outside || (is_offered && !host.is_lab);
    if let Some((_, missing)) = way.needs.iter().filter(asked).find_map(|need| lacks(*need)) {
        return State::No(missing.clone());
    }
    match way.partly.iter().find(|(need, _)| lacks(*need).is_some()) {
        Some((_, left)) => State::But(left),
        None => by_version(way, host.version()),
    }
}

/// In the lab, from outside: its CPU, its privileges and its build are always the same, and its kernel is Debian's or one
/// named by hand.
fn in_lab(way: &Way, host: &Host) -> State {
    let version = host
        .lab_kernel
        .as_ref()
        .and_then(|kernel| version(kernel.release.as_deref()?));
    for need in way.needs {
        let state = match need {
            Need::Userfault => if_version(
                version,
                UFFDIO_POISON,
                "its kernel is older than Linux 6.6",
                "name Linux 6.6 or later with --kernel",
            ),
            Need::SeaExit => if_version(
                version,
                SEA_TO_USER,
                "its kernel is older than Linux 6.19",
                "name Linux 6.19 or later with --kernel",
            ),
            Need::Nesting => nested_lab(host, version),
            Need::DoubleFault2 => State::Unknown("it depends on the lab's CPU"),
            _ => State::Yes,
        };
        if !matches!(state, State::Yes) {
            return state;
        }
    }
    by_version(way, version)
}

/// A lab whose KVM nests is one of its own, for scenarios that are named.
fn nested_lab(host: &Host, kernel: Option<(u32, u32)>) -> State {
    let said = host.qemu.as_ref().and_then(|qemu| qemu.version.as_deref().ok());
    let digits = |word: &str| word.split('.').next()?.parse::<u32>().ok();
    match said.and_then(|said| said.split_ascii_whitespace().find_map(digits)) {
        None => return State::Unknown("QEMU's version is not known either"),
        Some(..9) => {
            return no(
                "a lab whose KVM nests needs QEMU 9 or later",
                "QEMU 9 or later, then: seawall run =el2-serror --backend lab",
            );
        }
        Some(_) => {}
    }
    match if_version(
        kernel,
        NESTING,
        "its kernel is older than Linux 6.16",
        "name Linux 6.16 or later with --kernel",
    ) {
        State::Yes => State::But("in a lab of its own: seawall run =el2-serror --backend lab"),
        other => other,
    }
}

/// The backends that a way is asked of, each with what it says, and what the others lack.
type Asked = (Vec<(&'static str, State)>, Vec<(&'static str, Missing)>);

/// Whether this command offers a way, and whether on qemu too.
fn offered(way: &Way, host: &Host) -> (bool, bool) {
    if !OFFERS.contains(&way.word) {
        return (true, !way.shim.is_empty());
    }
    let offer = host.offers.iter().find(|offer| offer.route == way.word);
    (offer.is_some(), offer.is_some_and(|offer| offer.on_qemu))
}

/// A way that is offered is asked of the backends that can run scenarios; a planned one of the hosts that could do it,
/// built or not, among which the shim is not.
fn ask(way: &Way, host: &Host, scope: Scope) -> Asked {
    let mut asked = Vec::new();
    let mut not = Vec::new();
    let mut put = |name, able: Result<State, Missing>| match able {
        Ok(state) => asked.push((name, state)),
        Err(missing) => not.push((name, missing)),
    };
    let able = kvm_able(host);
    let (is_offered, on_qemu) = offered(way, host);
    if !is_offered {
        if scope.has(Scope::Kvm) {
            put("kvm", able.map(|answers| on_kvm(way, host, answers, false)));
        }
        if scope == Scope::All {
            let lab = match (&host.qemu, &host.lab_kernel) {
                (Some(_), Some(_)) => Ok(()),
                _ => host.backends.lab.clone(),
            };
            put("lab", lab.map(|()| in_lab(way, host)));
        }
        return (asked, not);
    }
    for (name, state) in usable(host, scope) {
        if name == "qemu" && !on_qemu {
            continue;
        }
        let state = state.map(|()| match (name, &able) {
            ("kvm", Ok(answers)) => on_kvm(way, host, answers, true),
            ("lab", _) => in_lab(way, host),
            // The shim does them all, by its own means.
            _ => State::Yes,
        });
        put(name, state);
    }
    (asked, not)
}

/// What is offered comes first.
pub(super) fn routes(host: &Host, scope: Scope) -> Vec<Route> {
    let mut routes: Vec<_> = WAYS
        .iter()
        .filter(|way| scope != Scope::Qemu || offered(way, host).1)
        .map(|way| route(way, host, scope))
        .collect();
    routes.sort_by_key(|route| route.planned);
    routes
}

fn route(way: &Way, host: &Host, scope: Scope) -> Route {
    let (asked, absent) = ask(way, host, scope);
    let planned = !offered(way, host).0;
    let mut on: Vec<String> = Vec::new();
    let mut notes = Vec::new();
    let mut not = Vec::new();
    let mut unknown = None;
    for (name, state) in asked {
        match state {
            State::Yes => on.push(name.into()),
            State::But(note) => {
                on.push(name.into());
                notes.push((name, note));
            }
            State::No(missing) => not.push(Unavailable {
                backend: name.into(),
                reason: missing.what,
                fix: missing.fix,
            }),
            State::Unknown(why) => unknown = Some(why),
        }
    }
    let mut row = Row::new(way.word, way.name, how(way, planned, &on));
    for (name, note) in notes {
        let whose = if on.len() > 1 {
            format!("{name}: ")
        } else {
            String::new()
        };
        row.value.push_str(&format!("; {whose}{note}"));
    }
    let row = if !on.is_empty() {
        row.good()
    } else if let Some(why) = unknown {
        Row {
            value: format!("not known: {why}; --backend lab asks from inside"),
            ..row
        }
    } else {
        // Of a host that is no arm64, KVM's absence says nothing about what to do.
        let absent = absent
            .iter()
            .find(|(name, _)| host.is_arm64() || *name != "kvm")
            .or(absent.first());
        let (why, fix) = match (not.first(), absent) {
            (Some(lack), _) => (lack.reason.clone(), lack.fix.clone()),
            (None, Some((_, missing))) if planned => {
                (format!("missing: {}", missing.what), missing.fix.clone())
            }
            (None, Some((_, missing))) => (
                "no backend that has it can run scenarios".into(),
                missing.fix.clone(),
            ),
            (None, None) => ("no backend was asked about".into(), "--backend auto".into()),
        };
        let costs = if planned {
            "the route, once this command has it"
        } else {
            "scenarios that inject this way are skipped"
        };
        Row {
            value: format!("no: {why}"),
            ..row
        }
        .bad(costs, fix)
    };
    Route {
        row,
        routes: way.routes.iter().map(|route| (*route).to_owned()).collect(),
        planned,
        on,
        not,
    }
}

fn how(way: &Way, planned: bool, on: &[String]) -> String {
    let (kvm, shim) = (
        on.iter().any(|name| name != "qemu"),
        on.iter().any(|name| name == "qemu"),
    );
    match (kvm, shim) {
        _ if planned => format!("the host can do it, by {}", way.by),
        (true, true) => format!("by {}; on qemu by {}", way.by, way.shim),
        (false, true) => format!("by {}", way.shim),
        (_, false) => format!("by {}", way.by),
    }
}

#[cfg(test)]
mod tests;
