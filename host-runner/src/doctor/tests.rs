//! Hosts made by hand, and what is said of them.

use super::host::{
    Answers, Artefact, Backends, Device, Events, Host, LabKernel, Machine, MemoryFailure, Offer, Qemu,
    Sandbox, Userfaultfd,
};
use super::{Route, Row, Rows, Scope, can_run, judge, text};
use crate::backend::Missing;
use crate::kvm::needs::Need;

fn missing(what: &str, fix: &str) -> Missing {
    Missing {
        what: what.into(),
        fix: fix.into(),
    }
}

fn artefact(name: &str) -> Artefact {
    Artefact {
        path: format!("/a/{name}").into(),
        exists: true,
    }
}

/// An arm64 server with everything, and nothing of the lab.
fn server(release: &str, sea_to_user: bool) -> Host {
    Host {
        architecture: "aarch64".into(),
        release: Some(release.into()),
        page_size: Some(4096),
        device: Device::Opens,
        kvm: Some(Answers {
            nisv_to_user: true,
            inject_ext_dabt: true,
            sea_to_user,
            inject_serror_esr: true,
            guest_debug: true,
            events: Ok(Events {
                errors: 58,
                good: 6,
                taken: Vec::new(),
                half_done: true,
                differences: Vec::new(),
            }),
            lacks: Vec::new(),
            machine: Ok(Machine {
                ras: Ok(1),
                gic_v3: true,
                gic_v2: false,
            }),
        }),
        memory_failure: Some(MemoryFailure {
            early_kill: Some(false),
            recovery: Some(true),
        }),
        userfaultfd: Some(Userfaultfd {
            unprivileged: false,
            device: true,
        }),
        sys_admin: Some(true),
        sandbox: Ok(Sandbox {
            tried: 9,
            let_through: Vec::new(),
        }),
        qemu: None,
        lab_kernel: None,
        guest: artefact("seawall.Image"),
        shim: artefact("shim.Image"),
        init: artefact("seawall-arm64"),
        backends: Backends {
            kvm: Ok(()),
            lab: Err(missing("qemu", "install qemu")),
            qemu: Err(missing("qemu", "install qemu")),
        },
        is_lab: false,
        offers: Vec::new(),
    }
}

fn arm64_6_12() -> Host {
    server("6.12.95+deb12-arm64", false)
}

fn arm64_7_2() -> Host {
    server("7.2.13+deb14-arm64", true)
}

/// An x86 laptop after `cargo xtask setup` and `build`. Its own /dev/kvm opens, and is of no use.
fn laptop(lab: &str) -> Host {
    Host {
        architecture: "x86_64".into(),
        kvm: None,
        memory_failure: None,
        sys_admin: Some(false),
        qemu: Some(Qemu {
            program: "/usr/bin/qemu-system-aarch64".into(),
            version: Ok("QEMU emulator version 7.2.22".into()),
        }),
        lab_kernel: Some(LabKernel {
            path: "/a/lab-kernel.Image".into(),
            release: Some(lab.into()),
        }),
        backends: Backends {
            kvm: Err(missing("KVM for arm64 guests", "use --backend lab")),
            lab: Ok(()),
            qemu: Ok(()),
        },
        ..server("6.18.4", false)
    }
}

fn without_kvm(device: Device, fix: &str) -> Host {
    Host {
        device,
        kvm: None,
        backends: Backends {
            kvm: Err(missing("/dev/kvm", fix)),
            ..arm64_7_2().backends
        },
        ..arm64_7_2()
    }
}

/// With what the runner would say there.
fn with_runner(host: &Host) -> Host {
    let mut host = host.clone();
    let version = host.version();
    let Some(answers) = &mut host.kvm else {
        return host;
    };
    let (exit, ras) = (answers.sea_to_user, answers.inject_serror_esr);
    for (has, need, what) in [
        (host.page_size == Some(4096), Need::SmallPages, "pages of 4 KiB"),
        (
            ras,
            Need::Syndromes,
            "no KVM_CAP_ARM_INJECT_SERROR_ESR (capability 158)",
        ),
        (ras, Need::Ras, "FEAT_RAS"),
        (exit, Need::SeaExit, "KVM_CAP_ARM_SEA_TO_USER (capability 245)"),
        // The lab's doctor has no outside either.
        (false, Need::Outside, "it needs a real memory error"),
        (
            host.memory_failure.is_some() && host.sys_admin == Some(true),
            Need::MemoryFailure,
            "CAP_SYS_ADMIN",
        ),
        (
            host.userfaultfd.is_some() && version >= Some((6, 6)),
            Need::Userfault,
            "userfaultfd",
        ),
    ] {
        if !has {
            answers.lacks.push((need, missing(what, "get it")));
        }
    }
    host
}

fn rows(host: &Host) -> Vec<Rows> {
    judge(&with_runner(host), Scope::All)
}

fn bad(rows: &[Rows]) -> Vec<String> {
    rows.iter()
        .filter_map(|row| match row {
            Rows::Fact(row) if row.ok == Some(false) => Some(row.id.clone()),
            Rows::Backend(row) if row.ok == Some(false) => Some(format!("backend {}", row.id)),
            _ => None,
        })
        .collect()
}

fn fact<'a>(rows: &'a [Rows], id: &str) -> &'a Row {
    rows.iter()
        .find_map(|row| match row {
            Rows::Fact(row) if row.id == id => Some(row),
            _ => None,
        })
        .unwrap_or_else(|| panic!("no {id}"))
}

fn route<'a>(rows: &'a [Rows], id: &str) -> &'a Route {
    rows.iter()
        .find_map(|row| match row {
            Rows::Route(route) if route.row.id == id => Some(route),
            _ => None,
        })
        .unwrap_or_else(|| panic!("no {id}"))
}

/// The routes that are possible nowhere.
fn impossible(rows: &[Rows]) -> Vec<&str> {
    rows.iter()
        .filter_map(|row| match row {
            Rows::Route(Route { row, .. }) if row.ok == Some(false) => Some(row.id.as_str()),
            _ => None,
        })
        .collect()
}

fn drawn(rows: &[Rows]) -> String {
    drawn_in(rows, None)
}

fn drawn_in(rows: &[Rows], width: Option<usize>) -> String {
    let mut plain = anstream::StripStream::new(Vec::new());
    text::draw(rows, width, &mut plain).unwrap();
    String::from_utf8(plain.into_inner()).unwrap()
}

const NO_LAB: [&str; 4] = ["qemu", "lab-kernel", "backend lab", "backend qemu"];
/// Those that the shim has too.
const EXISTING: [&str; 12] = [
    "hole-mmio",
    "hole-nisv",
    "fetch",
    "walk",
    "hole-serror",
    "self",
    "serror-syndrome",
    "serror",
    "serror-start",
    "serror-copy",
    "read-only",
    "patrol",
];
/// Those for which there has to be a host.
const OF_HOSTS: [&str; 8] = [
    "mend",
    "above-ipa",
    "kick",
    "ease",
    "hwpoison-early",
    "bus-objerr",
    "save",
    "el2",
];
const PLANNED: [&str; 4] = ["registers", "uffd", "hwpoison", "sea-exit"];
/// Those that take a page out of a memslot, or poison what is behind it.
const PAGES: [&str; 13] = [
    "hole-mmio",
    "hole-nisv",
    "fetch",
    "walk",
    "hole-serror",
    "mend",
    "self",
    "read-only",
    "hwpoison-early",
    "patrol",
    "bus-objerr",
    "uffd",
    "hwpoison",
];

/// The host, whether it can run scenarios, what it lacks besides the lab, which routes it has not.
type Case<'a> = (&'a str, Host, bool, &'a [&'a str], &'a [&'a str]);

#[test]
fn each_host_lacks_what_it_lacks_and_nothing_else() {
    let six = Host {
        release: Some("6.5.0".into()),
        ..arm64_6_12()
    };
    let no_ras = {
        let mut host = arm64_7_2();
        let answers = host.kvm.as_mut().unwrap();
        answers.inject_serror_esr = false;
        answers.machine = Ok(Machine {
            ras: Ok(0),
            gic_v3: true,
            gic_v2: true,
        });
        host
    };
    let old_gic = {
        let mut host = arm64_7_2();
        host.kvm.as_mut().unwrap().machine = Ok(Machine {
            ras: Ok(1),
            gic_v3: false,
            gic_v2: true,
        });
        host
    };
    let big_pages = Host {
        page_size: Some(0x1_0000),
        ..arm64_7_2()
    };
    let user = Host {
        sys_admin: Some(false),
        ..arm64_7_2()
    };
    let no_memory_failure = Host {
        memory_failure: None,
        userfaultfd: None,
        ..arm64_7_2()
    };
    let no_sandbox = Host {
        sandbox: Ok(Sandbox {
            tried: 9,
            let_through: vec!["open".into()],
        }),
        ..arm64_7_2()
    };
    let other_events = {
        let mut host = arm64_7_2();
        let events = &mut host.kvm.as_mut().unwrap().events;
        events.as_mut().unwrap().differences = vec!["pad[0]: EINVAL was expected".into()];
        host
    };
    let everything: Vec<&str> = EXISTING.into_iter().chain(OF_HOSTS).chain(PLANNED).collect();
    let pages: Vec<&str> = PAGES.into_iter().chain(["sea-exit"]).collect();
    let table: [Case<'_>; 12] = [
        ("7.2", arm64_7_2(), true, &[], &[]),
        ("6.12", arm64_6_12(), true, &["cap-sea-to-user"], &["sea-exit"]),
        (
            "6.5",
            six,
            true,
            &["cap-sea-to-user", "uffd-poison"],
            &["uffd", "sea-exit"],
        ),
        (
            "no RAS",
            no_ras,
            true,
            &["cap-inject-serror-esr", "guest-ras"],
            &["hole-serror", "serror-syndrome", "sea-exit"],
        ),
        ("GICv2", old_gic, false, &["gic", "backend kvm"], &everything),
        ("64 KiB pages", big_pages, true, &["page-size"], &pages),
        (
            "user",
            user,
            true,
            &["cap-sys-admin"],
            &["hwpoison-early", "hwpoison"],
        ),
        (
            "no memory failure",
            no_memory_failure,
            true,
            &["memory-failure", "uffd-poison"],
            &["hwpoison-early", "uffd", "hwpoison"],
        ),
        ("other events", other_events, true, &["events-arguments"], &[]),
        ("no sandbox", no_sandbox, true, &["sandbox"], &[]),
        (
            "no permission",
            without_kvm(Device::Denied, "sudo usermod"),
            false,
            &["kvm-device", "backend kvm"],
            &everything,
        ),
        (
            "no KVM",
            without_kvm(Device::Absent, "boot at EL2"),
            false,
            &["kvm-device", "backend kvm"],
            &everything,
        ),
    ];
    for (name, host, runs, lacks, not) in table {
        let rows = rows(&host);
        assert_eq!(can_run(&rows), runs, "{name}");
        let found: Vec<_> = bad(&rows)
            .into_iter()
            .filter(|id| !NO_LAB.contains(&id.as_str()))
            .collect();
        assert_eq!(found, lacks, "{name}");
        let mut not = not.to_vec();
        not.sort_unstable();
        let mut impossible = impossible(&rows);
        impossible.sort_unstable();
        assert_eq!(impossible, not, "{name}");
    }
}

#[test]
fn a_laptop_says_what_its_lab_can_do() {
    let rows = rows(&laptop("7.2.13+deb14-arm64"));
    assert_eq!(bad(&rows), ["architecture", "backend kvm"]);
    assert!(can_run(&rows));
    // Its QEMU is too old for a lab that nests, and what the lab's CPU has is not told from outside.
    assert_eq!(impossible(&rows), ["el2"]);
    assert_eq!(route(&rows, "ease").row.ok, None);
    for id in EXISTING {
        assert_eq!(route(&rows, id).on, ["lab", "qemu"], "{id}");
    }
    for id in PLANNED {
        assert_eq!(route(&rows, id).on, ["lab"], "{id}");
        assert!(route(&rows, id).row.value.contains("host can"), "{id}");
    }
    // Its own KVM is of no use, so nothing of it is good or bad.
    for id in ["kvm-device", "cap-sea-to-user", "memory-failure", "gic"] {
        assert_eq!(fact(&rows, id).ok, None, "{id}");
    }
    let rows = judge(&laptop("6.12.95+deb12-arm64"), Scope::All);
    assert_eq!(impossible(&rows), ["el2", "sea-exit"]);
    assert!(route(&rows, "walk").row.value.contains("lab: before Linux 6.18"));
    let mut host = laptop("");
    host.lab_kernel.as_mut().unwrap().release = None;
    let rows = judge(&host, Scope::All);
    assert_eq!(route(&rows, "sea-exit").row.ok, None);
    // Not built yet: the lab's host could, and no scenario runs.
    let mut host = laptop("7.2.0");
    host.guest.exists = false;
    host.backends.lab = Err(missing("init", "cargo xtask build"));
    let rows = judge(&host, Scope::All);
    assert!(!can_run(&rows));
    for id in EXISTING.into_iter().chain(OF_HOSTS) {
        assert!(impossible(&rows).contains(&id), "{id}");
    }
    for id in PLANNED {
        assert!(!impossible(&rows).contains(&id), "{id}");
    }
    assert_eq!(route(&rows, "walk").row.fix.as_deref(), Some("cargo xtask build"));
}

#[test]
fn memory_failure_is_not_told_by_the_cpus_ras() {
    for (files, ras) in [(true, 0), (false, 1)] {
        let mut host = arm64_7_2();
        host.memory_failure = files.then(MemoryFailure::default);
        host.kvm.as_mut().unwrap().machine = Ok(Machine {
            ras: Ok(ras),
            gic_v3: true,
            gic_v2: false,
        });
        let rows = rows(&host);
        assert_eq!(fact(&rows, "memory-failure").ok, Some(files));
        assert_eq!(route(&rows, "hwpoison").row.ok, Some(files));
        assert_eq!(fact(&rows, "guest-ras").ok, Some(ras != 0));
    }
}

#[test]
fn a_route_is_planned_until_a_scenario_injects_so() {
    let before = rows(&arm64_7_2());
    assert!(PLANNED.iter().all(|id| route(&before, id).planned));
    let offer = |route: &str, on_qemu| Offer {
        route: route.into(),
        on_qemu,
    };
    let host = Host {
        offers: vec![offer("registers", true), offer("uffd", false)],
        ..laptop("7.2.0")
    };
    let after = rows(&host);
    let on = |id| (route(&after, id).planned, route(&after, id).on.join(" "));
    assert_eq!(on("registers"), (false, "lab qemu".into()));
    assert_eq!(on("uffd"), (false, "lab".into()));
    assert_eq!(on("hwpoison"), (true, "lab".into()));
    assert!(!route(&after, "uffd").row.value.contains("can"));
}

#[test]
fn an_abort_that_the_host_takes_is_brought_about_in_the_lab_alone() {
    let offers = || {
        vec![Offer {
            route: "sea-exit".into(),
            on_qemu: false,
        }]
    };
    let native = Host {
        offers: offers(),
        ..arm64_7_2()
    };
    let rows = rows(&native);
    let on_native = route(&rows, "sea-exit");
    assert_eq!((on_native.row.ok, on_native.planned), (Some(false), false));
    assert!(on_native.row.value.contains("real memory error"), "{on_native:?}");
    let inside = Host {
        is_lab: true,
        ..native
    };
    assert_eq!(route(&self::rows(&inside), "sea-exit").on, ["kvm"]);
    let older = Host {
        is_lab: true,
        offers: offers(),
        ..arm64_6_12()
    };
    let rows = self::rows(&older);
    assert!(route(&rows, "sea-exit").row.value.contains("capability 245"));
    let outside = Host {
        offers: offers(),
        ..laptop("7.2.13")
    };
    assert_eq!(route(&self::rows(&outside), "sea-exit").on, ["lab"]);
}

#[test]
fn a_route_that_one_backend_lacks_says_so_beside_the_others() {
    let mut host = arm64_7_2();
    host.kvm.as_mut().unwrap().inject_serror_esr = false;
    host.backends.qemu = Ok(());
    let rows = rows(&host);
    // What is left of a route without it is there, and says so.
    let kick = route(&rows, "kick");
    assert!(kick.row.ok == Some(true) && kick.row.value.contains("only without a syndrome"));
    let route = route(&rows, "serror-syndrome");
    assert_eq!(
        (route.row.ok, route.on.as_slice()),
        (Some(true), ["qemu".to_owned()].as_slice())
    );
    assert_eq!(route.not.first().unwrap().backend, "kvm");
    let text = drawn(&rows);
    assert!(
        text.contains("not kvm  no KVM_CAP_ARM_INJECT_SERROR_ESR (capability 158);"),
        "{text}"
    );
}

#[test]
fn what_the_runner_skips_for_is_what_a_route_lacks() {
    for (need, ids) in [
        (Need::ReadOnlySlots, &["read-only"][..]),
        (Need::Range, &["above-ipa"]),
        (Need::HardOffline, &["hwpoison-early"]),
        (Need::Nesting, &["el2"]),
        (Need::DoubleFault2, &["ease"]),
    ] {
        let mut host = arm64_7_2();
        let lacks = &mut host.kvm.as_mut().unwrap().lacks;
        lacks.push((need, missing("its own words", "its own fix")));
        let rows = rows(&host);
        assert_eq!(impossible(&rows), ids, "{need:?}");
        for id in ids {
            let row = &route(&rows, id).row;
            assert_eq!(
                (row.value.as_str(), row.fix.as_deref()),
                ("no: its own words", Some("its own fix"))
            );
        }
    }
}

#[test]
fn a_lab_that_nests_is_told_by_qemus_version_and_its_kernels() {
    for (qemu, kernel, ok) in [
        ("QEMU emulator version 7.2.22", "7.2.0", Some(false)),
        (
            "QEMU emulator version 9.0.0 (Debian 1:9.0.0)",
            "7.2.0",
            Some(true),
        ),
        ("QEMU emulator version 10.1.0", "6.12.95", Some(false)),
        ("QEMU", "7.2.0", None),
    ] {
        let mut host = laptop(kernel);
        host.qemu.as_mut().unwrap().version = Ok(qemu.into());
        assert_eq!(route(&rows(&host), "el2").row.ok, ok, "{qemu}, {kernel}");
    }
}

#[test]
fn one_backend_alone_is_asked_about() {
    let names = |scope| -> Vec<String> {
        judge(&laptop("7.2.0"), scope)
            .into_iter()
            .filter_map(|row| match row {
                Rows::Backend(row) => Some(row.id),
                _ => None,
            })
            .collect()
    };
    assert_eq!(names(Scope::All), ["kvm", "lab", "qemu"]);
    assert_eq!(names(Scope::Kvm), ["kvm"]);
    assert_eq!(names(Scope::Qemu), ["qemu"]);
    assert!(!can_run(&judge(&laptop("7.2.0"), Scope::Kvm)));
    let rows = judge(&laptop("7.2.0"), Scope::Qemu);
    assert!(can_run(&rows) && bad(&rows).is_empty());
    assert!(!drawn(&rows).contains("KVM_CAP"));
}

#[test]
fn whatever_is_missing_has_its_cost_and_one_line_that_mends_it() {
    let mut bare = without_kvm(Device::Fails("I/O error".into()), "use --backend lab");
    bare.memory_failure = None;
    bare.userfaultfd = None;
    bare.sys_admin = None;
    bare.release = None;
    bare.page_size = None;
    bare.guest.exists = false;
    bare.shim.exists = false;
    bare.init.exists = false;
    let hosts = [
        bare,
        laptop("6.12"),
        arm64_6_12(),
        without_kvm(Device::Denied, "sudo usermod -aG kvm $USER   (then log in again)"),
    ];
    for host in hosts {
        for row in rows(&host) {
            let (Rows::Fact(row) | Rows::Backend(row) | Rows::Route(Route { row, .. })) = row else {
                continue;
            };
            assert_eq!(row.ok == Some(false), row.costs.is_some(), "{row:?}");
            assert_eq!(row.costs.is_some(), row.fix.is_some(), "{row:?}");
            assert!(row.fix.is_none_or(|fix| !fix.is_empty() && !fix.contains('\n')));
        }
    }
}

#[test]
fn rows_come_back_as_they_went() {
    for row in rows(&laptop("6.12.95")) {
        let line = serde_json::to_string(&row).unwrap();
        assert_eq!(serde_json::from_str::<Rows>(&line).unwrap(), row, "{line}");
    }
    let line = serde_json::to_value(rows(&arm64_6_12()).remove(6)).unwrap();
    assert_eq!(
        line,
        serde_json::json!({
            "event": "fact",
            "id": "cap-inject-ext-dabt",
            "name": "KVM_CAP_ARM_INJECT_EXT_DABT",
            "value": "yes (capability 178)",
            "ok": true,
            "costs": null,
            "fix": null,
        })
    );
}

#[test]
fn text_is_aligned_wrapped_and_without_control_characters() {
    let mut host = laptop("6.12.95");
    host.qemu.as_mut().unwrap().version = Ok("QEMU \u{1b}[2J\u{7}".into());
    let text = drawn(&rows(&host));
    assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 96, "{line}");
        assert!(!line.ends_with(' '), "{line:?}");
    }
    let column = |name: &str| {
        let line = text.lines().find(|line| line.contains(name)).unwrap();
        line.find("not asked").unwrap()
    };
    assert_eq!(column("KVM_CAP_ARM_NISV_TO_USER"), column("GIC for the guest"));
    assert!(text.contains("\n  ✘ architecture "), "{text}");
    assert!(text.contains("\n  – /dev/kvm "), "{text}");
    assert!(text.contains("\n  ✔ QEMU for arm64 "), "{text}");
    assert!(text.ends_with("scenarios can run on: lab, qemu\n"), "{text}");
    // Rows that share a cost and a fix say it once.
    let none = drawn(&judge(&laptop("7.2.0"), Scope::Kvm));
    assert_eq!(
        none.matches("scenarios that inject this way").count(),
        1,
        "{none}"
    );
    let none = drawn(&rows(&without_kvm(Device::Absent, "f")));
    assert!(none.ends_with("no backend can run scenarios\n"), "{none}");
}

#[test]
fn a_report_is_as_wide_as_its_stream_and_says_the_same_in_any() {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let hosts = [laptop("6.12.95"), arm64_6_12(), without_kvm(Device::Denied, "f")];
    for rows in hosts.iter().map(rows) {
        let usual = drawn(&rows);
        for width in [60, 80, 140] {
            let text = drawn_in(&rows, Some(width));
            for line in text.lines() {
                // A word that is longer than its place stays whole.
                let is_one_word = line.split_whitespace().count() == 1;
                assert!(line.chars().count() <= width || is_one_word, "{width}: {line}");
                assert!(!line.ends_with(' '), "{line:?}");
            }
            assert_eq!(words(&text), words(&usual), "{width}");
        }
    }
}

#[test]
fn the_legend_has_the_marks_that_are_there() {
    let legend = |rows: &[Rows]| {
        let text = drawn(rows);
        text.lines().rev().nth(1).unwrap_or_default().to_owned()
    };
    let all = "✔ available   ✘ missing   – information, or not known";
    assert_eq!(legend(&rows(&laptop("7.2.0"))), all);
    let good: Vec<_> = rows(&arm64_7_2())
        .into_iter()
        .filter(|row| matches!(row, Rows::Fact(row) if row.ok == Some(true)))
        .collect();
    assert_eq!(legend(&good), "✔ available");
}

#[test]
fn what_kvm_does_with_bad_arguments_is_said_with_its_numbers() {
    let value = |taken: &[&str], half_done| {
        let mut host = arm64_7_2();
        let events = host.kvm.as_mut().unwrap().events.as_mut().unwrap();
        events.taken = taken.iter().map(|taken| (*taken).to_owned()).collect();
        events.half_done = half_done;
        fact(&rows(&host), "events-arguments").value.clone()
    };
    assert_eq!(
        value(&[], true),
        "KVM rejects all 58 invalid arguments as documented, and Seawall rejects all of them before calling it. Given \
         a data abort and a bad syndrome in one call, KVM injects the abort and then returns the error"
    );
    let other = value(&["pad[0]"], false);
    assert!(
        other.contains("rejects 57 of 58") && other.contains("KVM accepts pad[0]"),
        "{other}"
    );
    assert!(
        other.ends_with("returns the error and injects nothing"),
        "{other}"
    );
}
