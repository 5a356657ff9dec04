//! Running other programs: said before, bounded where they could hang, and with an error that names the
//! command line.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Something that this machine lacks; its text holds the line that would mend it. Exit code 3.
#[derive(Debug)]
pub(crate) struct Environment(pub(crate) String);

impl fmt::Display for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Environment {}

/// A line of progress, on stderr.
pub(crate) fn say(message: impl fmt::Display) {
    eprintln!("xtask: {message}");
}

/// The command line as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let mut words = vec![quoted(command.get_program())];
    words.extend(command.get_args().map(quoted));
    words.join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    if word.is_empty() || word.contains(|c: char| c.is_whitespace() || "'\"$&;|*?()<>".contains(c)) {
        format!("'{}'", word.replace('\'', r"'\''"))
    } else {
        word.into_owned()
    }
}

/// Where `program` is on the search path.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// The cargo that runs this xtask, so that every nested build uses the same one.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs with output on the terminal; anything but success is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs with output on the terminal.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot run `{}`", shown(command)))
}

/// Runs with output kept.
pub(crate) fn output(command: &mut Command) -> Result<Output> {
    command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run `{}`", shown(command)))
}

/// Runs and returns stdout; anything but success is an error that ends with the program's own last words.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`{}` ended with {}: {}",
            shown(command),
            output.status,
            reason(&words)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The line of a program's stderr that says most: apt's first error, or what anything else said last.
fn reason(stderr: &str) -> &str {
    let first_error = stderr.lines().find(|line| line.starts_with("E: "));
    let last = || stderr.lines().rev().find(|line| !line.trim().is_empty());
    first_error.or_else(last).unwrap_or("no message").trim()
}

/// How a bounded run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit status; `None` when the time was up and the program was killed.
    pub(crate) status: Option<ExitStatus>,
    /// What it wrote to stdout, bounded by [`OUTPUT_LIMIT`].
    pub(crate) text: String,
}

/// What is kept of a program's output: a flood ends a run early but does not fill the memory.
const OUTPUT_LIMIT: usize = 16 << 20;

/// Runs with stdout kept, and copied line by line to ours if `echo`; killed when `limit` is over.
pub(crate) fn bounded(command: &mut Command, limit: Duration, echo: bool) -> Result<Ended> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{}`", shown(command)))?;
    let stdout = child.stdout.take().context("the child has no stdout")?;
    let (sender, receiver) = mpsc::channel();
    // Not joined on the way of a timeout: a grandchild may hold the pipe open after the child is dead.
    thread::spawn(move || sender.send(read_lines(stdout, echo)));
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            break None;
        }
        thread::sleep(Duration::from_millis(10));
    };
    let text = receiver.recv_timeout(Duration::from_secs(2)).unwrap_or_default();
    Ok(Ended { status, text })
}

fn read_lines(source: impl Read, echo: bool) -> String {
    let mut reader = BufReader::new(source);
    let mut kept = String::new();
    let mut line = Vec::new();
    while let Ok(1..) = reader.by_ref().take(1 << 16).read_until(b'\n', &mut line) {
        if echo {
            // A closed terminal is no reason to stop counting.
            let _ = std::io::stdout().write_all(&line);
        }
        if kept.len() < OUTPUT_LIMIT {
            kept.push_str(&String::from_utf8_lossy(&line));
        }
        line.clear();
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::{bounded, reason, shown};

    #[test]
    fn command_line_is_shown_as_typed() {
        let mut command = Command::new("dpkg-deb");
        command.args(["-x", "a b.deb", ""]);
        assert_eq!(shown(&command), "dpkg-deb -x 'a b.deb' ''");
    }

    #[test]
    fn reason_is_the_first_error_of_apt_or_the_last_line() {
        assert_eq!(
            reason("W: old\nE: no mirror\nE: some files failed\n"),
            "E: no mirror"
        );
        assert_eq!(reason("warning: x\nerror: y\n\n"), "error: y");
        assert_eq!(reason(""), "no message");
    }

    #[test]
    fn bounded_run_keeps_the_output() {
        let ended = bounded(Command::new("echo").arg("ok 1 x"), Duration::from_secs(10), false).unwrap();
        assert!(ended.status.is_some_and(|status| status.success()));
        assert_eq!(ended.text, "ok 1 x\n");
    }

    #[test]
    fn program_that_hangs_is_killed() {
        let ended = bounded(Command::new("sleep").arg("30"), Duration::from_millis(50), false).unwrap();
        assert!(ended.status.is_none());
    }
}
