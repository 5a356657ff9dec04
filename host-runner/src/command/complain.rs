//! What goes wrong before anything runs, on standard error.

use std::io;

use anstream::{AutoStream, ColorChoice};

use super::{ColourChoice, Exit};
use crate::backend::Missing;
use crate::escape;
use crate::scenario::library::LibraryError;

/// Scenarios that cannot be had.
pub fn about_library(error: &LibraryError, colour: ColourChoice) -> Exit {
    match error {
        LibraryError::Bad(bad) => {
            let colour = match colour.anstream() {
                ColorChoice::Auto => AutoStream::choice(&io::stderr()) != ColorChoice::Never,
                chosen => chosen != ColorChoice::Never,
            };
            crate::say::text(&bad.render(colour));
        }
        LibraryError::Unreadable { .. }
        | LibraryError::Empty(_)
        | LibraryError::Twice { .. }
        | LibraryError::NoMatch(_) => say!("error: {error}"),
    }
    Exit::Usage
}

/// What was asked for cannot be done.
pub fn about_usage(reason: &dyn std::fmt::Display) -> Exit {
    say!("error: {}", escape::text(&reason.to_string()));
    Exit::Usage
}

/// A path that was given by hand and is not what it has to be.
pub fn about_place(reason: &str) -> Exit {
    say!("error: {}", escape::text(reason));
    Exit::Environment
}

/// Something that the host lacks.
pub fn about_missing(backend: &str, missing: &Missing) {
    say!(
        "error: missing for backend {backend}: {}",
        escape::text(&missing.what)
    );
    if !missing.fix.is_empty() {
        say!("  fix: {}", escape::text(&missing.fix));
    }
}

/// The exit code for results that were written, or not: a reader that has gone away is no error.
pub fn about_writing(written: io::Result<()>) -> Exit {
    match written {
        Ok(()) => Exit::Pass,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Pass,
        Err(error) => {
            say!("error: cannot write: {error}");
            Exit::Environment
        }
    }
}
