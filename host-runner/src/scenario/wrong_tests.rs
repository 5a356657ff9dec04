//! Scenarios that are wrong: what is wrong must be found at its place, with the right hint.

use super::parse;
use super::tests::GOOD;

/// Replaces a piece of the good scenario, and says where the one problem is and what its text contains.
pub(super) fn wrong(piece: &str, by: &str, line: usize, column: usize, told: &str) {
    assert!(GOOD.contains(piece), "{piece}");
    let text = GOOD.replacen(piece, by, 1);
    let bad = parse("s.toml", &text).expect_err(by);
    let first = &bad.problems[0];
    assert_eq!(bad.place(first), (line, column), "{by}: {bad}");
    assert!(bad.to_string().contains(told), "{by}: {bad}");
    let picture = bad.render(false);
    assert!(
        picture.contains(&format!("error: s.toml:{line}:{column}: ")),
        "{picture}"
    );
    assert!(picture.contains(&format!("s.toml:{line}:")), "{picture}");
    assert!(!picture.contains('\x1b'));
    // Each message is there once, and not again above the picture.
    let said = bad
        .problems
        .iter()
        .filter(|problem| problem.message == first.message);
    assert_eq!(picture.matches(&first.message).count(), said.count(), "{picture}");
}

#[test]
fn unknown_keys_are_errors_with_a_hint() {
    wrong("title", "titel", 1, 1, "did you mean `title`?");
    wrong(
        "checkpoint = 1",
        "chekpoint = 1",
        10,
        1,
        "did you mean `checkpoint`?",
    );
    wrong("severity", "severety", 20, 1, "did you mean `severity`?");
    wrong(
        "[guest]\n",
        "[guest]\nmemroy = \"64M\"\n",
        5,
        1,
        "did you mean `memory`?",
    );
    wrong(
        "[expect]\n",
        "[expect]\nxyzzy = 1\n",
        13,
        1,
        "the keys here are end, console, retired",
    );
}

#[test]
fn a_title_with_a_control_character_is_refused_at_its_place() {
    wrong("\"t\"", r#""t\u001b[2J""#, 1, 9, "a control character");
}

#[test]
fn words_are_checked_with_a_hint() {
    wrong("\"hole\"", "\"hol\"", 11, 9, "did you mean `hole`?");
    wrong("end = \"done\"", "end = \"doen\"", 13, 7, "did you mean `done`?");
    wrong(
        "\"synchronous\"",
        "\"synchronus\"",
        16,
        9,
        "did you mean `synchronous`?",
    );
    wrong("\"el0\"", "\"el2\"", 17, 8, "is not a level");
    wrong(
        "decision = \"kill\"",
        "decision = \"kil\"",
        21,
        12,
        "did you mean `kill`?",
    );
    wrong(
        "load = \"killed\"",
        "load = \"killd\"",
        23,
        8,
        "did you mean `killed`?",
    );
    wrong(
        "load = \"kill\"",
        "load = \"isolated\"",
        7,
        8,
        "did you mean `isolate`?",
    );
    wrong(
        "load = \"kill\"",
        "load = \"restart:0\"",
        7,
        8,
        "restart:1 to restart:1000",
    );
    for (policy, complaint) in [
        ("restart:", "no usable limit"),
        ("restart:1001/10s", "no usable limit"),
        ("restart:3/", "no usable window"),
        ("restart:3/10", "no usable window"),
        ("restart:3/0s", "no usable window"),
        ("restart:3/86401s", "no usable window"),
        ("kill/10s", "is not a policy"),
        ("signals+kill", "is not a policy"),
        ("signal+", "is not a policy"),
    ] {
        let text = format!("load = \"{policy}\"");
        wrong("load = \"kill\"", &text, 7, 8, complaint);
    }
    wrong(
        "cites",
        "backends = [\"qemo\"]\ncites",
        3,
        13,
        "did you mean `qemu`?",
    );
    wrong("cites", "backends = []\ncites", 3, 12, "it would never run");
    wrong(
        "route",
        "at = \"boarder\"\nroute",
        11,
        6,
        "did you mean `border`?",
    );
}

#[test]
fn tasks_that_do_not_exist_are_errors_with_a_hint() {
    wrong("[\"load\"", "[\"laod\"", 5, 10, "did you mean `load`?");
    wrong(
        "[[inject]]\ntask = \"load\"",
        "[[inject]]\ntask = \"store\"",
        9,
        8,
        "no task of this scenario runs `store`",
    );
    wrong(
        "[[expect.abort]]\ntask = \"load\"",
        "[[expect.abort]]\ntask = \"lod\"",
        15,
        8,
        "did you mean `load`?",
    );
    wrong(
        "load = \"killed\"",
        "laod = \"killed\"",
        23,
        1,
        "did you mean `load`?",
    );
    wrong(
        "load = \"kill\"",
        "loads = \"kill\"",
        7,
        1,
        "did you mean `load`?",
    );
    wrong(
        "load = \"killed\"",
        "",
        13,
        7,
        "nothing is expected of the task `load`",
    );
    wrong(
        "[expect.tasks]",
        "[expect.restarts]\nstore = 1\n[expect.tasks]",
        23,
        1,
        "no task of this scenario runs",
    );
}

#[test]
fn values_out_of_range_are_errors_with_the_range() {
    wrong(
        "checkpoint = 1",
        "checkpoint = 4096",
        10,
        14,
        "checkpoint is 0 to 4095",
    );
    wrong("checkpoint = 1", "checkpoint = -1", 10, 14, "-1 is out of range");
    wrong(
        "checkpoint = 1",
        "checkpoint = \"1\"",
        10,
        14,
        "expected a number",
    );
    wrong(
        "checkpoint = 1\n",
        "checkpoint = 1\ntimes = 0\n",
        11,
        9,
        "times is 1 to",
    );
    wrong(
        "checkpoint = 1\n",
        "checkpoint = 1\nskip = -1\n",
        11,
        8,
        "skip is 0 to",
    );
    wrong(
        "esr = 0x92000010",
        "esr = -5",
        18,
        7,
        "a syndrome is not negative",
    );
    wrong(
        "far = 0x50000040",
        "far = -1",
        19,
        7,
        "an address is not negative",
    );
    wrong("far = 0x50000040", "far = \"0xnope\"", 19, 7, "is not an address");
    wrong("cites", "timeout_s = 601\ncites", 3, 13, "timeout_s is 1 to 600");
    wrong("cites", "timeout_s = 0\ncites", 3, 13, "timeout_s is 1 to 600");
    for memory in [
        "15M",
        "65G",
        "17M",
        "64",
        "64K",
        "M",
        "-64M",
        "99999999999999999999G",
        "17592186044416M",
    ] {
        wrong(
            "[guest]\n",
            &format!("[guest]\nmemory = \"{memory}\"\n"),
            5,
            10,
            "such as \"64M\"",
        );
    }
    wrong(
        "route = \"hole\"",
        "route = \"serror\"\nsyndrome = 0x2000000",
        12,
        12,
        "0x0 to 0x1ffffff",
    );
}

#[test]
fn what_does_not_fit_together_is_an_error() {
    wrong(
        "route = \"hole\"",
        "route = \"hole\"\nsyndrome = 1",
        12,
        12,
        "`hole` has no syndrome to choose",
    );
    for route in ["uffd", "hwpoison", "read-only", "sea-exit"] {
        wrong(
            "route = \"hole\"",
            &format!("at = \"user\"\nroute = \"{route}\""),
            11,
            6,
            "announces no page",
        );
    }
    for route in ["uffd", "hwpoison"] {
        wrong("\"hole\"", &format!("\"{route}\""), 11, 9, "backends = [\"kvm\"]");
    }
    wrong("\"hole\"", "\"sea-exit\"", 11, 9, "nothing else may be in");
    wrong(
        "route = \"hole\"",
        "route = \"hole\"\nfar = 1",
        12,
        7,
        "only `registers` takes one",
    );
    wrong(
        "route = \"hole\"",
        "at = \"user\"\nroute = \"hole\"",
        11,
        6,
        "announces no page",
    );
    wrong(
        "[[inject]]\ntask = \"load\"",
        "[[inject]]",
        8,
        1,
        "does not say whose",
    );
    wrong(
        "[[inject]]\n",
        "[[inject]]\nany = true\n",
        10,
        8,
        "exclude each other",
    );
    wrong(
        "\"bystander\", \"bystander\"",
        "\"bystander\"",
        5,
        9,
        "at least two bystanders; this one has 1",
    );
    wrong(
        "esr = 0x92000010",
        "disr = 0x92000010",
        18,
        8,
        "does not fit this cause",
    );
    wrong("esr = 0x92000010\n", "", 14, 1, "has no `esr`");
    wrong("title = \"t\"", "title = \" \"", 1, 9, "`title` is empty");
    wrong(
        "tasks = [\"load\", \"bystander\", \"bystander\"]",
        "tasks = []",
        5,
        9,
        "0 tasks; 1 to 32 are allowed",
    );
    let esr = "esr = 0x92000010\nesr_before = [{ linux = \"six\", esr = 1, because = \"b\" }]";
    wrong("esr = 0x92000010", esr, 19, 25, "`six` is not a version");
}

#[test]
fn an_abort_by_registers_must_be_one_that_can_be_taken_there() {
    let wrong = |by: &str, line, column, told| wrong("route = \"hole\"", by, line, column, told);
    let user = "at = \"user\"\nroute = \"registers\"";
    wrong(user, 12, 9, "this route needs a `syndrome`");
    for (syndrome, told) in [
        ("0x96000010", "no abort that can be taken from EL0"),
        ("0xbe000011", "a whole ESR_EL1 of class 0x20 or 0x24"),
        ("0x100000092000010", "with bits 63:56 zero"),
        ("-1", "a syndrome is not negative"),
    ] {
        wrong(&format!("{user}\nsyndrome = {syndrome}\nfar = 0"), 13, 12, told);
    }
    wrong(
        "route = \"registers\"\nsyndrome = 0x92000010\nfar = 0",
        12,
        12,
        "no abort that can be taken from EL1",
    );
    for (syndrome, told) in [
        ("0x92000010", "set FnV, bit 10"),
        // Of a walk, and parity: bit 10 is no FnV there.
        ("0x92000417", "only fault status 0x10 has an FnV"),
        ("0x92001418", "only fault status 0x10 has an FnV"),
        ("0x92001418", "the syndrome says that FAR is valid"),
    ] {
        wrong(&format!("{user}\nsyndrome = {syndrome}"), 13, 12, told);
    }
    wrong(
        &format!("{user}\nsyndrome = 0x92000010\nfar = \"any\""),
        14,
        7,
        "is one address",
    );
}

#[test]
fn a_budget_is_one_that_can_be_kept() {
    let budget = |text: &str| format!("[budget]\n{text}\n[guest]");
    let kvm = |text: &str| format!("backends = [\"kvm\"]\n{}", budget(text));
    wrong("[guest]", &budget("pages = 2"), 4, 1, "backends = [\"kvm\"]");
    wrong("[guest]", &kvm("pages = -1"), 6, 9, "pages is 0 to 1000000");
    wrong("[guest]", &kvm("aborts = \"3\""), 6, 10, "`3` is no rate");
    wrong(
        "[guest]",
        &kvm("aborts = \"3/0s\""),
        6,
        10,
        "no span of 1s to 86400s",
    );
    wrong(
        "[guest]",
        &kvm("page = 2"),
        6,
        1,
        "unknown key `page` (did you mean `pages`?)",
    );
}

#[test]
fn broken_toml_is_an_error_at_its_place() {
    wrong("title = \"t\"", "title = ", 1, 9, "");
    wrong("cites = [\"c\"]", "cites = [\"c\"", 4, 1, "");
    wrong("teaches = \"t\"\n", "", 1, 1, "the key `teaches` is missing");
    wrong("title = \"t\"", "title = \"t\"\ntitle = \"u\"", 2, 1, "duplicate");
    for text in ["", "\0", "= 1", "[", "\u{feff}", "a = 1"] {
        let bad = parse("s.toml", text).expect_err(text);
        assert!(bad.render(false).contains("error: s.toml:1:"), "{text:?}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let text = GOOD
        .replace("\"hole\"", "\"hol\"")
        .replace("\"done\"", "\"doen\"")
        .replace("checkpoint = 1", "checkpoint = 9999");
    assert_eq!(parse("s.toml", &text).unwrap_err().problems.len(), 3);
}

#[test]
fn a_save_is_a_step_of_its_own_kind() {
    let save = |more: &str| {
        format!("route = \"save\"\n{more}\n[[inject]]\nany = true\ncheckpoint = 9\nroute = \"hole\"")
    };
    let kvm = |by: &str| {
        let text = GOOD.replacen("route = \"hole\"", by, 1).replacen(
            "\n[guest]",
            "\nbackends = [\"kvm\"]\n[guest]",
            1,
        );
        parse("s.toml", &text).map(drop).map_err(|bad| bad.to_string())
    };
    assert_eq!(kvm(&save("")), Ok(()));
    assert_eq!(kvm(&save("after = \"abort\"")), Ok(()));
    assert_eq!(kvm(&save("after = \"announcement\"\nat = \"kernel\"")), Ok(()));
    for (more, told) in [
        ("times = 2", "a step saves once"),
        ("after = \"abrt\"", "did you mean `abort`?"),
        ("at = \"user\"\nafter = \"abort\"", "announces no page"),
        ("syndrome = 1", "to save has no syndrome"),
        ("far = 1", "no FAR to choose"),
    ] {
        let bad = kvm(&save(more)).unwrap_err();
        assert!(bad.contains(told), "{more}: {bad}");
    }
    let bad = kvm("route = \"hole\"\nafter = \"abort\"").unwrap_err();
    assert!(bad.contains("this route has no `after`"), "{bad}");
    wrong("\"hole\"", "\"save\"", 11, 9, "needs a host behind the guest");
}
