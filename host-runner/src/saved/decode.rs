//! From bytes to a VM, or to what is wrong with them.

use seawall_replay::interpreter::Count;
use seawall_replay::plan::MAX_STEPS;
use seawall_replay::reports::{MOST, Report};
use seawall_replay::transcript::{EVENT_BYTES, Event};

use super::bytes::Reader;
use super::encode::digest_of_file;
use super::{
    Attribute, Board, Cpu, DIGEST_OFFSET, HEADER_BYTES, Layout, Lives, MAGIC, MOST_BYTES, Machine, PAGE,
    Page, PoisonedBy, Register, SECTION_BYTES, SERROR_SYNDROME_MASK, Saved, SavedError, ScenarioId, Section,
    VERSION, Vcpu, register_bytes,
};

/// Most memory that a guest has.
const MOST_MEMORY: u64 = 64 << 30;
const MEMORY_STEP: u64 = 2 << 20;
/// Most pages that something was done to, or that are out of use.
const MOST_BASE: u64 = 1 << 48;

/// Reads and checks a whole file.
///
/// # Errors
/// See [`SavedError`]; no part of a bad file is used.
pub fn decode(bytes: &[u8]) -> Result<Saved, SavedError> {
    let sections = sections(bytes)?;
    let part = |section: Section| -> Result<Reader<'_>, SavedError> {
        let found = sections.iter().find(|(kind, _)| *kind == section);
        let (_, content) = found.ok_or(SavedError::Missing(section))?;
        Ok(Reader::new(section, content))
    };
    let machine = whole(part(Section::Machine)?, machine)?;
    let memory = machine.memory_base..machine.memory_base + machine.memory_bytes;
    let is_page = |page: u64| memory.contains(&page) && page.is_multiple_of(PAGE as u64);
    let layout = whole(part(Section::Layout)?, |r| layout(r, is_page))?;
    let poisoned = |page: u64| {
        layout
            .poisoned
            .binary_search_by_key(&page, |(page, _)| *page)
            .is_ok()
    };
    let (events_lost, transcript) = whole(part(Section::Transcript)?, |r| {
        let lost = r.long()?;
        let events = r.list(EVENT_BYTES, |r| {
            let raw = r.take(EVENT_BYTES)?;
            Event::decode(raw).ok_or_else(|| r.bad("event", 0))
        })?;
        Ok((lost, events))
    })?;
    let mut board = whole(part(Section::Board)?, |r| board(r, is_page, memory.end))?;
    if let Ok(reports) = part(Section::Reports) {
        board.reports = whole(reports, |r| self::reports(r, is_page))?;
    }
    if let Ok(lives) = part(Section::Lives) {
        board.lives = whole(lives, self::lives)?;
    }
    Ok(Saved {
        scenario: whole(part(Section::Scenario)?, |r| {
            let name = r.text("name")?;
            let digest = r.array()?;
            Ok(ScenarioId { name, digest })
        })?,
        cpu: whole(part(Section::Cpu)?, |r| {
            let (midr, revidr, aidr) = (r.long()?, r.long()?, r.long()?);
            Ok(Cpu { midr, revidr, aidr })
        })?,
        memory: whole(part(Section::Memory)?, |r| {
            pages(r, |page| is_page(page) && !poisoned(page))
        })?,
        registers: whole(part(Section::Registers)?, registers)?,
        gic: whole(part(Section::Gic)?, |r| {
            r.list(20, |r| {
                let (group, attr, value) = (r.word()?, r.long()?, r.long()?);
                Ok(Attribute { group, attr, value })
            })
        })?,
        vcpu: whole(part(Section::Vcpu)?, vcpu)?,
        board,
        machine,
        layout,
        transcript,
        events_lost,
    })
}

fn whole<'a, T>(
    mut reader: Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, SavedError>,
) -> Result<T, SavedError> {
    let value = read(&mut reader)?;
    reader.end()?;
    Ok(value)
}

fn long_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}

fn word_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

/// The sections of a file whose header, length and digest are right, each once.
fn sections(bytes: &[u8]) -> Result<Vec<(Section, &[u8])>, SavedError> {
    let has = bytes.len() as u64;
    if has > MOST_BYTES {
        return Err(SavedError::TooLarge(has));
    }
    let cut = |says| SavedError::Cut { has, says };
    // What is too short for a header may still be told from another kind of file.
    if !bytes.starts_with(&MAGIC) {
        return Err(if MAGIC.starts_with(bytes) {
            cut(HEADER_BYTES as u64)
        } else {
            SavedError::NotSaved
        });
    }
    let header = bytes.get(..HEADER_BYTES).ok_or(cut(HEADER_BYTES as u64))?;
    let version = word_at(header, 8).unwrap_or_default();
    if version != VERSION {
        return Err(SavedError::OtherVersion(version));
    }
    let says = long_at(header, 16).unwrap_or_default();
    if says > has {
        return Err(cut(says));
    }
    if says < has {
        return Err(SavedError::Longer(has - says));
    }
    if digest_of_file(bytes).as_ref().map(<[u8; 32]>::as_slice) != header.get(DIGEST_OFFSET..) {
        return Err(SavedError::Altered);
    }
    let count = word_at(header, 12).unwrap_or_default();
    let mut found: Vec<(Section, &[u8])> = Vec::with_capacity(Section::ALL.len());
    let mut rest = bytes.get(HEADER_BYTES..).unwrap_or_default();
    for _ in 0..count {
        let (head, behind) = rest.split_at_checked(SECTION_BYTES).ok_or(cut(says))?;
        let kind = word_at(head, 0).unwrap_or_default();
        let length = usize::try_from(long_at(head, 8).unwrap_or_default()).unwrap_or(usize::MAX);
        let section = Section::ALL
            .into_iter()
            .chain(Section::OPTIONAL)
            .find(|section| *section as u32 == kind)
            .ok_or(SavedError::UnknownSection(kind))?;
        if found.iter().any(|(known, _)| *known == section) {
            return Err(SavedError::Double(section));
        }
        let (content, behind) = behind
            .split_at_checked(length)
            .ok_or(SavedError::Short(section))?;
        found.push((section, content));
        rest = behind;
    }
    if rest.is_empty() {
        Ok(found)
    } else {
        Err(SavedError::Longer(rest.len() as u64))
    }
}

fn machine(r: &mut Reader<'_>) -> Result<Machine, SavedError> {
    let (memory_base, memory_bytes) = (r.long()?, r.long()?);
    if memory_base >= MOST_BASE || !memory_base.is_multiple_of(MEMORY_STEP) {
        return Err(r.bad("start of memory", memory_base));
    }
    if memory_bytes == 0 || memory_bytes > MOST_MEMORY || !memory_bytes.is_multiple_of(MEMORY_STEP) {
        return Err(r.bad("size of memory", memory_bytes));
    }
    let (ipa_bits, interrupts, used) = (r.word()?, r.word()?, r.word()?);
    if used & !Machine::ALL_USED != 0 {
        return Err(r.bad("capability", used.into()));
    }
    Ok(Machine {
        memory_base,
        memory_bytes,
        ipa_bits,
        interrupts,
        used,
        linux: r.text("release")?,
    })
}

/// Whether `next` comes after all that came before it.
fn ascends(last: &mut Option<u64>, next: u64) -> bool {
    last.replace(next).is_none_or(|last| last < next)
}

fn layout(r: &mut Reader<'_>, is_page: impl Fn(u64) -> bool) -> Result<Layout, SavedError> {
    let page = |r: &mut Reader<'_>, last: &mut Option<u64>| {
        let page = r.long()?;
        if is_page(page) && ascends(last, page) {
            Ok(page)
        } else {
            Err(r.bad("page", page))
        }
    };
    let list = |r: &mut Reader<'_>| {
        let mut last = None;
        r.list(8, |r| page(r, &mut last))
    };
    let (holes, read_only) = (list(r)?, list(r)?);
    let mut last = None;
    let poisoned = r.list(9, |r| {
        let page = page(r, &mut last)?;
        let by = match r.byte()? {
            1 => PoisonedBy::Userfault,
            2 => PoisonedBy::MemoryFailure,
            3 => PoisonedBy::Host,
            other => return Err(r.bad("kind of poison", other.into())),
        };
        Ok((page, by))
    })?;
    Ok(Layout {
        holes,
        read_only,
        poisoned,
    })
}

fn pages(r: &mut Reader<'_>, may_be: impl Fn(u64) -> bool) -> Result<Vec<Page>, SavedError> {
    let mut last = None;
    r.list(8 + PAGE, |r| {
        let ipa = r.long()?;
        if !may_be(ipa) || !ascends(&mut last, ipa) {
            return Err(r.bad("page", ipa));
        }
        let bytes = Box::new(r.array()?);
        Ok(Page { ipa, bytes })
    })
}

fn registers(r: &mut Reader<'_>) -> Result<Vec<Register>, SavedError> {
    let mut last = None;
    r.list(9, |r| {
        let id = r.long()?;
        let Some(bytes) = register_bytes(id).filter(|_| ascends(&mut last, id)) else {
            return Err(r.bad("register", id));
        };
        Ok(Register {
            id,
            bytes: r.take(bytes)?.to_vec(),
        })
    })
}

fn vcpu(r: &mut Reader<'_>) -> Result<Vcpu, SavedError> {
    let vcpu = Vcpu {
        mp_state: r.word()?,
        serror_pending: r.flag("flag")?,
        serror_has_esr: r.flag("flag")?,
        serror_esr: r.long()?,
    };
    if vcpu.serror_esr & !SERROR_SYNDROME_MASK != 0 {
        return Err(r.bad("SError syndrome", vcpu.serror_esr));
    }
    Ok(vcpu)
}

fn board(r: &mut Reader<'_>, is_page: impl Fn(u64) -> bool, end: u64) -> Result<Board, SavedError> {
    let counts = r.list(8, |r| {
        let (seen, fired) = (r.word()?, r.word()?);
        Ok(Count { seen, fired })
    })?;
    if counts.len() > MAX_STEPS {
        return Err(r.bad("count of steps", counts.len() as u64));
    }
    let journal_address = r.long()?;
    let has_journal = r.flag("flag")?;
    let (from, to) = (r.long()?, r.long()?);
    if has_journal && (from > to || to > end || !is_page(from & !(PAGE as u64 - 1))) {
        return Err(r.bad("journal", from));
    }
    let mut uart = [0; 6];
    for register in &mut uart {
        *register = r.half()?;
    }
    let console = r.bytes()?;
    let mut last = None;
    let pages = r.list(18, |r| {
        let (page, step, announcement) = (r.long()?, r.half()?, r.long()?);
        if is_page(page) && ascends(&mut last, page) {
            Ok((page, step, announcement))
        } else {
            Err(r.bad("page", page))
        }
    })?;
    Ok(Board {
        counts,
        journal_address,
        journal: has_journal.then_some((from, to)),
        uart,
        console,
        pages,
        reports: Vec::new(),
        lives: Lives::default(),
    })
}

fn lives(r: &mut Reader<'_>) -> Result<Lives, SavedError> {
    let reboots = r.flag("flag")?;
    let journals = r.list(4, |r| {
        let journal = r.bytes()?;
        let length = journal.len() as u64;
        if length > Lives::LONGEST_JOURNAL {
            return Err(r.bad("length of a journal", length));
        }
        Ok(journal)
    })?;
    let lives = Lives { reboots, journals };
    let count = lives.journals.len();
    if lives.is_empty() || count > Lives::MOST {
        return Err(r.bad("count of lives", count as u64));
    }
    Ok(lives)
}

fn reports(r: &mut Reader<'_>, is_page: impl Fn(u64) -> bool) -> Result<Vec<u64>, SavedError> {
    let reports = r.list(8, |r| {
        let word = r.long()?;
        let report =
            Report::from_word(word).filter(|report| report.to_word() == word && is_page(report.page.0));
        report.map(|_| word).ok_or_else(|| r.bad("report", word))
    })?;
    match reports.len() {
        1..=MOST => Ok(reports),
        other => Err(r.bad("count of reports", other as u64)),
    }
}
