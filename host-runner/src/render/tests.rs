//! Each format of one small stream.

use seawall_agent::Cause;
use seawall_replay::port::Window;
use seawall_replay::transcript::What;

use super::{Format, renderer};
use crate::events::{
    Compared, Event, Injected, Outcome, RunStarted, SCHEMA, Saved, Skipped, Totals, Trigger, Verdict,
};
use crate::judge::test_run::{LOAD, Story};
use crate::timeline;

/// A run of three: one passes, one fails, one is skipped.
fn stream() -> Vec<Event> {
    let mut all = vec![Event::RunStarted(RunStarted {
        schema: SCHEMA,
        version: "0".into(),
        backend: "lab".into(),
        kvm: Some("7.2".into()),
        why: "requested".into(),
        not: vec![],
        scenarios: 3,
    })];
    let good = Story::load();
    let mut bad = Story::load();
    bad.scenario.name = "bad".into();
    bad.console = b"\x1b[31m<evil>]]> & co\n".to_vec();
    bad.report(2).damage = 1;
    bad.scenario.expect.console.clear();
    for story in [good, bad] {
        all.push(Event::ScenarioStarted(crate::events::ScenarioStarted {
            scenario: story.scenario.name.clone(),
            title: story.scenario.title.clone(),
            teaches: "Why.".into(),
            linux: Some("It\nwould panic.".into()),
        }));
        all.extend(timeline::events(&story.scenario, &story.run(), &story.judged()));
    }
    all.push(Event::Skipped(Skipped {
        scenario: "third".into(),
        reason: "no #kernel".into(),
        fix: "get one".into(),
    }));
    all.push(Event::RunEnded(Totals {
        passed: 1,
        failed: 1,
        saved: 0,
        evacuated: 0,
        skipped: 1,
        timed_out: 0,
        wall_ms: 2500,
    }));
    all
}

fn rendered(format: Format) -> String {
    of_events(format, &stream())
}

fn of_events(format: Format, events: &[Event]) -> String {
    let mut out = Vec::new();
    let mut renderer = renderer(format);
    for event in events {
        renderer.event(event, &mut out).unwrap();
    }
    anstream::adapter::strip_str(std::str::from_utf8(&out).unwrap()).to_string()
}

#[test]
fn ktap_has_a_plan_a_line_for_each_and_totals() {
    assert_eq!(
        rendered(Format::Ktap),
        "KTAP version 1\n\
         # backend: lab (requested)\n\
         1..3\n\
         ok 1 load\n\
         # damage: bystander (slot 2): expected 0, got 1\n\
         # bystanders: the guest: expected at least two bystanders unharmed, got 1\n\
         not ok 2 bad\n\
         ok 3 third # SKIP no no.kernel (get one)\n\
         # Totals: pass:1 fail:1 xfail:0 xpass:0 skip:1 error:0\n"
    );
}

#[test]
fn ndjson_comes_back_as_it_went() {
    let text = rendered(Format::Ndjson);
    let back: Vec<Event> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(back, stream());
    assert!(text.starts_with(r#"{"event":"run-started","schema":1,"#));
    assert!(text.contains(
        r#"{"event":"trigger","scenario":"load","step":0,"program":"load","slot":1,"checkpoint":1,"window":"checkpoint","page":"0x48123000","times":1,"level":"info"}"#
    ));
    assert!(text.contains(
        r#"{"event":"injection","scenario":"load","route":"hole","syndrome":null,"times":1,"level":"notice"}"#
    ));
    assert!(text.contains(r#""vector":"EL0 synchronous +0x400","cause":"synchronous","from":"el0","register":"esr","syndrome":"0x92000010""#));
    assert!(text.contains(
        r#"{"event":"run-ended","passed":1,"failed":1,"saved":0,"evacuated":0,"skipped":1,"timed_out":0,"wall_ms":2500,"level":"error"}"#
    ));
}

#[test]
fn text_shows_the_timeline_and_of_a_failure_what_was_seen() {
    let text = rendered(Format::Text);
    for piece in [
        "3 scenarios on lab, KVM of Linux 7.2\n",
        "\n● load  t\n",
        "│ trigger    load (slot 1) at its checkpoint 1, about to touch the page at 0x48123000\n",
        "│ injection  the page is taken out of stage 2\n",
        "│ vector     EL0 synchronous +0x400 · ESR 0x92000010 · FAR 0x50000040\n",
        "│ decode     Data Abort from a lower Exception level: synchronous external abort,",
        "│ decision   kill · recoverable, charged to load (slot 1)\n",
        "│ done       the task is gone; frame 0x48123 is retired for good\n",
        "│ cost       480 instructions from vector to record\n",
        "│ tasks      load killed · bystander unharmed, +11 · bystander unharmed, +11\n",
        "│ Linux      It would panic.\n",
        "✔ pass in 1.23 s\n",
        "✘ damage: bystander (slot 2)\n      expected  0\n      got       1\n",
        "┆ \\u{1b}[31m<evil>]]> & co\n",
        "○ third  skipped: no #kernel\n",
        "load      pass          1          480    1.23 s\n",
        "bad       FAIL          1          480    1.23 s\n",
        "third     skip          0            –    0.00 s\n",
        "lab: 1 passed, 1 failed, 1 skipped in 2.50 s\n  \
         ✘ bad  damage: bystander (slot 2): expected 0, got 1; 1 more above\n",
    ] {
        assert!(text.contains(piece), "{piece:?} is not in\n{text}");
    }
    assert!(!text.contains('\x1b'));
    assert!(
        !text.contains("teaches"),
        "of several only the claims are told\n{text}"
    );
}

#[test]
fn text_says_of_a_scenario_that_runs_alone_what_it_teaches() {
    let mut events = stream();
    if let Some(Event::RunStarted(run)) = events.first_mut() {
        run.scenarios = 1;
    }
    let text = of_events(Format::Text, &events);
    assert!(text.contains("\n● load  t\n  │ teaches    Why.\n"), "{text}");
}

/// As many aborts, no two in a row equal, as the text of a scenario that passes does not tell one by one.
#[test]
fn many_kinds_of_aborts_are_a_line_each_where_all_is_well_and_told_in_full_where_not() {
    let story = Story::load();
    let once = timeline::events(&story.scenario, &story.run(), &story.judged());
    let mut events = Vec::new();
    for number in 0..12 {
        events.extend(once.iter().filter_map(|event| match event {
            Event::Abort(abort) if number % 3 == 0 => {
                let mut other = abort.clone();
                other.decision = "heal".into();
                Some(Event::Abort(other))
            }
            Event::Trigger(_) | Event::Injection(_) | Event::Abort(_) => Some(event.clone()),
            _ => None,
        }));
    }
    let told = |verdict: Outcome| {
        let end = Verdict {
            scenario: "load".into(),
            verdict,
            wall_ms: 1,
            aborts: Some(12),
            findings: Vec::new(),
        };
        of_events(
            Format::Text,
            &[events.as_slice(), &[Event::Verdict(end)]].concat(),
        )
    };
    assert_eq!(
        told(Outcome::Pass),
        "  │ injection  12 × the page is taken out of stage 2\n  \
         │ aborts     8 × kill · ESR 0x92000010 · recoverable · EL0 synchronous +0x400\n  \
         │            4 × heal · ESR 0x92000010 · recoverable · EL0 synchronous +0x400\n  \
         │ decode     seawall explain 0x92000010 says what one means\n  \
         ✔ pass in 0.00 s\n"
    );
    assert_eq!(told(Outcome::Fail).matches("│ decode").count(), 12);
}

#[test]
fn what_linux_did_is_told_in_its_own_words_beside_ours() {
    let compared = |outcome: Option<&str>, trouble: Option<&str>| {
        Event::Compared(Box::new(Compared {
            scenario: "serror-uer".into(),
            kernel: Some("7.2.13".into()),
            does: "run".into(),
            panic_on_oops: false,
            expected: "panic".into(),
            outcome: outcome.map(Into::into),
            trouble: trouble.map(Into::into),
            as_expected: outcome == Some("panic"),
            lines: vec!["Kernel panic - not syncing: Asynchronous SError Interrupt".into()],
            ours: "kill, charged to serror".into(),
            wall_ms: 1880,
        }))
    };
    let good = compared(Some("panic"), None);
    let told = |event: &Event| of_events(Format::Text, &[event.clone(), Event::RunEnded(Totals::default())]);
    let text = told(&good);
    for piece in [
        "in Linux   7.2.13, a process announces and does the same (run) · 1.88 s\n",
        "Kernel panic - not syncing: Asynchronous SError Interrupt\n",
        "compared   Linux: panic · Seawall: kill, charged to serror\n",
    ] {
        assert!(text.contains(piece), "{piece:?} is not in\n{text}");
    }
    let json = of_events(Format::Ndjson, std::slice::from_ref(&good));
    assert!(
        json.starts_with(r#"{"event":"compared","scenario":"serror-uer","kernel":"7.2.13""#),
        "{json}"
    );
    assert!(json.trim_end().ends_with(r#""level":"info"}"#), "{json}");
    assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), good);
    let bad = compared(None, Some("it stood still"));
    let json = of_events(Format::Ndjson, std::slice::from_ref(&bad));
    assert!(
        json.contains(r#""outcome":null"#) && json.contains(r#""level":"error""#),
        "{json}"
    );
    let text = told(&bad);
    assert!(text.contains("Linux: it stood still"), "{text}");
}

/// The timeline of [`LOAD`] with this injection, whose event is of that kind.
fn timeline_of(inject: &str, what: What, records: impl FnOnce(&mut Story)) -> String {
    let text = LOAD.replace("task = \"load\"\ncheckpoint = 1\nroute = \"hole\"", inject);
    let mut story = Story::load();
    story.scenario = crate::scenario::parse("load.toml", &text).unwrap();
    story.events[1].what = what;
    records(&mut story);
    let events = timeline::events(&story.scenario, &story.run(), &story.judged());
    of_events(Format::Text, &events)
}

#[test]
fn text_says_when_an_serror_came_what_kvm_did_by_itself_and_by_which_vector() {
    let started = timeline_of("at = \"start\"\nroute = \"serror\"", What::Pended, |story| {
        story.abort().cause = Cause::SError;
    });
    assert!(
        started.contains("│ trigger    before the guest's first instruction\n"),
        "{started}"
    );
    let by_itself = timeline_of(
        "task = \"load\"\ncheckpoint = 1\nroute = \"self\"\nwhat = \"walk\"",
        What::Opened,
        |_| {},
    );
    assert!(
        by_itself.contains("│ injection  the access is left to KVM, which aborts it by itself\n"),
        "{by_itself}"
    );
    assert!(by_itself.contains("EL0 synchronous +0x400"), "{by_itself}");
    let by_serror = timeline_of(
        "task = \"load\"\ncheckpoint = 1\nat = \"user\"\nroute = \"registers\"\nsyndrome = 0x92000010\n\
         far = 0x50000040\nvector = \"serror\"",
        What::Entered,
        |_| {},
    );
    assert!(
        by_serror.contains("│ vector     EL0 SError +0x580 · ESR 0x92000010"),
        "{by_serror}"
    );
}

#[test]
fn junit_is_well_formed_whatever_the_guest_says() {
    let xml = rendered(Format::Junit);
    for piece in [
        "<testsuite name=\"seawall.lab\" tests=\"3\" skipped=\"1\" errors=\"0\" failures=\"1\"",
        "<testcase name=\"load\" classname=\"seawall.lab\" time=\"1.234\">",
        "<failure message=\"damage: bystander (slot 2): expected 0, got 1\" type=\"verdict\">",
        "&lt;evil&gt;]]&gt; &amp; co",
        "<skipped message=\"no #kernel (get one)\"",
    ] {
        assert!(xml.contains(piece), "{piece:?} is not in\n{xml}");
    }
}

#[test]
fn a_thousand_equal_incidents_are_one_with_a_count() {
    use crate::judge::test_run::{FRAME, Item, abort, opened};
    let mut story = Story::load();
    story.capacity = 4096;
    story.items.splice(
        4..5,
        (0..1000).map(|round| {
            Item::Abort(seawall_agent::AbortRecord {
                cost: round,
                ..abort(1, FRAME + round)
            })
        }),
    );
    story
        .events
        .splice(1..2, (0..1000).map(|round| opened(0, 1, FRAME + round)));
    let events = timeline::events(&story.scenario, &story.run(), &story.judged());
    let aborts: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Abort(abort) => Some((abort.times, abort.cost)),
            _ => None,
        })
        .collect();
    // The first has no measure, and is one of them all the same.
    assert_eq!(aborts, [(1000, Some(999))]);
    assert_eq!(
        events
            .iter()
            .filter(|event| matches!(event, Event::Trigger(trigger) if trigger.times == 1000))
            .count(),
        1
    );
}

#[test]
fn a_saved_vm_is_told_in_every_format_and_is_no_pass() {
    let events = [
        Event::Saved(Saved {
            scenario: "s".into(),
            file: "vm.seawall".into(),
            bytes: 4096,
            pages: 3,
            poisoned: 2,
            serror_pending: true,
        }),
        Event::Verdict(Verdict {
            scenario: "s".into(),
            verdict: Outcome::Saved,
            wall_ms: 5,
            aborts: None,
            findings: vec![],
        }),
        Event::RunEnded(Totals {
            saved: 1,
            ..Totals::default()
        }),
    ];
    for (format, told) in [
        (
            Format::Text,
            "vm.seawall · 4096 bytes, 3 pages, 2 poisoned left out, an SError pending",
        ),
        (
            Format::Text,
            "✔ saved in 0.00 s; its verdict comes with `seawall run --restore vm.seawall`",
        ),
        (Format::Text, "s         saved         –            –    0.00 s"),
        (Format::Text, "0 passed, 0 failed, 0 skipped, 1 saved"),
        (Format::Ktap, "ok 1 s # SKIP saved"),
        (Format::Ktap, "pass:0 fail:0 xfail:0 xpass:0 skip:1"),
        (
            Format::Junit,
            "saved; its verdict comes with seawall run --restore",
        ),
        (Format::Ndjson, r#""verdict":"saved","wall_ms":5,"aborts":null"#),
    ] {
        let mut out = Vec::new();
        let mut renderer = renderer(format);
        for event in &events {
            renderer.event(event, &mut out).unwrap();
        }
        let text = anstream::adapter::strip_str(std::str::from_utf8(&out).unwrap()).to_string();
        assert!(text.contains(told), "{told}: {text}");
    }
}

#[test]
fn every_route_and_window_has_words_of_its_own() {
    // A scenario's events are told once its verdict is there.
    let told = |event: Event| {
        let verdict = Event::Verdict(Verdict {
            scenario: "x".into(),
            verdict: Outcome::Pass,
            wall_ms: 5,
            aborts: Some(0),
            findings: vec![],
        });
        of_events(Format::Text, &[event, verdict])
    };
    let injected = |route: &str, syndrome: Option<&str>| {
        told(Event::Injection(Injected {
            scenario: "x".into(),
            route: route.into(),
            syndrome: syndrome.map(str::to_owned),
            times: 1,
        }))
    };
    for (route, piece) in [
        ("patrol", "a patrol scrubber reports an error"),
        ("serror", "a virtual SError is pended without a syndrome"),
        ("later", "by the route later"),
    ] {
        let text = injected(route, None);
        assert!(text.contains(piece), "{text}");
    }
    assert!(injected("later", Some("0x1")).contains("by the route later, 0x1"));
    let all = crate::scenario::library::load(&[]).unwrap();
    let routes = all.iter().flat_map(|scenario| &scenario.injections);
    // Nothing is done by these themselves, and so nothing told.
    for route in routes
        .map(|inject| inject.route)
        .filter(|route| !["nothing", "random"].contains(route))
    {
        let text = injected(route, Some("0x1"));
        assert!(!text.contains("by the route"), "{text}");
    }
    let triggered = |window: &str| {
        told(Event::Trigger(Trigger {
            scenario: "x".into(),
            step: Some(0),
            program: Some("load".into()),
            slot: 1,
            checkpoint: 2,
            window: Some(window.into()),
            page: Some("0x1000".into()),
            times: 1,
        }))
    };
    let copy = triggered("copy");
    assert!(copy.contains("at the kernel's copy of its memory, checkpoint 2, the page"));
    assert!(triggered("handler").contains("in the kernel that handles an error, checkpoint 2"));
    for window in (0..=u8::MAX).map_while(Window::from_number) {
        let usual = triggered(crate::scenario::window_word(window)).contains("at its checkpoint");
        assert_eq!(usual, window == Window::Checkpoint, "{window:?}");
    }
}

#[test]
fn whatever_a_scenario_or_a_lab_is_called_no_control_character_is_written() {
    let mut story = Story::load();
    story.scenario.name = "a#\x1b[2Jb".into();
    let mut events = vec![Event::ScenarioStarted(crate::events::ScenarioStarted {
        scenario: story.scenario.name.clone(),
        title: "t\x1b]0;x\x07\u{9b}31m\u{202e}".into(),
        teaches: "w\x1b[2J".into(),
        linux: Some("It\nwould panic.".into()),
    })];
    events.extend(timeline::events(&story.scenario, &story.run(), &story.judged()));
    events.push(Event::Skipped(Skipped {
        scenario: "c\r#".into(),
        reason: "one\ntwo".into(),
        fix: "\x1bc".into(),
    }));
    for format in [Format::Text, Format::Ktap] {
        let text = of_events(format, &events);
        let controls = text.chars().filter(|one| one.is_control() && *one != '\n');
        assert_eq!(controls.count(), 0, "{text}");
        assert!(text.contains("\\u{1b}[2Jb") && text.contains("one two"), "{text}");
    }
    let ktap = of_events(Format::Ktap, &events);
    assert!(ktap.contains("ok 1 ano.\\u{1b}[2Jb\n"), "{ktap}");
    assert!(
        ktap.contains("ok 2 c\\rno. # SKIP one two (\\u{1b}c)\n"),
        "{ktap}"
    );
}
