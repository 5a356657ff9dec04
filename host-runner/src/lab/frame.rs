//! What passes over the lab's serial line: one line of text each, marked so that the kernel's own cannot be taken for it.
//!
//! A frame is a mark, a letter for its kind, the text, a second mark and a newline. Whatever is no whole frame is the
//! kernel's: boot messages, a panic, or a frame that a panic broke into.

use super::Line;

const BEGIN: u8 = 0x1e;
const END: u8 = 0x1f;
/// What is longer is cut into several.
pub(crate) const LONGEST: usize = 16 << 20;

/// What a frame says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Frame<'a> {
    /// A line for the caller.
    Line(Line<'a>),
    /// The inner command has ended with this code.
    Exit(i32),
    /// The inside asks its outside.
    Question(&'a str),
    /// The outside answers: the one frame that goes in.
    Answer(&'a str),
}

/// A frame's letter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Out,
    Err,
    Kernel,
    File,
    Exit,
    Question,
    Answer,
}

impl Kind {
    const fn letter(self) -> u8 {
        match self {
            Self::Out => b'O',
            Self::Err => b'E',
            Self::Kernel => b'K',
            Self::File => b'F',
            Self::Exit => b'X',
            Self::Question => b'Q',
            Self::Answer => b'A',
        }
    }
}

/// A frame's bytes. Newlines in the text would end it, and are made spaces.
pub(crate) fn encode(kind: Kind, text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() + 4);
    bytes.extend([BEGIN, kind.letter()]);
    bytes.extend(text.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }));
    bytes.extend([END, b'\n']);
    bytes
}

/// What a line from the serial port says; its newline is gone already.
pub(crate) fn decode(line: &str) -> Frame<'_> {
    let kernel = Frame::Line(Line::Kernel(line.trim_end_matches(['\r', '\n'])));
    let Some(framed) = line
        .strip_prefix(char::from(BEGIN))
        .and_then(|rest| rest.strip_suffix(char::from(END)))
    else {
        return kernel;
    };
    let mut text = framed.chars();
    match text.next() {
        Some('O') => Frame::Line(Line::Out(text.as_str())),
        Some('E') => Frame::Line(Line::Err(text.as_str())),
        Some('F') => Frame::Line(Line::File(text.as_str())),
        Some('K') => Frame::Line(Line::Kernel(text.as_str())),
        Some('Q') => Frame::Question(text.as_str()),
        Some('A') => Frame::Answer(text.as_str()),
        Some('X') => text.as_str().parse().map_or(kernel, Frame::Exit),
        _ => kernel,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(kind: Kind, text: &str) -> String {
        let bytes = encode(kind, text.as_bytes());
        let line = String::from_utf8(bytes).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        format!("{:?}", decode(line.strip_suffix('\n').unwrap()))
    }

    #[test]
    fn each_kind_comes_back_as_it_went() {
        assert_eq!(
            there_and_back(Kind::Out, "{\"a\":1}\r"),
            r#"Line(Out("{\"a\":1}\r"))"#
        );
        assert_eq!(there_and_back(Kind::Err, ""), r#"Line(Err(""))"#);
        assert_eq!(there_and_back(Kind::Kernel, "oops"), r#"Line(Kernel("oops"))"#);
        assert_eq!(
            there_and_back(Kind::File, "a 0 AA=="),
            r#"Line(File("a 0 AA=="))"#
        );
        assert_eq!(
            there_and_back(Kind::Question, "1 mend 0"),
            r#"Question("1 mend 0")"#
        );
        assert_eq!(there_and_back(Kind::Answer, "1 done"), r#"Answer("1 done")"#);
        assert_eq!(there_and_back(Kind::Exit, "-1"), "Exit(-1)");
        assert_eq!(there_and_back(Kind::Exit, "124"), "Exit(124)");
    }

    #[test]
    fn marks_inside_of_a_text_stay_text() {
        assert_eq!(
            there_and_back(Kind::Out, "\x1eX0\x1f"),
            r#"Line(Out("\u{1e}X0\u{1f}"))"#
        );
        assert_eq!(there_and_back(Kind::Out, "a\nb"), r#"Line(Out("a b"))"#);
    }

    #[test]
    fn what_is_no_whole_frame_is_the_kernels() {
        for line in [
            "[    3.1] Kernel panic - not syncing",
            "\u{1e}O{\"half\":[    3.1] Kernel panic",
            "\u{1e}X\u{1f}",
            "\u{1e}Xnone\u{1f}",
            "\u{1e}Z?\u{1f}",
            "\u{1e}\u{1f}",
            "",
        ] {
            assert_eq!(decode(line), Frame::Line(Line::Kernel(line)));
        }
        assert_eq!(decode("boot\r"), Frame::Line(Line::Kernel("boot")));
    }
}
