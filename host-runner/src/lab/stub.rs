//! A gdb stub that is only played: a machine of a few words of memory, with the answers that QEMU 7.2 was seen to give.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};

/// What the machine holds.
#[derive(Clone, Default, Debug)]
pub(super) struct Machine {
    pub(super) memory: BTreeMap<u64, u64>,
    pub(super) vttbr: u64,
    pub(super) vtcr: u64,
    /// What happened, in order: `stop`, `go`, and writes.
    pub(super) log: Vec<String>,
    /// An answer in place of the right one, by the beginning of what it answers. Empty: none at all.
    pub(super) wrong: Vec<(&'static str, &'static str)>,
}

const TARGET: &str = r#"<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target><architecture>aarch64</architecture><xi:include href="aarch64-core.xml"/><xi:include href="system-registers.xml"/></target>"#;
const CORE: &str = r#"<feature name="org.gnu.gdb.aarch64.core"><reg name="x0" bitsize="64"/></feature>"#;
// QEMU 9 and later has single quotes.
const SYSTEM: &str = r#"<feature name="org.qemu.gdb.arm.sys.regs"><reg name="VTTBR_EL2" bitsize="64" regnum="123" group="cp_regs"/><reg name='VTCR_EL2' bitsize='64' regnum='125' type='uint64'/></feature>"#;

/// Serves one connection until it ends; gives the machine back.
pub(super) fn serve(machine: Machine, stream: UnixStream) -> JoinHandle<Machine> {
    thread::spawn(move || {
        let mut served = Served { machine, stream };
        // Whoever connects stops the machine, and is told so unasked.
        served.machine.log.push("stop".into());
        let _ = served.say("T02thread:01;");
        while served.next().is_ok() {}
        served.machine
    })
}

struct Served {
    machine: Machine,
    stream: UnixStream,
}

impl Served {
    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.stream.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        let sum = text.bytes().fold(0, |sum: u8, byte| sum.wrapping_add(byte));
        write!(self.stream, "${text}#{sum:02x}")
    }

    fn next(&mut self) -> io::Result<()> {
        match self.byte()? {
            3 => {
                self.machine.log.push("stop".into());
                let wrong = self.wrong("\u{3}");
                return self.say(wrong.unwrap_or("T02thread:01;"));
            }
            b'$' => {}
            _ => return Ok(()),
        }
        let mut text = String::new();
        loop {
            match self.byte()? {
                b'#' => break,
                byte => text.push(char::from(byte)),
            }
        }
        let (high, low) = (self.byte()?, self.byte()?);
        let sum = text.bytes().fold(0, |sum: u8, byte| sum.wrapping_add(byte));
        assert_eq!(format!("{sum:02x}").as_bytes(), [high, low], "{text}");
        // Whoever asked may have gone already; what was asked for is done all the same.
        let _ = self.stream.write_all(b"+");
        if let Some(wrong) = self.wrong(&text) {
            return if wrong.is_empty() {
                Ok(())
            } else {
                self.stream.write_all(wrong.as_bytes())
            };
        }
        match self.answer(&text) {
            Some(answer) => self.say(&answer),
            None => Ok(()),
        }
    }

    fn wrong(&self, text: &str) -> Option<&'static str> {
        let found = self.machine.wrong.iter().find(|(to, _)| text.starts_with(to));
        found.map(|(_, answer)| *answer)
    }

    fn answer(&mut self, text: &str) -> Option<String> {
        let machine = &mut self.machine;
        let number = |digits: &str| u64::from_str_radix(digits, 16).unwrap();
        Some(match text.split_at(1) {
            ("c", "") => {
                machine.log.push("go".into());
                return None;
            }
            ("p", "7b") => format!("{:016x}", machine.vttbr.swap_bytes()),
            ("p", "7d") => format!("{:016x}", machine.vtcr.swap_bytes()),
            ("m", place) => {
                let at = number(place.strip_suffix(",8").unwrap());
                let word: u64 = machine.memory.get(&at).copied().unwrap_or(0);
                format!("{:016x}", word.swap_bytes())
            }
            ("M", rest) => {
                let (at, value) = rest.split_once(",8:").unwrap();
                let (at, value) = (number(at), number(value).swap_bytes());
                machine.log.push(format!("{at:x} = {value:x}"));
                machine.memory.insert(at, value);
                "OK".into()
            }
            ("Q", "qemu.PhyMemMode:1") => "OK".into(),
            ("q", "Supported:xmlRegisters=aarch64") => {
                "PacketSize=1000;qXfer:features:read+;vContSupported+;multiprocess+".into()
            }
            ("q", rest) => {
                let (file, part) = rest
                    .strip_prefix("Xfer:features:read:")
                    .unwrap()
                    .split_once(':')
                    .unwrap();
                let whole = match file {
                    "target.xml" => TARGET,
                    "aarch64-core.xml" => CORE,
                    "system-registers.xml" => SYSTEM,
                    _ => return Some("E00".into()),
                };
                // In smaller pieces than were asked for, as may be.
                let offset = usize::try_from(number(part.split(',').next().unwrap())).unwrap();
                let end = whole.len().min(offset + 50);
                let more = if end == whole.len() { "l" } else { "m" };
                format!("{more}{}", &whole[offset..end])
            }
            // Not known: an empty answer.
            _ => String::new(),
        })
    }
}
