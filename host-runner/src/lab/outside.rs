//! The lab's outside, as its inside sees it: somebody who can reach the machine's memory from without.
//!
//! Init listens on a socket where there is such a somebody, and hands questions on over the serial line. The outside
//! can make a walk of the guest's stage 2 fail, which no software of the machine's own can: the guest's access is then
//! a synchronous external abort that the host takes.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant, SystemTime};

use super::message::{Answer, Ask, LONGEST, Question};
use crate::backend::Missing;
use crate::pagemap::Pagemap;

/// Where init listens.
pub(super) const SOCKET: &str = "/run/outside";
/// Longer than the outside may take, and shorter than a vCPU's thread may ignore a kick.
const PATIENCE: Duration = Duration::from_secs(8);
/// A wait for bytes, after which the time is looked at.
const WAIT: Duration = Duration::from_millis(500);

/// The connection. Whatever is broken when it goes is mended.
#[derive(Debug)]
pub(crate) struct Outside {
    // Not a socket any more, so that nothing but read(2) and write(2) is called once it is open.
    line: File,
    pagemap: Pagemap,
    number: u32,
    broken: BTreeSet<u64>,
}

impl Outside {
    /// What this route needs and this host lacks, if it lacks anything.
    pub(crate) fn missing() -> Option<Missing> {
        if !std::path::Path::new(SOCKET).exists() {
            return Some(Missing {
                what: "a synchronous external abort that the host takes: it needs a real memory error (APEI EINJ), or \
                       the lab, which breaks a walk of stage 2 from outside"
                    .into(),
                fix: "seawall run --backend lab".into(),
            });
        }
        // Without it the socket is not this user's, and /proc/self/pagemap shows no frames.
        let error = UnixStream::connect(SOCKET).err()?;
        (error.kind() == io::ErrorKind::PermissionDenied).then(|| Missing {
            what: "CAP_SYS_ADMIN, without which the lab's outside cannot be told which memory is meant"
                .into(),
            fix: "run without --unprivileged".into(),
        })
    }

    /// Opens it.
    ///
    /// # Errors
    /// Where nobody listens, and without `/proc`.
    pub(crate) fn open() -> io::Result<Self> {
        // Each connection counts from elsewhere: an answer that was too late for the one before is not taken for its own.
        let first = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.subsec_nanos());
        Self::over(UnixStream::connect(SOCKET)?, first)
    }

    fn over(stream: UnixStream, number: u32) -> io::Result<Self> {
        stream.set_read_timeout(Some(WAIT))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            line: File::from(OwnedFd::from(stream)),
            pagemap: Pagemap::open()?,
            number,
            broken: BTreeSet::new(),
        })
    }

    /// Has walks to `page` fail, in the stage 2 that leads from `known` to the page behind `host` in this process.
    ///
    /// # Errors
    /// Why not, for people.
    pub(crate) fn break_at(&mut self, page: u64, known: u64, host: usize) -> Result<(), String> {
        let frame = self.frame(host)?;
        // Counted as broken whatever comes back: to mend what is whole does nothing.
        self.broken.insert(page);
        self.ask(Ask::Break { page, known, frame })
    }

    /// Undoes it: of this page, or of all where it is not known which one was met.
    ///
    /// # Errors
    /// Why not, for people.
    pub(crate) fn mend(&mut self, page: Option<u64>) -> Result<(), String> {
        let met = page.filter(|page| self.broken.contains(page));
        let pages: Vec<u64> = match met {
            Some(page) => vec![page],
            None => self.broken.iter().copied().collect(),
        };
        let mut result = Ok(());
        for page in pages {
            self.broken.remove(&page);
            result = result.and(self.ask(Ask::Mend { page }));
        }
        result
    }

    fn frame(&self, address: usize) -> Result<u64, String> {
        self.pagemap.physical(address).map_err(|error| error.to_string())
    }

    fn ask(&mut self, ask: Ask) -> Result<(), String> {
        self.number = self.number.wrapping_add(1);
        let question = Question {
            number: self.number,
            ask,
        };
        let line = format!("{question}\n");
        self.line
            .write_all(line.as_bytes())
            .map_err(|error| format!("the lab's outside is not reached: {error}"))?;
        let until = Instant::now() + PATIENCE;
        loop {
            let text = self.hear(until)?;
            match Answer::parse(&text) {
                // One that came too late for its question.
                Some(answer) if answer.number != question.number => {}
                Some(answer) => {
                    return answer
                        .result
                        .map_err(|reason| format!("the lab's outside cannot do `{question}`: {reason}"));
                }
                None => return Err(format!("the lab's outside answers {text:?} to `{question}`")),
            }
        }
    }

    /// One line, without its newline.
    fn hear(&mut self, until: Instant) -> Result<String, String> {
        let mut line = Vec::new();
        let mut byte = [0];
        while line.len() < LONGEST {
            if Instant::now() >= until {
                return Err(format!(
                    "the lab's outside did not answer within {} s",
                    PATIENCE.as_secs()
                ));
            }
            match self.line.read(&mut byte) {
                Ok(0) => return Err("the lab's outside has gone".into()),
                Ok(_) if byte == *b"\n" => return Ok(String::from_utf8_lossy(&line).into_owned()),
                Ok(_) => line.extend(byte),
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Err(format!("the lab's outside is not heard: {error}")),
            }
        }
        Err("the lab's outside answers without an end".into())
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        // Nobody is left to be told; the outside mends by itself what it is not asked to.
        let _ = self.mend(None);
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufRead;

    use super::*;

    /// Somebody outside who gives these answers, `#` standing for the question's number, and notes what was asked.
    fn outside(answers: &'static [&'static str]) -> (Outside, std::thread::JoinHandle<Vec<String>>) {
        let (here, there) = UnixStream::pair().unwrap();
        let answering = std::thread::spawn(move || {
            let mut lines = io::BufReader::new(there.try_clone().unwrap()).lines();
            let mut asked = Vec::new();
            let mut answers = answers.iter();
            while let Some(Ok(line)) = lines.next() {
                let number = line.split(' ').next().unwrap().to_owned();
                asked.push(line);
                let Some(answer) = answers.next() else { break };
                (&there)
                    .write_all(answer.replace('#', &number).as_bytes())
                    .unwrap();
            }
            asked
        });
        (Outside::over(here, 0).unwrap(), answering)
    }

    #[test]
    fn what_is_broken_is_mended_by_its_page_or_all_of_it() {
        let (mut outside, asked) = outside(&["# done\n"; 5]);
        outside.broken.extend([0x1000, 0x2000, 0x3000]);
        outside.mend(Some(0x2000)).unwrap();
        // A page that is not broken was met: by whom is not known.
        outside.mend(Some(0x9000)).unwrap();
        outside.broken.insert(0x4000);
        drop(outside);
        assert_eq!(
            asked.join().unwrap(),
            ["1 mend 2000", "2 mend 1000", "3 mend 3000", "4 mend 4000"]
        );
    }

    #[test]
    fn a_break_says_which_stage_2_it_means() {
        let here = vec![7_u8; 8192];
        let address = (here.as_ptr().addr() + 4095) & !4095;
        let (mut outside, asked) = outside(&["# failed the machine is gone\n", "# done\n"]);
        match outside.frame(address) {
            // Without a privilege the kernel shows no frames.
            Err(reason) => assert!(reason.contains("pagemap"), "{reason}"),
            Ok(frame) => {
                let error = outside.break_at(0x8000_0000, 0x8020_0000, address).unwrap_err();
                assert!(error.ends_with("the machine is gone"), "{error}");
                drop(outside);
                let asked = asked.join().unwrap();
                assert_eq!(asked[0], format!("1 break 80000000 80200000 {frame:x}"));
                assert_eq!(asked[1], "2 mend 80000000", "it may be broken all the same");
            }
        }
    }

    #[test]
    fn without_an_outside_it_takes_a_real_memory_error() {
        // No test runs in a lab.
        let missing = Outside::missing().unwrap();
        assert!(
            missing.what.contains("EINJ") && missing.fix.ends_with("--backend lab"),
            "{missing:?}"
        );
        assert!(Outside::open().is_err());
    }

    #[test]
    fn a_late_answer_is_passed_over_and_a_wrong_one_told() {
        for (answers, result) in [
            (&["0 failed old\n0 done\n# done\n"][..], Ok(())),
            (&["hello\n"], Err("answers \"hello\"")),
            (&["# failed\n"], Err("answers")),
            (&[], Err("has gone")),
        ] {
            let (mut outside, _) = outside(answers);
            outside.broken.insert(0x1000);
            match (outside.mend(None), result) {
                (Ok(()), Ok(())) => {}
                (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
                other => panic!("{other:?}"),
            }
        }
        let (mut outside, _) = outside(&["x"]);
        outside.line.write_all(b"hm\n").unwrap();
        let soon = Instant::now() + Duration::from_millis(10);
        assert!(outside.hear(soon).unwrap_err().contains("did not answer"));
    }
}
