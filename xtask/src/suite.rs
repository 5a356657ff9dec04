//! `cargo xtask test`: every check, all of them run whatever the others say, and one line that counts them.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::process::say;
use crate::setup::Ready;
use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{artefacts, bad_input, bench, boots, doctor, fuzz, mutants, setup, steps};

/// For each target. An hour by hand: `cargo xtask fuzz --seconds 3600`.
const FUZZ_SECONDS: u32 = 60;

/// What a step's counts are counts of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One check, or the numbers of the bench.
    Check,
    HostTests,
    /// Some of the host tests again, under Miri.
    Miri,
    Scenarios(&'static str),
    Boots,
    /// What must fail, and does so in the right way.
    BadInput,
}

/// A step that was run.
#[derive(Debug)]
struct Done {
    name: &'static str,
    kind: Kind,
    tally: Tally,
    time: Duration,
}

/// The steps so far.
#[derive(Debug, Default)]
struct Suite {
    done: Vec<Done>,
}

impl Suite {
    fn step(&mut self, name: &'static str, kind: Kind, check: impl FnOnce() -> Result<Tally>) -> bool {
        println!("\n== {name}");
        let start = Instant::now();
        let tally = check().unwrap_or_else(|error| {
            say(format!("error: {name}: {error:#}"));
            Tally::FAILED
        });
        let time = start.elapsed();
        println!("== {name}: {} ({:.1} s)", word(tally), time.as_secs_f32());
        self.done.push(Done {
            name,
            kind,
            tally,
            time,
        });
        tally.failed == 0
    }

    fn sum(&self, is_meant: impl Fn(Kind) -> bool) -> Tally {
        let mut sum = Tally::default();
        for done in self.done.iter().filter(|done| is_meant(done.kind)) {
            sum += done.tally;
        }
        sum
    }

    /// The table, a line for each thing counted, and the total alone on the last line.
    fn summary(&self) -> String {
        let mut text = format!(
            "\n{:38} {:>8} {:>8} {:>8} {:>9}\n",
            "", "passed", "failed", "skipped", "time"
        );
        for Done {
            name, tally, time, ..
        } in &self.done
        {
            let Tally {
                passed,
                failed,
                skipped,
            } = tally;
            let seconds = time.as_secs_f32();
            text.push_str(&format!(
                "{name:38} {passed:>8} {failed:>8} {skipped:>8} {seconds:>7.1} s\n"
            ));
        }
        text.push('\n');
        let counted = [
            ("host tests", Kind::HostTests),
            ("Miri", Kind::Miri),
            ("scenarios on qemu", Kind::Scenarios("qemu")),
            ("scenarios on lab", Kind::Scenarios("lab")),
            ("scenarios on lab, older kernel", Kind::Scenarios("older")),
            ("boots", Kind::Boots),
            ("bad input", Kind::BadInput),
        ];
        for (name, kind) in counted {
            if self.done.iter().any(|done| done.kind == kind) {
                text.push_str(&format!("{name}: {}\n", self.sum(|other| other == kind)));
            }
        }
        text.push_str(&format!("{}\n", self.sum(|_| true)));
        text
    }
}

fn word(tally: Tally) -> &'static str {
    match tally {
        Tally { failed: 1.., .. } => "FAILED",
        Tally {
            passed: 0,
            skipped: 1..,
            ..
        } => "skipped",
        Tally { passed: 0, .. } => "left out",
        Tally { .. } => "ok",
    }
}

pub(crate) fn run(workspace: &Workspace, kernel: Option<&Path>, quick: bool) -> Result<ExitCode> {
    let ready = setup::run(workspace, kernel, setup::Scope::Test)?;
    let mut suite = Suite::default();
    checks(&mut suite, workspace, &ready, quick);
    on_target(&mut suite, workspace, &ready, quick);
    print!("{}", suite.summary());
    Ok(ExitCode::from(u8::from(suite.sum(|_| true).failed > 0)))
}

/// What needs nothing but a compiler.
fn checks(suite: &mut Suite, workspace: &Workspace, ready: &Ready, quick: bool) {
    suite.step("format", Kind::Check, || steps::format(workspace));
    suite.step("clippy, host", Kind::Check, || steps::clippy_host(workspace));
    suite.step("licences and sources", Kind::Check, || steps::deny(workspace));
    suite.step("host tests", Kind::HostTests, || steps::host_tests(workspace));
    suite.step("documentation tests", Kind::HostTests, || {
        steps::documentation_tests(workspace)
    });
    if quick {
        say("left out by --quick: Miri, the boot matrix, fuzzing");
    } else {
        suite.step("Miri on agent and replay", Kind::Miri, || {
            steps::miri(workspace, ready)
        });
        suite.step("fuzzing", Kind::BadInput, || fuzz::all(workspace, FUZZ_SECONDS));
    }
}

/// What runs in a guest, or is compiled for one.
fn on_target(suite: &mut Suite, workspace: &Workspace, ready: &Ready, quick: bool) {
    let is_built = suite.step("build", Kind::Check, || {
        artefacts::build(workspace, &ready.lab)?;
        Ok(Tally::PASSED)
    });
    // After a failed build the folder may hold older artefacts, and what they do proves nothing.
    let built = |check: &dyn Fn() -> Result<Tally>| {
        if is_built {
            check()
        } else {
            bail!("not run: the build failed")
        }
    };
    suite.step("clippy, bare metal", Kind::Check, || {
        steps::clippy_bare_metal(workspace)
    });
    suite.step("clippy, static arm64", Kind::Check, || {
        steps::clippy_static_arm64(workspace)
    });
    for (name, backend) in [("scenarios on qemu", "qemu"), ("scenarios on lab", "lab")] {
        let absence = ready
            .lab
            .as_ref()
            .err()
            .filter(|_| backend == "lab")
            .map(String::as_str);
        suite.step(name, Kind::Scenarios(backend), || {
            built(&|| steps::scenarios(workspace, backend, absence))
        });
    }
    suite.step("scenarios on lab, older kernel", Kind::Scenarios("older"), || {
        built(&|| steps::scenarios_on_older(workspace, ready))
    });
    suite.step("scenarios in Linux too", Kind::Check, || {
        let absence = ready.lab.as_ref().err().map(String::as_str);
        built(&|| steps::compared(workspace, absence))
    });
    suite.step("scenarios without privileges", Kind::Check, || {
        let absence = ready.lab.as_ref().err().map(String::as_str);
        built(&|| steps::unprivileged(workspace, absence))
    });
    suite.step("doctor", Kind::Check, || {
        built(&|| doctor::ask_all(workspace, ready))
    });
    suite.step("bad input", Kind::BadInput, || {
        built(&|| bad_input::try_all(workspace))
    });
    suite.step("hostile guests", Kind::BadInput, || {
        let absence = ready.lab.as_ref().err().map(String::as_str);
        built(&|| steps::hostile_guests(workspace, absence))
    });
    suite.step("drawn errors", Kind::Check, || {
        built(&|| steps::drawn_errors(workspace))
    });
    suite.step("saved VMs", Kind::BadInput, || {
        built(&|| steps::saved_vms(workspace, ready))
    });
    suite.step("mutants caught", Kind::Check, || {
        built(&|| mutants::try_all(workspace, ready.lab.is_ok()))
    });
    if !quick {
        suite.step("boot matrix", Kind::Boots, || {
            built(&|| Ok(boots::boot_all(workspace)))
        });
    }
    suite.step("numbers", Kind::Check, || built(&|| bench::measure(workspace)));
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::{Kind, Suite};
    use crate::tally::Tally;

    #[test]
    fn last_line_counts_everything_and_nothing_else() {
        let mut suite = Suite::default();
        assert!(suite.step("a", Kind::Check, || Ok(Tally::PASSED)));
        assert!(!suite.step("b", Kind::Scenarios("qemu"), || bail!("no")));
        let three = Tally {
            passed: 3,
            failed: 0,
            skipped: 1,
        };
        assert!(suite.step("c", Kind::Scenarios("lab"), || Ok(three)));
        let summary = suite.summary();
        assert!(
            summary.ends_with("\n4 passed, 1 failed, 1 skipped\n"),
            "{summary}"
        );
        assert!(summary.contains("\nscenarios on qemu: 0 passed, 1 failed, 0 skipped\n"));
        assert!(summary.contains("\nscenarios on lab: 3 passed, 0 failed, 1 skipped\n"));
    }
}
