//! From what was found to rows. Pure: the same host gives the same rows, wherever it is judged.

use super::host::{Answers, Artefact, Device, Events, Host, Machine, version};
use super::routes;
use super::rows::{Row, Rows, SCHEMA, Started};
use crate::backend::Missing;

/// Capability: single steps and breakpoints for a guest.
pub(super) const KVM_CAP_SET_GUEST_DEBUG: u32 = 23;
/// Capability: an SError's syndrome can be chosen.
pub(super) const KVM_CAP_ARM_INJECT_SERROR_ESR: u32 = 158;
/// Capability: an access without a syndrome leaves for user space.
pub(super) const KVM_CAP_ARM_NISV_TO_USER: u32 = 177;
/// Capability: user space can inject a synchronous external data abort.
pub(super) const KVM_CAP_ARM_INJECT_EXT_DABT: u32 = 178;
/// Capability: a SEA that the host takes for a guest leaves for user space.
pub(super) const KVM_CAP_ARM_SEA_TO_USER: u32 = 245;

/// Linux from which on KVM has `KVM_CAP_ARM_SEA_TO_USER`.
pub(super) const SEA_TO_USER: (u32, u32) = (6, 19);
/// Linux from which on userfaultfd has UFFDIO_POISON.
pub(super) const UFFDIO_POISON: (u32, u32) = (6, 6);
/// The guest's page, which a hole takes out of a memslot; a memslot is made of the host's pages.
pub(super) const PAGE: u64 = 4096;

const NO_ABORT: &str = "the backend kvm: no abort can be given to a guest";

/// Which backends are asked about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// All.
    All,
    /// This host's KVM alone.
    Kvm,
    /// The shim on plain QEMU alone.
    Qemu,
}

impl Scope {
    pub(super) fn has(self, other: Self) -> bool {
        self == other || self == Self::All
    }
}

/// Judges a host.
#[must_use]
pub fn judge(host: &Host, scope: Scope) -> Vec<Rows> {
    let mut rows = vec![Rows::DoctorStarted(Started {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").into(),
        on: "host".into(),
    })];
    rows.extend(system(host, scope).into_iter().map(Rows::Fact));
    if scope.has(Scope::Kvm) {
        rows.extend(kvm(host).into_iter().map(Rows::Fact));
    }
    rows.extend(parts(host, scope).into_iter().map(Rows::Fact));
    rows.extend(backends(host, scope).into_iter().map(Rows::Backend));
    rows.extend(routes::routes(host, scope).into_iter().map(Rows::Route));
    rows
}

fn system(host: &Host, scope: Scope) -> Vec<Row> {
    let release = host.release.as_deref().unwrap_or("not known");
    let kernel = Row::new("kernel", "kernel", format!("Linux {release}"));
    let architecture = Row::new("architecture", "architecture", host.architecture.as_str());
    let architecture = match host.is_arm64() {
        true => architecture.good(),
        false if scope == Scope::Qemu => architecture,
        false => architecture.bad(
            "the backend kvm: the guest is arm64",
            "--backend lab runs a real arm64 KVM on this host; otherwise use an arm64 host",
        ),
    };
    let bytes = host
        .page_size
        .map_or_else(|| "not known".into(), |bytes| format!("{bytes} bytes"));
    let page = Row::new("page-size", "page size", bytes);
    let page = match host.page_size {
        Some(bytes) if host.is_arm64() && scope.has(Scope::Kvm) => page.good_if(
            bytes == PAGE,
            "every hole under kvm: a memslot cannot leave out a single page of the guest",
            "a kernel with CONFIG_ARM64_4K_PAGES, or --backend lab",
        ),
        _ => page,
    };
    vec![kernel, architecture, page]
}

/// What is of use on arm64 alone is a plain statement elsewhere.
fn kvm(host: &Host) -> Vec<Row> {
    let mut rows = vec![device(host)];
    rows.extend(capabilities(host));
    rows.extend([memory_failure(host), uffd(host), sys_admin(host), sandbox(host)]);
    rows.push(events(host));
    rows.extend(machine(host));
    if !host.is_arm64() {
        rows.iter_mut().for_each(|row| {
            *row = Row::new(&row.id, &row.name, row.value.as_str());
        });
    }
    rows
}

fn device(host: &Host) -> Row {
    let row = |value: &str| Row::new("kvm-device", "/dev/kvm", value);
    match &host.device {
        Device::Opens if host.is_arm64() => row("present, and this user may open it").good(),
        Device::Opens => row(&format!("present; it runs only {} guests", host.architecture)),
        Device::Absent => row("not present").bad(
            "the backend kvm",
            "boot the host so that Linux starts at EL2 with CONFIG_KVM, or use --backend lab",
        ),
        Device::Denied => row("present, but this user may not open it").bad(
            "the backend kvm",
            "sudo usermod -aG kvm $USER   (then log in again)",
        ),
        Device::Fails(error) => {
            row(&format!("does not open: {error}")).bad("the backend kvm", "use --backend lab")
        }
    }
}

/// Why KVM was not asked.
fn not_asked(host: &Host) -> String {
    if host.is_arm64() {
        "not asked: /dev/kvm does not open".into()
    } else {
        format!("not asked: this host is {}", host.architecture)
    }
}

fn capabilities(host: &Host) -> Vec<Row> {
    type Ask = fn(&Answers) -> bool;
    let row = |number: u32, id: &str, name: &str, has: Ask, costs: &str, fix: &str| {
        let row = |value: &str| Row::new(id, name, format!("{value} (capability {number})"));
        match &host.kvm {
            Some(answers) => row(if has(answers) { "yes" } else { "no" }).good_if(has(answers), costs, fix),
            None => Row::new(id, name, not_asked(host)),
        }
    };
    vec![
        row(
            KVM_CAP_ARM_NISV_TO_USER,
            "cap-nisv-to-user",
            "KVM_CAP_ARM_NISV_TO_USER",
            |answers| answers.nisv_to_user,
            NO_ABORT,
            "Linux 5.5 or later",
        ),
        row(
            KVM_CAP_ARM_INJECT_EXT_DABT,
            "cap-inject-ext-dabt",
            "KVM_CAP_ARM_INJECT_EXT_DABT",
            |answers| answers.inject_ext_dabt,
            NO_ABORT,
            "Linux 5.5 or later",
        ),
        row(
            KVM_CAP_ARM_SEA_TO_USER,
            "cap-sea-to-user",
            "KVM_CAP_ARM_SEA_TO_USER",
            |answers| answers.sea_to_user,
            "a SEA that the firmware does not claim reaches the guest as an SError, and the VMM is not told",
            "Linux 6.19 or later; for the lab, name one with --kernel",
        ),
        row(
            KVM_CAP_ARM_INJECT_SERROR_ESR,
            "cap-inject-serror-esr",
            "KVM_CAP_ARM_INJECT_SERROR_ESR",
            |answers| answers.inject_serror_esr,
            "SErrors with a chosen syndrome: each has KVM's own, with IDS = 1",
            "CPUs with FEAT_RAS, or --backend lab",
        ),
        row(
            KVM_CAP_SET_GUEST_DEBUG,
            "cap-set-guest-debug",
            "KVM_CAP_SET_GUEST_DEBUG",
            |answers| answers.guest_debug,
            "single-stepping a guest; no route needs it",
            "Linux 4.7 or later",
        ),
    ]
}

/// [Linux mailing list, James Morse, 14 December 2018: the CPU's RAS extension does not tell it, these files do]
fn memory_failure(host: &Host) -> Row {
    let row = |value: String| Row::new("memory-failure", "memory failure", value);
    let Some(found) = host.memory_failure else {
        return row("no: there is no /proc/sys/vm/memory_failure_*".into()).bad(
            "MADV_HWPOISON, and this host's recovery from real memory errors",
            "a kernel with CONFIG_MEMORY_FAILURE, or --backend lab",
        );
    };
    let switch = |name: &str, state: Option<bool>| {
        state.map_or_else(String::new, |on| {
            format!(", {name} {}", if on { "on" } else { "off" })
        })
    };
    row(format!(
        "yes{}{}, according to /proc/sys/vm/memory_failure_*",
        switch("early kill", found.early_kill),
        switch("recovery", found.recovery)
    ))
    .good()
}

fn uffd(host: &Host) -> Row {
    let row = |value: String| Row::new("uffd-poison", "UFFDIO_POISON", value);
    let costs = "unprivileged poisoning of the memory behind the guest";
    let Some(found) = host.userfaultfd else {
        return row("no: there is no /proc/sys/vm/unprivileged_userfaultfd".into())
            .bad(costs, "a kernel with CONFIG_USERFAULTFD, or --backend lab");
    };
    let (major, minor) = UFFDIO_POISON;
    let who = match (found.unprivileged, found.device) {
        (true, _) => "any user may create a userfaultfd",
        (false, true) => "for kernel faults too, with /dev/userfaultfd or CAP_SYS_PTRACE",
        (false, false) => "for kernel faults too, with CAP_SYS_PTRACE",
    };
    match host.version() {
        Some(version) if version < UFFDIO_POISON => row(format!(
            "no: userfaultfd has it since Linux {major}.{minor}, and this kernel is older"
        ))
        .bad(costs, format!("Linux {major}.{minor} or later")),
        Some(_) => row(format!(
            "yes, inferred from the kernel version, not tested (Linux {major}.{minor} or later, with userfaultfd); {who}"
        ))
        .good(),
        None => row("not known, because the kernel's version is not".into()),
    }
}

fn sys_admin(host: &Host) -> Row {
    let row = |value: &str| Row::new("cap-sys-admin", "CAP_SYS_ADMIN", value);
    match host.sys_admin {
        Some(true) => row("yes").good(),
        Some(false) => row("no").bad(
            "MADV_HWPOISON alone",
            "run as root, or: sudo setcap cap_sys_admin+ep target/seawall/seawall",
        ),
        None => row("not known: /proc/self/status does not say"),
    }
}

fn sandbox(host: &Host) -> Row {
    let row = |value: String| Row::new("sandbox", "sandbox", value);
    let costs = "the backend kvm: a guest runs only on a thread that may do nothing else";
    let fix = "boot a kernel with CONFIG_SECCOMP_FILTER, or use --backend lab";
    match &host.sandbox {
        Ok(found) if found.let_through.is_empty() => row(format!(
            "yes: {} of {} forbidden system calls tried on a vCPU's thread end the process",
            found.tried, found.tried
        ))
        .good(),
        Ok(found) => row(format!("no: it lets through {}", found.let_through.join(", "))).bad(costs, fix),
        Err(error) => row(format!("not known: {error}")).bad(costs, fix),
    }
}

fn events(host: &Host) -> Row {
    let row = |value: String| Row::new("events-arguments", "KVM_SET_VCPU_EVENTS", value);
    match host.kvm.as_ref().map(|answers| &answers.events) {
        None => row(not_asked(host)),
        Some(Err(error)) => row(format!("not known: {error}")),
        Some(Ok(found)) if found.differences.is_empty() => {
            row(as_documented(found))
            .good()
        }
        Some(Ok(found)) => row(format!(
            "differs from what is documented: {}",
            found.differences.join("; ")
        ))
        .bad(
            "injection by events, as it is checked here: KVM may accept what is refused here, or refuse it half done",
            "report it to Seawall's authors, with the kernel version",
        ),
    }
}

fn as_documented(found: &Events) -> String {
    let errors = found.errors;
    let refused = errors.saturating_sub(found.taken.len());
    let how_many = if refused == errors {
        format!("all {errors}")
    } else {
        format!("{refused} of {errors}")
    };
    let taken = match found.taken.as_slice() {
        [] => String::new(),
        taken => format!("; KVM accepts {}", taken.join(", ")),
    };
    let then = if found.half_done {
        "injects the abort and then returns the error"
    } else {
        "returns the error and injects nothing"
    };
    format!(
        "KVM rejects {how_many} invalid arguments as documented, and Seawall rejects all of them before calling it{taken}. \
         Given a data abort and a bad syndrome in one call, KVM {then}"
    )
}

fn machine(host: &Host) -> [Row; 2] {
    let ras = |value: String| Row::new("guest-ras", "FEAT_RAS in the guest", value);
    let gic = |value: String| Row::new("gic", "GIC for the guest", value);
    let machine = match &host.kvm {
        None => return [ras(not_asked(host)), gic(not_asked(host))],
        Some(Answers {
            machine: Err(error), ..
        }) => {
            let value = format!("not known: {error}");
            return [ras(value.clone()), gic(value)];
        }
        Some(Answers {
            machine: Ok(machine), ..
        }) => machine,
    };
    [
        match &machine.ras {
            Ok(level) => ras(format!(
                "{}: ID_AA64PFR0_EL1.RAS is {level}",
                if *level == 0 { "no" } else { "yes" }
            ))
            .good_if(
                *level != 0,
                "in the guest, SET and AET mean nothing, and its kernel's border has neither ESB nor DISR",
                "CPUs with FEAT_RAS, or --backend lab",
            ),
            Err(error) => ras(format!("not known: {error}")),
        },
        match machine {
            Machine {
                gic_v3: true,
                gic_v2: true,
                ..
            } => gic("GICv3 and GICv2".into()).good(),
            Machine { gic_v3: true, .. } => gic("GICv3".into()).good(),
            Machine { gic_v2, .. } => {
                gic(if *gic_v2 { "GICv2 only" } else { "none" }.into()).bad("the backend kvm", NO_GIC_FIX)
            }
        },
    ]
}

const NO_GIC_FIX: &str = "use an arm64 host with a GICv3, or --backend lab";

fn parts(host: &Host, scope: Scope) -> Vec<Row> {
    let mut rows = Vec::new();
    if scope.has(Scope::Qemu) {
        rows.push(qemu(host, scope));
    }
    if scope == Scope::All {
        rows.push(lab_kernel(host));
    }
    let artefact = |id, name, artefact: &Artefact, costs: &str| {
        let at = artefact.path.display();
        if artefact.exists {
            Row::new(id, name, at.to_string()).good()
        } else {
            Row::new(id, name, format!("not found: {at}")).bad(costs, "cargo xtask build")
        }
    };
    rows.push(artefact(
        "guest-image",
        "guest's Image",
        &host.guest,
        "every backend: there is nothing to run",
    ));
    if scope.has(Scope::Qemu) {
        rows.push(artefact("shim-image", "shim", &host.shim, "the backend qemu"));
    }
    if scope == Scope::All {
        rows.push(artefact("lab-init", "lab's init", &host.init, "the backend lab"));
    }
    rows
}

fn qemu(host: &Host, scope: Scope) -> Row {
    let row = |value: String| Row::new("qemu", "QEMU for arm64", value);
    let costs = if scope == Scope::Qemu {
        "the backend qemu"
    } else {
        "the backends lab and qemu"
    };
    let install = "sudo apt-get install qemu-system-arm";
    match &host.qemu {
        None => row("qemu-system-aarch64 is not on the path".into()).bad(costs, install),
        Some(qemu) => match &qemu.version {
            Ok(version) => row(format!("{version}, {}", qemu.program.display())).good(),
            Err(error) => {
                row(format!("{} does not run: {error}", qemu.program.display())).bad(costs, install)
            }
        },
    }
}

fn lab_kernel(host: &Host) -> Row {
    let row = |value: String| Row::new("lab-kernel", "lab's kernel", value);
    match &host.lab_kernel {
        None => row("no arm64 Linux Image".into()).bad(
            "the backend lab",
            "cargo xtask setup   (or name an Image with --kernel)",
        ),
        Some(kernel) => {
            let at = kernel.path.display();
            match &kernel.release {
                None => row(format!("version not known, {at}")),
                Some(release) if version(release).is_some_and(|version| version < SEA_TO_USER) => row(
                    format!("Linux {release}, {at}; older than 6.19: no KVM_CAP_ARM_SEA_TO_USER"),
                )
                .good(),
                Some(release) => row(format!("Linux {release}, {at}")).good(),
            }
        }
    }
}

/// What keeps this host's KVM from running the guest, but for the guest's Image.
pub(super) fn kvm_able(host: &Host) -> Result<&Answers, Missing> {
    host.backends.kvm.clone()?;
    let missing = |what: &str, fix: &str| {
        Err(Missing {
            what: what.into(),
            fix: fix.into(),
        })
    };
    match &host.kvm {
        Some(Answers {
            machine: Err(error), ..
        }) => missing(&format!("KVM cannot create a VM: {error}"), "use --backend lab"),
        Some(Answers {
            machine: Ok(Machine { gic_v3: false, .. }),
            ..
        }) => missing("a GICv3 for guests", NO_GIC_FIX),
        Some(answers) => Ok(answers),
        None => missing("an arm64 KVM", "use --backend lab"),
    }
}

/// What each backend in `scope` says: its name, and what it lacks.
pub(super) fn usable(host: &Host, scope: Scope) -> Vec<(&'static str, Result<(), Missing>)> {
    let with_guest = |backend: Result<(), Missing>| {
        backend.and_then(|()| {
            if host.guest.exists {
                return Ok(());
            }
            Err(Missing {
                what: format!("the guest's Image: {}", host.guest.path.display()),
                fix: "cargo xtask build".into(),
            })
        })
    };
    let mut all = Vec::new();
    if scope.has(Scope::Kvm) {
        all.push(("kvm", with_guest(kvm_able(host).map(drop))));
    }
    if scope == Scope::All {
        all.push(("lab", with_guest(host.backends.lab.clone())));
    }
    if scope.has(Scope::Qemu) {
        all.push(("qemu", with_guest(host.backends.qemu.clone())));
    }
    all
}

fn backends(host: &Host, scope: Scope) -> Vec<Row> {
    let lab = match host
        .lab_kernel
        .as_ref()
        .and_then(|kernel| kernel.release.as_ref())
    {
        Some(release) => {
            format!("the real KVM of Linux {release}, under QEMU; --backend lab asks from inside it")
        }
        None => "a real arm64 KVM, under QEMU; --backend lab asks from inside it".into(),
    };
    usable(host, scope)
        .into_iter()
        .map(|(name, state)| {
            let value = match name {
                "kvm" => "this host's own KVM",
                "lab" => lab.as_str(),
                _ => "the shim at EL2 on plain QEMU; counts instructions",
            };
            match state {
                Ok(()) => Row::new(name, name, value).good(),
                Err(missing) => Row::new(name, name, format!("missing: {}", missing.what))
                    .bad("scenarios on this backend", missing.fix),
            }
        })
        .collect()
}
