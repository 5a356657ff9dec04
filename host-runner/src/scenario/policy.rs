//! What is to become of a program that met an error: the words of `[guest.policy]`, which are the boot arguments' own.

use std::fmt;

use super::check::Checker;
use super::raw::Text;
use super::words::nearest;

/// More restarts than this are a mistake.
const MOST_RESTARTS: u32 = 1000;
/// The longest window, in milliseconds: a day.
const LONGEST_WINDOW: u32 = 86_400_000;

/// A policy that the guest knows: `isolate`, `restart:3/10s`, `nosignal+kill`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy(String);

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Checker {
    pub(super) fn policy(&mut self, policy: &Text) -> Option<Policy> {
        let text = policy.get_ref();
        let remedy = ["signal+", "nosignal+"]
            .iter()
            .find_map(|first| text.strip_prefix(first))
            .unwrap_or(text);
        let Err((message, help)) = check(remedy) else {
            return Some(Policy(text.clone()));
        };
        self.problem(policy.span(), message, Some(help));
        None
    }
}

/// Checks a policy without what stands before `+`. The error is what is wrong, and what would not be.
fn check(remedy: &str) -> Result<(), (String, String)> {
    if remedy == "kill" || remedy == "isolate" {
        return Ok(());
    }
    let Some(limit) = remedy.strip_prefix("restart:") else {
        let meant = nearest(remedy, ["kill", "isolate", "restart:3"]);
        let help = meant.map_or(
            "a policy is kill, isolate, restart:N or restart:N/10s, each also behind signal+ or nosignal+"
                .to_owned(),
            |meant| format!("did you mean `{meant}`?"),
        );
        return Err((format!("`{remedy}` is not a policy"), help));
    };
    let (limit, window) = match limit.split_once('/') {
        None => (limit, None),
        Some((limit, window)) => (limit, Some(window)),
    };
    if !limit
        .parse::<u32>()
        .is_ok_and(|limit| (1..=MOST_RESTARTS).contains(&limit))
    {
        let help = format!("restart:1 to restart:{MOST_RESTARTS}");
        return Err((format!("`{remedy}` has no usable limit"), help));
    }
    if window.is_some_and(|window| !is_window(window)) {
        let help = "restart:3/10s or restart:3/500ms, up to a day".to_owned();
        return Err((format!("`{remedy}` has no usable window"), help));
    }
    Ok(())
}

fn is_window(text: &str) -> bool {
    let (digits, unit) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 1),
        None => (text.strip_suffix('s').unwrap_or_default(), 1000),
    };
    digits
        .parse::<u32>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .is_some_and(|milliseconds| (1..=LONGEST_WINDOW).contains(&milliseconds))
}
