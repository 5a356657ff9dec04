//! SErrors that waited or were deferred, aborts that KVM is to bring by itself, and a run that ends with ENOSYS.

use seawall_agent::Origin;
use seawall_agent::engine::Cause;
use seawall_replay::report::Note;
use seawall_replay::transcript::{Event, What};

use super::Outcome;
use super::test_run::{FRAME, Item, LOAD, Story};
use crate::backend::RunEnd;
use crate::scenario::parse;

fn checks(story: &Story) -> Vec<&'static str> {
    let mut found: Vec<_> = story
        .judged()
        .verdict
        .findings
        .iter()
        .map(|finding| finding.check)
        .collect();
    found.dedup();
    found
}

fn story(text: &str) -> Story {
    let mut story = Story::load();
    story.scenario = parse("load.toml", text).unwrap();
    story
}

#[test]
fn what_the_guest_read_while_masked_counts_in_number_value_and_order() {
    let text = LOAD.replace(
        "[[expect.abort]]",
        "[[expect.pending]]\nserror = true\nhandled = 0\n[[expect.pending]]\nserror = false\nhandled = 1\n[[expect.abort]]",
    );
    let note = |serror, handled| {
        Item::Note(Note::Pending {
            number: 1,
            serror,
            handled,
        })
    };
    let with = |notes: &[Item]| {
        let mut story = story(&text);
        story.items.splice(4..4, notes.iter().copied());
        checks(&story)
    };
    assert_eq!(with(&[note(true, 0), note(false, 1)]), [""; 0]);
    for notes in [
        vec![],
        vec![note(true, 0)],
        vec![note(false, 0), note(false, 1)],
        vec![note(true, 1), note(false, 1)],
        vec![note(true, 0), note(true, 1)],
        vec![note(false, 1), note(true, 0)],
        vec![note(true, 0), note(false, 1), note(false, 1)],
    ] {
        assert_eq!(with(&notes), ["pending"]);
    }
    let mut unexpected = Story::load();
    unexpected.items.insert(4, note(false, 0));
    assert_eq!(checks(&unexpected), ["pending"]);
}

#[test]
fn an_abort_that_kvm_is_to_bring_by_itself_comes_from_nobody_else() {
    let text = LOAD.replace("route = \"hole\"", "route = \"self\"\nwhat = \"walk\"");
    let by_the_runner = |kvm, syndrome| {
        let mut story = story(&text);
        story.kvm = kvm;
        let delivered = Event {
            step: Some(0),
            task: 1,
            number: 1,
            ipa: FRAME << 12,
            syndrome,
            ..Event::of(What::Delivered)
        };
        story.events.insert(2, delivered);
        checks(&story)
    };
    assert_eq!(by_the_runner(Some((7, 2)), 0x9200_0010), ["by-itself"]);
    assert_eq!(by_the_runner(Some((7, 2)), 0x8200_0010), ["by-itself"]);
    assert_eq!(
        by_the_runner(Some((7, 2)), 0x9600_0010),
        [""; 0],
        "the kernel's own"
    );
    assert_eq!(by_the_runner(None, 0x9200_0010), [""; 0], "the shim");
}

#[test]
fn an_serror_may_be_deferred_only_where_its_order_is_left_to_the_cpu() {
    let text = LOAD
        .replace(
            "route = \"hole\"",
            "at = \"user\"\nroute = \"serror\"\nsyndrome = 0xc11",
        )
        .replace("\"synchronous\"", "\"serror\"")
        .replace("esr = 0x92000010\n", "esr = 0xbe000c11\nor_disr = 0x80000c11\n")
        .replace("far = 0x50000040\n", "")
        .replace(
            "esr_before = [{ linux = \"6.18\", esr = 0x92000011, frame = \"any\", because = \"of old\" }]\n",
            "",
        );
    let found = |kvm, cause, syndrome| {
        let mut story = story(&text);
        story.kvm = kvm;
        story.events[1].what = What::Pended;
        let record = story.abort();
        (record.cause, record.frame) = (cause, None);
        (record.flags, record.origin) = (seawall_agent::Flags::NONE, Origin::Task(seawall_agent::TaskId(1)));
        (record.esr, record.disr) = match cause {
            Cause::Deferred => (0, syndrome),
            _ => (syndrome, 0),
        };
        let census = story.final_census();
        (census.retired, census.free, census.tables) = (0, 15_000, 0);
        checks(&story)
    };
    for kvm in [None, Some((6, 12)), Some((6, 17)), Some((7, 2))] {
        assert_eq!(found(kvm, Cause::SError, 0xbe00_0c11), [""; 0]);
    }
    for kvm in [None, Some((6, 12)), Some((6, 16))] {
        assert_eq!(found(kvm, Cause::Deferred, 0x8000_0c11), [""; 0]);
        assert_eq!(found(kvm, Cause::Deferred, 0x8000_1811), ["syndrome"]);
    }
    let at_once = found(Some((6, 17)), Cause::Deferred, 0x8000_0c11);
    assert_eq!(at_once, ["cause", "syndrome"]);
}

#[test]
fn the_serror_beside_a_hole_must_have_been_given_too() {
    let text = LOAD.replace("route = \"hole\"", "route = \"hole\"\nwith_serror = 0xc11");
    let mut story = story(&text);
    assert_eq!(checks(&story), ["injected"]);
    story.events.insert(
        2,
        Event {
            step: Some(0),
            task: 1,
            number: 1,
            syndrome: 0xc11,
            ..Event::of(What::Pended)
        },
    );
    assert_eq!(checks(&story), [""; 0]);
}

#[test]
fn an_error_is_paired_with_the_injection_whose_syndrome_it_has() {
    let mut story = Story::load();
    let pended = |number, syndrome| Event {
        step: Some(0),
        task: 1,
        number,
        syndrome,
        ..Event::of(What::Pended)
    };
    story.events = vec![pended(1, 0xc11), pended(2, 0x1811)];
    let record = story.abort();
    (record.cause, record.esr) = (Cause::SError, 0xbe00_1811);
    let incidents = story.judged().incidents;
    let numbers: Vec<_> = incidents
        .iter()
        .map(|incident| {
            (
                incident.injection.map(|event| event.number),
                incident.abort.is_some(),
            )
        })
        .collect();
    assert_eq!(numbers, [(Some(2), true), (Some(1), false)]);
}

#[test]
fn a_run_that_is_to_end_with_enosys_ends_with_nothing_else() {
    let text = LOAD
        .split("[[expect.abort]]")
        .next()
        .unwrap()
        .replace("\"done\"", "\"enosys\"")
        .replace("console = [\"verdict\"]\n", "");
    let mut enosys = story(&text);
    enosys.end = RunEnd::Enosys;
    enosys.items.truncate(4);
    enosys.events.truncate(2);
    assert_eq!(checks(&enosys), [""; 0]);
    assert_eq!(enosys.judged().verdict.outcome, Outcome::Pass);
    let mut off = enosys.clone();
    off.end = RunEnd::PoweredOff;
    assert_eq!(checks(&off), ["run-end"]);
    let mut spoke = enosys.clone();
    spoke.events = Story::load().events;
    assert_eq!(checks(&spoke), ["guest-end"]);
    let mut unasked = Story::load();
    unasked.end = RunEnd::Enosys;
    assert_eq!(checks(&unasked), ["run-end"]);
}

#[test]
fn a_run_that_is_to_be_stuck_is_ended_by_a_replayer_that_says_at_what() {
    let text = LOAD
        .split("[[expect.abort]]")
        .next()
        .unwrap()
        .replace("\"done\"", "\"stuck\"")
        .replace("console = [\"verdict\"]\n", "");
    let mut stuck = story(&text);
    stuck.end = RunEnd::Stuck("the shim gave up".into());
    stuck.items.truncate(4);
    stuck.events.truncate(2);
    // QEMU died, say: nobody was stuck.
    assert_eq!(checks(&stuck), ["run-end"]);
    stuck.events.push(Event {
        syndrome: 0x8200_0007,
        ..Event::of(What::Stuck)
    });
    assert_eq!(checks(&stuck), [""; 0]);
    let mut off = stuck.clone();
    off.end = RunEnd::PoweredOff;
    assert_eq!(checks(&off), ["run-end"]);
    let mut slow = stuck;
    slow.end = RunEnd::TimedOut;
    assert_eq!(checks(&slow), ["run-end"]);
}
