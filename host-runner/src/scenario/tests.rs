//! Scenarios, good and bad: what is wrong must be found at its place, with the right hint, and nothing else.

use seawall_replay::plan::Injection;

use super::{Far, Frame, Platform, Policy, boot, library, parse};

const GOOD: &str = r#"title = "t"
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

/// Replaces a piece of the good scenario, and says where the one problem is and what its text contains.
fn wrong(piece: &str, by: &str, line: usize, column: usize, told: &str) {
    assert!(GOOD.contains(piece), "{piece}");
    let text = GOOD.replacen(piece, by, 1);
    let bad = parse("s.toml", &text).expect_err(by);
    let first = &bad.problems[0];
    assert_eq!(bad.place(first), (line, column), "{by}: {bad}");
    assert!(bad.to_string().contains(told), "{by}: {bad}");
    let picture = bad.render(false);
    assert!(picture.contains(&format!("error: s.toml:{line}:{column}: ")), "{picture}");
    assert!(picture.contains(&format!("s.toml:{line}:")), "{picture}");
    assert!(!picture.contains('\x1b'));
}

#[test]
fn the_good_one_is_good() {
    let scenario = parse("dir/s.toml", GOOD).unwrap();
    assert_eq!(scenario.name, "s");
    assert_eq!(scenario.guest.memory_bytes, 64 << 20);
    assert_eq!(scenario.platforms, [Platform::Qemu, Platform::Kvm]);
    assert_eq!(scenario.timeout.as_secs(), 30);
    assert_eq!(scenario.guest.policies.get("load"), Some(&Policy::Kill));
    assert_eq!((scenario.expect.retired, scenario.expect.aborts[0].frame), (1, Frame::Announced));
}

#[test]
fn unknown_keys_are_errors_with_a_hint() {
    wrong("title", "titel", 1, 1, "did you mean `title`?");
    wrong("checkpoint = 1", "chekpoint = 1", 10, 1, "did you mean `checkpoint`?");
    wrong("severity", "severety", 20, 1, "did you mean `severity`?");
    wrong("[guest]\n", "[guest]\nmemroy = \"64M\"\n", 5, 1, "did you mean `memory`?");
    wrong("[expect]\n", "[expect]\nxyzzy = 1\n", 13, 1, "the keys here are end, console, retired");
}

#[test]
fn words_are_checked_with_a_hint() {
    wrong("\"hole\"", "\"hol\"", 11, 9, "did you mean `hole`?");
    wrong("end = \"done\"", "end = \"doen\"", 13, 7, "did you mean `done`?");
    wrong("\"synchronous\"", "\"synchronus\"", 16, 9, "did you mean `synchronous`?");
    wrong("\"el0\"", "\"el2\"", 17, 8, "is not a level");
    wrong("decision = \"kill\"", "decision = \"kil\"", 21, 12, "did you mean `kill`?");
    wrong("load = \"killed\"", "load = \"killd\"", 23, 8, "did you mean `killed`?");
    wrong("load = \"kill\"", "load = \"isolated\"", 7, 8, "did you mean `isolate`?");
    wrong("load = \"kill\"", "load = \"restart:0\"", 7, 8, "restart:1 to restart:1000");
    wrong("load = \"kill\"", "load = \"restart:\"", 7, 8, "no usable limit");
    wrong("cites", "backends = [\"qemo\"]\ncites", 3, 13, "did you mean `qemu`?");
    wrong("cites", "backends = []\ncites", 3, 12, "it would never run");
    wrong("route", "at = \"boarder\"\nroute", 11, 6, "did you mean `border`?");
}

#[test]
fn tasks_that_do_not_exist_are_errors_with_a_hint() {
    wrong("[\"load\"", "[\"laod\"", 5, 10, "did you mean `load`?");
    wrong("[[inject]]\ntask = \"load\"", "[[inject]]\ntask = \"store\"", 9, 8, "no task of this scenario runs `store`");
    wrong("[[expect.abort]]\ntask = \"load\"", "[[expect.abort]]\ntask = \"lod\"", 15, 8, "did you mean `load`?");
    wrong("load = \"killed\"", "laod = \"killed\"", 23, 1, "did you mean `load`?");
    wrong("load = \"kill\"", "loads = \"kill\"", 7, 1, "did you mean `load`?");
    wrong("load = \"killed\"", "", 13, 7, "nothing is expected of the task `load`");
    wrong("[expect.tasks]", "[expect.restarts]\nstore = 1\n[expect.tasks]", 23, 1, "no task of this scenario runs");
}

#[test]
fn values_out_of_range_are_errors_with_the_range() {
    wrong("checkpoint = 1", "checkpoint = 4096", 10, 14, "checkpoint is 0 to 4095");
    wrong("checkpoint = 1", "checkpoint = -1", 10, 14, "-1 is out of range");
    wrong("checkpoint = 1", "checkpoint = \"1\"", 10, 14, "expected i64");
    wrong("checkpoint = 1\n", "checkpoint = 1\ntimes = 0\n", 11, 9, "times is 1 to");
    wrong("checkpoint = 1\n", "checkpoint = 1\nskip = -1\n", 11, 8, "skip is 0 to");
    wrong("esr = 0x92000010", "esr = -5", 18, 7, "a syndrome is not negative");
    wrong("far = 0x50000040", "far = -1", 19, 7, "an address is not negative");
    wrong("far = 0x50000040", "far = \"0xnope\"", 19, 7, "is not an address");
    wrong("cites", "timeout_s = 601\ncites", 3, 13, "timeout_s is 1 to 600");
    wrong("cites", "timeout_s = 0\ncites", 3, 13, "timeout_s is 1 to 600");
    for memory in ["15M", "65G", "17M", "64", "64K", "M", "-64M", "99999999999999999999G", "17592186044416M"] {
        wrong("[guest]\n", &format!("[guest]\nmemory = \"{memory}\"\n"), 5, 10, "such as \"64M\"");
    }
    wrong("route = \"hole\"", "route = \"serror\"\nsyndrome = 0x2000000", 12, 12, "0x0 to 0x1ffffff");
}

#[test]
fn what_does_not_fit_together_is_an_error() {
    wrong("route = \"hole\"", "route = \"hole\"\nsyndrome = 1", 12, 12, "a hole has no syndrome");
    wrong("route = \"hole\"", "at = \"user\"\nroute = \"hole\"", 11, 6, "announces no page");
    wrong("[[inject]]\ntask = \"load\"", "[[inject]]", 8, 1, "does not say whose");
    wrong("[[inject]]\n", "[[inject]]\nany = true\n", 10, 8, "exclude each other");
    wrong("\"bystander\", \"bystander\"", "\"bystander\"", 5, 9, "at least two bystanders, this one has 1");
    wrong("esr = 0x92000010", "disr = 0x92000010", 18, 8, "does not fit this cause");
    wrong("esr = 0x92000010\n", "", 14, 1, "has no `esr`");
    wrong("title = \"t\"", "title = \" \"", 1, 9, "`title` is empty");
    wrong("tasks = [\"load\", \"bystander\", \"bystander\"]", "tasks = []", 5, 9, "0 tasks, where 1 to 32 can be");
    let esr = "esr = 0x92000010\nesr_before = [{ linux = \"six\", esr = 1, because = \"b\" }]";
    wrong("esr = 0x92000010", esr, 19, 25, "`six` is not a version");
}

#[test]
fn broken_toml_is_an_error_at_its_place() {
    wrong("title = \"t\"", "title = ", 1, 9, "");
    wrong("cites = [\"c\"]", "cites = [\"c\"", 4, 1, "");
    wrong("teaches = \"t\"\n", "", 1, 1, "missing field `teaches`");
    wrong("title = \"t\"", "title = \"t\"\ntitle = \"u\"", 2, 1, "duplicate");
    for text in ["", "\0", "= 1", "[", "\u{feff}", "a = 1"] {
        let bad = parse("s.toml", text).expect_err(text);
        assert!(bad.render(false).contains("error: s.toml:1:"), "{text:?}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let text = GOOD.replace("\"hole\"", "\"hol\"").replace("\"done\"", "\"doen\"").replace("checkpoint = 1", "checkpoint = 9999");
    assert_eq!(parse("s.toml", &text).unwrap_err().problems.len(), 3);
}

#[test]
fn boot_arguments_name_each_task_and_its_policy() {
    let text = GOOD.replace("load = \"kill\"", "load = \"restart:3\"");
    assert_eq!(boot::arguments(&parse("s.toml", &text).unwrap().guest), "seawall.tasks=load/restart:3,bystander,bystander");
    let text = GOOD.replace("load = \"kill\"", "load = \"isolate\"");
    assert_eq!(boot::arguments(&parse("s.toml", &text).unwrap().guest), "seawall.tasks=load/isolate,bystander,bystander");
    assert_eq!(boot::arguments(&parse("s.toml", GOOD).unwrap().guest), "seawall.tasks=load,bystander,bystander");
}

#[test]
fn an_injection_becomes_a_step_for_each_slot_of_its_program() {
    let text = GOOD.replace("[\"load\", ", "[\"bystander\", \"load\", \"load\", ").replace("route = \"hole\"", "at = \"user\"\nroute = \"serror\"\nsyndrome = 0x1811");
    let scenario = parse("s.toml", &text).unwrap();
    let (plan, origins) = boot::plan(&scenario.guest, &scenario.injections).unwrap();
    let steps: Vec<_> = plan.steps().map(|step| (step.task, step.injection)).collect();
    let injection = Injection::SError { syndrome: Some(0x1811) };
    assert_eq!(steps, [(Some(2), injection), (Some(3), injection)]);
    assert_eq!(origins, [0, 0]);
}

#[test]
fn an_address_can_be_wide_or_left_open() {
    for (text, far) in [("\"any\"", Far::Any), ("\"0xffff_8000_0000_1000\"", Far::Exactly(0xffff_8000_0000_1000))] {
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
        assert!(scenario.guest.slots("bystander").count() >= 2, "{}", scenario.name);
    }
    assert!(scenarios.iter().filter(|scenario| scenario.tags.iter().any(|tag| tag == "demo")).count() >= 5);
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
    assert_eq!(names(&["storm", "=walk"], &[]).unwrap(), ["storm", "walk"]);
    assert_eq!(names(&[], &["storm"]).unwrap(), ["storm"]);
    assert_eq!(names(&["strom"], &[]).unwrap_err(), "no scenario matches `strom`; did you mean `storm`?");
    assert_eq!(names(&["=load"], &["storm"]).unwrap_err(), "no scenario matches `=load, storm`");
}
