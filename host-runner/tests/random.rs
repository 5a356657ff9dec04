//! Errors that a seed draws: the same seed draws the same, and the guest answers the same; another does not.
//!
//! These tests need QEMU and what `cargo xtask build` makes, and so are no part of a plain `cargo test`: `cargo xtask
//! test` runs them after its build, by `cargo test --package seawall-host-runner --test random`.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What a run of `random-thousands` from this seed says of what was drawn, once it has passed.
fn drawn(seed: &str) -> Value {
    let artefacts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/seawall");
    let output = Command::new(env!("CARGO_BIN_EXE_seawall"))
        .args([
            "run",
            "=random-thousands",
            "--backend",
            "qemu",
            "--format",
            "ndjson",
        ])
        .args(["--seed", seed, "--artefacts"])
        .arg(
            artefacts
                .canonicalize()
                .expect("there is target/seawall, by `cargo xtask build`"),
        )
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let events: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |kind: &str| {
        events
            .iter()
            .find(|event| event["event"] == kind)
            .unwrap()
            .clone()
    };
    let verdict = of("verdict");
    assert_eq!(
        (&verdict["verdict"], &verdict["aborts"]),
        (&"pass".into(), &2000.into()),
        "{verdict}"
    );
    of("random")
}

#[test]
fn the_same_seed_draws_the_same_and_another_does_not() {
    let (first, again, other) = (drawn("7"), drawn("0x7"), drawn("8"));
    assert_eq!((&first["seed"], &first["errors"]), (&7.into(), &2000.into()));
    assert_eq!(first, again);
    for digest in ["decisions", "journal"] {
        assert_ne!(first[digest], other[digest], "{digest}");
    }
}

#[test]
fn a_seed_is_for_scenarios_that_draw() {
    for (arguments, told) in [
        (["run", "=load", "--seed", "7"], "none of these does"),
        (
            ["run", "=random-thousands", "--seed", "-1"],
            "unexpected argument",
        ),
        (
            ["run", "=random-thousands", "--seed", "0x8000000000000000"],
            "a seed is a number from 0",
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_seawall"))
            .args(arguments)
            .output()
            .unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(told), "{errors}");
    }
}
