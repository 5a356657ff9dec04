//! Scenarios that are right: what becomes of them, and that all built-in ones are.

use seawall_replay::plan::Injection;

use super::{Far, Frame, Platform, boot, library, parse};

pub(super) const GOOD: &str = r#"title = "t"
teaches = "t"
cites = ["c"]
[guest]
tasks = ["load", "bystander", "bystander"]
[guest.policy]
load = "kill"
[[inject]]
task = "load"
checkpoint = 1
route = "hole"
[expect]
end = "done"
[[expect.abort]]
task = "load"
cause = "synchronous"
from = "el0"
esr = 0x92000010
far = 0x50000040
severity = "recoverable"
decision = "kill"
[expect.tasks]
load = "killed"
"#;

#[test]
fn the_good_one_is_good() {
    let scenario = parse("dir/s.toml", GOOD).unwrap();
    assert_eq!(scenario.name, "s");
    assert_eq!(scenario.guest.memory_bytes, 64 << 20);
    assert_eq!(scenario.platforms, [Platform::Qemu, Platform::Kvm]);
    assert_eq!(scenario.timeout.as_secs(), 30);
    assert_eq!(scenario.guest.policies["load"].to_string(), "kill");
    assert_eq!(
        (scenario.expect.retired, scenario.expect.aborts[0].frame),
        (1, Frame::Announced)
    );
}

#[test]
fn boot_arguments_name_each_task_and_its_policy() {
    for policy in [
        "kill",
        "isolate",
        "restart:3",
        "restart:1000/10s",
        "restart:3/500ms",
        "nosignal+restart:3/86400s",
        "signal+isolate",
    ] {
        let text = GOOD.replace("load = \"kill\"", &format!("load = \"{policy}\""));
        assert_eq!(
            boot::arguments(&parse("s.toml", &text).unwrap().guest),
            format!("seawall.tasks=load/{policy},bystander,bystander")
        );
    }
    // Where nothing is said, the program's own counts.
    let text = GOOD.replace("load = \"kill\"", "");
    assert_eq!(
        boot::arguments(&parse("s.toml", &text).unwrap().guest),
        "seawall.tasks=load,bystander,bystander"
    );
}

#[test]
fn an_injection_becomes_a_step_for_each_slot_of_its_program() {
    let text = GOOD
        .replace("[\"load\", ", "[\"bystander\", \"load\", \"load\", ")
        .replace(
            "route = \"hole\"",
            "at = \"user\"\nroute = \"serror\"\nsyndrome = 0x1811",
        );
    let scenario = parse("s.toml", &text).unwrap();
    let (plan, origins) = boot::plan(&scenario.guest, &scenario.injections).unwrap();
    let steps: Vec<_> = plan.steps().map(|step| (step.task, step.injection)).collect();
    let injection = Injection::SError {
        syndrome: Some(0x1811),
    };
    assert_eq!(steps, [(Some(2), injection), (Some(3), injection)]);
    assert_eq!(origins, [0, 0]);
}

#[test]
fn an_address_can_be_wide_or_left_open() {
    for (text, far) in [
        ("\"any\"", Far::Any),
        ("\"0xffff_8000_0000_1000\"", Far::Exactly(0xffff_8000_0000_1000)),
    ] {
        let scenario = parse("s.toml", &GOOD.replace("0x50000040", text)).unwrap();
        assert_eq!(scenario.expect.aborts[0].far, far);
    }
    let scenario = parse("s.toml", &GOOD.replace("far = 0x50000040\n", "")).unwrap();
    assert_eq!(scenario.expect.aborts[0].far, Far::Invalid);
}

#[test]
fn every_built_in_scenario_is_sound_and_says_what_it_teaches_and_cites() {
    let scenarios = library::load(&[]).unwrap();
    assert!(scenarios.len() >= 24, "{}", scenarios.len());
    for scenario in &scenarios {
        assert!(scenario.teaches.len() > 40, "{}", scenario.name);
        assert!(!scenario.cites.is_empty(), "{}", scenario.name);
        assert!(
            scenario.guest.slots("bystander").count() >= 2,
            "{}",
            scenario.name
        );
    }
    assert!(
        scenarios
            .iter()
            .filter(|scenario| scenario.tags.iter().any(|tag| tag == "demo"))
            .count()
            >= 5
    );
}

#[test]
fn filters_and_tags_select_and_complain() {
    let all = || library::load(&[]).unwrap();
    let names = |filters: &[&str], tags: &[&str]| {
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        library::select(all(), &own(filters), &own(tags))
            .map(|kept| kept.into_iter().map(|scenario| scenario.name).collect::<Vec<_>>())
            .map_err(|error| error.to_string())
    };
    assert_eq!(names(&["=load"], &[]).unwrap(), ["load"]);
    assert!(names(&["load"], &[]).unwrap().len() > 1);
    assert_eq!(
        names(&["two-vic", "=walk"], &[]).unwrap(),
        ["two-victims", "walk"]
    );
    assert!(names(&[], &["storm"]).unwrap().contains(&"storm".to_owned()));
    assert_eq!(
        names(&["strom"], &[]).unwrap_err(),
        "no scenario has `strom` in its name; did you mean `storm`?\n  `seawall list` names them all"
    );
    assert_eq!(
        names(&["=load"], &["storm"]).unwrap_err(),
        "no scenario has both a name like `=load` and the tag `storm`: each alone has some, as `seawall list` shows"
    );
    let all_wrong = names(&["=laod", "load", "zzz"], &["strom", "storm", "9"]).unwrap_err();
    let lines: Vec<&str> = all_wrong.lines().map(str::trim).collect();
    assert_eq!(
        lines.get(..5).unwrap(),
        [
            "no scenario is called `laod`; did you mean `load`?",
            "no scenario has `zzz` in its name",
            "`seawall list` names them all",
            "no scenario has the tag `strom`; did you mean `storm`?",
            "no scenario has the tag `9`",
        ],
        "{all_wrong}"
    );
    let tags = lines.get(5).unwrap();
    assert!(
        tags.starts_with("the tags are: ") && tags.contains(", storm"),
        "{tags}"
    );
}

#[test]
fn an_abort_that_the_host_takes_is_for_a_host_and_for_pages_that_lie_apart() {
    let text = GOOD
        .replace("load", "apart")
        .replace("\"hole\"", "\"sea-exit\"")
        .replace("cites = [\"c\"]", "cites = [\"c\"]\nbackends = [\"kvm\"]");
    let scenario = parse("s.toml", &text).unwrap();
    assert_eq!(scenario.injections[0].injection, Injection::HostAbort);
    for (piece, by) in [
        ("task = \"apart\"\ncheckpoint", "any = true\ncheckpoint"),
        ("route", "at = \"kernel\"\nroute"),
        ("\nbackends = [\"kvm\"]", ""),
    ] {
        assert!(parse("s.toml", &text.replacen(piece, by, 1)).is_err(), "{by}");
    }
}

#[test]
fn the_example_of_the_reference_is_sound_as_it_stands() {
    let text = include_str!("../../../docs/scenarios.md");
    let (_, example) = text.split_once("```toml\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let scenario = parse("my.toml", example).unwrap();
    assert_eq!((scenario.injections.len(), scenario.expect.aborts.len()), (1, 1));
    // So is what it says of a wrong one.
    let wrong = parse("my.toml", &example.replace("checkpoint =", "chekpoint =")).unwrap_err();
    let told = wrong.render(false);
    assert!(text.contains(&format!("```\n{told}```\n")), "{told}");
}
