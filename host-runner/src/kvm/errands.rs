//! What a vCPU's thread has another thread say to the lab's outside: its sandbox lets it speak to nobody.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use crate::lab::outside::Outside;

/// A thread that holds the line to the outside, and does one errand at a time.
#[derive(Debug)]
pub(super) struct Errands {
    ask: Sender<Errand>,
    answers: Receiver<Result<(), String>>,
}

#[derive(Debug)]
enum Errand {
    Break { page: u64, known: u64, host: usize },
    Mend(Option<u64>),
}

impl Errands {
    /// Opens the line.
    ///
    /// # Errors
    /// As [`Outside::open`], and when the host gives no thread.
    pub(super) fn open() -> io::Result<Self> {
        let mut outside = Outside::open()?;
        let (ask, asked) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        thread::Builder::new().name("outside".into()).spawn(move || {
            for errand in asked {
                let done = match errand {
                    Errand::Break { page, known, host } => outside.break_at(page, known, host),
                    Errand::Mend(page) => outside.mend(page),
                };
                if answer.send(done).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { ask, answers })
    }

    /// See [`Outside::break_at`].
    pub(super) fn break_at(&self, page: u64, known: u64, host: usize) -> Result<(), String> {
        self.run(Errand::Break { page, known, host })
    }

    /// See [`Outside::mend`].
    pub(super) fn mend(&self, page: Option<u64>) -> Result<(), String> {
        self.run(Errand::Mend(page))
    }

    fn run(&self, errand: Errand) -> Result<(), String> {
        let gone = || "the thread that speaks to the lab's outside has ended".to_owned();
        self.ask.send(errand).map_err(|_| gone())?;
        self.answers.recv().map_err(|_| gone())?
    }
}
