//! `seawall explain`: a syndrome as bits with its fields under them, and in a sentence.

use std::io::{self, Write};

use anstream::AutoStream;
use clap::{Args, ValueEnum};
use seawall_agent::explain::{Explanation, KEYS};
use seawall_agent::syndrome::{Disr, Esr};
use serde_json::{Map, Value};

use super::{ColourChoice, Exit, complain};
use crate::width;

mod diagram;

/// What `seawall explain` can be told.
#[derive(Args, Debug)]
pub struct ExplainArguments {
    /// The register's value: hexadecimal, with or without 0x and underscores
    #[arg(allow_hyphen_values = true)]
    pub value: String,
    /// Which register it is
    #[arg(long = "as", value_enum, default_value = "esr")]
    pub register: Register,
    /// How to explain
    #[arg(long, value_enum, default_value = "text")]
    pub format: ExplainFormat,
    /// When to use colours
    #[arg(long, value_enum, default_value = "auto")]
    pub color: ColourChoice,
}

/// A register.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Register {
    /// `ESR_ELx`
    Esr,
    /// `DISR_EL1`
    Disr,
}

impl Register {
    const fn name(self) -> &'static str {
        match self {
            Self::Esr => "ESR_ELx",
            Self::Disr => "DISR_EL1",
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Esr => "esr",
            Self::Disr => "disr",
        }
    }

    /// Explains a value. Every value has an explanation.
    #[must_use]
    pub fn explain(self, value: u64) -> Explanation {
        match self {
            Self::Esr => seawall_agent::explain(Esr(value)),
            Self::Disr => seawall_agent::explain_disr(Disr(value)),
        }
    }
}

/// How to explain.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum ExplainFormat {
    /// For people
    Text,
    /// One JSON object
    Json,
}

/// Explains one value.
#[must_use]
pub fn explain(arguments: &ExplainArguments) -> Exit {
    let value = match parse(&arguments.value) {
        Ok(Parsed { value, note }) => {
            if let Some(note) = note {
                say!("seawall: {note}");
            }
            value
        }
        Err(reason) => {
            say!("error: {reason}");
            say!("  a value is hexadecimal, up to 16 digits: 0xbe001811, be001811, 0x9200_0010");
            return Exit::Usage;
        }
    };
    let explanation = arguments.register.explain(value);
    let mut out = AutoStream::new(io::stdout(), arguments.color.anstream());
    let written = match arguments.format {
        ExplainFormat::Text => text(arguments.register, value, &explanation, &mut out),
        ExplainFormat::Json => writeln!(out, "{}", json(arguments.register, value, &explanation)),
    };
    complain::about_writing(written.and_then(|()| out.flush()))
}

fn text(register: Register, value: u64, explanation: &Explanation, out: &mut dyn Write) -> io::Result<()> {
    diagram::draw(register.name(), value, explanation, width::of_stdout(), out)?;
    if register == Register::Esr && looks_like_disr(value) {
        writeln!(out, "\nif this is DISR_EL1: seawall explain {value:#x} --as disr")?;
    }
    Ok(())
}

/// Whether a value of ESR_ELx is more probably one of DISR_EL1. DISR_EL1.A is bit 31, and bits 30 to 25 of that register
/// are zero [Arm ARM, "DISR_EL1"]; read as ESR_ELx that is an Instruction Abort with IL = 0, and each has IL = 1
/// [Arm ARM, "ESR_EL1", IL].
const fn looks_like_disr(value: u64) -> bool {
    value >> 25 == 0x40
}

/// The explanation as JSON: Arm's field names in lower case with numbers, `null` where a field means nothing here or
/// does not exist in this class; and `register`, `value`, `class`, `severity` and `summary`. All keys are always there.
#[must_use]
pub fn json(register: Register, value: u64, explanation: &Explanation) -> Value {
    let mut object = Map::new();
    object.insert("register".into(), register.word().into());
    object.insert("value".into(), format!("{value:#x}").into());
    object.insert("class".into(), explanation.class.into());
    object.insert(
        "severity".into(),
        explanation.severity.map(|severity| severity.name()).into(),
    );
    object.insert("summary".into(), explanation.summary.to_string().into());
    for key in KEYS {
        let field = explanation
            .fields
            .iter()
            .find(|field| field.name == key && field.absent.is_none());
        object.insert(key.into(), field.map(|field| field.value).into());
    }
    if register == Register::Esr {
        object.insert("iss".into(), Esr(value).iss().into());
    }
    Value::Object(object)
}

/// A value, and what is to be said about how it was read.
#[derive(PartialEq, Eq, Debug)]
pub struct Parsed {
    /// The value.
    pub value: u64,
    /// A word of caution.
    pub note: Option<String>,
}

/// Reads a value as people paste it: surrounding blanks, quotes and punctuation go, underscores and apostrophes between
/// digits too. Without 0x it is hexadecimal as well, because that is how syndromes are printed; when it could have been
/// meant as decimal, the note says so.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str) -> Result<Parsed, String> {
    let trimmed = text.trim_matches(|c: char| {
        c.is_whitespace()
            || matches!(
                c,
                '"' | '\'' | '`' | ',' | ';' | '.' | ':' | '(' | ')' | '[' | ']'
            )
    });
    let prefixed = trimmed.strip_prefix("0x").or_else(|| trimmed.strip_prefix("0X"));
    let digits: String = prefixed
        .unwrap_or(trimmed)
        .chars()
        .filter(|c| *c != '_')
        .collect();
    if digits.is_empty() {
        return Err("there is no value".into());
    }
    if let Some(wrong) = digits.chars().find(|c| !c.is_ascii_hexdigit()) {
        return Err(format!("`{}` is not a hexadecimal digit", wrong.escape_default()));
    }
    let significant = digits.trim_start_matches('0');
    let decimal = digits
        .bytes()
        .all(|digit| digit.is_ascii_digit())
        .then(|| digits.parse::<u64>().ok())
        .flatten();
    if significant.len() > 16 {
        // Too long for hexadecimal, so it cannot have been meant so.
        return match (decimal, prefixed) {
            (Some(value), None) => Ok(Parsed {
                value,
                note: Some(format!("read as decimal: {value:#x}")),
            }),
            _ => Err(format!(
                "{} hexadecimal digits are more than 64 bits",
                significant.len()
            )),
        };
    }
    let value = if significant.is_empty() {
        0
    } else {
        u64::from_str_radix(significant, 16).map_err(|error| error.to_string())?
    };
    let note = decimal
        .filter(|_| prefixed.is_none() && value > 9)
        .map(|decimal| format!("read as hexadecimal, {value:#x}; if it is decimal, ask for {decimal:#x}"));
    Ok(Parsed { value, note })
}

#[cfg(test)]
mod tests;
