//! What the lab's inside asks of its outside, and what comes back: a line of text each.
//!
//! `7 break 83fff000 80200000 4a3f1000`: in the stage 2 that leads from IPA 0x80200000 to 0x4a3f1000, make the walk to
//! IPA 0x83fff000 fail. `8 mend 83fff000`: undo it. `7 done`, or `7 failed` and the reason. Each answer has its question's
//! number. Whatever is anything else is no message.

use core::fmt;

/// Bytes of a message, at most.
pub(crate) const LONGEST: usize = 512;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ask {
    /// Make walks to this page fail.
    Break {
        /// The page's IPA.
        page: u64,
        /// A page that the same stage 2 leads to...
        known: u64,
        /// ...and where: shows that it is the right one.
        frame: u64,
    },
    /// Undo it.
    Mend {
        /// The page's IPA.
        page: u64,
    },
}

/// A question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Question {
    pub(crate) number: u32,
    pub(crate) ask: Ask,
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    pub(crate) number: u32,
    pub(crate) result: Result<(), String>,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ask {
            Ask::Break { page, known, frame } => {
                write!(f, "{} break {page:x} {known:x} {frame:x}", self.number)
            }
            Ask::Mend { page } => write!(f, "{} mend {page:x}", self.number),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.result {
            Ok(()) => write!(f, "{} done", self.number),
            Err(reason) => {
                // Room for the rest of the line, whatever its characters are.
                let reason: String = reason
                    .chars()
                    .map(|c| if c.is_control() { ' ' } else { c })
                    .take(LONGEST / 4 - 24)
                    .collect();
                write!(f, "{} failed {reason}", self.number)
            }
        }
    }
}

impl Question {
    /// From a line.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let number = words.next()?.parse().ok()?;
        let word = words.next()?;
        let mut page = || {
            u64::from_str_radix(words.next()?, 16)
                .ok()
                .filter(|at| at & 0xfff == 0)
        };
        let ask = match word {
            "break" => Ask::Break {
                page: page()?,
                known: page()?,
                frame: page()?,
            },
            "mend" => Ask::Mend { page: page()? },
            _ => return None,
        };
        words.next().is_none().then_some(Self { number, ask })
    }
}

impl Answer {
    /// From a line.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (number, rest) = line.split_once(' ')?;
        let result = match rest.split_once(' ') {
            None if rest == "done" => Ok(()),
            Some(("failed", reason)) => Err(reason.to_owned()),
            _ => return None,
        };
        Some(Self {
            number: number.parse().ok()?,
            result,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_the_documented_lines_and_come_back() {
        for (line, number, ask) in [
            (
                "7 break 83fff000 80200000 4a3f1000",
                7,
                Ask::Break {
                    page: 0x83ff_f000,
                    known: 0x8020_0000,
                    frame: 0x4a3f_1000,
                },
            ),
            ("8 mend 83fff000", 8, Ask::Mend { page: 0x83ff_f000 }),
        ] {
            let question = Question { number, ask };
            assert_eq!(Question::parse(line), Some(question));
            assert_eq!(question.to_string(), line);
        }
        for (line, result) in [
            ("7 done", Ok(())),
            ("7 failed no such table", Err("no such table".into())),
        ] {
            let answer = Answer { number: 7, result };
            assert_eq!(Answer::parse(line), Some(answer.clone()));
            assert_eq!(answer.to_string(), line);
        }
    }

    #[test]
    fn everything_else_is_no_message() {
        for line in [
            "",
            "7",
            "7 break",
            "7 break 83fff000 80200000",
            "7 break 83fff000 80200000 4a3f1001",
            "7 break 83fff000 80200000 4a3f1000 0",
            "7 mend 10000000000000000",
            "7 mend -1000",
            "x mend 1000",
            "7 kill 1000",
            "4294967296 mend 1000",
        ] {
            assert_eq!(Question::parse(line), None, "{line}");
        }
        for line in ["", "7", "7 ", "done", "7 done now", "7 failed", "-1 done"] {
            assert_eq!(Answer::parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_reason_stays_one_line_that_fits() {
        let answer = Answer {
            number: u32::MAX,
            result: Err("\u{10ffff}\n".repeat(1000)),
        };
        let line = answer.to_string();
        assert!(line.len() < LONGEST && !line.contains('\n'));
        assert!(Answer::parse(&line).is_some_and(|answer| answer.result.is_err()));
    }
}
