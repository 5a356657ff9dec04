//! Why a file is not restored.

use core::fmt;

use super::{MOST_BYTES, Section, VERSION};

/// Why bytes are not a saved VM, or cannot be made one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SavedError {
    /// It does not begin as one.
    NotSaved,
    /// Another version: {0}.
    OtherVersion(u32),
    /// It ends too soon.
    Cut {
        /// Bytes that are there.
        has: u64,
        /// Bytes that there should be.
        says: u64,
    },
    /// Bytes follow its end.
    Longer(u64),
    /// It is longer than [`MOST_BYTES`].
    TooLarge(u64),
    /// Its bytes are not those that were written.
    Altered,
    /// A section is missing.
    Missing(Section),
    /// A section is there twice.
    Double(Section),
    /// A section of a kind that this version does not know.
    UnknownSection(u32),
    /// A section ends before its content does.
    Short(Section),
    /// A section goes on behind its content.
    Rest(Section, u64),
    /// A value that does not exist, and where.
    Value(Section, &'static str, u64),
}

impl fmt::Display for SavedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSaved => f.write_str("not a saved VM"),
            Self::OtherVersion(version) => write!(
                f,
                "the file is of version {version}, and this command reads version {VERSION}"
            ),
            Self::Cut { has, says } => write!(f, "the file is cut: it has {has} bytes of {says}"),
            Self::Longer(bytes) => write!(f, "{bytes} bytes follow the file's end"),
            Self::TooLarge(bytes) => {
                write!(
                    f,
                    "{bytes} bytes are too many: a saved VM has at most {MOST_BYTES}"
                )
            }
            Self::Altered => f.write_str("the file was altered: its bytes do not have the digest it names"),
            Self::Missing(section) => write!(f, "the section `{}` is missing", section.name()),
            Self::Double(section) => write!(f, "the section `{}` is there twice", section.name()),
            Self::UnknownSection(kind) => write!(f, "section kind {kind} is not known to version {VERSION}"),
            Self::Short(section) => write!(f, "the section `{}` ends too soon", section.name()),
            Self::Rest(section, bytes) => write!(
                f,
                "the section `{}` has {bytes} bytes behind its content",
                section.name()
            ),
            Self::Value(section, what, value) => write!(
                f,
                "the section `{}` has a {what} that cannot be: {value:#x}",
                section.name()
            ),
        }
    }
}

impl core::error::Error for SavedError {}
