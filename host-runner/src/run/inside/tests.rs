//! A lab that is only played: what it says, and what becomes of it.

use super::{follow, inner_command};
use crate::backend::Missing;
use crate::command::Exit;
use crate::lab::{Line, SessionEnd};
use crate::render::Format;
use crate::run::Output;
use crate::run::keep::Keep;
use crate::run::tests::{Buffer, run_started};
use crate::scenario::{Scenario, library};

fn scenarios(names: &[&str]) -> Vec<Scenario> {
    let filters: Vec<String> = names.iter().map(|name| format!("={name}")).collect();
    library::select(library::load(&[]).unwrap(), &filters, &[]).unwrap()
}

/// Plays a session, and gives the exit code and the report.
fn played(names: &[&str], lines: &[&str], end: Result<SessionEnd, Missing>) -> (Exit, String) {
    let buffer = Buffer::default();
    let mut output = Output::to(Box::new(buffer.clone()), Format::Ktap);
    let scenarios = scenarios(names);
    let started = &mut Some(run_started(names.len()));
    let keep = Keep::default();
    let behind = follow(started, &scenarios, &keep, &mut output, |line| {
        lines.iter().for_each(|text| line(Line::Out(text)));
        end
    });
    assert!(behind.is_empty() && started.is_none());
    (output.finish(), buffer.text())
}

const PASS: &str =
    r#"{"event":"verdict","scenario":"load","verdict":"pass","wall_ms":1,"aborts":1,"findings":[]}"#;

#[test]
fn what_runs_inside_is_exactly_what_was_read_outside() {
    let scenarios = library::load(&[]).unwrap();
    let (arguments, files) = inner_command(&scenarios, &Keep::default()).unwrap();
    assert_eq!(
        arguments.join(" "),
        "run --backend kvm --format ndjson --image /seawall.Image --scenarios /scenarios"
    );
    assert_eq!(files.len(), scenarios.len());
    for (scenario, (path, text)) in scenarios.iter().zip(&files) {
        assert_eq!(path, &format!("/scenarios/{}.toml", scenario.name));
        assert_eq!(text, scenario.source.as_bytes());
    }
}

#[test]
fn verdicts_come_out_as_they_are_and_are_counted_here() {
    let ended = r#"{"event":"run-ended","passed":99,"failed":0,"skipped":0,"timed_out":0,"wall_ms":1}"#;
    let (exit, report) = played(
        &["load"],
        &["junk \u{1b}[31m", PASS, ended, "{}"],
        Ok(SessionEnd::Exited(0)),
    );
    assert_eq!(exit, Exit::Pass);
    assert!(
        report.ends_with("1..1\nok 1 load\n# Totals: pass:1 fail:0 xfail:0 xpass:0 skip:0 error:0\n"),
        "{report}"
    );
}

#[test]
fn a_lost_lab_fails_what_it_did_not_report_and_keeps_what_it_did() {
    let lost = Ok(SessionEnd::Lost("Kernel panic".into()));
    let (exit, report) = played(&["load", "store"], &[PASS], lost);
    assert_eq!(exit, Exit::Fail);
    assert!(report.contains("ok 1 load\n"), "{report}");
    assert!(
        report.contains("got the lab was lost: Kernel panic\nnot ok 2 store\n"),
        "{report}"
    );
    let (exit, report) = played(&["store"], &[], Ok(SessionEnd::Exited(0)));
    assert_eq!(exit, Exit::Fail);
    assert!(
        report.contains("ended with code 0 and left it out\nnot ok 1 store\n"),
        "{report}"
    );
}

#[test]
fn verdicts_twice_or_on_what_was_not_asked_for_do_not_count() {
    let (exit, report) = played(&["store"], &[PASS, PASS], Ok(SessionEnd::Exited(0)));
    assert_eq!(exit, Exit::Fail);
    assert!(!report.contains("load"), "{report}");
    let (_, report) = played(&["load"], &[PASS, PASS], Ok(SessionEnd::Exited(0)));
    assert!(report.contains("pass:1 "), "{report}");
}

#[test]
fn a_lab_that_cannot_start_is_skipped() {
    let missing = Missing {
        what: "no QEMU".into(),
        fix: "get it".into(),
    };
    let (exit, report) = played(&["load", "store"], &[], Err(missing));
    assert_eq!(exit, Exit::Skipped);
    assert!(
        report.contains("ok 2 store # SKIP no QEMU (get it)\n"),
        "{report}"
    );
}

#[test]
fn what_the_sandbox_kills_is_failed_by_name_and_the_rest_runs() {
    let buffer = Buffer::default();
    let mut output = Output::to(Box::new(buffer.clone()), Format::Ktap);
    let scenarios = scenarios(&["load", "pair", "store"]);
    let mut started = Some(run_started(3));
    let mut sessions = vec![(vec![], 0), (vec![PASS], 128 + 31)];
    let mut left = scenarios.as_slice();
    while let Some((lines, code)) = sessions.pop() {
        left = follow(&mut started, left, &Keep::default(), &mut output, |line| {
            lines.iter().for_each(|text| line(Line::Out(text)));
            Ok(SessionEnd::Exited(code))
        });
        let names: Vec<_> = left.iter().map(|scenario| scenario.name.as_str()).collect();
        assert_eq!(names, if code == 0 { vec![] } else { vec!["store"] });
    }
    assert_eq!(output.finish(), Exit::Fail);
    let report = buffer.text();
    assert!(
        report.contains("the runner was killed by SIGSYS\nnot ok 2 pair\n"),
        "{report}"
    );
    assert!(report.contains("left it out\nnot ok 3 store\n"), "{report}");
}

const SAVED: &str =
    r#"{"event":"verdict","scenario":"save-hole","verdict":"saved","wall_ms":7,"aborts":0,"findings":[]}"#;

/// Plays a lab that saves and sends these parts; gives the exit code, the report, and the file.
fn saving(parts: &[String]) -> (Exit, String, Option<Vec<u8>>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vm.seawall");
    let keep = Keep {
        save: Some(path.clone()),
        ..Keep::default()
    };
    let buffer = Buffer::default();
    let mut output = Output::to(Box::new(buffer.clone()), Format::Ndjson);
    let scenarios = scenarios(&["save-hole"]);
    let (arguments, _) = inner_command(&scenarios, &keep).unwrap();
    assert!(arguments.ends_with(&["--save".into(), "/out/vm.seawall".into()]));
    let _ = follow(
        &mut Some(run_started(1)),
        &scenarios,
        &keep,
        &mut output,
        |line| {
            line(Line::Out(SAVED));
            parts.iter().for_each(|part| line(Line::File(part)));
            Ok(SessionEnd::Exited(0))
        },
    );
    (output.finish(), buffer.text(), std::fs::read(path).ok())
}

#[test]
fn what_is_saved_inside_is_a_file_out_here_or_a_failure() {
    use base64::Engine as _;
    let bytes = crate::saved::encode(&crate::saved::tests::sample()).unwrap();
    let part = |name: &str, bytes: &[u8]| {
        let text = base64::engine::general_purpose::STANDARD.encode(bytes);
        format!("{name} 0 {text}")
    };
    let (exit, report, file) = saving(&[part("vm.seawall", &bytes)]);
    assert_eq!((exit, file), (Exit::Pass, Some(bytes.clone())), "{report}");
    assert!(
        report.contains(r#""event":"saved""#) && report.contains(r#""saved":1"#),
        "{report}"
    );
    for (parts, why) in [
        (vec![], "no file came out"),
        (vec![part("other", &bytes)], "nobody asked for"),
        (vec![part("vm.seawall", &bytes[..100])], "the file is cut"),
    ] {
        let (exit, report, file) = saving(&parts);
        assert_eq!((exit, file), (Exit::Fail, None), "{report}");
        assert!(report.contains(why), "{why}: {report}");
    }
}

#[test]
fn what_is_restored_outside_goes_in_with_its_scenario() {
    let keep = Keep {
        restore: Some(crate::saved::tests::sample()),
        ..Keep::default()
    };
    let (arguments, files) = inner_command(&scenarios(&["save-hole"]), &keep).unwrap();
    assert!(arguments.ends_with(&["--restore".into(), "/in/vm.seawall".into()]));
    let (path, bytes) = files.last().unwrap();
    assert_eq!(path, "/in/vm.seawall");
    assert_eq!(
        crate::saved::decode(bytes).unwrap(),
        crate::saved::tests::sample()
    );
}
