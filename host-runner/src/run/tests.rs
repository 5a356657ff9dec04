//! Runs on a backend that is only played.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use super::{Keep, Output, direct, leave_out};
use crate::backend::{Backend, Missing, Request, Run, RunEnd};
use crate::command::Exit;
use crate::events::{Event, RunStarted, SCHEMA};
use crate::judge::test_run::{LOAD, Story};
use crate::render::Format;
use crate::scenario::{Scenario, parse};

/// Standard output that can be looked at.
#[derive(Clone, Default)]
pub(super) struct Buffer(Rc<RefCell<Vec<u8>>>);

impl Buffer {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).unwrap()
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn run_started(scenarios: usize) -> RunStarted {
    RunStarted {
        schema: SCHEMA,
        version: "0".into(),
        backend: "played".into(),
        kvm: None,
        why: "for the test".into(),
        not: vec![],
        scenarios,
    }
}

/// Behaves as the scenario's tag says.
struct Played;

impl Backend for Played {
    fn name(&self) -> &'static str {
        "qemu"
    }

    fn run(&self, request: &Request<'_>) -> Result<Run, Missing> {
        assert_eq!(request.boot_arguments, "seawall.tasks=load,bystander,bystander");
        assert_eq!(
            (request.memory_bytes, request.plan.steps().count()),
            (64 << 20, 1)
        );
        let run = Story::load().run();
        match request.limits.wall.as_secs() {
            1 => Ok(Run {
                end: RunEnd::Flooded,
                ..run
            }),
            2 => Ok(Run {
                end: RunEnd::TimedOut,
                ..run
            }),
            3 => Err(Missing {
                what: "QEMU has gone".into(),
                fix: "get it".into(),
            }),
            4 => panic!("a bug of the backend's"),
            _ => Ok(run),
        }
    }
}

/// A scenario that is played so: its time limit says how.
fn played(name: &str, how: u32) -> Scenario {
    parse(
        name,
        &LOAD.replace("[guest]", &format!("timeout_s = {how}\n[guest]")),
    )
    .unwrap()
}

fn exit(hows: &[u32]) -> (Exit, String) {
    let scenarios: Vec<Scenario> = hows.iter().map(|how| played(&format!("s{how}"), *how)).collect();
    let buffer = Buffer::default();
    let mut output = Output::to(Box::new(buffer.clone()), Format::Ktap);
    output.event(Event::RunStarted(run_started(scenarios.len())));
    direct::run(&Played, b"image", &scenarios, &Keep::default(), &mut output);
    (output.finish(), buffer.text())
}

#[test]
fn exit_codes_say_how_it_came_out() {
    for (hows, expected) in [
        (&[30][..], Exit::Pass),
        (&[30, 1], Exit::Fail),
        (&[30, 2], Exit::Timeout),
        (&[1, 2], Exit::Fail),
        (&[3, 3], Exit::Skipped),
        (&[3, 30], Exit::Pass),
        (&[3, 2], Exit::Timeout),
        (&[4], Exit::Fail),
        (&[], Exit::Fail),
    ] {
        assert_eq!(exit(hows).0, expected, "{hows:?}");
    }
}

#[test]
fn after_whatever_a_guest_or_backend_does_the_next_one_runs() {
    let (code, report) = exit(&[1, 2, 3, 4, 30]);
    assert_eq!(code, Exit::Fail);
    for line in [
        "not ok 1 s1",
        "not ok 2 s2 # TIMEOUT",
        "ok 3 s3 # SKIP QEMU has gone (get it)",
        "not ok 4 s4",
        "ok 5 s30",
    ] {
        assert!(
            report.lines().any(|found| found == line),
            "{line:?} is not in\n{report}"
        );
    }
}

#[test]
fn a_scenario_for_another_platform_is_skipped_with_the_way_to_it() {
    let text = LOAD.replace("cites = []", "cites = []\nbackends = [\"kvm\"]");
    let buffer = Buffer::default();
    let mut output = Output::to(Box::new(buffer.clone()), Format::Ktap);
    direct::run(
        &Played,
        b"",
        &[parse("s", &text).unwrap()],
        &Keep::default(),
        &mut output,
    );
    assert_eq!(output.finish(), Exit::Skipped);
    assert!(
        buffer
            .text()
            .contains("ok 1 s # SKIP this scenario runs only under KVM (seawall run --backend lab)\n")
    );
}

#[test]
fn what_a_backend_is_not_for_is_left_out_unless_it_was_named() {
    let kvm_alone = LOAD.replace("cites = []", "cites = []\nbackends = [\"kvm\"]");
    let both = || vec![parse("both", LOAD).unwrap(), parse("kvm", &kvm_alone).unwrap()];
    let names = |scenarios: Vec<Scenario>| scenarios.into_iter().map(|s| s.name).collect::<Vec<_>>();
    assert_eq!(names(leave_out(both(), "qemu", false)), ["both"]);
    assert_eq!(names(leave_out(both(), "lab", false)), ["both", "kvm"]);
    assert_eq!(names(leave_out(both(), "qemu", true)), ["both", "kvm"]);
    let alone = vec![parse("kvm", &kvm_alone).unwrap()];
    assert_eq!(
        names(leave_out(alone, "qemu", false)),
        ["kvm"],
        "a run of nothing would look like a pass"
    );
}

#[test]
fn a_reader_that_goes_away_changes_no_verdict() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for (how, expected) in [(30, Exit::Pass), (1, Exit::Fail)] {
        let mut output = Output::to(Box::new(Closed), Format::Text);
        direct::run(&Played, b"", &[played("s", how)], &Keep::default(), &mut output);
        assert_eq!(output.finish(), expected);
    }
}

#[test]
fn a_vm_that_is_saved_is_told_with_its_scenario_and_not_judged() {
    /// Saves at once.
    struct Saves;
    impl Backend for Saves {
        fn name(&self) -> &'static str {
            "kvm"
        }

        fn run(&self, request: &Request<'_>) -> Result<Run, Missing> {
            assert_eq!(request.state.scenario.map(|id| id.name.as_str()), Some("s"));
            let bytes = crate::saved::encode(&crate::saved::tests::sample()).unwrap();
            Ok(Run {
                end: RunEnd::Saved(bytes),
                ..Story::load().run()
            })
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let keep = Keep {
        save: Some(folder.path().join("vm.seawall")),
        ..Keep::default()
    };
    let buffer = Buffer::default();
    let mut output = Output::to(Box::new(buffer.clone()), Format::Ndjson);
    direct::run(&Saves, b"", &[played("s", 9)], &keep, &mut output);
    assert_eq!(output.finish(), Exit::Pass);
    let events: Vec<_> = buffer
        .text()
        .lines()
        .map(|line| line.split('"').nth(3).unwrap_or_default().to_owned())
        .collect();
    assert_eq!(events, ["scenario-started", "saved", "verdict", "run-ended"]);
    assert!(crate::saved::file::read(&folder.path().join("vm.seawall")).is_ok());
}
