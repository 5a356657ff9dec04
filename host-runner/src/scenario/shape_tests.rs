//! Files of the wrong shape: what serde says of them comes out in this project's words, with a hint.

use super::parse;
use super::tests::GOOD;
use super::wrong_tests::wrong;

/// Each piece of the good scenario, what stands in its place, where that is found wrong, and message and hint.
#[test]
fn each_mistake_of_shape_has_its_own_hint() {
    for (piece, by, line, column, told) in [
        (
            "route = \"hole\"\n",
            "",
            8,
            1,
            "the key `route` is missing (`route` is one of hole, serror, registers, uffd,",
        ),
        (
            "decision = \"kill\"\n",
            "",
            14,
            1,
            "`decision` is one of carry-on, heal, fail-copy,",
        ),
        ("end = \"done\"\n", "", 12, 1, "`end` is one of done, halted,"),
        (
            "[guest]\n",
            "",
            5,
            2,
            "the key `tasks` is missing (tasks = [\"load\",",
        ),
        (
            "cites = [\"c\"]\n",
            "",
            1,
            1,
            "the key `cites` is missing (cites = [",
        ),
        (
            "[[inject]]",
            "[inject]",
            8,
            1,
            "found a table (write `[[inject]]`, in double brackets",
        ),
        (
            "[[expect.abort]]",
            "[expect.abort]",
            14,
            1,
            "write `[[expect.abort]]`, in double brackets",
        ),
        (
            "end = \"done\"\n",
            "end = \"done\"\npending = { handled = 1 }\n",
            14,
            11,
            "a list of tables, each in double brackets",
        ),
        (
            "[guest]",
            "[[guest]]",
            4,
            1,
            "write `[guest]`, in single brackets",
        ),
        (
            "[\"load\", \"bystander\", \"bystander\"]",
            "\"load\"",
            5,
            9,
            "expected a list, found a string: \"load\" (in brackets: [\"load\"])",
        ),
        (
            "checkpoint = 1",
            "checkpoint = \"1\"",
            10,
            14,
            "expected a number, found a string: \"1\" (a number without quotes: 1)",
        ),
        (
            "esr = 0x92000010",
            "esr = \"0x9200_0010\"",
            18,
            7,
            "a number without quotes: 0x9200_0010",
        ),
        (
            "checkpoint = 1",
            "checkpoint = \"one\"",
            10,
            14,
            "(a number without quotes)",
        ),
        ("checkpoint = 1", "checkpoint = 1.5", 10, 14, "a whole number"),
        (
            "checkpoint = 1",
            "checkpoint = 1\nany = \"true\"",
            11,
            7,
            "true or false, without quotes",
        ),
        (
            "\"kill\"\n[expect.tasks]",
            "5\n[expect.tasks]",
            21,
            12,
            "in quotes: \"5\"",
        ),
    ] {
        wrong(piece, by, line, column, told);
    }
}

#[test]
fn a_number_that_is_too_large_is_told_with_the_range_of_its_key() {
    let bits_65 = "0x10000000000000000";
    for (piece, key, line, column, range) in [
        (
            "esr = 0x92000010",
            "esr",
            18,
            7,
            "a syndrome is 0x0 to 0x7fffffffffffffff",
        ),
        (
            "far = 0x50000040",
            "far",
            19,
            7,
            "in quotes: \"0x10000000000000000\"",
        ),
        ("checkpoint = 1", "checkpoint", 10, 14, "checkpoint is 0 to 4095"),
    ] {
        wrong(piece, &format!("{key} = {bits_65}"), line, column, range);
    }
    wrong(
        "esr = 0x92000010",
        "esr = 0x8000000000000000",
        18,
        7,
        "0x8000000000000000 is out of range",
    );
    wrong(
        "checkpoint = 1",
        &format!("checkpoint = {}", "9".repeat(60)),
        10,
        14,
        "the number is too large",
    );
}

/// One mistake is told once: what follows from it is not wrong too, and no hint names what does not exist.
#[test]
fn a_wrong_name_among_the_tasks_is_the_one_thing_that_is_wrong() {
    let tasks = "[\"load\", \"bystander\", \"bystander\"]";
    for (by, hint) in [
        ("[\"lod\", \"bystander\", \"bystander\"]", "did you mean `load`?"),
        ("[]", "tasks = [\"load\","),
    ] {
        let bad = parse("s.toml", &GOOD.replacen(tasks, by, 1)).expect_err(by);
        assert_eq!(bad.problems.len(), 1, "{bad}");
        assert!(bad.to_string().contains(hint), "{bad}");
    }
    let text = GOOD.replacen(tasks, "[\"xyzzy\", \"bystander\", \"bystander\"]", 1);
    let bad = parse("s.toml", &text).unwrap_err();
    assert!(bad.problems.len() > 1, "{bad}");
    for problem in bad.problems.iter().skip(1) {
        let help = problem.help.as_deref().unwrap_or_default();
        assert!(!help.contains("xyzzy") && !help.ends_with("one of "), "{bad}");
        assert!(
            help.contains("one of bystander, or `load` among `tasks`"),
            "{bad}"
        );
    }
    wrong(
        "[[inject]]\ntask = \"load\"",
        "[[inject]]\ntask = \"store\"",
        9,
        8,
        "one of load, bystander, or `store` among `tasks` in [guest]",
    );
}
