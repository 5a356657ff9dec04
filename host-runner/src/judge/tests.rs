//! Each check, violated alone, must fail, and by its own name.

use seawall_agent::engine::{Cause, Level};
use seawall_agent::{Decision, Flags, FrameNumber, Origin, Severity, TaskId};
use seawall_replay::port::End;
use seawall_replay::report::{Note, TaskState};
use seawall_replay::transcript::{Event, What};

use super::test_run::{FRAME, Item, LOAD, Story, abort, ended, opened, task};
use super::{Outcome, judge};
use crate::backend::{RunEnd, Usage};
use crate::scenario::parse;

/// Spoils the sound run, and says which checks must be the ones that fail.
fn spoilt(checks: &[&str], spoil: impl FnOnce(&mut Story)) {
    let mut story = Story::load();
    spoil(&mut story);
    let verdict = story.judged().verdict;
    assert_eq!(verdict.outcome, Outcome::Fail, "{checks:?}");
    let mut found: Vec<&str> = verdict.findings.iter().map(|finding| finding.check).collect();
    found.dedup();
    assert_eq!(found, checks, "{:#?}", verdict.findings);
}

#[test]
fn a_run_as_expected_passes() {
    let verdict = Story::load().judged().verdict;
    assert_eq!((verdict.outcome, verdict.findings), (Outcome::Pass, vec![]));
}

#[test]
fn the_end_counts() {
    spoilt(&["run-end"], |story| story.end = RunEnd::Reset);
    spoilt(&["run-end"], |story| story.end = RunEnd::Flooded);
    spoilt(&["run-end"], |story| story.end = RunEnd::Stuck("\x1b[2J".into()));
    spoilt(&["guest-end"], |story| story.events.truncate(2));
    spoilt(&["guest-end"], |story| story.events[2] = ended(End::Failed));
    spoilt(&["guest-end"], |story| story.events[2] = ended(End::Halted));
    spoilt(&["guest-end"], |story| story.events[2] = ended(End::Unknown(77)));
    spoilt(&["guest-end"], |story| story.events.push(ended(End::Done)));
    spoilt(&["console"], |story| story.console.clear());
}

#[test]
fn a_run_over_its_limit_is_a_timeout_and_says_so() {
    let mut story = Story::load();
    story.end = RunEnd::TimedOut;
    story.events.truncate(2);
    let verdict = story.judged().verdict;
    assert_eq!(verdict.outcome, Outcome::Timeout);
    assert_eq!(verdict.findings[0].expected, "power off within 30 s");
}

#[test]
fn the_journal_must_be_there_and_whole() {
    let story = Story::load();
    for journal in [None, Some(vec![]), Some(vec![0; 4096]), Some(vec![0xff; 300])] {
        let mut run = story.run();
        run.journal = journal;
        let verdict = judge(&story.scenario, &run, None).verdict;
        assert_eq!(verdict.outcome, Outcome::Fail);
        assert_eq!(verdict.findings[0].check, "journal");
    }
    let mut run = story.run();
    // The number of record 6, a note about a task, never stored.
    run.journal.as_mut().unwrap()[128 + 5 * 128] = 0;
    let checks: Vec<_> = judge(&story.scenario, &run, None)
        .verdict
        .findings
        .iter()
        .map(|f| f.check)
        .collect();
    assert_eq!(checks, ["journal-torn", "report"]);
    // Byte 5 of word 1: a decision that does not exist.
    let mut run = story.run();
    run.journal.as_mut().unwrap()[128 + 4 * 128 + 8 + 5] = 99;
    let checks: Vec<_> = judge(&story.scenario, &run, None)
        .verdict
        .findings
        .iter()
        .map(|f| f.check)
        .collect();
    assert_eq!(checks, ["journal-unknown", "aborts"]);
    // Room for six of nine records: three are lost, one of them the first census.
    spoilt(&["journal-lost", "census"], |story| story.capacity = 6);
}

#[test]
fn what_the_replayer_saw_counts() {
    spoilt(&["port"], |story| {
        story.events.push(Event {
            ipa: 0x48,
            ..Event::of(What::Refused)
        })
    });
    spoilt(&["stuck"], |story| story.events.push(Event::of(What::Stuck)));
    spoilt(&["events-lost"], |story| story.events_lost = 1);
    // Never injected, and yet an abort.
    spoilt(&["injected", "frame"], |story| {
        story.events.remove(1);
    });
    spoilt(&["injected"], |story| {
        story.events.insert(2, opened(0, 1, FRAME + 1))
    });
    spoilt(&["injected"], |story| {
        story.events.insert(
            2,
            Event {
                step: None,
                ..opened(0, 1, FRAME + 1)
            },
        )
    });
}

/// The first finding of a run in which the injection never came: a checkpoint of `announced` was there in its place.
fn silent(inject: &str, announced: &[u16]) -> String {
    let mut story = Story::load();
    let text = LOAD.replace("checkpoint = 1", inject);
    story.scenario = parse("silent.toml", &text).unwrap();
    story.items.remove(4);
    *story.report(1) = task(1, "load", TaskState::Exited(0));
    (story.final_census().retired, story.final_census().free) = (0, 15_000);
    let to_nothing = announced.iter().map(|number| Event {
        task: 1,
        number: *number,
        ..Event::of(What::Announced)
    });
    story.events.splice(1..2, to_nothing);
    let verdict = story.judged().verdict;
    let checks: Vec<_> = verdict.findings.iter().map(|finding| finding.check).collect();
    assert_eq!(checks, ["injected", "aborts", "state", "leak", "retired"]);
    verdict.findings[0].to_string()
}

#[test]
fn a_step_that_never_fired_comes_first_and_says_what_was_announced_instead() {
    let at = "injected: step 0 never fired, and what is below may follow from that: expected load (slot 1) announces";
    for (inject, announced, told) in [
        (
            "checkpoint = 9",
            &[1][..],
            "checkpoint 9 (window checkpoint), got load (slot 1) announced checkpoint 1 only",
        ),
        (
            "checkpoint = 9",
            &[1, 2, 1],
            "checkpoint 9 (window checkpoint), got load (slot 1) announced checkpoint 1, 2 only",
        ),
        (
            "checkpoint = 9",
            &[],
            "checkpoint 9 (window checkpoint), got load (slot 1) announced nothing",
        ),
        (
            "at = \"copy\"\ncheckpoint = 1",
            &[1],
            "checkpoint 1 (window copy), got load (slot 1) announced checkpoint 1 in another window than copy",
        ),
        (
            "skip = 5\ncheckpoint = 1",
            &[1, 1],
            "checkpoint 1 (window checkpoint), got load (slot 1) announced it 2 times; 5 are skipped",
        ),
    ] {
        assert_eq!(silent(inject, announced), format!("{at} {told}"));
    }
    // Of a run that did not go to its end, that comes first.
    let mut story = Story::load();
    story.end = RunEnd::TimedOut;
    story.events.truncate(1);
    let findings = story.judged().verdict.findings;
    let checks: Vec<_> = findings.iter().map(|finding| finding.check).collect();
    assert_eq!(checks[..3], ["run-end", "guest-end", "injected"]);
}

#[test]
fn a_step_whose_announcement_another_one_took_says_which() {
    let mut story = Story::load();
    let twice = "route = \"hole\"\n[[inject]]\ntask = \"load\"\ncheckpoint = 1\nroute = \"hole\"";
    story.scenario = parse("twice.toml", &LOAD.replace("route = \"hole\"", twice)).unwrap();
    let findings = story.judged().verdict.findings;
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert!(
        findings[0].at.starts_with("step 1 never fired"),
        "{}",
        findings[0]
    );
    assert_eq!(findings[0].got, "step 0 took it");
}

#[test]
fn each_field_of_a_record_counts() {
    spoilt(&["cause", "frame"], |story| story.abort().cause = Cause::SError);
    spoilt(&["from"], |story| story.abort().from = Level::El1);
    spoilt(&["syndrome"], |story| story.abort().esr = 0x9200_0017);
    spoilt(&["severity"], |story| {
        story.abort().severity = Severity::Restartable
    });
    spoilt(&["decision"], |story| story.abort().decision = Decision::CarryOn);
    spoilt(&["far"], |story| story.abort().far = 0x5000_0044);
    spoilt(&["far"], |story| story.abort().flags = Flags::NONE);
    spoilt(&["frame"], |story| {
        story.abort().frame = Some(FrameNumber(FRAME + 1))
    });
    spoilt(&["frame"], |story| story.abort().frame = None);
    spoilt(&["charged"], |story| {
        story.abort().origin = Origin::Task(TaskId(2))
    });
    spoilt(&["charged"], |story| {
        story.abort().origin = Origin::Task(TaskId(40))
    });
    spoilt(&["charged"], |story| story.abort().origin = Origin::Kernel);
}

#[test]
fn aborts_beyond_and_below_the_expected_count() {
    spoilt(&["aborts", "abort-unexpected"], |story| {
        story.items.insert(5, Item::Abort(abort(1, FRAME)))
    });
    spoilt(&["aborts"], |story| {
        story.items.remove(4);
    });
    // A thousand findings of a kind stay readable.
    let mut story = Story::load();
    story.capacity = 4096;
    story
        .items
        .splice(5..5, (0..1000).map(|_| Item::Abort(abort(1, FRAME))));
    let findings = story.judged().verdict.findings;
    assert_eq!(findings.len(), 1 + 6 + 1);
    assert_eq!(findings[7].got, "994 more of this kind");
}

#[test]
fn of_two_victims_each_is_charged_for_its_own_page() {
    let text = LOAD
        .replace(
            r#"["load", "bystander", "bystander"]"#,
            r#"["load", "load", "bystander", "bystander"]"#,
        )
        .replace("decision = \"kill\"", "decision = \"kill\"\ntimes = 2");
    let mut story = Story::load();
    story.scenario = parse("two.toml", &text).unwrap();
    story.items[2] = Item::Note(Note::Started {
        task: 2,
        program: super::test_run::program("load"),
        restarts: 0,
    });
    story.items[6] = Item::Note(Note::Task(task(2, "load", TaskState::Killed)));
    story
        .items
        .insert(8, Item::Note(Note::Task(task(4, "bystander", TaskState::Alive))));
    story.events = vec![opened(0, 1, FRAME), opened(1, 2, FRAME + 1), ended(End::Done)];
    story.final_census().retired = 2;
    story.final_census().free = 14_997;
    // The second to announce is the first to touch.
    story.items[4] = Item::Abort(abort(2, FRAME + 1));
    story.items.insert(5, Item::Abort(abort(1, FRAME)));
    assert_eq!(story.judged().verdict.findings, vec![]);
    // Charged both to the first: the second one's frame tells.
    story.items[4] = Item::Abort(abort(1, FRAME + 1));
    let checks: Vec<_> = story
        .judged()
        .verdict
        .findings
        .iter()
        .map(|finding| finding.check)
        .collect();
    assert_eq!(checks, ["frame", "charged", "frame"]);
}

#[test]
fn bystanders_must_be_unharmed_and_further_on() {
    spoilt(&["damage", "bystanders"], |story| story.report(2).damage = 1);
    spoilt(&["progress"], |story| story.report(3).progress = 9);
    spoilt(&["charged"], |story| story.report(3).charged = 1);
    spoilt(&["state"], |story| story.report(2).state = TaskState::Killed);
    spoilt(&["state"], |story| {
        story.report(2).state = TaskState::Faulted(0x24)
    });
    spoilt(&["restarts"], |story| story.report(2).restarts = 1);
    spoilt(&["report", "bystanders"], |story| {
        story.items.remove(6);
    });
    spoilt(&["report"], |story| {
        story
            .items
            .push(Item::Note(Note::Task(task(3, "bystander", TaskState::Alive))))
    });
    spoilt(&["report"], |story| {
        story
            .items
            .push(Item::Note(Note::Task(task(9, "spin", TaskState::Alive))))
    });
}

#[test]
fn the_victims_end_counts() {
    for state in [
        TaskState::Alive,
        TaskState::Exited(0),
        TaskState::Exited(3),
        TaskState::Isolated,
        TaskState::Faulted(0),
        TaskState::Unknown(9),
    ] {
        spoilt(&["state"], |story| story.report(1).state = state);
    }
    spoilt(&["report"], |story| {
        story.report(1).program = super::test_run::program("store")
    });
    spoilt(&["restarts"], |story| story.report(1).restarts = 1);
}

#[test]
fn an_exit_counts_as_one_only_with_code_zero() {
    let mut story = Story::load();
    story
        .scenario
        .expect
        .tasks
        .insert("load".into(), crate::scenario::FinalState::Exited);
    for (code, outcome) in [(0, Outcome::Pass), (1, Outcome::Fail)] {
        story.report(1).state = TaskState::Exited(code);
        assert_eq!(story.judged().verdict.outcome, outcome);
    }
}

#[test]
fn the_stock_counts() {
    spoilt(&["retired"], |story| story.final_census().retired = 0);
    spoilt(&["leak"], |story| story.final_census().free = 14_000);
    spoilt(&["leak"], |story| story.final_census().free = 15_000);
    spoilt(&["mapped"], |story| story.final_census().still_mapped = 1);
    spoilt(&["leak"], |story| story.final_census().tables = 2);
    spoilt(&["leak", "tables"], |story| story.final_census().tables = 0);
    spoilt(&["tables"], |story| {
        let census = story.final_census();
        (census.tables, census.free) = (3, 14_996);
    });
    spoilt(&["heap-leak"], |story| story.final_census().heap_used += 16);
    spoilt(&["frames"], |story| story.final_census().frames -= 1);
    spoilt(&["census"], |story| {
        story.items.pop();
    });
}

#[test]
fn older_kernels_are_held_to_what_they_do() {
    for (kvm, esr, frame, outcome) in [
        (None, 0x9200_0010, FRAME, Outcome::Pass),
        (Some((6, 18)), 0x9200_0010, FRAME, Outcome::Pass),
        (Some((7, 2)), 0x9200_0010, FRAME, Outcome::Pass),
        (Some((6, 18)), 0x9200_0011, FRAME, Outcome::Fail),
        (Some((6, 17)), 0x9200_0011, FRAME + 1, Outcome::Pass),
        (Some((5, 20)), 0x9200_0011, FRAME, Outcome::Pass),
        (Some((6, 12)), 0x9200_0010, FRAME, Outcome::Fail),
    ] {
        let mut story = Story::load();
        story.kvm = kvm;
        story.abort().esr = esr;
        story.abort().frame = Some(FrameNumber(frame));
        assert_eq!(story.judged().verdict.outcome, outcome, "{kvm:?} {esr:#x}");
    }
}

/// The scenario of a kernel that met the error itself.
fn halted() -> Story {
    let text = LOAD
        .replace("end = \"done\"", "end = \"halted\"")
        .replace("task = \"load\"\ncause", "cause")
        .replace("decision = \"kill\"", "decision = \"halt\"\nframe = \"none\"");
    let mut story = Story::load();
    story.scenario = parse("halted.toml", &text).unwrap();
    story.console = b"EPITAPH: verdict\n".to_vec();
    story.events[2] = ended(End::Halted);
    story.items.truncate(5);
    story.abort().origin = Origin::Kernel;
    story.abort().decision = Decision::Halt;
    story.abort().frame = None;
    story
}

#[test]
fn a_halt_needs_its_epitaph_and_no_tasks() {
    assert_eq!(halted().judged().verdict.findings, vec![]);
    let mut silent = halted();
    silent.console = b"verdict".to_vec();
    assert_eq!(silent.judged().verdict.findings[0].check, "epitaph");
    let mut charged = halted();
    charged.abort().origin = Origin::Task(TaskId(1));
    assert_eq!(charged.judged().verdict.findings[0].check, "charged");
}

#[test]
fn no_journal_bytes_make_the_judge_panic() {
    let story = Story::load();
    let whole = story.run().journal.unwrap();
    for length in 0..whole.len() {
        let mut run = story.run();
        run.journal = Some(whole[..length].to_vec());
        let _ = judge(&story.scenario, &run, None);
    }
    let mut state = 1_u64;
    for _ in 0..2000 {
        let mut run = story.run();
        for _ in 0..4 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let at = usize::try_from(state >> 33).unwrap() % whole.len();
            run.journal.as_mut().unwrap()[at] = state.to_le_bytes()[3];
        }
        let judged = judge(&story.scenario, &run, None);
        let _ = crate::timeline::events(&story.scenario, &run, &judged);
    }
}

#[test]
fn what_the_runner_holds_must_not_grow() {
    let held = |bytes, descriptors| Usage { bytes, descriptors };
    let start = held(4 << 20, 8);
    let most = (4 << 20) + (128 << 10);
    for end in [held(0, 8), held(4 << 20, 7), start, held(most, 8)] {
        let mut story = Story::load();
        story.usage = Some((start, end));
        assert_eq!(story.judged().verdict.findings, vec![]);
    }
    spoilt(&["memory"], |story| {
        story.usage = Some((start, held(most + 1, 8)))
    });
    // A hundred bytes for each of eight thousand pages are too many.
    spoilt(&["memory"], |story| {
        story.usage = Some((start, held((4 << 20) + 800_000, 8)))
    });
    spoilt(&["descriptors"], |story| {
        story.usage = Some((start, held(4 << 20, 9)))
    });
}

#[test]
fn a_save_of_the_runners_own_is_nobodys_injection_and_one_of_the_plans_is() {
    use seawall_replay::transcript::{Event, What};
    let mut story = Story::load();
    story.events.insert(1, Event::of(What::Restored));
    story.events.insert(1, Event::of(What::Saved));
    let verdict = story.judged().verdict;
    assert_eq!((verdict.outcome, verdict.findings), (Outcome::Pass, vec![]));
    // The plan has no step that saves.
    spoilt(&["injected"], |story| {
        story.events.push(Event {
            step: Some(1),
            ..Event::of(What::Saved)
        });
    });
    spoilt(&["run-end"], |story| story.end = RunEnd::Saved(vec![]));
}

#[test]
fn a_retired_frame_that_was_read_is_held_against_what_is_expected() {
    let text = format!("{LOAD}\n[[expect.mapping]]\nesr = 0x96000007\nsound = 511\n");
    let read = Note::Mapping {
        frame: FRAME,
        esr: 0x9600_0007,
        far: 0xffff_ff80_0000_0000 | FRAME << 12,
        sound: 511,
    };
    let findings = |notes: &[Note]| {
        let mut story = Story::load();
        story.scenario = parse("load.toml", &text).unwrap();
        let notes = notes.iter().map(|note| Item::Note(*note));
        story.items.splice(5..5, notes);
        let findings = story.judged().verdict.findings;
        findings
            .into_iter()
            .map(|finding| finding.check)
            .collect::<Vec<_>>()
    };
    assert_eq!(findings(&[read]), [""; 0]);
    assert_eq!(findings(&[]), ["mapping"]);
    assert_eq!(findings(&[read, read]), ["mapping"]);
    let Note::Mapping {
        frame,
        esr,
        far,
        sound,
    } = read
    else {
        unreachable!("made above")
    };
    for (frame, esr, far, sound, count) in [
        (frame, 0x9600_0010, far, sound, 1),
        (frame, esr, far, 510, 1),
        (frame, esr, far + 8, sound, 1),
        // Another frame, and so another address than expected.
        (frame + 1, esr, far, sound, 2),
        (frame, 0, 0, 512, 3),
    ] {
        let note = Note::Mapping {
            frame,
            esr,
            far,
            sound,
        };
        assert_eq!(findings(&[note]), vec!["mapping"; count]);
    }
}

/// A guest that began again after its abort: two journals, and the frame out from the start of the second.
#[test]
fn each_life_is_judged_and_what_was_lost_stays_lost() {
    let text = LOAD.replace("end = \"done\"\n", "end = \"done\"\nreboots = 1\n");
    let judged = |spoil: &dyn Fn(&mut Story, &mut crate::backend::Run)| {
        let mut first = Story::load();
        first.scenario = parse("load.toml", &text).unwrap();
        let life = first.run();
        let mut second = Story::load();
        second.items.retain(|item| !matches!(item, Item::Abort(_)));
        second.items[0] = Item::Note(super::test_run::census(false, 14_998, 1));
        let census = second.final_census();
        (census.free, census.tables) = (14_998, 0);
        let rebooted = [ended(End::Reboot), Event::of(What::Rebooted)];
        second.events.splice(2..2, rebooted);
        let mut run = second.run();
        run.earlier = vec![life.journal.unwrap()];
        spoil(&mut second, &mut run);
        let findings = judge(&first.scenario, &run, None).verdict.findings;
        findings
            .into_iter()
            .map(|finding| finding.check)
            .collect::<Vec<_>>()
    };
    assert_eq!(judged(&|_, _| {}), [""; 0]);
    let again = |story: &mut Story, run: &mut crate::backend::Run, start: Note| {
        story.items[0] = Item::Note(start);
        run.journal = story.run().journal;
    };
    // The list was dropped: the frame is free again.
    let dropped = judged(&|story, run| again(story, run, super::test_run::census(false, 14_999, 0)));
    assert!(dropped.contains(&"retired"), "{dropped:?}");
    // A frame is missing in the second life alone.
    let leaked = judged(&|story, run| again(story, run, super::test_run::census(false, 14_999, 1)));
    assert_eq!(leaked, ["leak"]);
    // The first life's journal cannot be read.
    let unread = judged(&|_, run| run.earlier = vec![Vec::new()]);
    assert!(unread.contains(&"journal"), "{unread:?}");
    // It began again less often than it should, or says so and did not.
    let once = judged(&|_, run| run.events.retain(|event| event.what != What::Rebooted));
    assert_eq!(once, ["reboots"]);
}
