//! What is wrong with a scenario file: the place, the reason, and what was probably meant.

use std::fmt;
use std::ops::Range;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Bytes of the text it is about.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// A scenario file that cannot be used.
#[derive(Debug)]
pub struct BadScenario {
    source: NamedSource<String>,
    text: String,
    /// Everything that is wrong with it, at least one.
    pub problems: Vec<Problem>,
}

impl BadScenario {
    pub(super) fn new(file: &str, text: &str, problems: Vec<Problem>) -> Self {
        Self {
            source: NamedSource::new(file, text.to_owned()),
            text: text.to_owned(),
            problems,
        }
    }

    /// Line and column of a problem, both counted from one; columns are characters.
    #[must_use]
    pub fn place(&self, problem: &Problem) -> (usize, usize) {
        let before = self.text.get(..problem.span.start).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        (line, column)
    }

    /// All problems for people, each with the lines it is about.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let theme = if colour {
            GraphicalTheme::unicode()
        } else {
            GraphicalTheme::unicode_nocolor()
        };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_links(false)
            .with_width(110);
        let mut out = String::new();
        for problem in &self.problems {
            let (line, column) = self.place(problem);
            // One line that editors and scripts can find, then the picture.
            out.push_str(&format!(
                "error: {}:{line}:{column}: {}\n",
                self.source.name(),
                problem.message
            ));
            let mut picture = String::new();
            let report = Report { of: self, problem };
            match handler.render_report(&mut picture, &report) {
                Ok(()) => out.push_str(without_headline(&picture)),
                Err(_) => out.push_str("  (its lines cannot be shown)\n"),
            }
        }
        out
    }
}

/// The picture alone: its first line is there for the message, which stands above it and is left out of [`Report`].
fn without_headline(picture: &str) -> &str {
    picture.split_once('\n').map_or("", |(_, rest)| rest)
}

impl fmt::Display for BadScenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let (line, column) = self.place(problem);
            let gap = if index == 0 { "" } else { "\n" };
            write!(
                f,
                "{gap}{}:{line}:{column}: {}",
                self.source.name(),
                problem.message
            )?;
            if let Some(help) = &problem.help {
                write!(f, " ({help})")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for BadScenario {}

#[derive(Debug)]
struct Report<'a> {
    of: &'a BadScenario,
    problem: &'a Problem,
}

/// Nothing: the message has been said.
impl fmt::Display for Report<'_> {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl std::error::Error for Report<'_> {}

impl Diagnostic for Report<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem
            .help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.of.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = LabeledSpan::new_with_span(Some("here".to_owned()), self.problem.span.clone());
        Some(Box::new(std::iter::once(label)))
    }
}
