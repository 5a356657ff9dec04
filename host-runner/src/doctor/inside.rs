//! The lab, seen from inside: this command runs there again, and its rows come out.

use std::time::Duration;

use super::rows::{Rows, Started};
use crate::backend::Missing;
use crate::escape;
use crate::lab::{Lab, Line, Orders, SessionEnd};

/// What the lab may need to boot, to answer and to switch off.
const WALL: Duration = Duration::from_secs(120);
/// Where the guest's Image lies inside; the lab puts it there.
const IMAGE: &str = "/seawall.Image";

/// Boots the lab and asks in it.
///
/// # Errors
/// [`Missing`] when it cannot be booted, or does not answer.
pub fn look(lab: &Lab) -> Result<Vec<Rows>, Missing> {
    let orders = Orders {
        arguments: &command(),
        files: &[],
        wall: WALL,
        outside: false,
        nested: false,
    };
    follow(|line| lab.session(orders, line))
}

fn command() -> Vec<String> {
    [
        "doctor",
        "--backend",
        "kvm",
        "--format",
        "ndjson",
        "--image",
        IMAGE,
    ]
    .map(str::to_owned)
    .to_vec()
}

fn follow(
    session: impl FnOnce(&mut dyn FnMut(Line<'_>)) -> Result<SessionEnd, Missing>,
) -> Result<Vec<Rows>, Missing> {
    let mut rows = Vec::new();
    let end = session(&mut |line| match line {
        Line::Out(text) => match serde_json::from_str(text) {
            Ok(row) => rows.push(from_inside(row)),
            Err(_) => say!("lab: {}", escape::text(text)),
        },
        Line::Err(text) => say!("lab: {}", escape::text(text)),
        Line::Kernel(_) | Line::File(_) => {}
    })?;
    let what = match end {
        SessionEnd::Exited(_) if rows.iter().any(|row| matches!(row, Rows::Backend(_))) => return Ok(rows),
        SessionEnd::Exited(code) => {
            format!("the command inside ended with code {code} and said nothing of use")
        }
        SessionEnd::Lost(seen) => format!("the lab was lost: {seen}"),
    };
    Err(Missing {
        what,
        fix: "cargo xtask build   (so that the lab's init is this command)".into(),
    })
}

/// What is the host's own KVM in there is the lab out here.
fn from_inside(row: Rows) -> Rows {
    let name = |name: &mut String| {
        if name == "kvm" {
            "lab".clone_into(name);
        }
    };
    match row {
        Rows::DoctorStarted(started) => Rows::DoctorStarted(Started {
            on: "lab".into(),
            ..started
        }),
        Rows::Backend(mut row) => {
            name(&mut row.id);
            name(&mut row.name);
            if row.ok == Some(true) {
                row.value = "the lab's own KVM".into();
            }
            Rows::Backend(row)
        }
        Rows::Route(mut route) => {
            route.on.iter_mut().for_each(name);
            route.not.iter_mut().for_each(|lack| name(&mut lack.backend));
            Rows::Route(route)
        }
        fact @ Rows::Fact(_) => fact,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKEND: &str =
        r#"{"event":"backend","id":"kvm","name":"kvm","value":"v","ok":true,"costs":null,"fix":null}"#;

    #[test]
    fn rows_come_out_under_the_labs_name() {
        let rows = follow(|line| {
            line(Line::Kernel("boot"));
            line(Line::Out(
                r#"{"event":"doctor-started","schema":1,"version":"0","on":"host"}"#,
            ));
            line(Line::Out("no row"));
            line(Line::Out(BACKEND));
            line(Line::Out(
                r#"{"event":"route","id":"uffd","name":"uffd","value":"v","ok":false,"costs":"c","fix":"f","planned":true,"on":["kvm"],"not":[{"backend":"kvm","reason":"r","fix":"f"}],"later":1}"#,
            ));
            Ok(SessionEnd::Exited(0))
        })
        .unwrap();
        let [
            Rows::DoctorStarted(started),
            Rows::Backend(backend),
            Rows::Route(route),
        ] = rows.as_slice()
        else {
            panic!("{rows:?}")
        };
        assert_eq!((started.on.as_str(), backend.id.as_str()), ("lab", "lab"));
        assert_eq!(route.on, ["lab"]);
        assert_eq!(route.not.first().unwrap().backend, "lab");
    }

    #[test]
    fn a_lab_that_does_not_answer_is_missing() {
        for end in [
            SessionEnd::Exited(0),
            SessionEnd::Exited(2),
            SessionEnd::Lost("panic".into()),
        ] {
            let missing = follow(|line| {
                line(Line::Err("hm"));
                Ok(end.clone())
            });
            assert!(missing.is_err(), "{end:?}");
        }
        // Rows of a lab that was lost are half of an answer.
        let lost = follow(|line| {
            line(Line::Out(BACKEND));
            Ok(SessionEnd::Lost("panic".into()))
        });
        assert!(lost.unwrap_err().what.contains("panic"));
    }
}
