//! The ways of injection: which are possible here, on which backend, and why not on the others.

use super::host::{Answers, Host, version};
use super::judge::{PAGE, SEA_TO_USER, Scope, UFFDIO_POISON, kvm_able, usable};
use super::rows::{Route, Row};
use crate::backend::Missing;
use crate::events::Unavailable;

/// What is known of a way of injection before any host is looked at.
struct Way {
    id: Id,
    /// The row's id.
    word: &'static str,
    name: &'static str,
    /// How KVM and the runner do it.
    by: &'static str,
    /// How the shim does it, where it can.
    shim: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Id {
    HoleMmio,
    HoleNisv,
    Fetch,
    Walk,
    SErrorSyndrome,
    SErrorDefault,
    Uffd,
    Hwpoison,
    SeaExit,
    Registers,
}

/// How the shim brings what a hole brings.
const HOLE: &str = "stage 2 and an exception entry by the shim";

const WAYS: [Way; 10] = [
    Way {
        id: Id::HoleMmio,
        word: "hole-mmio",
        name: "hole, load or store",
        by: "KVM_EXIT_MMIO and ext_dabt_pending",
        shim: HOLE,
    },
    Way {
        id: Id::HoleNisv,
        word: "hole-nisv",
        name: "hole, no syndrome (LDP)",
        by: "KVM_EXIT_ARM_NISV and ext_dabt_pending",
        shim: HOLE,
    },
    Way {
        id: Id::Fetch,
        word: "fetch",
        name: "hole, fetch",
        by: "KVM's own injection",
        shim: HOLE,
    },
    Way {
        id: Id::Walk,
        word: "walk",
        name: "hole, table walk",
        by: "KVM's own injection",
        shim: HOLE,
    },
    Way {
        id: Id::SErrorSyndrome,
        word: "serror-syndrome",
        name: "SError with a syndrome",
        by: "serror_pending and serror_has_esr",
        shim: "HCR_EL2.VSE and VSESR_EL2",
    },
    Way {
        id: Id::SErrorDefault,
        word: "serror",
        name: "SError without",
        by: "serror_pending",
        shim: "HCR_EL2.VSE",
    },
    Way {
        id: Id::Uffd,
        word: "uffd",
        name: "uffd",
        by: "UFFDIO_POISON on the guest's backing, without a privilege",
        shim: "",
    },
    Way {
        id: Id::Hwpoison,
        word: "hwpoison",
        name: "hwpoison",
        by: "madvise(MADV_HWPOISON) on the guest's backing",
        shim: "",
    },
    Way {
        id: Id::SeaExit,
        word: "sea-exit",
        name: "sea-exit",
        by: "KVM_EXIT_ARM_SEA, replayed to the vCPU; the lab breaks a walk of stage 2 from outside for it",
        shim: "",
    },
    Way {
        id: Id::Registers,
        word: "registers",
        name: "registers",
        by: "an exception entry written over KVM_SET_ONE_REG, of any syndrome",
        shim: "the shim, which enters any syndrome",
    },
];

/// What a host may be able to do and a runner need not offer: their ids are words of the scenario language.
pub(super) const OFFERS: [&str; 4] = ["uffd", "hwpoison", "sea-exit", "registers"];

/// Whether a backend has it.
enum State {
    Yes,
    /// Yes, and something is to be said about it.
    But(&'static str),
    No(Missing),
    /// It was not looked at from inside.
    Unknown,
}

const NO_LEVEL: &str = "before Linux 6.18 KVM gives code 0x10 and not the walk's level";

fn no(what: impl Into<String>, fix: impl Into<String>) -> State {
    State::No(Missing {
        what: what.into(),
        fix: fix.into(),
    })
}

fn if_version(found: Option<(u32, u32)>, least: (u32, u32), what: &str, fix: &str) -> State {
    match found {
        None => State::Unknown,
        Some(found) if found >= least => State::Yes,
        Some(_) => no(what, fix),
    }
}

fn walk(version: Option<(u32, u32)>) -> State {
    if version.is_some_and(|version| version < (6, 18)) {
        State::But(NO_LEVEL)
    } else {
        State::Yes
    }
}

/// On this host's own KVM, which can run the guest.
fn on_kvm(id: Id, host: &Host, answers: &Answers) -> State {
    let hole = |then: State| match host.page_size {
        Some(bytes) if bytes != PAGE => no(
            format!("a memslot is made of this host's pages, which are {bytes} bytes"),
            "a kernel with CONFIG_ARM64_4K_PAGES, or --backend lab",
        ),
        _ => then,
    };
    match id {
        Id::HoleMmio | Id::HoleNisv | Id::Fetch => hole(State::Yes),
        Id::Walk => hole(walk(host.version())),
        Id::SErrorSyndrome if !answers.inject_serror_esr => no(
            "no KVM_CAP_ARM_INJECT_SERROR_ESR (capability 158)",
            "CPUs with FEAT_RAS, or --backend lab",
        ),
        Id::SErrorSyndrome | Id::SErrorDefault | Id::Registers => State::Yes,
        Id::Uffd if host.userfaultfd.is_none() => no(
            "this kernel has no userfaultfd",
            "a kernel with CONFIG_USERFAULTFD",
        ),
        Id::Uffd => if_version(
            host.version(),
            UFFDIO_POISON,
            "userfaultfd has UFFDIO_POISON from Linux 6.6 on",
            "Linux 6.6 or later",
        ),
        Id::Hwpoison if host.memory_failure.is_none() => no(
            "this kernel has no memory failure handling",
            "a kernel with CONFIG_MEMORY_FAILURE",
        ),
        Id::Hwpoison if host.sys_admin != Some(true) => no(
            "madvise(MADV_HWPOISON) needs CAP_SYS_ADMIN",
            "run as root, or: sudo setcap cap_sys_admin+ep target/seawall/seawall",
        ),
        Id::Hwpoison => State::Yes,
        Id::SeaExit if !answers.sea_to_user => no(
            "no KVM_CAP_ARM_SEA_TO_USER (capability 245)",
            "Linux 6.19 or later; for the lab, name one with --kernel",
        ),
        // KVM keeps each such SEA to itself where the host's CPUs have no FEAT_RAS, which this capability tells.
        Id::SeaExit if !answers.inject_serror_esr => no(
            "without FEAT_RAS KVM keeps such a SEA to itself",
            "CPUs with FEAT_RAS, or --backend lab",
        ),
        Id::SeaExit => State::Yes,
    }
}

/// What KVM can hand on must come from somewhere for a scenario to run.
fn brought_about(id: Id, host: &Host, state: State) -> State {
    match (id, state) {
        (Id::SeaExit, State::Yes) if !host.is_lab => no(
            "it takes a real memory error (APEI EINJ), or the lab; one that comes is replayed all the same",
            "--backend lab",
        ),
        (_, state) => state,
    }
}

/// In the lab, from outside: its CPU, its privileges and its build are always the same, and its kernel is Debian's or one
/// named by hand.
fn in_lab(id: Id, host: &Host) -> State {
    let version = host
        .lab_kernel
        .as_ref()
        .and_then(|kernel| version(kernel.release.as_deref()?));
    match id {
        Id::Walk => walk(version),
        Id::Uffd => if_version(
            version,
            UFFDIO_POISON,
            "its kernel is older than Linux 6.6",
            "name Linux 6.6 or later with --kernel",
        ),
        Id::SeaExit => if_version(
            version,
            SEA_TO_USER,
            "its kernel is older than Linux 6.19",
            "name Linux 6.19 or later with --kernel",
        ),
        Id::HoleMmio
        | Id::HoleNisv
        | Id::Fetch
        | Id::SErrorSyndrome
        | Id::SErrorDefault
        | Id::Hwpoison
        | Id::Registers => State::Yes,
    }
}

/// The backends that a way is asked of, each with what it says, and what the others lack.
type Asked = (Vec<(&'static str, State)>, Vec<(&'static str, Missing)>);

/// Whether this command offers a way, and whether on qemu too.
fn offered(way: &Way, host: &Host) -> (bool, bool) {
    if !OFFERS.contains(&way.word) {
        return (true, true);
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
            put("kvm", able.map(|answers| on_kvm(way.id, host, answers)));
        }
        if scope == Scope::All {
            let lab = match (&host.qemu, &host.lab_kernel) {
                (Some(_), Some(_)) => Ok(()),
                _ => host.backends.lab.clone(),
            };
            put("lab", lab.map(|()| in_lab(way.id, host)));
        }
        return (asked, not);
    }
    for (name, state) in usable(host, scope) {
        if name == "qemu" && !on_qemu {
            continue;
        }
        let state = state.map(|()| match (name, &able) {
            ("kvm", Ok(answers)) => brought_about(way.id, host, on_kvm(way.id, host, answers)),
            ("lab", _) => in_lab(way.id, host),
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
    let mut is_unknown = false;
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
            State::Unknown => is_unknown = true,
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
    } else if is_unknown {
        Row {
            value: "not known: neither is the lab's kernel; --backend lab asks it".into(),
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
            (None, Some((_, missing))) => ("no backend can run scenarios".into(), missing.fix.clone()),
            (None, None) => ("no backend was asked about".into(), "--backend auto".into()),
        };
        let costs = if planned {
            "the route, once this command has it"
        } else {
            "scenarios that inject so are skipped"
        };
        Row {
            value: format!("no: {why}"),
            ..row
        }
        .bad(costs, fix)
    };
    Route {
        row,
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
