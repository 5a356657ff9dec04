//! Words for people, on standard error.
//!
//! `eprintln!` panics where nobody reads any more (`2>&1 | head -1`), and a run is worth more than what is said beside it.

use std::fmt::Arguments;
use std::io::{self, Write};

/// A line on standard error, as `eprintln!` has it; that it cannot be written ends nothing.
macro_rules! say {
    ($($words:tt)*) => {
        $crate::say::line(format_args!($($words)*))
    };
}

/// A line.
pub(crate) fn line(words: Arguments<'_>) {
    text(&format!("{words}\n"));
}

/// Text that ends its own lines.
pub(crate) fn text(text: &str) {
    to(&mut io::stderr().lock(), text);
}

fn to(stream: &mut impl Write, text: &str) {
    // There is no other place to say that this one is gone.
    let _ = stream.write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn what_nobody_reads_ends_nothing() {
        super::to(&mut Closed, "words\n");
    }
}
